"""Liveness (would a restart help?) and readiness (can the daemon work?)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from slipway.core.call_errors import CallFailed
from slipway.worker.runtime.worker import Worker

BEAT_SECONDS: Final = 0.05
"""A shorter stall may fall between two beats. Twenty beats a second take 0.05 % of a core."""
LONGEST_LAG_SECONDS: Final = 5.0
LONGEST_SILENCE_SECONDS: Final = 90.0
"""A long poll takes 20 s, and its timeout somewhat more: three in a row would have to hang."""
READINESS_SECONDS: Final = 15.0
"""How long the result of a readiness check is reused."""
CHECK_TIMEOUT_SECONDS: Final = 5.0

log = structlog.get_logger()

Check = Callable[[], Awaitable[object]]


class LoopLagMonitor:
    """Measures how late the event loop is."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + BEAT_SECONDS
        self.beside: dict[str, asyncio.Task[None]] = {}
        """Tasks that must run until the daemon ends, by name."""
        self.longest_stall = 0.0
        """The longest delay of the loop since the start, in seconds."""

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            await asyncio.sleep(max(0.0, self._due - self._loop.time()))
            self.longest_stall = max(self.longest_stall, self.lag())
            self._due = self._loop.time() + BEAT_SECONDS

    def lag(self) -> float:
        """Return how many seconds the next beat is overdue."""
        return max(0.0, self._loop.time() - self._due)


@dataclass(slots=True)
class Readiness:
    """Checks whether the services answer, and reuses the result for a while.

    All `checks` must succeed, and one of the `targets`: a daemon that can deploy to one target is useful.
    """

    checks: Mapping[str, Check]
    targets: Mapping[str, Check]
    _asked_at: float | None = None
    _troubles: dict[str, str] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def failures(self) -> dict[str, str]:
        """Return what is not reachable and why, by name. Empty if everything is."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if self._asked_at is None or now - self._asked_at > READINESS_SECONDS:
                every = {**self.checks, **self.targets}
                results = await asyncio.gather(*(self._ask(check) for check in every.values()))
                self._troubles = {name: trouble for name, trouble in zip(every, results, strict=True) if trouble is not None}
                self._asked_at = asyncio.get_running_loop().time()
            return self._troubles

    def is_ready(self, failures: Container[str]) -> bool:
        """Return whether the daemon can work with these failures."""
        return not any(name in failures for name in self.checks) and any(name not in failures for name in self.targets)

    async def _ask(self, check: Check) -> str | None:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                await check()
        except CallFailed as failed:
            return str(failed)
        except TimeoutError:
            return f"no answer within {CHECK_TIMEOUT_SECONDS:g} s"
        except Exception as bug:
            log.exception("readiness.faulted")
            return f"a programming error: {bug!r}"
        return None


def is_alive(slipway: Worker, pulse: LoopLagMonitor, started_at: float) -> tuple[bool, str]:
    """Return whether the daemon works, with a sentence. If it does not, a restart may help.

    A failed receive counts as an ended one: failures of AWS concern readiness and are no reason for a restart.
    """
    now = asyncio.get_running_loop().time()
    if (lag := pulse.lag()) > LONGEST_LAG_SECONDS:
        return False, f"the event loop is {lag:.1f} s late"
    beside = (name for name, task in pulse.beside.items() if task.done())
    if (dead := slipway.dead_task or next(beside, None)) is not None:
        return False, f"the task of {dead} has ended"
    for each in slipway.queues:
        silence = now - (each.intake.last_ended_at or started_at)
        if silence > LONGEST_SILENCE_SECONDS and each.intake.is_polling:
            return False, f"no receive has ended for {silence:.0f} s"
    return True, "receiving" if slipway.intake.needs_poll else "full: max_held requests are in progress"
