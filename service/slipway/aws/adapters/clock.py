"""AWS's clock, estimated from the `Date` of its responses and continued by the event loop's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
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

RECEIPT_SECONDS: Final = 1.0
"""How far the time in a message may be off: SQS calls it approximate."""
RECEIPT_WEIGHT: Final = 3.0
MACHINE_SECONDS: Final = 300.0
"""How far the machine's clock may be off: AWS refuses calls that are signed so much earlier or later."""


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


class _Source:
    """Bounds of one source for AWS's clock: all of them hold at once."""

    def __init__(self, bounds: _Bounds, now: float) -> None:
        self._known, self._learned_at = bounds, now
        self._rival: _Bounds | None = None
        self._rivals = 0
        self._rival_since = 0.0

    def bounds(self, now: float) -> _Bounds:
        """Return what is known, with the drift since then."""
        return self._known.widened(DRIFT * (now - self._learned_at))

    def learn(self, bounds: _Bounds, now: float, *, at_once: bool) -> None:
        """Take one more bound in. One that contradicts is believed `at_once`, or after several that agree."""
        if (both := self.bounds(now).within(bounds)) is not None:
            self._known, self._learned_at, self._rival = both, now, None
            return
        agreed = self._rival.within(bounds) if self._rival is not None else None
        self._rivals, self._rival_since = (1, now) if agreed is None else (self._rivals + 1, self._rival_since)
        self._rival = agreed or bounds
        if at_once or (self._rivals >= RIVALS_TO_BELIEVE and now - self._rival_since >= RIVAL_SECONDS):
            self._known, self._learned_at, self._rival = self._rival, now, None


class AwsClock:
    """The clock for everything that is compared with a time of AWS: receipts, deadlines, expiry.

    The server sets the `Date` at an undocumented time between request and response. So each response bounds the offset to its
    round trip and a second. All bounds hold at once, so the shortest round trip decides, and a long poll adds nothing. Before
    the first `Date` the machine's clock is used, which may be wrong.

    A host may send a wrong `Date` in every response, as through a proxy. So each host is one source, the machine's clock is
    another, and the offset that most sources allow is used; of as many, that of the first host. The times that SQS writes into
    messages count as three sources, since deadlines are compared with them.
    """

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self._dates: dict[Hashable, _Source] = {}
        self._messages: _Source | None = None
        self._known: _Bounds | None = None

    def now(self) -> float:
        """Return the current time in seconds since the epoch."""
        return self._machine() if self._known is None else self._known.middle + asyncio.get_running_loop().time()

    def error(self) -> float:
        """Return the largest error of `now` in seconds, as far as the responses show."""
        return DATE_SECONDS if self._known is None else (self._known.high - self._known.low) / 2

    def skew(self) -> float | None:
        """Return by how many seconds the machine's clock is ahead; None before the first response with a `Date`."""
        return None if self._known is None else self._machine() - self.now()

    async def learn(self, call: Awaitable[Mapping[str, Any]], host: Hashable) -> Mapping[str, Any]:
        """Return the response of a call after learning from its `Date`. An absent or invalid one is ignored."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        answer = await call
        try:
            date = read_http_date(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", ""))
        except (ValueError, TypeError, OverflowError):
            return answer
        now = loop.time()
        bounds = _Bounds(date - now, date + DATE_SECONDS - began)
        if (source := self._dates.get(host)) is None:
            self._dates[host] = _Source(bounds, now)
        else:
            source.learn(bounds, now, at_once=False)
        self._decide(now)
        return answer

    def learn_receipt(self, received_at: float, began: float) -> None:
        """Learn from a message that SQS says it delivered for the first time then, in the answer of a call that has just ended.

        `began`, by the event loop's clock, is when the call began.
        """
        now = asyncio.get_running_loop().time()
        bounds = _Bounds(received_at - now, received_at - began).widened(RECEIPT_SECONDS)
        if self._messages is None:
            self._messages = _Source(bounds, now)
        else:
            self._messages.learn(bounds, now, at_once=True)
        self._decide(now)

    def _decide(self, now: float) -> None:
        """Find the offset that most witnesses allow. Without any `Date` among these, the machine's clock is as good."""
        dates = [source.bounds(now) for source in self._dates.values()]
        receipts = [self._messages.bounds(now)] if self._messages is not None else []
        offset = self._machine() - now
        machine = _Bounds(offset, offset).widened(MACHINE_SECONDS)
        weights = [(bounds, 1.0) for bounds in dates] + [(bounds, RECEIPT_WEIGHT) for bounds in receipts] + [(machine, 1.0)]

        def agreed(place: float) -> list[tuple[_Bounds, float]]:
            return [pair for pair in weights if pair[0].low <= place <= pair[0].high]

        best = max((agreed(bounds.low) for bounds, _ in weights), key=lambda pairs: sum(weight for _, weight in pairs))
        chosen = [bounds for bounds, _ in best if bounds is not machine]
        if not chosen or (machine in (bounds for bounds, _ in best) and not any(bounds in dates for bounds in chosen)):
            self._known = None
            return
        self._known = _Bounds(max(bounds.low for bounds in chosen), min(bounds.high for bounds in chosen))
