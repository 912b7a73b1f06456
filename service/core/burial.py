"""The copy of what could not be understood, for the dead-letter queue: as it came, with the reason beside it."""

from __future__ import annotations

import hashlib
from typing import Final

from service.core.continuations import origin
from service.core.events import cut
from service.core.messages import CONTINUATION, AnyAttribute, Message, Outgoing, attribute_bytes
from service.core.misunderstood import Misunderstood

MOST_ATTRIBUTES: Final = 10
LARGEST_BYTES: Final = 1024 * 1024
"""SQS takes a message of 1 MiB with its attributes: of a body that fills it, the last bytes make room for the reason."""


def copy_of(message: Message, why: Misunderstood, *, is_fifo: bool) -> Outgoing:
    """Answer the copy to bury. Safe to send twice: on a FIFO queue it has the same deduplication id.

    Lone surrogates, which cannot be sent, become question marks; of SQS's ten attributes, four are Slipway's.
    """
    attributes: dict[str, AnyAttribute] = {
        "SlipwayReason": cut(why.reason, 1000),
        "SlipwayCode": why.code.value,
        "SlipwayField": cut(why.field or "-", 256),
        "SlipwayMessageId": origin(message),
    }
    size = sum(attribute_bytes(name, value) for name, value in attributes.items())
    body = message.body.encode(errors="replace")[: LARGEST_BYTES - size].decode(errors="ignore")
    size += len(body.encode())
    for name, value in message.attributes.items():
        larger = size + attribute_bytes(name, value)
        if name != CONTINUATION and len(attributes) < MOST_ATTRIBUTES and larger <= LARGEST_BYTES:
            attributes[name] = value
            size = larger
    deduplication_id = hashlib.sha256(f"buried {origin(message)}".encode()).hexdigest() if is_fifo else None
    return Outgoing(body, attributes, (message.group or "rejected") if is_fifo else None, deduplication_id)
