"""Ownership of a deployment.

The owner of a deployment is the request that created it. `requestId` only correlates: any sender can choose any value.
Ownership is proved by what no sender can choose: the `SenderId` that SQS returned with the first message, together with a
digest of the payload. Both are written on the deployment as the tag `slipway:owner`.
"""

from __future__ import annotations

import hashlib
import json

from slipway.core.sqs.messages import stable_sender_id

_DIGITS = 20


def owner_of(sender: str | None, payload: object) -> str:
    """Return the proof of ownership of a request: the same for every copy of a payload from the same sender.

    `payload` is a JSON value. All sessions of one role are one sender.
    """
    return f"{_digest(None if sender is None else stable_sender_id(sender))}.{_digest(payload)}"


def is_same_sender(owner: str, other: str) -> bool:
    """Return whether two proofs of ownership are of the same sender."""
    return owner.partition(".")[0] == other.partition(".")[0]


def is_same_payload(owner: str, other: str) -> bool:
    """Return whether two proofs of ownership are of the same payload."""
    return owner.partition(".")[2] == other.partition(".")[2]


def correlation(request_id: str, owner: str) -> str:
    """Return a value that reveals one `requestId` used for two payloads; empty if the request came without a message."""
    return f"{_digest(request_id)}.{owner.partition('.')[2]}" if owner else ""


def is_reused(correlation_id: str, other_correlation: str) -> bool:
    """Return whether two correlations are of the same `requestId` with different payloads."""
    if not correlation_id or not other_correlation:
        return False
    request_id, _, payload = correlation_id.partition(".")
    other_id, _, other_payload = other_correlation.partition(".")
    return request_id == other_id and payload != other_payload


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:_DIGITS]
