"""The only place where a coroutine of Slipway may be interrupted.

Nothing is cancelled. A coroutine waits through `Waits`, and a wait (never a call) is what an interruption ends: the lease
was lost, the daemon stops, the twelve hours of SQS run out, or the request's deadline has come.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Protocol, TypeVar

T = TypeVar("T")


class Interrupted(Exception):
    """A wait was ended; the class says why."""


class LeaseLost(Interrupted):
    """Somebody else has, or may have, the message: no further create or announcement for this delivery."""


class Stopping(Interrupted):
    """The daemon is to end: give back what is held."""


class TooLongHeld(Interrupted):
    """SQS lets nobody hold this message for longer (twelve hours), or hand it out once more: hand the request on."""


class Cancelled(Interrupted):
    """Somebody wants the request no more: hand it on as cancelled."""


class DeadlinePassed(Interrupted):
    """The request's own time is over."""


_URGENCY: tuple[type[Interrupted], ...] = (LeaseLost, Stopping, TooLongHeld, Cancelled, DeadlinePassed)


class Wait(Protocol):
    """Awaits a future, or raises `Interrupted` instead: what a call is given for its waits between attempts."""

    async def __call__(self, future: asyncio.Future[T], /) -> T:
        """Answer the future's result."""


class Waits:
    """The waits of one coroutine, one at a time. Times are the event loop's."""

    __slots__ = ("_due", "_loop", "_waiting")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._due: frozenset[type[Interrupted]] = frozenset()
        self._waiting: asyncio.Future[object] | None = None

    def interrupt(self, why: type[Interrupted]) -> None:
        """End the wait that is going on, or else the next one, and every one after it. Safe to repeat."""
        self._due |= {why}
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
        return Until(self, deadline)

    def pardon(self, why: type[Interrupted]) -> None:
        """What was to end every wait is no reason any more. Safe to repeat."""
        self._due -= {why}

    def _most_urgent(self) -> Interrupted:
        return next(kind for kind in _URGENCY if kind in self._due)()


class Until:
    """A deadline for the waits within. A class and no generator, which would keep 300 bytes more for each request held."""

    __slots__ = ("_deadline", "_timer", "_waits")

    def __init__(self, waits: Waits, deadline: float) -> None:
        self._waits = waits
        self._deadline = deadline

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        if self._deadline <= loop.time():
            self._waits.interrupt(DeadlinePassed)
        self._timer = loop.call_at(self._deadline, self._waits.interrupt, DeadlinePassed)

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._timer.cancel()
        self._waits.pardon(DeadlinePassed)


async def rest(seconds: float, unless: asyncio.Event) -> None:
    """Let time pass, or return as soon as the event is set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await unless.wait()


def complete(future: asyncio.Future[None]) -> None:
    """Complete a future that may have been completed, or interrupted, before."""
    if not future.done():
        future.set_result(None)
