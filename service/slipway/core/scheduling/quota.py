"""How many deployments may be begun now: the arithmetic of slots.

Limits come from settings, or are learned. AWS does not say *which* quota a ServiceQuotaExceeded is about, so a refusal at
(creating, total) is kept as a mark: there is room again as soon as either count is below its mark. What exists proves that
the limit is no lower, so a success or a sweep above the mark raises it. A mark may still be wrong (something ended between
the refusal and the sweep; a quota was raised), so it is tested by one create, at the next sweep and then ever more rarely.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

FIRST_WINDOW: Final = 8
LARGEST_WINDOW: Final = 256
SECOND_PROBE_SECONDS: Final = 15.0
LONGEST_PROBE_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Counts:
    """Deployments of the account and Region, everybody's: in creation, and in total."""

    creating: int
    total: int


@dataclass(frozen=True, slots=True)
class Quota:
    """What is known of the account's limits. A limit of 0 is not known.

    `window` is how many creates may be under way at once: it doubles with success and falls to one with a refusal, so that
    a full account is met by a few calls and not by one for each request that waits.
    """

    max_creating: int = 0
    max_total: int = 0
    mark: Counts | None = None
    """The counts at the last refusal; None while there was none, or it has been disproved."""
    window: int = FIRST_WINDOW
    probe_at: float = 0.0
    probe_seconds: float = 0.0

    def room(self, counts: Counts, under_way: int, probe_time: float | None = None) -> int:
        """Say how many more creates may be begun, `under_way` having been begun and not yet answered.

        `probe_time` is the present when the counts are fresh, and the mark may be tested; else None.
        """
        room = self.window - under_way
        if self.max_creating:
            room = min(room, self.max_creating - counts.creating - under_way)
        if self.max_total:
            room = min(room, self.max_total - counts.total - under_way)
        if self.mark is not None:
            below = max(self.mark.creating - counts.creating, self.mark.total - counts.total) - under_way
            is_time_to_probe = probe_time is not None and probe_time >= self.probe_at and under_way == 0
            room = min(room, max(below, int(is_time_to_probe)))
        return max(room, 0)

    def is_full(self, counts: Counts, under_way: int) -> bool:
        """Whether it is the account that leaves no room, and not only the window."""
        return replace(self, window=LARGEST_WINDOW).room(counts, under_way) == 0

    def after_success(self, counts: Counts) -> Quota:
        """A create was taken on, and is in these counts."""
        return replace(self.after_sweep(counts), window=min(self.window * 2, LARGEST_WINDOW), probe_seconds=0.0)

    def is_limiting(self) -> bool:
        """Whether counts matter: a limit is set, or the account has been full."""
        return self.mark is not None or bool(self.max_creating or self.max_total)

    def after_refusal(self, at: Counts, now: float) -> Quota:
        """The account was full at these counts."""
        return replace(
            self,
            mark=at,
            window=1,
            probe_at=now + self.probe_seconds,
            probe_seconds=min(max(self.probe_seconds * 2, SECOND_PROBE_SECONDS), LONGEST_PROBE_SECONDS),
        )

    def after_sweep(self, counts: Counts) -> Quota:
        """So many exist: no limit is lower than that."""
        if self.mark is None:
            return self
        raised = Counts(max(self.mark.creating, counts.creating), max(self.mark.total, counts.total))
        return replace(self, mark=raised)

    def creating_limit(self, counts: Counts) -> int:
        """Say how many may be in creation at once; 0 where that is not known, or is not what the account is full of."""
        is_full = self.max_total and counts.total >= self.max_total
        if is_full or (self.mark is not None and self.mark.creating == 0):
            return 0
        return min((limit for limit in (self.max_creating, self.mark.creating if self.mark else 0) if limit), default=0)

    def fullness(self) -> str:
        """Say in words what the limits are thought to be, for people who wait."""
        said = [f"{limit} {word} (settings)" for limit, word in self._configured() if limit]
        if self.mark is not None:
            said.append(f"was full at {self.mark.creating} in creation, {self.mark.total} in total")
        return "; ".join(said) or "not known yet"

    def _configured(self) -> tuple[tuple[int, str], ...]:
        return ((self.max_creating, "in creation"), (self.max_total, "in total"))
