"""How long it will be: until a slot falls free, and until a deployment has ended. From the times seen so far, or not at all.

Nobody can know: Bedrock says nothing of it. So the typical time is the median of the latest creations, one that goes on for
longer than usual is expected as the longer ones went, and whoever waits is told nothing while no creation has ended yet,
or while it is not the creations that fill the account. An estimate is never earlier for a later place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

SHARE_OVERDUE: Final = 0.1
"""Of the time it has taken: what a creation is given that goes on for longer than any that was seen."""


@dataclass(frozen=True, slots=True)
class Eta:
    """What somebody who waits can be told. Seconds from now; None for what is not known."""

    place: int | None = None
    """In the line that it waits in, from 1."""
    to_slot: float | None = None
    to_end: float | None = None
    """Until the deployment has ended: Active, as a rule."""

    def to_json(self) -> dict[str, int]:
        """Write what is known: estimates are no better than whole seconds."""
        said = {"place": self.place, "secondsToSlot": self.to_slot, "secondsToEnd": self.to_end}
        return {key: round(value) for key, value in said.items() if value is not None}


NOTHING_KNOWN: Final = Eta()


@dataclass(frozen=True, slots=True)
class SlotForecast:
    """When slots fall free: `free_in` has a number of seconds for each that can be had, the next first."""

    typical: float
    free_in: tuple[float, ...]

    def to_slot(self, place: int) -> float:
        """Answer how long it will be until so many slots have fallen free, each being taken again for a typical time."""
        rounds, index = divmod(place - 1, len(self.free_in))
        return self.free_in[index] + rounds * self.typical


def rest(times: Sequence[float], passed: float) -> float | None:
    """Answer how much longer a creation will take that has gone on for so long; None while none has been seen to end."""
    if not times:
        return None
    longer = [time for time in times if time > passed]
    return median(longer) - passed if longer else passed * SHARE_OVERDUE


def forecast(times: Sequence[float], passed: Iterable[float], others: int, limit: int) -> SlotForecast | None:
    """Foresee when slots fall free, for an account that takes `limit` in creation at once; None where nothing is known.

    `passed` says for how long each creation of one's own has gone on. Of those of others that is not known: half of the
    typical time is as good a guess as any.
    """
    if not times or limit < 1:
        return None
    typical = median(times)
    ends = [rest(times, each) or 0.0 for each in passed] + [typical / 2] * others
    ends = sorted([*ends, *[0.0] * (limit - len(ends))])
    last = ends[-limit:]  # more than the limit may be there: so many must end before the first slot is free
    return SlotForecast(typical, tuple(min(each, last[0] + typical) for each in last))
