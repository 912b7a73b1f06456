"""The choice of the List calls for one sweep: the strategy with the fewest calls."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

PAGE_SIZE: Final = 1000
"""Most deployments on one page of ListCustomModelDeployments."""


class ListStrategy(Enum):
    """How to observe all deployments in flight in one sweep."""

    EVERYTHING = "everything"
    """List all deployments of the account. Only this counts those of others, which slots need."""
    SINCE_OLDEST = "since-oldest"
    """List deployments created since the oldest one in flight."""
    ENDED_SINCE_OLDEST = "ended-since-oldest"
    """List only Active and only Failed ones since then: two lists, without those still Creating."""
    ONE_BY_ONE = "one-by-one"
    """Get each deployment in flight: for a few old ones."""


@dataclass(frozen=True, slots=True)
class SweepEstimate:
    """Counts of the last sweep, from which the cost of the next is estimated. `…_since`: created since the oldest in flight."""

    in_flight: int
    creating_since: int
    active_since: int
    failed_since: int


def cheapest(estimate: SweepEstimate, *, needs_counts: bool) -> ListStrategy:
    """Return the strategy with the fewest expected calls. Only `EVERYTHING` gives the account's counts."""
    if needs_counts:
        return ListStrategy.EVERYTHING
    since = estimate.creating_since + estimate.active_since + estimate.failed_since
    costs = {
        ListStrategy.SINCE_OLDEST: _pages(since),
        ListStrategy.ENDED_SINCE_OLDEST: _pages(estimate.active_since) + _pages(estimate.failed_since),
        ListStrategy.ONE_BY_ONE: estimate.in_flight,
    }
    return min(costs, key=lambda strategy: costs[strategy])


def _pages(deployments: int) -> int:
    return max(1, math.ceil(deployments / PAGE_SIZE))


def oldest(created: Iterable[float]) -> float | None:
    """Return the earliest time; None if there is none."""
    return min(created, default=None)
