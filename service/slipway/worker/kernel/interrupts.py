"""The only place where a coroutine of Slipway may be interrupted.

Nothing is cancelled. A coroutine waits through `Waits`, and a wait (never a call) is what an interruption ends: the lease
was lost, the daemon stops, the twelve hours of SQS run out, or the request's deadline has come.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from contextlib import suppress
from types import TracebackType
from typing import Final, Protocol, TypeVar

from slipway.core.bedrock.errors import CallFailed

T = TypeVar("T")


class Interrupted(Exception):
    """A wait was ended; the class says why."""


class LeaseLost(Interrupted):
    """Somebody else has, or may have, the message: no further create or announcement for this delivery."""


class Stopping(Interrupted):
    """The daemon is to end: give back what is held."""


class Superseded(Interrupted):
    """Another message of the same request carries it on: this one is to be deleted."""


class TooLongHeld(Interrupted):
    """SQS lets nobody hold this message for longer (twelve hours), or hand it out once more: hand the request on."""


class Cancelled(Interrupted):
    """Somebody wants the request no more: hand it on as cancelled."""


class Postponed(Interrupted):
    """The request is to go back to the queue for a while, so that others have its place."""


class DeadlinePassed(Interrupted):
    """The request's own time is over."""


_URGENCY: Final[tuple[type[Interrupted], ...]] = (
    LeaseLost,
    Stopping,
    Superseded,
    TooLongHeld,
    Cancelled,
    DeadlinePassed,
    Postponed,
)


class Wait(Protocol):
    """Awaits a future, or raises `Interrupted` instead: what a call is given for its waits. `failed` says why it waits."""

    async def __call__(self, future: asyncio.Future[T], failed: CallFailed, /) -> T:
        """Answer the future's result."""


class Waits:
    """The waits of one coroutine, one at a time. Times are the event loop's."""

    __slots__ = ("_deadlines", "_due", "_loop", "_waiting")

    def __init__(self, deadlines: Deadlines | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._deadlines = Deadlines() if deadlines is None else deadlines
        self._due: set[type[Interrupted]] = set()
        self._waiting: asyncio.Future[object] | None = None

    def interrupt(self, why: type[Interrupted]) -> None:
        """End the wait that is going on, or else the next one, and every one after it. Safe to repeat."""
        self._due.add(why)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(self._most_urgent())

    def check(self) -> None:
        """Raise if the coroutine must not go on: for just before anything that cannot be taken back."""
        if self._due:
            raise self._most_urgent()

    async def wait(self, future: asyncio.Future[T]) -> T:
        """Await a future; raise `Interrupted` instead, before or meanwhile, when the coroutine must not go on.

        An interruption completes the future with that exception, so whoever was to complete it sees that it is done.
        """
        self.check()
        self._waiting = future  # type: ignore[assignment]  # only done() and set_exception() are used
        try:
            answer = await future
        finally:
            self._waiting = None
        self.check()
        return answer

    async def wait_to_call(self, future: asyncio.Future[T], _: CallFailed, /) -> T:
        """Await what a call waits for before its next attempt, as `wait` does."""
        return await self.wait(future)

    async def pause(self, seconds: float) -> None:
        """Let time pass; raise `Interrupted` as soon as the coroutine must not go on."""
        future: asyncio.Future[None] = self._loop.create_future()
        timer = self._loop.call_later(seconds, complete, future)
        try:
            await self.wait(future)
        finally:
            timer.cancel()

    def until(self, deadline: float) -> Until:
        """Within, waits end with `DeadlinePassed` at this time; afterwards they no longer do."""
        return Until(self, deadline, self._deadlines)

    def clear(self, why: type[Interrupted]) -> None:
        """What was to end every wait is no reason any more. Safe to repeat."""
        self._due.discard(why)

    def _most_urgent(self) -> Interrupted:
        return next(kind for kind in _URGENCY if kind in self._due)()


class Deadlines:
    """The deadlines of many waits, under one timer."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._heap: list[Until] = []
        """A heap: the earliest is on top. Those that are over stay until they come up, or are half of it."""
        self._over = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf

    def __len__(self) -> int:
        """How many are in line; those that are over are never the most."""
        return len(self._heap)

    def add(self, until: Until) -> None:
        """Interrupt its waits when its time has come, unless it is over by then."""
        heapq.heappush(self._heap, until)
        self._set_timer()

    def end(self, until: Until) -> None:
        """It is over before its time."""
        if self._heap[-1] is until:
            self._heap.pop()  # the last leaf of a heap: what began last, and most often ends at once
        else:
            self._over += 1
        self._tidy()

    def _tidy(self) -> None:
        """Drop those that are over, where they are the most; and the timer, where nothing is left."""
        if self._over * 2 > len(self._heap):
            self._heap = [each for each in self._heap if not each.is_over]
            heapq.heapify(self._heap)
            self._over = 0
        if not self._heap and self._timer is not None:
            self._timer.cancel()
            self._timer, self._timer_at = None, math.inf

    def _set_timer(self) -> None:
        """Let the timer ring for the earliest. It may ring for one that is over: it is then wound again."""
        if self._heap and self._heap[0].deadline < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = self._heap[0].deadline
            self._timer = self._loop.call_at(self._timer_at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer, due, self._timer_at = None, self._timer_at, math.inf
        while self._heap and self._heap[0].deadline <= due:
            until = heapq.heappop(self._heap)
            self._over -= until.is_over
            until.pass_()
        self._tidy()
        self._set_timer()


class Until:
    """A deadline for the waits within."""

    __slots__ = ("_deadlines", "_is_in_heap", "_waits", "deadline")

    def __init__(self, waits: Waits, deadline: float, deadlines: Deadlines) -> None:
        self._waits: Waits | None = waits
        self._deadlines = deadlines
        self._is_in_heap = False
        self.deadline = deadline

    @property
    def is_over(self) -> bool:
        """Whether nothing waits for it any more."""
        return self._waits is None

    def __lt__(self, other: Until) -> bool:
        return self.deadline < other.deadline

    def __enter__(self) -> None:
        if self.deadline <= asyncio.get_running_loop().time():
            self.pass_()
        else:
            self._is_in_heap = True
            self._deadlines.add(self)

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        if self._waits is not None:
            self._waits.clear(DeadlinePassed)
            self._waits = None  # it may stay in line for long: what it was for does not
        if self._is_in_heap:
            self._deadlines.end(self)

    def pass_(self) -> None:
        """The time has come."""
        self._is_in_heap = False
        if self._waits is not None:
            self._waits.interrupt(DeadlinePassed)


async def rest(seconds: float, unless: asyncio.Event) -> None:
    """Let time pass, or return as soon as the event is set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await unless.wait()


def complete(future: asyncio.Future[None]) -> None:
    """Complete a future that may have been completed, or interrupted, before."""
    if not future.done():
        future.set_result(None)
