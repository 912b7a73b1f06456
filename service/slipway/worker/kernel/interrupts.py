"""Interruptible waits: the only points at which the coroutine of a request may be interrupted.

No task is cancelled. A coroutine waits through `Waits`, and an interruption ends a wait, never a call: the lease was lost, the
daemon stops, the twelve hours of SQS are nearly over, or the request's deadline has passed. A loop that belongs
to no request pauses with `sleep_unless_set`.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from contextlib import suppress
from types import TracebackType
from typing import Final, Protocol, TypeVar

from slipway.core.call_errors import CallFailed

T = TypeVar("T")


class Interrupted(Exception):
    """A wait was ended. The class gives the cause."""


class LeaseLost(Interrupted):
    """Another consumer has, or may have, the message: no further create or event for this delivery."""


class Stopping(Interrupted):
    """The daemon shuts down: release the message."""


class DuplicateMessage(Interrupted):
    """Another message continues the same request: delete this one."""


class ContinuationDue(Interrupted):
    """Continue in a new message: the twelve-hour limit or the last receive is near, or the failure counts must be reset."""


class Cancelled(Interrupted):
    """A cancel request applies: continue in a new message as cancelled."""


class Displaced(Interrupted):
    """Return the request to the queue for a while, so that others get its place."""


class DeadlinePassed(Interrupted):
    """The request's timeout is over."""


_URGENCY: Final[tuple[type[Interrupted], ...]] = (
    LeaseLost,
    Stopping,
    DuplicateMessage,
    ContinuationDue,
    Cancelled,
    DeadlinePassed,
    Displaced,
)


class Wait(Protocol):
    """Awaits a future or raises `Interrupted`. Every AWS call waits through one. `failed` is the cause of the wait."""

    async def __call__(self, future: asyncio.Future[T], failed: CallFailed, /) -> T:
        """Return the result of the future."""


class Waits:
    """The waits of one coroutine, one at a time. Times are the event loop's."""

    __slots__ = ("_deadlines", "_due", "_loop", "_waiting")

    def __init__(self, deadlines: Deadlines | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._deadlines = Deadlines() if deadlines is None else deadlines
        self._due: frozenset[type[Interrupted]] = frozenset()
        self._waiting: asyncio.Future[object] | None = None

    def interrupt(self, why: type[Interrupted]) -> None:
        """End the current wait, or the next one, and every one after it. Safe to repeat."""
        self._due |= {why}
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(self._most_urgent())

    def check(self) -> None:
        """Raise `Interrupted` if the coroutine must stop. To be called before anything that cannot be undone."""
        if self._due:
            raise self._most_urgent()

    async def wait(self, future: asyncio.Future[T]) -> T:
        """Await a future; raise `Interrupted` as soon as the coroutine must stop.

        An interruption completes the future with that exception, so that its producer sees that it is done.
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
        """Await what a call waits for before its next attempt, like `wait`."""
        return await self.wait(future)

    async def pause(self, seconds: float) -> None:
        """Pause; raise `Interrupted` as soon as the coroutine must stop."""
        future: asyncio.Future[None] = self._loop.create_future()
        timer = self._loop.call_later(seconds, complete, future)
        try:
            await self.wait(future)
        finally:
            timer.cancel()

    def until(self, deadline: float) -> Until:
        """Return a context in which waits end with `DeadlinePassed` at this time."""
        return Until(self, deadline, self._deadlines)

    def clear(self, why: type[Interrupted]) -> None:
        """Remove a cause of interruption. Safe to repeat."""
        self._due -= {why}

    def _most_urgent(self) -> Interrupted:
        return next(kind for kind in _URGENCY if kind in self._due)()


class Deadlines:
    """The deadlines of many waits, under one timer."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._heap: list[Until] = []
        """A heap by deadline. Ended entries are removed when they reach the top or become the majority."""
        self._over = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf

    def __len__(self) -> int:
        """Return the number of entries; ended ones are never the majority."""
        return len(self._heap)

    def add(self, until: Until) -> None:
        """Interrupt its waits at its deadline, unless it has ended by then."""
        heapq.heappush(self._heap, until)
        self._set_timer()

    def end(self, until: Until) -> None:
        """Remove a deadline that has ended early."""
        if self._heap[-1] is until:
            self._heap.pop()  # the last leaf of a heap may be removed directly
        else:
            self._over += 1
        self._tidy()

    def _tidy(self) -> None:
        """Drop ended entries if they are the majority, and the timer if nothing is left."""
        if self._over * 2 > len(self._heap):
            self._heap = [each for each in self._heap if not each.is_over]
            heapq.heapify(self._heap)
            self._over = 0
        if not self._heap and self._timer is not None:
            self._timer.cancel()
            self._timer, self._timer_at = None, math.inf

    def _set_timer(self) -> None:
        """Set the timer to the earliest deadline. It may fire for one that has ended, and is then set again."""
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
    """A context in which waits end at a deadline."""

    __slots__ = ("_deadlines", "_is_in_heap", "_waits", "deadline")

    def __init__(self, waits: Waits, deadline: float, deadlines: Deadlines) -> None:
        self._waits: Waits | None = waits
        self._deadlines = deadlines
        self._is_in_heap = False
        self.deadline = deadline

    @property
    def is_over(self) -> bool:
        """Return whether the context was left."""
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
            self._waits = None  # the entry may stay in the heap for long; it must not keep the lease alive
        if self._is_in_heap:
            self._deadlines.end(self)

    def pass_(self) -> None:
        """Interrupt the waits: the deadline has passed."""
        self._is_in_heap = False
        if self._waits is not None:
            self._waits.interrupt(DeadlinePassed)


def complete(future: asyncio.Future[None]) -> None:
    """Complete a future, unless it was completed or interrupted before."""
    if not future.done():
        future.set_result(None)


async def sleep_unless_set(seconds: float, unless: asyncio.Event) -> None:
    """Sleep, or return as soon as the event is set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await unless.wait()
