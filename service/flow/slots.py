"""The line for a slot: a full quota is a wait with a place in line, never a failure."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import structlog

from service.core.calls import CallFailed, QuotaFull
from service.core.deployments import Created
from service.core.outcomes import Reason
from service.core.quota import Counts, Quota
from service.flow.hold import Hold
from service.flow.tally import Tally

log = structlog.get_logger()


@dataclass(order=True, slots=True)
class _Place:
    priority: int
    first_received: float
    number: int
    turn: asyncio.Future[None] = field(compare=False)
    message_id: str = field(compare=False)


class Slots:
    """Hands out the right to create, to the oldest request first, as far as the account's quotas allow.

    What others made is known from sweeps; what this process has in creation it knows itself.
    """

    def __init__(self, quota: Quota, *, in_creation: Callable[[], int], sweep_soon: Callable[[], None], tally: Tally) -> None:
        self.quota = quota
        self._in_creation = in_creation
        self._sweep_soon = sweep_soon
        self._tally = tally
        self._others: Counts | None = None
        self._line: list[_Place] = []
        self._number = 0
        self._under_way = 0
        self._loop = asyncio.get_running_loop()

    @property
    def waiting(self) -> int:
        """How many requests are in line."""
        return sum(not place.turn.done() for place in self._line)

    @property
    def counts(self) -> Counts:
        """Deployments in creation and in total, as far as this process knows now."""
        others = self._others or Counts(0, 0)
        mine = self._in_creation()
        return Counts(others.creating + mine, others.total + mine)

    def places(self) -> dict[str, int]:
        """Answer the place in line, from 1, of each message whose request waits for a slot here."""
        line = sorted(place for place in self._line if not place.turn.done())
        return {place.message_id: number for number, place in enumerate(line, 1)}

    def needs_counts(self) -> bool:
        """Whether the next sweep should count what others made: only while somebody waits for a slot."""
        return bool(self._line) and self.quota.is_limiting()

    def has_room(self) -> bool:
        """Whether a request that came now would be let through at once."""
        return not self._line and self._room() > 0

    async def grant(self, hold: Hold, priority: int = 0) -> Grant:
        """Answer the right to make one create, when it is this request's turn. Raises `Interrupted` while waiting."""
        turn: asyncio.Future[None] = self._loop.create_future()
        self._number += 1
        place = _Place(-priority, hold.message.first_received_at, self._number, turn, hold.message.message_id)
        heapq.heappush(self._line, place)
        self._pump()
        if not turn.done() and len(self._line) == 1:
            self._sweep_soon()
        full = nullcontext() if turn.done() else hold.because(Reason.NO_SLOT, f"no slot: {self.quota.fullness()}")
        try:
            with full:
                await hold.wait(turn)
        except BaseException:
            # One that was interrupted before it could wait is still to be granted: to nobody, and for ever.
            if not turn.cancel() and turn.exception() is None:
                self.finished(None)
            raise
        return Grant(self)

    def finished(self, answer: Created | CallFailed | None) -> None:
        """A granted create is over: taken on (and watched already), failed, or never sent (None)."""
        self._under_way -= 1
        match answer:
            case Created():
                self.quota = self.quota.after_success(self.counts)
            case QuotaFull():
                self._tally.quota_refusals += 1
                self.quota = self.quota.after_refusal(self.counts, self._loop.time())
                log.info("slots.refused", creating=self.counts.creating, total=self.counts.total, code=answer.code)
                self._sweep_soon()
        self._loop.call_soon(self._pump)

    def swept(self, others: Counts) -> None:
        """A sweep has counted what exists beside this process's own deployments in creation."""
        self._others = others
        self.quota = self.quota.after_sweep(self.counts)
        self._pump(probe=True)

    def _room(self, *, probe: bool = False) -> int:
        if self._others is None and (self.quota.max_creating or self.quota.max_total):
            return 0
        return self.quota.room(self.counts, self._under_way, self._loop.time() if probe else None)

    def _pump(self, *, probe: bool = False) -> None:
        room = self._room(probe=probe)
        while self._line and (room > 0 or self._line[0].turn.done()):
            place = heapq.heappop(self._line)
            if not place.turn.done():
                place.turn.set_result(None)
                self._under_way += 1
                room -= 1


class Grant:
    """The right to make one create. Leaving it without an answer gives it back."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self.answer: Created | CallFailed | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._slots.finished(self.answer)
