"""ETA: estimates of the time until a slot is free and until a deployment has ended, from the creations observed so far.

Bedrock reports no estimate. The typical time is the median of the latest creations; a creation that takes longer is expected to
end like the longer ones. There is no estimate before the first creation has ended, or if deployments in creation are not what
fills the quota. An estimate is never earlier for a later queue position.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

SHARE_OVERDUE: Final = 0.1
"""Remaining share of the time passed, for a creation that takes longer than all observed ones."""


@dataclass(frozen=True, slots=True)
class Eta:
    """The estimates for one waiting request, in seconds from now; None if not known."""

    place: int | None = None
    """Queue position, from 1."""
    to_slot: float | None = None
    to_end: float | None = None
    """Until the creation has ended, usually as Active."""

    def to_json(self) -> dict[str, int]:
        """Return the known estimates, rounded to seconds."""
        estimates = {"place": self.place, "secondsToSlot": self.to_slot, "secondsToEnd": self.to_end}
        return {key: round(value) for key, value in estimates.items() if value is not None}


NOTHING_KNOWN: Final = Eta()


@dataclass(frozen=True, slots=True)
class SlotForecast:
    """When slots become free: `free_in` has the seconds until each slot is free, the next one first."""

    typical: float
    free_in: tuple[float, ...]

    def to_slot(self, place: int) -> float:
        """Return the seconds until a queue position gets a slot, if each slot is used for a typical time."""
        rounds, index = divmod(place - 1, len(self.free_in))
        return self.free_in[index] + rounds * self.typical


def remaining_seconds(times: Sequence[float], passed: float) -> float | None:
    """Return the expected remaining seconds of a creation; None before the first creation has ended."""
    if not times:
        return None
    longer = [time for time in times if time > passed]
    return median(longer) - passed if longer else passed * SHARE_OVERDUE


def forecast(times: Sequence[float], passed: Iterable[float], others: int, limit: int) -> SlotForecast | None:
    """Return when slots become free in an account that allows `limit` creations at once; None if that is not known.

    `passed` has the seconds since the start of each own creation. For the creations of others, which is not known, half of the
    typical time is assumed.
    """
    if not times or limit < 1:
        return None
    typical = median(times)
    ends = [remaining_seconds(times, seconds) or 0.0 for seconds in passed] + [typical / 2] * others
    ends = sorted([*ends, *[0.0] * (limit - len(ends))])
    last = ends[-limit:]  # with more creations than the limit, the surplus must end before the first slot is free
    return SlotForecast(typical, tuple(min(end, last[0] + typical) for end in last))
