"""The one file that runs the rest: a coroutine per held message, and how it all begins and ends.

A message is understood, waits for its predecessors and a slot, becomes a deployment, is watched to its end, announced, and
only then deleted. Read `_answer` first.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Protocol

import structlog
from structlog.contextvars import bound_contextvars

from service.core import continuations
from service.core.backoff import pause_seconds
from service.core.burial import copy_of
from service.core.calls import CallFailed
from service.core.decide import reason_for
from service.core.events import Progress, Times, announce_outcome, announce_progress, announce_rejection
from service.core.messages import Outgoing, QueueTraits
from service.core.misunderstood import Misunderstood
from service.core.outcomes import Abandon, Continue, Done, Outcome, Reason, Release, Settlement
from service.core.quota import Quota
from service.core.requests import Home, Request, understand
from service.flow import intake, lifecycle, watcher
from service.flow.announce import Announcer, Topic
from service.flow.custody import Custody, Leases
from service.flow.hold import Hold
from service.flow.slots import Slots
from service.flow.tally import Tally
from service.flow.turns import Turns
from service.flow.waits import DeadlinePassed, LeaseLost, Stopping, TooLongHeld

log = structlog.get_logger()

FAULT_RELEASE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Terms:
    """What the operator has decided. Times in seconds; a limit of 0 is learned."""

    home: Home
    max_held: int
    sweep_interval: float
    timeout: float
    visibility_timeout: int
    progress_events: bool
    max_creating: int
    max_total: int
    is_topic_fifo: bool

    @property
    def source(self) -> str:
        """The CloudEvents source: the same for every replica, since together with the id it says what is the same."""
        return f"urn:slipway:{self.home.account}:{self.home.region}"


class Graveyard(Protocol):
    """Where the copy of what could not be understood goes."""

    async def bury(self, outgoing: Outgoing) -> None:
        """Send one message to the dead-letter queue."""


class Queue(Leases, Graveyard, Protocol):
    """The queue, as far as custody needs it: apart from receiving, which has connections of its own."""


class Bedrock(lifecycle.Bedrock, watcher.Lists, Protocol):
    """Everything that is called of Bedrock."""


class Slipway:
    """The daemon without its process: runs until `stop`, and leaves nothing held behind."""

    def __init__(
        self,
        terms: Terms,
        traits: QueueTraits,
        *,
        source: intake.Source,
        queue: Queue,
        topic: Topic,
        bedrock: Bedrock,
        rng: random.Random,
    ) -> None:
        self._terms = terms
        self._traits = traits
        self._queue = queue
        self._rng = rng
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_stopping = False
        self.tally = tally = Tally()
        self.custody = Custody(
            queue,
            lease_seconds=terms.visibility_timeout,
            max_receive_count=traits.max_receive_count,
            rng=rng,
            tally=tally,
        )
        self.intake = intake.Intake(
            source, self.custody, self._begin, max_held=terms.max_held, is_fifo=traits.is_fifo, rng=rng, tally=tally
        )
        self.watcher = watcher.Watcher(
            bedrock,
            interval=terms.sweep_interval,
            rng=rng,
            tally=tally,
            needs_counts=lambda: self.slots.needs_counts(),  # noqa: PLW0108  slots and watcher need each other
            counted=lambda others: self.slots.swept(others),  # noqa: PLW0108  as above
        )
        self.slots = Slots(
            Quota(terms.max_creating, terms.max_total),
            in_creation=lambda: self.watcher.in_flight,
            sweep_soon=self.watcher.sweep_soon,
            tally=tally,
        )
        self.turns = Turns()
        self._announcer = Announcer(topic, is_fifo=terms.is_topic_fifo, rng=rng, tally=tally)
        self._lifecycle = lifecycle.Lifecycle(bedrock, self.slots, self.watcher, rng=rng, tally=tally)

    async def run(self) -> None:
        """Serve the queue until `stop`; return when everything held has been settled or given back."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.custody.run())
            group.create_task(self.watcher.run())
            await self.intake.run()
            while self._tasks:
                await asyncio.wait(self._tasks)
            await self._announcer.drain()
            self.custody.stop()
            self.watcher.stop()

    def stop(self) -> None:
        """Receive nothing new and give back everything held; what is being announced or deleted is finished. Repeatable."""
        if not self.is_stopping:
            log.info("daemon.stopping", held=len(self.custody))
        self.is_stopping = True
        self.intake.stop()
        self.watcher.stop()
        self.custody.hurry()
        for hold in self.custody:
            hold.interrupt(Stopping)

    def hurry(self) -> None:
        """Do not even wait for the long polls in flight."""
        self.stop()
        self.intake.hurry()

    def oldest_seconds(self) -> float:
        """Answer how long ago the oldest request that is held was first received; 0 when none is held."""
        return max((_age(hold) for hold in self.custody), default=0.0)

    def lease_margin(self) -> float:
        """Answer the shortest time in seconds for which a lease still holds; a whole lease when nothing is held."""
        now = asyncio.get_running_loop().time()
        return min((hold.lease_until - now for hold in self.custody), default=float(self._terms.visibility_timeout))

    def _begin(self, hold: Hold) -> None:
        if self.is_stopping:
            hold.interrupt(Stopping)
        task = asyncio.get_running_loop().create_task(self._serve(hold))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, hold: Hold) -> None:
        """Answer one message and settle it. The one place where an exception of any kind ends."""
        settlement: Settlement
        with bound_contextvars(message_id=hold.message.message_id):
            try:
                settlement = Continue() if self._is_last_life(hold) else await self._answer(hold)
            except LeaseLost:
                settlement = Abandon()
            except Stopping:
                settlement = Release()
            except TooLongHeld:
                # Order within a FIFO group would be lost by a new message: there it is received anew instead.
                settlement = Release() if self._traits.is_fifo else Continue()
            except Exception:
                self.tally.faults += 1
                log.exception("request.faulted")
                settlement = Release(FAULT_RELEASE_SECONDS)
            try:
                await self._settle(hold, settlement)
            except Exception:
                self.tally.faults += 1
                log.exception("settlement.faulted")
            finally:
                self.custody.let_go(hold)

    async def _answer(self, hold: Hold) -> Settlement:
        """What becomes of one message: understand, take turns, deploy, announce."""
        try:
            request = understand(hold.message, self._terms.home, self._terms.timeout)
        except Misunderstood as misunderstood:
            return await self._reject(hold, misunderstood)
        hold.what = request.name
        with bound_contextvars(request_id=request.request_id, deployment=request.name):
            log.info("request.accepted", receive_count=hold.message.receive_count, model_arn=request.model_arn)
            async with AsyncExitStack() as turns:
                deadline = hold.loop_time(_times(hold, request).deadline or 0.0)
                tell = self._teller(request, hold)
                tell(Progress.ACCEPTED, None, None)
                await self._take_turns(turns, request, hold, deadline)
                outcome = await self._lifecycle.deploy(request, hold, deadline, tell)
                publication = announce_outcome(request, outcome, _times(hold, request), self._terms.source)
                await self._announcer.announce(publication, hold)
            self._finished(request, outcome, hold, publication.event_id)
        return Done()

    async def _take_turns(self, turns: AsyncExitStack, request: Request, hold: Hold, deadline: float) -> None:
        """Wait for those before this one: of the same FIFO group, and for the same deployment."""
        keys = [f"deployment {request.name}"]
        if self._traits.is_fifo and hold.message.group is not None:
            keys.insert(0, f"group {hold.message.group}")
        # A deadline that passes here is found again, at once, by the lifecycle, which knows what to say of it.
        with suppress(DeadlinePassed), hold.until(deadline):
            for key in keys:
                await turns.enter_async_context(self.turns.turn(key, hold))

    def _teller(self, request: Request, hold: Hold) -> lifecycle.Tell:
        """Answer what announces progress: each kind once, and nothing unless the settings ask for it."""
        told: set[Progress] = set()

        def tell(progress: Progress, reason: Reason | None, message: str | None) -> None:
            if self._terms.progress_events and progress not in told:
                told.add(progress)
                times = _times(hold, request)
                self._announcer.mention(announce_progress(request, progress, times, self._terms.source, reason, message))

        return tell

    async def _reject(self, hold: Hold, misunderstood: Misunderstood) -> Settlement:
        origin = continuations.origin(hold.message)
        publication = announce_rejection(
            origin, misunderstood.request_id, misunderstood.code, misunderstood.reason, _times(hold), self._terms.source
        )
        await self._announcer.announce(publication, hold)
        if self._traits.has_dead_letter_queue:
            await self._bury(hold, misunderstood)
        self.tally.endings["Rejected"] += 1
        log.warning("request.rejected", code=misunderstood.code.value, field=misunderstood.field, reason=misunderstood.reason)
        return Done()

    async def _bury(self, hold: Hold, misunderstood: Misunderstood) -> None:
        """Copy what was rejected to the dead-letter queue, with the reason beside it, for a person to look at."""
        copy = copy_of(hold.message, misunderstood, is_fifo=self._traits.is_fifo)
        troubles = 0
        while True:
            hold.check_lease()
            try:
                return await self._queue.bury(copy)
            except CallFailed as failed:
                troubles += 1
                log.warning("bury.failed", code=failed.code, error=str(failed))
                with hold.because(reason_for(failed), str(failed)):
                    await hold.pause(pause_seconds(troubles, self._rng))

    def _is_last_life(self, hold: Hold) -> bool:
        """The next receive would go to the dead-letter queue: whatever befell the earlier ones, begin a new count."""
        most, count = self._traits.max_receive_count, hold.message.receive_count
        return most is not None and count > 1 and count >= most

    async def _settle(self, hold: Hold, settlement: Settlement) -> None:
        self.tally.settlements[type(settlement).__name__] += 1
        match settlement:
            case Done():
                await self.custody.delete(hold)
            case Abandon():
                pass
            case Release(after=0) if hold.message.receive_count >= (self._traits.max_receive_count or 1 << 62):
                await self._hand_on(hold)
            case Release(after=after):
                await self.custody.release(hold, after)
            case Continue():
                await self._hand_on(hold)

    async def _hand_on(self, hold: Hold) -> None:
        continuation = continuations.write(hold.message, is_fifo=self._traits.is_fifo)
        if await self.custody.hand_on(hold, continuation):
            log.info("request.continued", what=hold.what)
        else:
            log.error("continue.given_up", what=hold.what, remedy="released instead; its receive count goes on")
            await self.custody.release(hold)

    def _finished(self, request: Request, outcome: Outcome, hold: Hold, event_id: str) -> None:
        """The one line that says everything about a request that has ended."""
        times = _times(hold, request)
        seconds = max(0.0, times.now - times.received)
        self.tally.endings[outcome.ending.value] += 1
        self.tally.adoptions += outcome.adopted
        self.tally.request_seconds.add(seconds)
        log.info(
            "request.finished",
            outcome=outcome.ending.value,
            reason=outcome.reason and outcome.reason.value,
            arn=outcome.deployment and outcome.deployment.arn,
            adopted=outcome.adopted,
            receive_count=hold.message.receive_count,
            seconds=round(seconds, 3),
            event_id=event_id,
            error=outcome.message,
        )


def _age(hold: Hold) -> float:
    return max(0.0, hold.now() - continuations.first_received_at(hold.message))


def _times(hold: Hold, request: Request | None = None) -> Times:
    received = continuations.first_received_at(hold.message)
    return Times(hold.now(), received, received + request.timeout if request else None)
