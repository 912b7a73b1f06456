"""Virtual time: an event loop that jumps to the next timer, and can kill or stop one of several simulated processes.

A simulated process is a value in a `contextvars` variable, which every task and callback that it begets inherits. A kill is
not a cancel: no `finally` runs and nothing is cleaned up; the dead one's callbacks are simply never called.
"""

# mypy: disable-error-code="attr-defined,misc,override"
# It builds on the inside of asyncio's own event loop, which typeshed does not describe.

from __future__ import annotations

import asyncio
import contextvars
import heapq
import math
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

PROCESS: contextvars.ContextVar[str | None] = contextvars.ContextVar("PROCESS", default=None)
"""Which simulated process runs; None is the world itself."""


class Deadlock(AssertionError):
    """Somebody waits, and nothing will ever happen."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop whose time passes only when nothing is left to do, and then at once."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 1000.0
        self._selector = self
        self._clock_resolution = 1e-9
        self._dead: set[str | None] = set()
        self._is_over = False
        self._parked: dict[str, list[Callable[[], object]]] = {}
        self._tasks: list[asyncio.Task[Any]] = []
        self.set_task_factory(self._make_task)
        self.steps = 0
        """How many callbacks have been scheduled for now: the points at which a process may be killed."""
        self.before_step: Callable[[], None] | None = None
        self.turns_left = math.inf
        """How often the loop may go round yet: a bug may keep it busy for ever."""

    def time(self) -> float:
        """Return virtual seconds."""
        return self._now

    def select(self, timeout: float | None) -> list[object]:
        """Be the selector: let the time pass until the next timer."""
        if timeout is None:
            raise Deadlock("nothing is scheduled, and the simulation has not ended")
        self._now += timeout
        return []

    def kill(self, process: str) -> None:
        """End a process as SIGKILL does. Nothing of it runs any more; what it has sent is on its way."""
        self._dead.add(process)
        self._parked.pop(process, None)
        for handle in [*self._ready, *self._scheduled]:
            if _process_of(handle._context) == process:
                handle.cancel()

    def is_dead(self, process: str | None) -> bool:
        """Whether a process has been killed: the rest of the callback within which it was does nothing more either."""
        return process in self._dead

    def block(self, seconds: float) -> None:
        """Let time pass in which nothing runs: somebody blocks the loop."""
        self._now += seconds

    def stop_process(self, process: str) -> None:
        """Halt a process as SIGSTOP does."""
        self._parked.setdefault(process, [])

    def continue_process(self, process: str) -> None:
        """Let a halted process go on, as SIGCONT does: everything that became due meanwhile happens now."""
        for begin in self._parked.pop(process, []):
            begin()

    def _make_task(self, _: object, coroutine: Any, **how: Any) -> asyncio.Task[Any]:
        """Keep every task to the end: one that is collected as garbage would run its `finally`, and the dead do nothing."""
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=self, **how)
        task._log_destroy_pending = False
        if PROCESS.get() is not None or how.get("context") is not None:
            self._tasks.append(task)
        return task

    def send_dead_letter(self) -> None:
        """Close what the dead have left open, now that nothing it does matters any more."""
        self._is_over = True
        for task in self._tasks:
            for _ in range(10):
                if task.done():
                    break
                try:
                    task.get_coro().close()
                except BaseException:  # noqa: BLE001, S110  a dead process has nothing to say any more
                    pass
                else:
                    break

    def _process_events(self, event_list: list[object]) -> None:
        """There is no I/O."""

    def _write_to_self(self) -> None:
        """There is no other thread."""

    def _run_once(self) -> None:
        self.turns_left -= 1
        if self.turns_left < 0:
            raise Deadlock("it goes round and round")
        if self._parked:
            self._park()
        super()._run_once()

    def _call_soon(self, callback: Any, args: Any, context: Any) -> asyncio.Handle:
        handle: asyncio.Handle = super()._call_soon(callback, args, context)
        process = _process_of(handle._context)
        if self._is_over or process in self._dead:
            handle.cancel()
        elif process is not None:
            self.steps += 1
            if self.before_step is not None:
                self.before_step()
                if process in self._dead:
                    handle.cancel()
        return handle

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        """Schedule; for a dead process, do not."""
        handle = super().call_at(when, callback, *args, context=context)
        if self._is_over or _process_of(handle._context) in self._dead:
            handle.cancel()
        return handle

    def _park(self) -> None:
        """Take what is ready, or is becoming due, of halted processes out of the loop."""
        for handle in [*self._ready]:
            process = _process_of(handle._context)
            if process in self._parked and not handle._cancelled:
                self._ready.remove(handle)
                self._parked[process].append(lambda handle=handle: self._ready.append(handle))
        due = [timer for timer in self._scheduled if _process_of(timer._context) in self._parked]
        if due:
            self._scheduled[:] = [timer for timer in self._scheduled if _process_of(timer._context) not in self._parked]
            heapq.heapify(self._scheduled)
            for timer in sorted(due):
                timer._scheduled = False
                if not timer._cancelled:
                    self._parked[_process_of(timer._context) or ""].append(lambda timer=timer: self._revive(timer))

    def _revive(self, timer: asyncio.TimerHandle) -> None:
        """Put a timer back: what it was set for may have passed long ago."""
        if not timer.cancelled():
            timer._scheduled = True
            heapq.heappush(self._scheduled, timer)


def _process_of(context: contextvars.Context | None) -> str | None:
    return context.get(PROCESS) if context is not None else None


def in_process(name: str) -> contextvars.Context:
    """Return a context for a simulated process."""
    context = contextvars.copy_context()
    context.run(PROCESS.set, name)
    return context


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end in virtual time; raise `Deadlock` when it never would."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main)
    finally:
        loop.send_dead_letter()
        asyncio.set_event_loop(None)
        loop.close()
