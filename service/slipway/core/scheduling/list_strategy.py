"""Which List costs least: the arithmetic of one sweep."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

PAGE_SIZE: Final = 1000
"""ListCustomModelDeployments answers at most this many at once."""


class ListStrategy(Enum):
    """How to look at all deployments in flight at once."""

    EVERYTHING = "everything"
    """List all there is: also counts what others made, which slots need."""
    SINCE_OLDEST = "since-oldest"
    """List what was created since the oldest one in flight."""
    ENDED_SINCE_OLDEST = "ended-since-oldest"
    """List only Active and Failed ones since then: two lists, but without those still Creating."""
    ONE_BY_ONE = "one-by-one"
    """Get each: for a straggler or two."""


@dataclass(frozen=True, slots=True)
class SweepEstimate:
    """What the last sweep knew, for guessing what the next will cost. Numbers of deployments created since the oldest."""

    in_flight: int
    creating_since: int
    active_since: int
    failed_since: int


def cheapest(estimate: SweepEstimate, *, needs_counts: bool) -> ListStrategy:
    """Choose the way that is expected to cost the fewest calls. Counts of everything can only come from EVERYTHING."""
    if needs_counts:
        return ListStrategy.EVERYTHING
    since = estimate.creating_since + estimate.active_since + estimate.failed_since
    costs = {
        ListStrategy.SINCE_OLDEST: _pages(since),
        ListStrategy.ENDED_SINCE_OLDEST: _pages(estimate.active_since) + _pages(estimate.failed_since),
        ListStrategy.ONE_BY_ONE: estimate.in_flight,
    }
    return min(costs, key=lambda way: costs[way])


def _pages(deployments: int) -> int:
    return max(1, math.ceil(deployments / PAGE_SIZE))


def oldest(created: Iterable[float]) -> float | None:
    """Answer the earliest of these times; None of none."""
    return min(created, default=None)
