"""The calls of the last hour, minute by minute, read off counters that only ever grow."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

MINUTES: Final = 60
_MINUTE_SECONDS: Final = 60.0

ANSWERED: Final = "answered"
THROTTLED: Final = "throttled"
FAILED: Final = "failed"
KINDS: Final = (ANSWERED, THROTTLED, FAILED)
_KINDS_OF: Final = {"Throttled": THROTTLED, "Denied": FAILED, "Unknown": FAILED}


@dataclass(frozen=True, slots=True)
class Hour:
    """The last hour: by minute, the present one last, and by operation. Each counts calls of each kind."""

    minutes: tuple[Mapping[str, int], ...]
    operations: Mapping[str, Mapping[str, int]]

    def total(self, kind: str) -> int:
        """Answer how many calls of a kind there were."""
        return sum(minute.get(kind, 0) for minute in self.minutes)


class Minutes:
    """Notes what was counted in each of the last sixty minutes, and nothing of before.

    `counted` counts by operation and answer since the start of the process; `clock` is in seconds, and never goes back.
    """

    def __init__(self, counted: Mapping[tuple[str, str], int], clock: Callable[[], float]) -> None:
        self._counted = counted
        self._clock = clock
        self._seen: dict[tuple[str, str], int] = {}
        self._kept: deque[tuple[int, Counter[tuple[str, str]]]] = deque(maxlen=MINUTES)
        """Minutes in which something was counted, by their number; operation and kind, and how often."""

    def note(self) -> None:
        """Take in what was counted since the last time; it counts as of now. To be called some times a minute."""
        now = int(self._clock() // _MINUTE_SECONDS)
        fresh = Counter(
            {key: count - self._seen.get(key, 0) for key, count in self._counted.items() if count > self._seen.get(key, 0)}
        )
        if not fresh:
            return
        self._seen = dict(self._counted)
        if not self._kept or self._kept[-1][0] != now:
            self._kept.append((now, Counter()))
        minute = self._kept[-1][1]
        for (operation, answer), count in fresh.items():
            minute[operation, _kind(answer)] += count

    def hour(self) -> Hour:
        """Answer the last hour, up to now."""
        self.note()
        now = int(self._clock() // _MINUTE_SECONDS)
        minutes: list[Counter[str]] = [Counter() for _ in range(MINUTES)]
        operations: dict[str, Counter[str]] = {}
        for number, counts in self._kept:
            at = number - now + MINUTES - 1
            if at < 0:
                continue
            for (operation, kind), count in counts.items():
                minutes[at][kind] += count
                operations.setdefault(operation, Counter())[kind] += count
        return Hour(tuple(minutes), operations)


def _kind(answer: str) -> str:
    """Sort an answer, which is `Applied` or the class of a failure: a service that says no has answered, too."""
    return _KINDS_OF.get(answer, ANSWERED)
