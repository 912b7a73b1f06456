"""What SQS hands over, and what is handed back to it."""

from __future__ import annotations

import hashlib
import re
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

CONTINUATION = "SlipwayContinuation"
"""The one message attribute that Slipway adds when it hands a request on under a new message."""
TRACE_HEADER: Final = "AWSTraceHeader"
"""X-Ray's system attribute: among a message's attributes under this name, and sent on as what it was."""

RESERVED_RECEIVES: Final = 8
"""Of those that the queue allows, where it allows as many: in storms of kills seconds apart, two or three were too few."""


TEXT: Final = "String"
"""The data type of an attribute that is a plain text."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A message attribute whose data type is not `String`: a number, bytes, or a type with a label of the sender's."""

    data_type: str
    value: str | bytes


_GROUP = re.compile(r"[!-~]{1,128}")


def group_of(text: str) -> str:
    """Return a FIFO group for any text: itself where SQS and SNS take it, else a digest of it.

    Both take 1 to 128 letters, digits and punctuation of ASCII, and no space. Applied to its own result it changes nothing.
    """
    return text if _GROUP.fullmatch(text) else hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


AnyAttribute = str | Attribute
"""A message attribute: a plain text, or a value with its data type."""


def attribute_bytes(name: str, attribute: AnyAttribute) -> int:
    """Return what an attribute counts towards the size of a message: its name, its data type and its value."""
    data_type, value = (TEXT, attribute) if isinstance(attribute, str) else (attribute.data_type, attribute.value)
    texts = (name, data_type, value)
    return sum(len(text) if isinstance(text, bytes) else len(text.encode(errors="surrogatepass")) for text in texts)


LONGEST_UNPACKED: Final = 4096
"""Characters. A longer body is kept compressed: most requests are shorter, and a longer one is padded or in an envelope."""


@dataclass(frozen=True, slots=True)
class Message:
    """A lease on a request.

    All times are seconds since the epoch *by the queue's own clock* (the `Date` of the answer that brought the
    message), so a wrong or jumping clock on this machine moves no deadline.
    """

    message_id: str
    content: str | bytes = field(repr=False)
    """The body as it came, or compressed by `packed`."""
    receipt: str = field(repr=False)
    receive_count: int
    received_at: float
    first_received_at: float
    group: str | None = None
    attributes: Mapping[str, AnyAttribute] = field(default_factory=dict, repr=False)
    sender: str | None = None
    """SQS's own word (`SenderId`) on who sent it; None where a queue does not say, as some emulators."""

    @property
    def body(self) -> str:
        """The body, exactly as it came. Decompressed each time it is asked for, where it is kept compressed."""
        if isinstance(self.content, str):
            return self.content
        return zlib.decompress(self.content).decode(errors="surrogatepass")

    def packed(self) -> Message:
        """Return the same message in the form in which it takes the least memory for the time that it is held."""
        if isinstance(self.content, bytes) or len(self.content) <= LONGEST_UNPACKED:
            return self
        return replace(self, content=zlib.compress(self.content.encode(errors="surrogatepass"), level=1))

    @property
    def held_bytes(self) -> int:
        """How much memory the body and the attributes take in this form."""
        attributes = sum(sys.getsizeof(name) + _bytes_of(value) for name, value in self.attributes.items())
        return sys.getsizeof(self.content) + attributes

    def text(self, name: str) -> str:
        """Return an attribute that is a plain text; an empty text where there is none."""
        value = self.attributes.get(name, "")
        return value if isinstance(value, str) else ""

    @property
    def is_redelivery(self) -> bool:
        """Somebody, perhaps a process that died, has had this message before."""
        return self.receive_count > 1


def _bytes_of(attribute: AnyAttribute) -> int:
    if isinstance(attribute, str):
        return sys.getsizeof(attribute)
    return sys.getsizeof(attribute.value) + sys.getsizeof(attribute.data_type)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to be sent: a continuation, or a copy of what was rejected. At most ten attributes."""

    body: str = field(repr=False)
    attributes: Mapping[str, AnyAttribute] = field(default_factory=dict)
    group: str | None = None
    """The FIFO group; on a standard queue, which may have groups for fairness, the group it came with."""
    deduplication_id: str | None = None
    delay_seconds: int = 0
    """How long it stays invisible; on a FIFO queue not at all."""


@dataclass(frozen=True, slots=True)
class QueueTraits:
    """What the queue says about itself."""

    is_fifo: bool = False
    max_receive_count: int | None = None
    """From the redrive policy; None without one. A message received this often goes to the dead-letter queue next."""
    has_dead_letter_queue: bool = False

    def should_continue(self, receive_count: int) -> bool:
        """Whether so few receives are left that the request had better begin a new count, under a new message.

        Each kill costs a receive, and kills that come just after the receive, before the hand-over is sent, cost them all:
        so some are kept in hand. Not on FIFO, where a new message goes to the end of its group. Never at the first receive,
        or a queue that allows only one would never end.
        """
        if self.max_receive_count is None:
            return False
        kept_in_hand = 0 if self.is_fifo else RESERVED_RECEIVES
        return receive_count >= max(2, self.max_receive_count - kept_in_hand)


_ROLE: Final = "AROA"


def is_sent_by(sender: str | None, other: str) -> bool:
    """Whether both are the same user, or sessions of the same role."""
    return sender is not None and stable(sender) == stable(other)


def stable(sender: str) -> str:
    """Answer what stays the same of it. Not of a federated user, whose id begins with that of the whole account."""
    return sender.partition(":")[0] if sender.startswith(_ROLE) else sender
