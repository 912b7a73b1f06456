"""AWS's clock, learned from the `Date` of its answers and carried on by the event loop's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from slipway.aws.sdk.response_parsing import read_http_date

Clock = Callable[[], float]

DATE_SECONDS: Final = 1.0
"""A `Date` has whole seconds: the instant that it names is up to this much later."""
DRIFT: Final = 1e-4
"""How many seconds a machine's clock gains or loses in one, at worst."""
RIVALS_TO_BELIEVE: Final = 3
RIVAL_SECONDS: Final = 2.0
"""If so many answers in a row, for so long, agree with each other and not with what is known, the offset has changed, as after
a suspended machine. Fewer, or a `Date` that stands still, are wrong answers, as from a cache."""


@dataclass(frozen=True, slots=True)
class _Bounds:
    """How far AWS's clock is ahead of the event loop's, at least and at most."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2

    def widened(self, seconds: float) -> _Bounds:
        return _Bounds(self.low - seconds, self.high + seconds)

    def within(self, other: _Bounds) -> _Bounds | None:
        """Return what both allow; None if they contradict each other."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return _Bounds(low, high) if low <= high else None


class AwsClock:
    """One clock for everything that is compared with a time of AWS: what was received when, deadlines, expiry.

    The server set the `Date` at some moment between request and answer, which moment is not documented. So each answer bounds
    the offset: within its round trip and a second. All bounds hold at once, so the shortest round trip decides, and a long poll
    says next to nothing. Before the first `Date` the machine's clock is used, which may be wrong.
    """

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self._known: _Bounds | None = None
        self._learned_at = 0.0
        self._rival: _Bounds | None = None
        self._rivals = 0
        self._rival_since = 0.0

    def now(self) -> float:
        """Return the present, in seconds since the epoch."""
        return self._machine() if self._known is None else self._known.middle + asyncio.get_running_loop().time()

    def error(self) -> float:
        """Return by how many seconds `now` may be wrong, as far as the answers say."""
        return DATE_SECONDS if self._known is None else (self._known.high - self._known.low) / 2

    def skew(self) -> float | None:
        """Return by how many seconds the machine's clock is ahead now; None before the first answer with a `Date`."""
        return None if self._known is None else self._machine() - self.now()

    async def learn(self, call: Awaitable[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Return the answer of a call, and learn from its `Date`. One that is absent or unreadable teaches nothing."""
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
