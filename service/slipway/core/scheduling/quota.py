"""Creation slots: how many creates the account's quotas allow now.

Limits are set or learned. AWS does not say *which* quota a ServiceQuotaExceeded is about, so the counts (creating, total) at a
refusal are kept as a mark: there is room again when either count is below its mark. Existing deployments prove that the limit
is no lower, so a success or a sweep above the mark raises it. A mark may still be wrong, if a deployment ended between the
refusal and the sweep, or a quota was raised: one create tests it, at the next sweep and then less and less often.

Which limit was met is inferred from the counts, for people and estimates: see `learn`.
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
    learned_creating: int = 0
    """The limit of creations at once that refusals have shown; 0 if not known. Only for people: the mark decides."""
    learned_total: int = 0
    is_refused: bool = False
    """No sweep has counted the account since the last refusal."""
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
            is_refused=True,
            window=1,
            probe_at=now + self.probe_seconds,
            probe_seconds=min(max(self.probe_seconds * 2, SECOND_PROBE_SECONDS), LONGEST_PROBE_SECONDS),
        )

    def after_sweep(self, counts: Counts) -> Quota:
        """Return the quota with a mark that is no lower than these counts, since they are proved to be possible."""
        if self.mark is None:
            return self
        raised = Counts(max(self.mark.creating, counts.creating), max(self.mark.total, counts.total))
        return replace(self, mark=raised)

    def learn(self, counts: Counts) -> Quota:
        """Return the quota after a sweep that counted the whole account.

        More deployments than a learned limit disprove it. The first sweep after a refusal shows which limit was met: the
        total, if fewer were in creation than are known to be allowed; else that of creations, unless the total is known to
        be full. One limit is never forgotten because the other one is met.
        """
        creating = 0 if counts.creating > self.learned_creating else self.learned_creating
        total = 0 if counts.total > self.learned_total else self.learned_total
        if self.is_refused and self.mark is not None:
            allowed = creating or self.max_creating
            if self.mark.creating < allowed or not self.mark.creating:
                total = self.mark.total
            elif not (total and self.mark.total >= total):
                creating = self.mark.creating
        return replace(self.after_sweep(counts), learned_creating=creating, learned_total=total, is_refused=False)

    @property
    def limit_in_creation(self) -> int:
        """Return the limit of creations at once, set or learned; 0 if it is not known."""
        return min((limit for limit in (self.max_creating, self.learned_creating) if limit), default=0)

    @property
    def limit_in_total(self) -> int:
        """Return the limit of deployments in total, set or learned; 0 if it is not known."""
        return min((limit for limit in (self.max_total, self.learned_total) if limit), default=0)

    def is_total_full(self, counts: Counts) -> bool:
        """Return whether the total is at its limit, so that no end of a creation frees a slot."""
        return bool(self.limit_in_total) and counts.total >= self.limit_in_total

    def creating_limit(self, counts: Counts) -> int:
        """Return the limit of creations at once; 0 if it is not known, or if another limit is what is reached."""
        mark = self.mark.creating if self.mark is not None else None
        if self.is_total_full(counts) or (mark == 0 and not self.limit_in_total):
            return 0
        return min((limit for limit in (self.limit_in_creation, (mark or 0) if self.is_refused else 0) if limit), default=0)

    def describe(self, counts: Counts) -> str:
        """Return the set and learned limits and what is used of them, as the reason for a wait."""
        if not self.is_limiting():
            return "the quota is not known yet"
        if self.is_refused and self.mark is not None:
            return f"Bedrock refused a create at {self.mark.creating} in creation, {self.mark.total} in total"
        scopes = (
            (counts.creating, self.limit_in_creation, self.max_creating, "in creation"),
            (counts.total, self.limit_in_total, self.max_total, "in total"),
        )
        parts = [
            f"{used} of {limit} {scope} (limit {'set' if limit == configured else 'learned'})" if limit else f"{used} {scope}"
            for used, limit, configured, scope in scopes
        ]
        return ", ".join(parts)
