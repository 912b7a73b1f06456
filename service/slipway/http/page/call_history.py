"""AWS calls of the last hour by minute, derived from counters that only grow."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from slipway.core.call_errors import Denied, Throttled, UnknownResult

MINUTES: Final = 60
_MINUTE_SECONDS: Final = 60.0

ANSWERED: Final = "answered"
THROTTLED: Final = "throttled"
FAILED: Final = "failed"
KINDS: Final = (ANSWERED, THROTTLED, FAILED)
_KINDS_OF: Final = {Throttled.__name__: THROTTLED, Denied.__name__: FAILED, UnknownResult.__name__: FAILED}


@dataclass(frozen=True, slots=True)
class LastHour:
    """Calls of the last hour, by kind: for each minute, the current one last, and for each operation."""

    minutes: tuple[Mapping[str, int], ...]
    operations: Mapping[str, Mapping[str, int]]

    def total(self, kind: str) -> int:
        """Return the number of calls of a kind."""
        return sum(minute.get(kind, 0) for minute in self.minutes)


class CallHistory:
    """Records the counts of each of the last sixty minutes.

    `counted` counts by operation and answer since the start of the process; `clock` is monotonic, in seconds.
    """

    def __init__(self, counted: Mapping[tuple[str, str], int], clock: Callable[[], float]) -> None:
        self._counted = counted
        self._clock = clock
        self._seen: dict[tuple[str, str], int] = {}
        self._kept: deque[tuple[int, Counter[tuple[str, str]]]] = deque(maxlen=MINUTES)
        """Minutes with calls: the minute's number, and the counts by operation and kind."""

    def note(self) -> None:
        """Assign the calls since the previous call of this method to the current minute. Call it several times a minute."""
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

    def hour(self) -> LastHour:
        """Return the last hour, up to now."""
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
        return LastHour(tuple(minutes), operations)


def _kind(answer: str) -> str:
    """Return the kind of an answer, which is `Applied` or the class of a failure. A refusal is an answer too."""
    return _KINDS_OF.get(answer, ANSWERED)
