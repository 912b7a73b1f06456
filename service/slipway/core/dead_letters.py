"""Dead letters: why each is where it is, and what is sent when one is to be tried again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from slipway.core.events.publish import cut
from slipway.core.parsing.parse import Admission, NoMatchingTrigger, PipelineStopping
from slipway.core.schema.rejection import RequestRejected
from slipway.core.sqs.continuations import Delivery
from slipway.core.sqs.messages import CONTINUATION, AnyAttribute, Message, Outgoing, attribute_bytes, group_of

OWN_ATTRIBUTES: Final = frozenset({"SlipwayReason", "SlipwayCode", "SlipwayField", "SlipwayMessageId", CONTINUATION})
"""What `burial` wrote beside a rejected body, and what was handed on with it: a request that is sent again begins anew."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message in the dead-letter queue, for as long as it is looked at."""

    message_id: str
    body: str = field(repr=False)
    receipt: str = field(repr=False)
    sent_at: float
    """When it was sent to where it is, or (what SQS itself moved) to the request queue; seconds since the epoch."""
    attributes: Mapping[str, AnyAttribute] = field(default_factory=dict, repr=False)
    group: str | None = None


@dataclass(frozen=True, slots=True)
class DeadLetterCause:
    """Why a letter is dead. `is_sound` says that the body would be understood now."""

    code: str
    text: str
    about: str
    """The request's id, the deployment's name and the target, as far as they can be read, and are not the default."""
    is_sound: bool
    now: str = ""
    """The code with which the body would be rejected now, if it would be."""


def dead_letter_cause(letter: DeadLetter, admission: Admission, sender: str | None = None) -> DeadLetterCause:
    """Say why a letter is dead: in the words that stand beside it, else by admitting the body again, as the daemon does.

    `sender` is the one who would send it again. Where the settings are not the daemon's, the daemon may decide otherwise.
    """
    about, code, is_sound = "", "ReceivedTooOften", True
    text = "a sound request, received more often than maxReceiveCount allows: its readers died, or were stopped, with it"
    try:
        message = Message(letter.message_id, letter.body, "", 1, letter.sent_at, letter.sent_at)
        request = admission.admit(message, sender)
        where = [f"target {request.target_label}"] if request.target_label else []
        about = " ".join([request.request_id, request.name, *where])
    except RequestRejected as wrong:
        about, code, text, is_sound = wrong.request_id or "", wrong.code.value, wrong.reason, False
    except NoMatchingTrigger as unmatched:
        code, text, is_sound = "Unmatched", f"{unmatched}: sent again, it is counted, and deleted", False
    except PipelineStopping as stopping:
        text = f"{stopping}, and its step waits for the answer; received more often than maxReceiveCount allows"
    now = "" if is_sound else code
    return DeadLetterCause(_said(letter, "SlipwayCode") or code, _said(letter, "SlipwayReason") or text, about, is_sound, now)


def _said(letter: DeadLetter, name: str) -> str | None:
    value = letter.attributes.get(name)
    return value if isinstance(value, str) else None


def redriven_message(letter: DeadLetter, *, is_fifo: bool) -> Outgoing:
    """Answer what to send to the request queue so that the letter's request is tried anew. Safe to send twice."""
    attributes = {name: value for name, value in letter.attributes.items() if name not in OWN_ATTRIBUTES}
    if not is_fifo:
        return Outgoing(letter.body, attributes)
    deduplication_id = hashlib.sha256(f"again {letter.message_id}".encode()).hexdigest()
    return Outgoing(letter.body, attributes, letter.group or group_of(letter.message_id), deduplication_id)


_NOT_SENDABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""SQS takes the characters of XML 1.0."""
MOST_ATTRIBUTES: Final = 10
LARGEST_BYTES: Final = 1024 * 1024
"""SQS takes a message of 1 MiB with its attributes: of a body that fills it, the last bytes make room for the reason."""


def rejected_copy(message: Message, rejection: RequestRejected, *, is_fifo: bool) -> Outgoing:
    """Return the copy of a message that was rejected."""
    return copy_because(message, rejection.code.value, rejection.reason, rejection.field, is_fifo=is_fifo)


def copy_because(message: Message, code: str, reason: str, field: str | None = None, *, is_fifo: bool) -> Outgoing:
    """Return the copy of a message that ends in the dead-letter queue, with the reason beside it.

    Safe to send twice: on a FIFO queue it has the same deduplication id.

    What SQS does not take in a body becomes question marks; of SQS's ten attributes, four are Slipway's.
    """
    attributes: dict[str, AnyAttribute] = {
        "SlipwayReason": cut(reason, 1000),
        "SlipwayCode": code,
        "SlipwayField": cut(field or "-", 256),
        "SlipwayMessageId": Delivery.of(message).origin,
    }
    size = sum(attribute_bytes(name, value) for name, value in attributes.items())
    sendable = _NOT_SENDABLE.sub("?", message.body) or "?"
    body = sendable.encode()[: LARGEST_BYTES - size].decode(errors="ignore")
    size += len(body.encode())
    for name, value in message.attributes.items():
        larger = size + attribute_bytes(name, value)
        if name != CONTINUATION and len(attributes) < MOST_ATTRIBUTES and larger <= LARGEST_BYTES:
            attributes[name] = value
            size = larger
    deduplication_id = hashlib.sha256(f"buried {Delivery.of(message).origin}".encode()).hexdigest() if is_fifo else None
    return Outgoing(body, attributes, (message.group or "rejected") if is_fifo else None, deduplication_id)
