"""The rate limiter of one operation: calls start in order, no faster than the service accepts them.

`slipway.core.scheduling.rate_limit` learns the rate from the results. Each operation of a target has its own limiter, so that a
throttled Create does not slow down List, SQS and SNS.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from enum import Enum
from typing import Final, Protocol, TypeVar

from slipway.core.call_errors import CallFailed, Throttled
from slipway.core.scheduling.rate_limit import Paced, RateState, Unlimited

T = TypeVar("T")

TIMER_SECONDS: Final = 0.001
"""Seconds by which timers of an event loop may be early."""


HELD_BACK: Final = Throttled("its call is held back", "no more are made at once than AWS takes")
"""The reason of a wait for the rate limit."""


class Wait(Protocol):
    """Await a future, or raise if the caller must stop. `failed` is the reason of the wait."""

    async def __call__(self, future: asyncio.Future[T], failed: CallFailed, /) -> T:
        """Return the future's result."""


async def simply(future: asyncio.Future[T], _: CallFailed, /) -> T:
    """Await a future: a `Wait` that is never interrupted."""
    return await future


class Answer(Enum):
    """Result of a call for the rate limit."""

    LET_IN = "let in"
    TOO_FAST = "too fast"
    SILENCE = "silence"
    """No response: no information."""


class Limiter:
    """The rate limiter of one operation. After `turn`, the caller must call `done` when the call has ended."""

    def __init__(self, most_open: int) -> None:
        self._most_open = most_open
        self._open = 0
        self._pace: RateState = Unlimited()
        self._repeats: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._line: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def rate(self) -> float | None:
        """Return the current limit in calls per second; None without a limit."""
        return self._pace.rate if isinstance(self._pace, Paced) else None

    @property
    def waiting(self) -> int:
        """Return the number of waiting calls."""
        return len(self._line) + len(self._repeats)

    async def turn(self, wait: Wait = simply, *, after: CallFailed | None = None) -> float:
        """Wait until a call may start, and return the time by the loop's clock. With `after`, a retry goes first.

        Errors of `wait` are passed on; the call then leaves the queue, and the next one takes its turn.
        """
        loop = asyncio.get_running_loop()
        if not self.waiting and self._has_room() and self._pace.ready_at(now := loop.time()) <= now:
            return self._begin(now, waited=False)
        line = self._line if after is None else self._repeats
        place: asyncio.Future[None] = loop.create_future()
        line[place] = None
        self._admit()
        try:
            await wait(place, after or HELD_BACK)
        except BaseException:
            if place.done() and not place.cancelled() and place.exception() is None:
                self._open -= 1
                self._pace = self._pace.after_unused()
            line.pop(place, None)
            place.cancel()
            self._admit()
            raise
        return loop.time()

    def done(self, began: float, answer: Answer) -> None:
        """Record the result of a call that started at `began`."""
        self._open -= 1
        if answer is Answer.LET_IN:
            self._pace = self._pace.after_accepted(asyncio.get_running_loop().time())
        elif answer is Answer.TOO_FAST:
            self._pace = self._pace.after_throttled(asyncio.get_running_loop().time(), began)
        if self.waiting:
            self._admit()

    def _has_room(self) -> bool:
        return self._open < min(self._most_open, int(self._pace.most_open(self._most_open)))

    def _begin(self, now: float, *, waited: bool) -> float:
        self._open += 1
        self._pace = self._pace.after_begin(now, waited=waited)
        return now

    def _admit(self) -> None:
        loop = asyncio.get_running_loop()
        while (place := self._first()) is not None and self._has_room():
            now = loop.time()
            ready_at = self._pace.ready_at(now)
            if ready_at > now + TIMER_SECONDS:
                self._admit_at(ready_at)
                return
            (self._repeats if place in self._repeats else self._line).pop(place)
            self._begin(now, waited=True)
            place.set_result(None)

    def _first(self) -> asyncio.Future[None] | None:
        """Return the next waiting call that was not interrupted."""
        for line in (self._repeats, self._line):
            while line:
                place = next(iter(line))
                if not place.done():
                    return place
                del line[place]
        return None

    def _admit_at(self, time: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(time, self._admit)
