"""The copy of what could not be understood, for the dead-letter queue: as it came, with the reason beside it."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from service.core.continuations import origin
from service.core.events import cut
from service.core.messages import CONTINUATION, AnyAttribute, Message, Outgoing, attribute_bytes
from service.core.misunderstood import Misunderstood

_NOT_SENDABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""SQS takes the characters of XML 1.0."""
MOST_ATTRIBUTES: Final = 10
LARGEST_BYTES: Final = 1024 * 1024
"""SQS takes a message of 1 MiB with its attributes: of a body that fills it, the last bytes make room for the reason."""


def copy_of(message: Message, why: Misunderstood, *, is_fifo: bool) -> Outgoing:
    """Return the copy of a message that was rejected."""
    return copy_because(message, why.code.value, why.reason, why.field, is_fifo=is_fifo)


def copy_because(message: Message, code: str, reason: str, field: str | None = None, *, is_fifo: bool) -> Outgoing:
    """Return the copy of a message that ends in the dead-letter queue, with the reason beside it.

    Safe to send twice: on a FIFO queue it has the same deduplication id.

    What SQS does not take in a body becomes question marks; of SQS's ten attributes, four are Slipway's.
    """
    attributes: dict[str, AnyAttribute] = {
        "SlipwayReason": cut(reason, 1000),
        "SlipwayCode": code,
        "SlipwayField": cut(field or "-", 256),
        "SlipwayMessageId": origin(message),
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
    deduplication_id = hashlib.sha256(f"buried {origin(message)}".encode()).hexdigest() if is_fifo else None
    return Outgoing(body, attributes, (message.group or "rejected") if is_fifo else None, deduplication_id)
