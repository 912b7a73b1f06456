"""Callbacks to the client that waits for a request: heartbeats while it is in progress, one callback when it has ended.

A callback is sent after the event was published and before the message is deleted: a crash in between sends it twice, never
not at all. A recipient that no longer waits (an expired token, a deleted queue) changes nothing for the request.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from slipway.core.call_errors import CallFailed, Conflicting, Refused, ResourceMissing
from slipway.core.events.callbacks import Callback, EventCopy, callbacks_for
from slipway.core.events.publish import Publication
from slipway.core.schema.rejection import ReplyTo
from slipway.worker.kernel.interrupts import sleep_unless_set
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.retry import Retries
from slipway.worker.kernel.telemetry import REPLY, Counters

log = structlog.get_logger()

HEARTBEAT_SECONDS: Final = 30.0
TICK_SECONDS: Final = 1.0
MOST_HEARTBEATS: Final = 8
"""The limit of heartbeat calls in flight."""
RETRY_SECONDS: Final = 900.0
"""How long a failing callback is retried: its event is on the topic anyway. Less while all places for messages are taken,
since a request keeps its place until its callbacks are sent."""
UNDELIVERED: Final = ("NobodyThere", "GivenUp")
"""The other results of a callback in its metric."""
_TASK_REMEDY: Final = "nothing, if its task has ended or timed out; a token of another Region cannot be answered"
_ADDRESS_REMEDY: Final = "correct replyTo, or the policy of the queue or topic; the event is on the topic"
_NOBODY_THERE: Final = (Refused, ResourceMissing, Conflicting)


class CallbackTargets(Protocol):
    """The AWS calls of callbacks."""

    async def reply(self, reply: Callback) -> None:
        """Send a callback. Safe to repeat."""

    async def heartbeat(self, task_token: str) -> None:
        """Send a heartbeat for a Step Functions task."""


@dataclass(slots=True, order=True)
class _Beat:
    """The next heartbeat of a task, ordered by due time on the event loop's clock."""

    due: float
    number: int
    token: str = field(compare=False)
    is_over: bool = field(default=False, compare=False)


class CallbackSender:
    """Sends callbacks and heartbeats."""

    def __init__(
        self,
        callback_targets: CallbackTargets,
        *,
        rng: random.Random,
        counters: Counters,
        is_full: Callable[[], bool] = lambda: False,
    ) -> None:
        self._is_full = is_full
        self._targets = callback_targets
        self._rng = rng
        self._counters = counters
        self._beats: list[_Beat] = []
        """A heap by due time."""
        self._numbers = itertools.count()
        self._under_way: set[asyncio.Task[None]] = set()
        self._is_stopped = False
        self._changed = asyncio.Event()

    async def reply(self, reply_target: ReplyTo, publication: Publication, lease: Lease) -> None:
        """Send all callbacks of an outcome until each is accepted or given up. Raises `Interrupted` between attempts."""
        for reply in callbacks_for(reply_target, publication):
            with lease.trace.span(REPLY, type(reply).__name__):
                await self.say(reply, lease)

    async def say(self, reply: Callback, lease: Lease) -> None:
        """Send a callback until it is accepted, has no recipient, or the time limit is over. Raises `Interrupted`."""
        retries = Retries(lease, self._rng, refused_seconds=RETRY_SECONDS, failed_seconds=RETRY_SECONDS, is_short=self._is_full)
        how = type(reply).__name__

        async def attempt() -> None:
            lease.check_lease()
            await self._targets.reply(reply)

        def log_failure(failed: CallFailed) -> None:
            log.warning("reply.failed", reply=how, reason=failed.code, message=str(failed))

        try:
            await retries.until_done(attempt, log_failure, final=_NOBODY_THERE)
        except _NOBODY_THERE as failed:
            self._counters.replies["NobodyThere"] += 1
            remedy = _ADDRESS_REMEDY if isinstance(reply, EventCopy) else _TASK_REMEDY
            log.warning("reply.unheard", reply=how, reason=failed.code, message=str(failed), remedy=remedy)
        except CallFailed as failed:
            self._counters.replies["GivenUp"] += 1
            remedy = "its event was published"
            log.error("reply.given_up", reply=how, reason=failed.code, message=str(failed), remedy=remedy)  # noqa: TRY400  it says all
        else:
            self._counters.replies[how] += 1

    async def try_once(self, reply: Callback, lease: Lease) -> bool:
        """Send a callback, without a further attempt; return whether it was accepted."""
        lease.check_lease()
        try:
            await self._targets.reply(reply)
        except CallFailed as failed:
            log.warning("reply.failed", reply=type(reply).__name__, reason=failed.code, message=str(failed))
            return False
        self._counters.replies[type(reply).__name__] += 1
        return True

    def heartbeats(self, reply_target: ReplyTo) -> AbstractContextManager[None]:
        """Within, heartbeats are sent to the Step Functions task that waits for the request, if there is one."""
        return nullcontext() if reply_target.task_token is None else self._heartbeats(reply_target.task_token)

    @contextmanager
    def _heartbeats(self, task_token: str) -> Iterator[None]:
        beat = _Beat(asyncio.get_running_loop().time(), next(self._numbers), task_token)
        self._put(beat)
        try:
            yield
        finally:
            beat.is_over = True

    async def run(self) -> None:
        """Send due heartbeats of all requests until stopped."""
        while not self._is_stopped:
            self._changed.clear()
            self._send_due()
            if self._beats:
                await sleep_unless_set(TICK_SECONDS, unless=self._changed)
            else:
                await self._changed.wait()
        if self._under_way:
            await asyncio.wait(self._under_way)

    def stop(self) -> None:
        """End `run`."""
        self._is_stopped = True
        self._changed.set()

    def _put(self, beat: _Beat) -> None:
        heapq.heappush(self._beats, beat)
        self._changed.set()

    def _send_due(self) -> None:
        loop = asyncio.get_running_loop()
        while self._beats and self._beats[0].due <= loop.time() and len(self._under_way) < MOST_HEARTBEATS:
            beat = heapq.heappop(self._beats)
            if not beat.is_over:
                task = loop.create_task(self._send(beat))
                self._under_way.add(task)
                task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not self._is_stopped:
            self._send_due()

    async def _send(self, beat: _Beat) -> None:
        beat.due += HEARTBEAT_SECONDS
        try:
            await self._targets.heartbeat(beat.token)
        except _NOBODY_THERE as failed:
            log.info("heartbeat.unheard", reason=failed.code, message=str(failed))
            return
        except CallFailed as failed:
            log.info("heartbeat.failed", reason=failed.code, message=str(failed))
        except Exception:
            self._counters.faults += 1
            log.exception("heartbeat.faulted")
        beat.due = max(beat.due, asyncio.get_running_loop().time())
        self._put(beat)
