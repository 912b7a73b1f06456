"""Whose a deployment is.

The owner of a deployment is the request that created it. `requestId` is correlation: its sender chooses it, and so may
anybody else. Ownership is proved by what no sender can choose: SQS's own word on who sent the first message (`SenderId`),
together with a digest of what was asked for. Both are written on the deployment as the tag `slipway:owner`.
"""

from __future__ import annotations

import hashlib
import json

from slipway.core.sqs.messages import stable

_DIGITS = 20


def owner_of(sender: str | None, payload: object) -> str:
    """Return the proof of ownership of a request: the same for each copy of a payload that the same sender sends.

    `payload` is what the request asks for, as JSON can write it. The sessions of one role are one sender.
    """
    return f"{_digest(None if sender is None else stable(sender))}.{_digest(payload)}"


def is_same_sender(owner: str, other: str) -> bool:
    """Return whether two proofs of ownership are of the same sender."""
    return owner.partition(".")[0] == other.partition(".")[0]


def is_same_payload(owner: str, other: str) -> bool:
    """Return whether two proofs of ownership are of the same payload."""
    return owner.partition(".")[2] == other.partition(".")[2]


def correlation(request_id: str, owner: str) -> str:
    """Return by what the use of one `requestId` for two payloads is recognized; empty where no message brought the request."""
    return f"{_digest(request_id)}.{owner.partition('.')[2]}" if owner else ""


def is_reused(known: str, other: str) -> bool:
    """Return whether two correlations are of the same `requestId` with different payloads."""
    if not known or not other:
        return False
    request_id, _, payload = known.partition(".")
    other_id, _, other_payload = other.partition(".")
    return request_id == other_id and payload != other_payload


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:_DIGITS]
