"""AWS's clock, estimated from the `Date` of its responses and continued by the event loop's clock."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from slipway.aws.sdk.transport import read_http_date

Clock = Callable[[], float]

DATE_SECONDS: Final = 1.0
"""A `Date` has whole seconds: the actual time is up to this much later."""
DRIFT: Final = 1e-4
"""Largest drift of a machine's clock, in seconds per second."""
RIVALS_TO_BELIEVE: Final = 3
RIVALS_OF_UNCONFIRMED: Final = 2
RIVAL_SECONDS: Final = 2.0
"""If so many answers in a row, for so long, agree with each other and not with what is known, the offset has changed, as after
a suspended machine. Fewer, or a `Date` that stands still, are wrong answers, as from a cache. A first answer that no later one
confirmed yields to two."""

RECEIPT_SECONDS: Final = 1.0
"""How far the time in a message may be off: SQS calls it approximate."""
RECEIPT_WEIGHT: Final = 3.0
ANSWERS_TO_BE_CERTAIN: Final = 2
"""How many answers must agree before the time is certain enough for what cannot be undone."""
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
        self._first_at = now
        self.is_confirmed = False
        """Whether an answer that came `RIVAL_SECONDS` after the first, or later, agrees with it."""
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
            self.is_confirmed = self.is_confirmed or now - self._first_at >= RIVAL_SECONDS
            return
        agreed = self._rival.within(bounds) if self._rival is not None else None
        self._rivals, self._rival_since = (1, now) if agreed is None else (self._rivals + 1, self._rival_since)
        self._rival = agreed or bounds
        enough = RIVALS_TO_BELIEVE if self.is_confirmed else RIVALS_OF_UNCONFIRMED
        if at_once or (self._rivals >= enough and now - self._rival_since >= RIVAL_SECONDS):
            self._known, self._learned_at, self._rival = self._rival, now, None
            self._first_at, self.is_confirmed = self._rival_since, not at_once


class _Witness(NamedTuple):
    """Bounds for AWS's clock, their weight, and from how many answers of AWS they are known, as far as that matters."""

    bounds: _Bounds
    weight: float
    answers: int


class AwsClock:
    """The clock for everything that is compared with a time of AWS: receipts, deadlines, expiry.

    The server sets the `Date` at an undocumented time between request and response. So each response bounds the offset to its
    round trip and a second. All bounds hold at once, so the shortest round trip decides, and a long poll adds nothing. Before
    the first `Date` the machine's clock is used, which may be wrong.

    A host may send a wrong `Date` in every response, as through a proxy. So each host is one source, the machine's clock is
    another, and the offset that most sources allow is used; of as many, that of the first host. The times that SQS writes into
    messages count as three sources, since deadlines are compared with them.

    The first answer of a process may be wrong. So the time is certain only once two answers agree: of two hosts, or of one host
    `RIVAL_SECONDS` apart; a message's time, of SQS's own making, is enough. The machine's clock confirms nothing.
    """

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self._dates: dict[Hashable, _Source] = {}
        self._messages: _Source | None = None
        self._known: _Bounds | None = None
        self._certain: _Bounds | None = None

    def now(self) -> float:
        """Return the current time in seconds since the epoch."""
        return self._machine() if self._known is None else self._known.middle + asyncio.get_running_loop().time()

    def earliest(self) -> float:
        """Return the earliest that the current time can be; -inf while it is not certain. For what must not happen early."""
        return -math.inf if self._certain is None else self._certain.low + asyncio.get_running_loop().time()

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
        dates = [_Witness(source.bounds(now), 1.0, 1 + source.is_confirmed) for source in self._dates.values()]
        receipts = self._messages
        messages = [_Witness(receipts.bounds(now), RECEIPT_WEIGHT, ANSWERS_TO_BE_CERTAIN)] if receipts is not None else []
        offset = self._machine() - now
        machine = _Witness(_Bounds(offset, offset).widened(MACHINE_SECONDS), 1.0, 0)
        witnesses = [*dates, *messages, machine]

        def agreed(place: float) -> list[_Witness]:
            return [witness for witness in witnesses if witness.bounds.low <= place <= witness.bounds.high]

        best = max((agreed(witness.bounds.low) for witness in witnesses), key=lambda all_: sum(each.weight for each in all_))
        chosen = [witness for witness in best if witness is not machine]
        known = None
        if chosen:
            known = _Bounds(max(each.bounds.low for each in chosen), min(each.bounds.high for each in chosen))
        self._certain = known if sum(each.answers for each in chosen) >= ANSWERS_TO_BE_CERTAIN else None
        has_date = any(witness in dates for witness in chosen)
        self._known = known if has_date or machine not in best else None
