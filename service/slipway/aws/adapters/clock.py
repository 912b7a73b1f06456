"""AWS's clock, estimated from the `Date` of its responses and continued by the event loop's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from slipway.aws.sdk.response_parsing import read_http_date

Clock = Callable[[], float]

DATE_SECONDS: Final = 1.0
"""A `Date` has whole seconds: the actual time is up to this much later."""
DRIFT: Final = 1e-4
"""Largest drift of a machine's clock, in seconds per second."""
RIVALS_TO_BELIEVE: Final = 3
RIVAL_SECONDS: Final = 2.0
"""If so many answers in a row, for so long, agree with each other and not with what is known, the offset has changed, as after
a suspended machine. Fewer, or a `Date` that stands still, are wrong answers, as from a cache."""


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Least and most seconds that AWS's clock is ahead of the event loop's."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2

    def widened(self, seconds: float) -> _Bounds:
        return _Bounds(self.low - seconds, self.high + seconds)

    def within(self, other: _Bounds) -> _Bounds | None:
        """Return the intersection of two bounds; None if it is empty."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return _Bounds(low, high) if low <= high else None


class AwsClock:
    """The clock for everything that is compared with a time of AWS: receipts, deadlines, expiry.

    The server sets the `Date` at an undocumented time between request and response. So each response bounds the offset to its
    round trip and a second. All bounds hold at once, so the shortest round trip decides, and a long poll adds nothing. Before
    the first `Date` the machine's clock is used, which may be wrong.
    """

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self._known: _Bounds | None = None
        self._learned_at = 0.0
        self._rival: _Bounds | None = None
        self._rivals = 0
        self._rival_since = 0.0

    def now(self) -> float:
        """Return the current time in seconds since the epoch."""
        return self._machine() if self._known is None else self._known.middle + asyncio.get_running_loop().time()

    def error(self) -> float:
        """Return the largest error of `now` in seconds, as far as the responses show."""
        return DATE_SECONDS if self._known is None else (self._known.high - self._known.low) / 2

    def skew(self) -> float | None:
        """Return by how many seconds the machine's clock is ahead; None before the first response with a `Date`."""
        return None if self._known is None else self._machine() - self.now()

    async def learn(self, call: Awaitable[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Return the response of a call after learning from its `Date`. An absent or invalid one is ignored."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        answer = await call
        try:
            date = read_http_date(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", ""))
        except (ValueError, TypeError, OverflowError):
            return answer
        self._learn(_Bounds(date - loop.time(), date + DATE_SECONDS - began), loop.time())
        return answer

    def _learn(self, told: _Bounds, now: float) -> None:
        if self._known is None:
            self._known, self._learned_at = told, now
            return
        known = self._known.widened(DRIFT * (now - self._learned_at))
        if (both := known.within(told)) is not None:
            self._known, self._learned_at, self._rival = both, now, None
            return
        agreed = self._rival.within(told) if self._rival is not None else None
        self._rivals, self._rival_since = (1, now) if agreed is None else (self._rivals + 1, self._rival_since)
        self._rival = agreed or told
        if self._rivals >= RIVALS_TO_BELIEVE and now - self._rival_since >= RIVAL_SECONDS:
            self._known, self._learned_at, self._rival = self._rival, now, None
