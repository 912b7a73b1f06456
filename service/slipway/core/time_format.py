"""Times and durations as text: ISO 8601 in UTC with milliseconds, durations in words, histograms of durations."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final


def format_time(seconds: float) -> str:
    """Return seconds since the epoch as ISO 8601 in UTC, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> float:
    """Return the seconds since the epoch of an ISO 8601 time, which is in UTC without an offset. Raises ValueError."""
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86_400
MOST_COLUMNS: Final = 14

_WIDTHS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 43_200, 86_400, 604_800)


def format_duration(seconds: float) -> str:
    """Return a duration in its two largest units: `12 s`, `3 min 05 s`, `1 h 20 min`."""
    whole = max(0, int(seconds))
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        minutes, rest = divmod(whole, MINUTE)
        return f"{minutes} min {rest:02} s" if rest else f"{minutes} min"
    if whole < DAY:
        hours, rest = divmod(whole // MINUTE, MINUTE)
        return f"{hours} h {rest:02} min" if rest else f"{hours} h"
    days, rest = divmod(whole // HOUR, 24)
    return f"{days} d {rest} h" if rest else f"{days} d"


def format_duration_roughly(seconds: float) -> str:
    """Return an estimated duration, rounded to the precision of an estimate."""
    step = 5 if seconds < MINUTE else MINUTE if seconds < HOUR else 5 * MINUTE
    return f"about {format_duration(max(step, round(seconds / step) * step))}"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a histogram: the number of durations from `least` to less than `most` seconds."""

    least: int
    most: int
    count: int


def columns(durations: Sequence[float]) -> tuple[Column, ...]:
    """Return a histogram of durations with at most `MOST_COLUMNS` columns of one round width."""
    if not durations:
        return ()
    shortest, longest = min(durations), max(durations)
    for width in _WIDTHS:
        first = int(shortest // width)
        last = int(longest // width)
        if last - first < MOST_COLUMNS:
            break
    else:
        width = _WIDTHS[-1] * (1 + int(longest // (_WIDTHS[-1] * MOST_COLUMNS)))
        first, last = int(shortest // width), int(longest // width)
    edges = [number * width for number in range(first, last + 2)]
    counts = [0] * (len(edges) - 1)
    for duration in durations:
        counts[min(len(counts) - 1, bisect_right(edges, duration) - 1)] += 1
    return tuple(Column(edges[at], edges[at + 1], count) for at, count in enumerate(counts))
