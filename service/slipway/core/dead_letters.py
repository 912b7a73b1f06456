"""Dead letters: the copies sent to the dead-letter queue, the cause of each dead letter, and its redrive."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from slipway.core.events.publish import cut
from slipway.core.parsing import Admission, NoMatchingTrigger, PipelineStopping
from slipway.core.schema.rejection import RequestRejected
from slipway.core.sqs.continuations import Delivery
from slipway.core.sqs.messages import CONTINUATION, AnyAttribute, Message, Outgoing, attribute_bytes, group_of

OWN_ATTRIBUTES: Final = frozenset({"SlipwayReason", "SlipwayCode", "SlipwayField", "SlipwayMessageId", CONTINUATION})
"""Attributes that a redrive removes: the reason beside a rejected body, and the continuation. The request starts again."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A received message of the dead-letter queue."""

    message_id: str
    body: str = field(repr=False)
    receipt: str = field(repr=False)
    sent_at: float
    """When it was sent to the dead-letter queue, or to the request queue if SQS moved it; seconds since the epoch."""
    attributes: Mapping[str, AnyAttribute] = field(default_factory=dict, repr=False)
    group: str | None = None


@dataclass(frozen=True, slots=True)
class DeadLetterCause:
    """Why a message is in the dead-letter queue. `is_sound` says that its request would be accepted now."""

    code: str
    text: str
    about: str
    """The request's id, the deployment's name and the target unless it is the default, as far as they can be read."""
    is_sound: bool
    now: str = ""
    """The code with which the request would be rejected now; empty if it would be accepted."""


def dead_letter_cause(letter: DeadLetter, admission: Admission, sender: str | None = None) -> DeadLetterCause:
    """Return the cause of a dead letter: from its attributes, else by the checks that the daemon would make now.

    `sender` is the sender of a redrive. With other settings than the daemon's the result may differ from the daemon's.
    """
    about, code, is_sound = "", "ReceivedTooOften", True
    text = "a valid request, received more often than maxReceiveCount allows: its consumers died or were stopped"
    try:
        message = Message(letter.message_id, letter.body, "", 1, letter.sent_at, letter.sent_at)
        request = admission.admit(Delivery.of(message), sender)
        target = [f"target {request.target_label}"] if request.target_label else []
        about = " ".join([request.request_id, request.name, *target])
    except RequestRejected as rejected:
        about, code, text, is_sound = rejected.request_id or "", rejected.code.value, rejected.reason, False
    except NoMatchingTrigger as unmatched:
        code, text, is_sound = "Unmatched", f"{unmatched}: a redrive would only count and delete it", False
    except PipelineStopping as stopping:
        text = f"{stopping}, and its step waits for a result; received more often than maxReceiveCount allows"
    current_code = "" if is_sound else code
    return DeadLetterCause(
        _attribute(letter, "SlipwayCode") or code, _attribute(letter, "SlipwayReason") or text, about, is_sound, current_code
    )


def _attribute(letter: DeadLetter, name: str) -> str | None:
    value = letter.attributes.get(name)
    return value if isinstance(value, str) else None


def redriven_message(letter: DeadLetter, *, is_fifo: bool) -> Outgoing:
    """Return the message that sends a dead letter's request to the request queue again. Safe to send twice."""
    attributes = {name: value for name, value in letter.attributes.items() if name not in OWN_ATTRIBUTES}
    if not is_fifo:
        return Outgoing(letter.body, attributes)
    deduplication_id = hashlib.sha256(f"again {letter.message_id}".encode()).hexdigest()
    return Outgoing(letter.body, attributes, letter.group or group_of(letter.message_id), deduplication_id)


_NOT_SENDABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""SQS accepts the characters of XML 1.0."""
MOST_ATTRIBUTES: Final = 10
LARGEST_BYTES: Final = 1024 * 1024
"""SQS accepts 1 MiB for body and attributes: the end of a body that fills it is cut to make room for the reason."""


def rejected_copy(message: Message, rejection: RequestRejected, *, is_fifo: bool) -> Outgoing:
    """Return the copy of a rejected message for the dead-letter queue."""
    return dead_letter_copy(message, rejection.code.value, rejection.reason, rejection.field, is_fifo=is_fifo)


def dead_letter_copy(message: Message, code: str, reason: str, field: str | None = None, *, is_fifo: bool) -> Outgoing:
    """Return the copy of a message for the dead-letter queue, with the reason in its attributes.

    Safe to send twice: on a FIFO queue it has the same deduplication id. Characters that SQS does not accept become question
    marks. Four of SQS's ten attributes are Slipway's.
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
        new_size = size + attribute_bytes(name, value)
        if name != CONTINUATION and len(attributes) < MOST_ATTRIBUTES and new_size <= LARGEST_BYTES:
            attributes[name] = value
            size = new_size
    deduplication_id = hashlib.sha256(f"buried {Delivery.of(message).origin}".encode()).hexdigest() if is_fifo else None
    return Outgoing(body, attributes, (message.group or "rejected") if is_fifo else None, deduplication_id)
