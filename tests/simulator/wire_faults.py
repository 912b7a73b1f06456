"""The way between Slipway and a service: it takes time, and loses things on purpose."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from typing import TypeVar

from slipway.core.call_errors import CallFailed, Denied, Throttled, UnknownResult
from tests.simulator.observer import Watching
from tests.simulator.virtual_loop import PROCESS, VirtualLoop, in_process

T = TypeVar("T")


class Fault(StrEnum):
    """What may befall one call."""

    THROTTLED = "throttled"
    DENIED = "denied"
    REQUEST_LOST = "request lost"
    RESPONSE_LOST = "response lost"
    ERROR_BEFORE = "5xx before apply"
    ERROR_AFTER = "5xx after apply"
    ZOMBIE = "zombie request"
    LATE = "answer after the time-out"
    SLOW = "slow answer"
    PARTIAL = "partial batch failure"
    EMPTY = "200 without fields"
    DATELESS = "answer without Date"
    OLD_DATE = "a Date that is old"


Plan = Callable[[str, int], Fault | None]
"""Answers which fault, if any, the n-th call of an operation meets: a function of its arguments and a seed, of nothing else."""

TIMEOUT_SECONDS = 10.0
SLOW_SECONDS = 8.0
ZOMBIE_SECONDS = 60.0
OLD_SECONDS = (20.0, 7200.0, 59.0, 172_800.0, -40.0)
"""How old the `Date` of an answer may be."""

_NEVER_APPLIED: dict[Fault | None, tuple[type[CallFailed], str, float | None]] = {
    Fault.THROTTLED: (Throttled, "ThrottlingException", None),
    Fault.DENIED: (Denied, "AccessDeniedException", None),
    Fault.ERROR_BEFORE: (UnknownResult, "InternalServerException", None),
    Fault.REQUEST_LOST: (UnknownResult, "TimeoutError", TIMEOUT_SECONDS),
    Fault.ZOMBIE: (UnknownResult, "TimeoutError", TIMEOUT_SECONDS),
}
_ANSWER_LOST: dict[Fault | None, tuple[str, float | None]] = {
    Fault.RESPONSE_LOST: ("ConnectionClosedError", None),
    Fault.ERROR_AFTER: ("InternalServerException", None),
    Fault.LATE: ("TimeoutError", TIMEOUT_SECONDS),
}


def no_faults(_operation: str, _number: int) -> Fault | None:
    """Plan nothing bad."""
    return None


class Wire:
    """Carries calls. What has been sent arrives, even when the sender is dead by then."""

    def __init__(self, rng: random.Random, plan: Plan = no_faults, latency: tuple[float, float] = (0.005, 0.03)) -> None:
        self._rng = rng
        self.plan = plan
        self._latency = latency
        self.calls: Counter[str] = Counter()
        self.fired: Counter[str] = Counter()
        self.watching = Watching()
        self.raises: Callable[[str, int], Exception | None] = lambda _operation, _number: None
        """What the n-th call of an operation raises in the process itself, before anything is sent."""
        self.seconds_old: Callable[[int], float] = lambda number: OLD_SECONDS[number % len(OLD_SECONDS)]
        """How old the `Date` of the n-th call of an operation is, where the plan has it old."""
        self.sender: str | None = None
        """Whose call is being applied at this moment."""
        self.fault: Fault | None = None
        """What befalls the call that is being applied at this moment."""
        self.is_partial = False
        """Whether entries of the batch that is being applied at this moment are to fail alone."""
        self.world = in_process("world")
        self.world.run(PROCESS.set, None)

    async def call(
        self,
        operation: str,
        apply: Callable[[], T],
        *,
        wait_seconds: float = 0.0,
        ready: asyncio.Future[None] | None = None,
    ) -> T:
        """Do `apply` on the world's side after a while, and bring its answer, unless a fault comes between.

        `ready` is what the world waits for before, as in a long poll of `wait_seconds`.
        Like the real adapters it answers `UnknownResult` when the answer has taken too long, whatever it was: so it also does
        when the process was halted meanwhile.
        """
        loop, process = asyncio.get_running_loop(), PROCESS.get()
        answer: asyncio.Future[T] = loop.create_future()
        if isinstance(loop, VirtualLoop) and loop.is_dead(process):
            return await answer
        began = loop.time()
        self.calls[operation] += 1
        self.watching.began(operation, process)
        raised = self.raises(operation, self.calls[operation])
        if raised is not None:
            raise raised
        fault = self.plan(operation, self.calls[operation])
        if fault is not None:
            self.fired[fault] += 1
            self.watching.fired(fault, operation)
        if ready is None:
            self._later(lambda: self._arrive(operation, apply, answer, fault, process))
        else:
            ready.add_done_callback(
                lambda _: self._later(lambda: self._arrive(operation, apply, answer, fault, process)), context=self.world
            )
        result = await answer
        if loop.time() - began > TIMEOUT_SECONDS + wait_seconds + 1.0:
            raise UnknownResult(operation, "TimeoutError")
        return result

    def as_sent(self, process: str | None, apply: Callable[[], T]) -> T:
        """Do something on the world's side that a process has asked for."""
        self.sender = process
        try:
            return apply()
        finally:
            self.sender, self.fault, self.is_partial = None, None, False

    def _arrive(
        self, operation: str, apply: Callable[[], T], answer: asyncio.Future[T], fault: Fault | None, process: str | None
    ) -> None:
        if fault in _NEVER_APPLIED:
            kind, code, seconds = _NEVER_APPLIED[fault]
            if fault is Fault.ZOMBIE:
                self._later(lambda: self._rise(process, apply), ZOMBIE_SECONDS)
            return self._fail(answer, kind(operation, code, str(fault)), seconds)
        self.fault, self.is_partial = fault, fault is Fault.PARTIAL
        try:
            result = self.as_sent(process, apply)
        except CallFailed as failed:
            return self._fail(answer, failed)
        if fault in _ANSWER_LOST:
            code, seconds = _ANSWER_LOST[fault]
            return self._fail(answer, UnknownResult(operation, code), seconds)
        seconds = SLOW_SECONDS if fault is Fault.SLOW else None
        return self._later(lambda: None if answer.done() else answer.set_result(result), seconds)

    def _rise(self, process: str | None, apply: Callable[[], object]) -> None:
        """Apply what was sent long ago, and given up."""
        self.fault = Fault.ZOMBIE
        with suppress(CallFailed):
            self.as_sent(process, apply)

    def _fail(self, answer: asyncio.Future[T], failed: CallFailed, after: float | None = None) -> None:
        self._later(lambda: None if answer.done() else answer.set_exception(failed), after)

    def _later(self, act: Callable[[], object], after: float | None = None) -> None:
        seconds = self._rng.uniform(*self._latency) if after is None else after
        asyncio.get_running_loop().call_later(seconds, act, context=self.world)
