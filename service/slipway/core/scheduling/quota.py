"""Creation slots: how many creates the account's quotas allow now.

Limits are set or learned. AWS does not say *which* quota a ServiceQuotaExceeded is about, so the counts (creating, total) at a
refusal are kept as a mark: there is room again when either count is below its mark. Existing deployments prove that the limit
is no lower, so a success or a sweep above the mark raises it. A mark may still be wrong, if a deployment ended between the
refusal and the sweep, or a quota was raised: one create tests it, at the next sweep and then less and less often.
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
    """All deployments of the account and Region, also those of others: in creation, and in total."""

    creating: int
    total: int


@dataclass(frozen=True, slots=True)
class Quota:
    """Known limits of the account. A limit of 0 is not known.

    `window` is the number of creates that may be open at once. It doubles with each success and is one after a refusal, so that
    a full account gets a few calls and not one for each waiting request.
    """

    max_creating: int = 0
    max_total: int = 0
    mark: Counts | None = None
    """The counts at the last refusal; None if there was none."""
    window: int = FIRST_WINDOW
    probe_at: float = 0.0
    probe_seconds: float = 0.0

    def room(self, counts: Counts, under_way: int, probe_time: float | None = None) -> int:
        """Return how many more creates may start while `under_way` creates have no response yet.

        `probe_time` is the current time if the counts are fresh, so that the mark may be tested; else None.
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
        """Return whether the account has no room, regardless of the window."""
        return replace(self, window=LARGEST_WINDOW).room(counts, under_way) == 0

    def after_success(self, counts: Counts) -> Quota:
        """Return the quota after an accepted create, which these counts include."""
        return replace(self.after_sweep(counts), window=min(self.window * 2, LARGEST_WINDOW), probe_seconds=0.0)

    def is_limiting(self) -> bool:
        """Return whether counts matter: a limit is set, or the account was full before."""
        return self.mark is not None or bool(self.max_creating or self.max_total)

    def after_refusal(self, at: Counts, now: float) -> Quota:
        """Return the quota after a create was refused at these counts."""
        return replace(
            self,
            mark=at,
            window=1,
            probe_at=now + self.probe_seconds,
            probe_seconds=min(max(self.probe_seconds * 2, SECOND_PROBE_SECONDS), LONGEST_PROBE_SECONDS),
        )

    def after_sweep(self, counts: Counts) -> Quota:
        """Return the quota after a sweep: no limit is lower than these counts."""
        if self.mark is None:
            return self
        raised = Counts(max(self.mark.creating, counts.creating), max(self.mark.total, counts.total))
        return replace(self, mark=raised)

    def creating_limit(self, counts: Counts) -> int:
        """Return the limit of creations at once; 0 if it is not known, or if another limit is what is reached."""
        is_full = self.max_total and counts.total >= self.max_total
        if is_full or (self.mark is not None and self.mark.creating == 0):
            return 0
        return min((limit for limit in (self.max_creating, self.mark.creating if self.mark else 0) if limit), default=0)

    def fullness(self) -> str:
        """Return the set and learned limits in words, as the reason for a wait."""
        configured = ((self.max_creating, "in creation"), (self.max_total, "in total"))
        parts = [f"{limit} {word} (settings)" for limit, word in configured if limit]
        if self.mark is not None:
            parts.append(f"full at {self.mark.creating} in creation, {self.mark.total} in total")
        return "; ".join(parts) or "not known yet"
