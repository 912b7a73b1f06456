"""Messages received from SQS and messages to send to it."""

from __future__ import annotations

import hashlib
import re
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

CONTINUATION = "SlipwayContinuation"
"""The message attribute that makes a message a continuation."""
TRACE_HEADER: Final = "AWSTraceHeader"
"""X-Ray's system attribute. `Message.attributes` has it under this name, and it is sent on as a system attribute."""

RESERVED_RECEIVES: Final = 8
"""Receives kept in reserve below `maxReceiveCount`: consumers that are killed seconds apart each cost one."""

TEXT: Final = "String"
"""The data type of a text attribute."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A message attribute whose data type is not `String`: a number, bytes, or a type with a custom label."""

    data_type: str
    value: str | bytes


_GROUP = re.compile(r"[!-~]{1,128}")


def group_of(text: str) -> str:
    """Return a FIFO message group id for any text: the text itself if SQS and SNS accept it, else its digest.

    Both accept 1 to 128 ASCII letters, digits and punctuation, and no space. Idempotent.
    """
    return text if _GROUP.fullmatch(text) else hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


AnyAttribute = str | Attribute
"""A message attribute: a text, or a value with its data type."""


def attribute_bytes(name: str, attribute: AnyAttribute) -> int:
    """Return an attribute's share of the message size: the bytes of its name, data type and value."""
    data_type, value = (TEXT, attribute) if isinstance(attribute, str) else (attribute.data_type, attribute.value)
    texts = (name, data_type, value)
    return sum(len(text) if isinstance(text, bytes) else len(text.encode(errors="surrogatepass")) for text in texts)


LONGEST_UNPACKED: Final = 4096
"""Characters. A longer body is kept compressed: it is padded or in an envelope, since a request is shorter."""


@dataclass(frozen=True, slots=True)
class Message:
    """A received message.

    All times are seconds since the epoch *by the queue's clock* (the `Date` of the response with the message), so a wrong clock
    on this machine moves no deadline.
    """

    message_id: str
    content: str | bytes = field(repr=False)
    """The body as received, or compressed by `packed`."""
    receipt: str = field(repr=False)
    receive_count: int
    received_at: float
    first_received_at: float
    group: str | None = None
    attributes: Mapping[str, AnyAttribute] = field(default_factory=dict, repr=False)
    sender: str | None = None
    """The `SenderId` that SQS returned; None if the queue, like some emulators, returns none."""

    @property
    def body(self) -> str:
        """Return the body exactly as received. A compressed one is decompressed at each call."""
        if isinstance(self.content, str):
            return self.content
        return zlib.decompress(self.content).decode(errors="surrogatepass")

    def packed(self) -> Message:
        """Return the message with a long body compressed, for as long as it is leased."""
        if isinstance(self.content, bytes) or len(self.content) <= LONGEST_UNPACKED:
            return self
        return replace(self, content=zlib.compress(self.content.encode(errors="surrogatepass"), level=1))

    @property
    def held_bytes(self) -> int:
        """Return the memory that the body and the attributes take, in bytes."""
        attributes = sum(sys.getsizeof(name) + _bytes_of(value) for name, value in self.attributes.items())
        return sys.getsizeof(self.content) + attributes

    def text(self, name: str) -> str:
        """Return a text attribute; an empty text if there is none of this name."""
        value = self.attributes.get(name, "")
        return value if isinstance(value, str) else ""

    @property
    def is_redelivery(self) -> bool:
        """Return whether the message was received before, perhaps by a process that died."""
        return self.receive_count > 1


def _bytes_of(attribute: AnyAttribute) -> int:
    if isinstance(attribute, str):
        return sys.getsizeof(attribute)
    return sys.getsizeof(attribute.value) + sys.getsizeof(attribute.data_type)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send: a continuation, a request, or a copy for the dead-letter queue. At most ten attributes."""

    body: str = field(repr=False)
    attributes: Mapping[str, AnyAttribute] = field(default_factory=dict)
    group: str | None = None
    """The message group id: required on FIFO; on a standard queue the optional group for fair queues."""
    deduplication_id: str | None = None
    delay_seconds: int = 0
    """Time until it can be received; always 0 on a FIFO queue, which has no delay per message."""


@dataclass(frozen=True, slots=True)
class QueueTraits:
    """Attributes of a queue that change how its messages are handled."""

    is_fifo: bool = False
    max_receive_count: int | None = None
    """From the redrive policy; None without one. A message received this often moves to the dead-letter queue next."""
    has_dead_letter_queue: bool = False

    def should_continue(self, receive_count: int) -> bool:
        """Return whether so few receives are left that the request should continue in a new message, with a count of zero.

        Each killed consumer costs a receive, and a kill before the continuation is sent gains none back: so some are kept in
        reserve. Not on FIFO, where a new message goes to the end of its group. Never at the first receive, or a request on a
        queue that allows only one would never end.
        """
        if self.max_receive_count is None:
            return False
        reserve = 0 if self.is_fifo else RESERVED_RECEIVES
        return receive_count >= max(2, self.max_receive_count - reserve)


_ROLE: Final = "AROA"


def is_sent_by(sender: str | None, other: str) -> bool:
    """Return whether two `SenderId`s are the same user, or sessions of the same role."""
    return sender is not None and stable_sender_id(sender) == stable_sender_id(other)


def stable_sender_id(sender: str) -> str:
    """Return the part of a `SenderId` that all sessions of a role share.

    The id of a federated user is kept whole: its first part is that of the account.
    """
    return sender.partition(":")[0] if sender.startswith(_ROLE) else sender
