"""Receiving: as many long polls as there is work for, never for more messages than there are free places."""

from __future__ import annotations

import asyncio
import math
import random
import uuid
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import structlog

from slipway.core.call_errors import CallFailed, pause_seconds
from slipway.core.sqs.messages import Message
from slipway.worker.kernel.interrupts import Interrupted, Stopping, Wait, Waits, sleep_unless_set
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.telemetry import Counters
from slipway.worker.queue.leases import Leases

log = structlog.get_logger()

POLL_SECONDS: Final = 20
"""The longest long poll of SQS: an idle daemon makes three calls a minute."""
POLL_SIZE: Final = 10
MOST_POLLS: Final = 8
MOST_RESERVED: Final = 10
CROWDED_POLL_SECONDS: Final = 5.0
"""Time between two polls while most of their messages are returned: each return costs a send and two deletes."""
BUSY_POLL_SECONDS: Final = 1.5
"""The same while every poll is full: then the queue has more."""


def reserved_places(max_held: int) -> int:
    """Return how many places are reserved for other requests than deploys: a quarter, at most ten."""
    return min(MOST_RESERVED, max(max_held // 4, int(max_held > 1)))


class Source(Protocol):
    """The SQS call of intake."""

    async def receive(self, limit: int, *, wait_seconds: int, attempt: str | None, wait: Wait) -> Sequence[Message]:
        """Return at most `limit` messages, after at most `wait_seconds`. Until it is sent it waits through `wait`."""


class Intake:
    """Polls the queue. A poll in flight is never cancelled: its messages would stay hidden until their visibility timeout."""

    def __init__(
        self,
        queue: Source,
        leases: Leases,
        begin: Callable[[Lease], None],
        *,
        max_held: int,
        is_fifo: bool,
        rng: random.Random,
        counters: Counters,
        verify: Callable[[Message], Message] = lambda message: message,
    ) -> None:
        self._queue = queue
        self._leases = leases
        self._begin = begin
        self._max_held = max_held
        self._reserved_places = reserved_places(max_held)
        self._paced_poll_at = -math.inf
        self._is_fifo = is_fifo
        self._verify = verify
        self._rng = rng
        self._counters = counters
        self._reserved = 0
        self._usual_places = 1
        """How many places the largest message of the latest receive takes: the next receive may bring messages as large."""
        self.when_full: Callable[[], None] = lambda: None
        """Called every few seconds while all places are taken."""
        self._polls: set[asyncio.Task[None]] = set()
        self._waits: set[Waits] = set()
        self._wanted_polls = 1
        self._failures = 0
        self._timer: asyncio.TimerHandle | None = None
        self._changed = leases.changed
        self._stopped = asyncio.Event()
        self._fault: BaseException | None = None
        self.last_ended_at: float | None = None
        """When a receive last ended, or started after a time without any, by the event loop's clock."""

    @property
    def is_polling(self) -> bool:
        """Return whether a receive is in flight."""
        return bool(self._polls)

    @property
    def needs_poll(self) -> bool:
        """Return whether there are free places, so that a poll should be in flight."""
        return self._reserved > 0 or self._room() >= self._smallest_poll()

    def stop(self) -> None:
        """Start no further poll; `run` ends when those in flight have, and their messages are processed as usual."""
        self._stopped.set()
        for waits in self._waits:
            waits.interrupt(Stopping)
        self._changed.set()

    def shorten_shutdown(self) -> None:
        """Cancel the polls in flight: their messages stay hidden until the visibility timeout."""
        for poll in self._polls:
            poll.cancel()

    async def run(self) -> None:
        """Keep the right number of polls in flight until stopped.

        An unexpected exception of a poll is raised here: a new process is better than one that receives nothing.
        """
        while not self._stopped.is_set():
            while len(self._polls) < self._wanted_polls and self._may_poll():
                self._poll()
            self._changed.clear()
            await self._changed.wait()
            if self._fault is not None:
                raise self._fault
        if self._polls:
            await asyncio.wait(self._polls)

    def _room(self) -> int:
        return self._max_held - self._leases.places - self._reserved

    def _may_poll(self) -> bool:
        """Return whether to poll now. Polls are paced while requests are returned or few places are free."""
        room, now = self._room(), asyncio.get_running_loop().time()
        if room > self._reserved_places and now - self._leases.postponed_at >= CROWDED_POLL_SECONDS:
            return room >= self._smallest_poll()
        if room <= 0:
            self._recheck_at(now + CROWDED_POLL_SECONDS)
            return False
        next_at = self._paced_poll_at + (BUSY_POLL_SECONDS if self._wanted_polls > 1 else CROWDED_POLL_SECONDS)
        if now < next_at:
            self._recheck_at(next_at)
            return False
        self._paced_poll_at = now
        return True

    def _recheck_at(self, at: float) -> None:
        if self._timer is not None and self._timer.when() > at:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._room() <= 0 and not self._stopped.is_set():
            self.when_full()
        self._changed.set()

    def _smallest_poll(self) -> int:
        """Return how many free places justify a call."""
        return max(1, min(POLL_SIZE, self._max_held // 20))

    def _poll(self) -> None:
        room = self._room()
        # The reserved places: one place for each message, as most of them are returned at once, however large they are.
        places = self._usual_places if room > self._reserved_places else 1
        limit = max(1, min(POLL_SIZE, room // places))
        reserved = limit * places
        self._reserved += reserved
        if not self._polls:
            self._ended()  # a worker without free places does not receive, and is healthy
        poll = asyncio.get_running_loop().create_task(self._receive(limit, reserved))
        self._polls.add(poll)
        poll.add_done_callback(self._polled)

    def _polled(self, poll: asyncio.Task[None]) -> None:
        self._polls.discard(poll)
        if not poll.cancelled():
            self._fault = self._fault or poll.exception()
        self._changed.set()

    async def _receive(self, limit: int, reserved: int) -> None:
        attempt = str(uuid.UUID(int=self._rng.getrandbits(128))) if self._is_fifo else None
        waits = Waits()
        self._waits.add(waits)
        try:
            messages = await self._receive_until_answered(limit, attempt, waits.wait_to_call)
        except Stopping:
            messages = ()
        finally:
            self._waits.discard(waits)
            self._reserved -= reserved
        self._wanted_polls = min(self._wanted_polls * 2, MOST_POLLS) if len(messages) == limit else 1
        self._counters.messages_received += len(messages)
        held_leases = [lease for message in messages if (lease := self._leases.take(self._verify(message))) is not None]
        self._usual_places = max((lease.places for lease in held_leases), default=self._usual_places)
        for lease in held_leases:
            self._begin(lease)

    async def _receive_until_answered(self, limit: int, attempt: str | None, wait: Wait) -> Sequence[Message]:
        """Receive; after a failure, pause and try again. On FIFO with the same attempt id, so that no response is lost."""
        while not self._stopped.is_set():
            try:
                messages = await self._queue.receive(limit, wait_seconds=POLL_SECONDS, attempt=attempt, wait=wait)
            except CallFailed as failed:
                log.warning("receive.failed", reason=failed.code, message=str(failed), failures=self._failures + 1)
            except Interrupted:
                raise
            except Exception:
                self._counters.faults += 1
                log.exception("receive.faulted")
            else:
                self._ended()
                self._failures = 0
                return messages
            self._ended()
            self._failures += 1
            await sleep_unless_set(pause_seconds(self._failures, self._rng), unless=self._stopped)
        return ()

    def _ended(self) -> None:
        self.last_ended_at = asyncio.get_running_loop().time()
