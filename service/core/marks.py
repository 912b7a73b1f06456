"""What Slipway writes on a deployment, as tags, for whoever takes a request over: there is no other memory.

A tag's value has at most 256 letters, digits, spaces and _.:/=+@-; times are ISO 8601, for people read them too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from service.core.actions import Deploy
from service.core.iso import epoch, iso

OWN_PREFIX: Final = "slipway:"
REQUEST_TAG: Final = "slipway:request"
"""The id of the request that made it: how a successor knows that a deployment is Slipway's, and whose."""
RECEIVED_TAG: Final = "slipway:received"
"""When that request was first received, by the queue's clock: what was asked for later is not undone by what came before."""
OWN_TAGS: Final = 7
"""How many of a deployment's tags are kept free for Slipway's."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What a deployment's tags say of it. Times are seconds since the epoch."""

    request: str | None = None
    """None where Slipway did not make it."""
    received: float | None = None

    @classmethod
    def of(cls, tags: Mapping[str, str]) -> Self:
        """Read a deployment's tags. What a person has spoilt is as if it were not there."""
        return cls(tags.get(REQUEST_TAG), _seconds(tags.get(RECEIVED_TAG)))

    def is_later_than(self, received: float) -> bool:
        """Whether it was made for a request that was first received after this time."""
        return self.received is not None and self.received > received + _ROUNDING_SECONDS


_ROUNDING_SECONDS: Final = 0.001


def wanted_tags(request: Deploy, received: float) -> list[tuple[str, str]]:
    """Answer all tags that the deployment gets: the requester's, then Slipway's. The same whoever asks, and whenever.

    `received` is when the request was first received.
    """
    return [*request.tags, (REQUEST_TAG, request.request_id), (RECEIVED_TAG, iso(received))]


def _seconds(text: str | None) -> float | None:
    try:
        return epoch(text) if text else None
    except ValueError:
        return None
