"""The way between Slipway and a service: it takes time, and loses things on purpose."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

from service.core.calls import CallFailed, Denied, Throttled, Unknown
from tests.world.loop import PROCESS, in_process

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


Plan = Callable[[str, int], Fault | None]
"""Answers which fault, if any, the n-th call of an operation meets: a function of its arguments and a seed, of nothing else."""

TIMEOUT_SECONDS = 10.0
ZOMBIE_SECONDS = 60.0


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
        self._world = in_process("world")
        self._world.run(PROCESS.set, None)

    async def call(self, operation: str, apply: Callable[[], T]) -> T:
        """Do `apply` on the world's side after a while, and bring its answer, unless a fault comes between."""
        loop = asyncio.get_running_loop()
        self.calls[operation] += 1
        answer: asyncio.Future[T] = loop.create_future()
        fault = self.plan(operation, self.calls[operation])
        if fault is not None:
            self.fired[fault] += 1
        self._later(lambda: self._arrive(operation, apply, answer, fault))
        return await answer

    def _arrive(self, operation: str, apply: Callable[[], T], answer: asyncio.Future[T], fault: Fault | None) -> None:
        match fault:
            case Fault.THROTTLED:
                return self._fail(answer, Throttled(operation, "ThrottlingException", "Rate exceeded"))
            case Fault.DENIED:
                return self._fail(answer, Denied(operation, "AccessDeniedException", "not authorized"))
            case Fault.ERROR_BEFORE:
                return self._fail(answer, Unknown(operation, "InternalServerException", "500"))
            case Fault.REQUEST_LOST:
                return self._fail(answer, Unknown(operation, "TimeoutError"), TIMEOUT_SECONDS)
            case Fault.ZOMBIE:
                self._later(lambda: _quietly(apply), ZOMBIE_SECONDS)
                return self._fail(answer, Unknown(operation, "TimeoutError"), TIMEOUT_SECONDS)
            case _:
                pass
        try:
            result = apply()
        except CallFailed as failed:
            return self._fail(answer, failed)
        if fault is Fault.RESPONSE_LOST:
            return self._fail(answer, Unknown(operation, "ConnectionClosedError"))
        if fault is Fault.ERROR_AFTER:
            return self._fail(answer, Unknown(operation, "InternalServerException", "500"))
        return self._later(lambda: None if answer.done() else answer.set_result(result))

    def _fail(self, answer: asyncio.Future[T], failed: CallFailed, after: float | None = None) -> None:
        self._later(lambda: None if answer.done() else answer.set_exception(failed), after)

    def _later(self, act: Callable[[], object], after: float | None = None) -> None:
        seconds = self._rng.uniform(*self._latency) if after is None else after
        asyncio.get_running_loop().call_later(seconds, act, context=self._world)


def _quietly(apply: Callable[[], object]) -> None:
    try:
        apply()
    except CallFailed:
        return
