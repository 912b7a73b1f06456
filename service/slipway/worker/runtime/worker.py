"""The worker: one coroutine for each leased message, start and shutdown.

`processor.py` decides how a message is settled; here its coroutine is started, and its settlement carried out.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

import structlog
from structlog.contextvars import bind_contextvars

from slipway.core.call_errors import CallFailed, Denied, Refused, ResourceMissing, pause_seconds
from slipway.core.lifecycle.outcomes import WAITS, Abandon, Continue, DelayPublication, Done, Reason, Release, Settlement
from slipway.core.requests.models import Cancel
from slipway.core.requests.targets import DEFAULT
from slipway.core.sqs import continuations
from slipway.core.sqs.continuations import (
    LONGEST_DELAY_SECONDS,
    MOST_DEATHS,
    MOST_DELAYS,
    MOST_FAULTS,
    MOST_SECONDS_APART,
    READ_AT_THE_END,
    SECONDS_APART,
    SURVIVAL_SECONDS,
    SUSPICIOUS_DEATHS,
    Decisions,
    Lineage,
    deaths_of,
)
from slipway.core.sqs.messages import QueueTraits
from slipway.worker.actions.cancel import CancelAction
from slipway.worker.kernel.interrupts import Cancelled, ContinuationDue, Displaced, DuplicateMessage, LeaseLost, Stopping
from slipway.worker.kernel.lease import Lease, TracedLease
from slipway.worker.kernel.policy import WorkerPolicy
from slipway.worker.kernel.telemetry import Counters, Tracer
from slipway.worker.publishing.callbacks import CallbackSender, CallbackTargets
from slipway.worker.publishing.publisher import History, Publisher, PublishInterrupted, PublishRefused, Topic
from slipway.worker.queue import intake
from slipway.worker.queue.dead_letter import DeadLetterQueue, DeadLetterSender
from slipway.worker.queue.leases import LeaseCalls, Leases
from slipway.worker.runtime.processor import MessageProcessor, seconds_until_executable, times_of
from slipway.worker.runtime.target_runtime import TargetBedrock, TargetRuntime
from slipway.worker.scheduling.ordering import Copies, RequestOrder
from slipway.worker.scheduling.slots import Slots
from slipway.worker.scheduling.watcher import Watcher

log = structlog.get_logger()

FAULT_PAUSE_SECONDS: Final = 1.0
"""Before the second attempt; five times as long before each further one."""
LONGEST_FAULT_PAUSE_SECONDS: Final = 60.0
_CONTINUE_REMEDY: Final = "raise the queue's MaximumMessageSize, or let Slipway send to it: slipway doctor"
_LEFT_REMEDY: Final = "leased messages are received again after the visibility timeout"
_STOPPING_REMEDY: Final = "the open receive ends within 20 s; a second signal (Ctrl-C) ends the daemon within 4 s"
CONTROL_PLACES: Final = 20
"""How many messages of the control queue are leased at once, in addition to `max_held`; a quarter is reserved, too."""
LONGEST_SHUTDOWN_SECONDS: Final = 24.5
"""A long poll in flight takes at most 20 s. ECS and Kubernetes kill 30 s after SIGTERM."""

HURRIED_SHUTDOWN_SECONDS: Final = 2.0
"""How long calls in flight may still take after a second signal."""


class Queue(LeaseCalls, DeadLetterQueue, Protocol):
    """The queue calls other than receiving, which has connections of its own."""


class Worker:
    """Serves a queue until `stop`, and leaves no message leased."""

    def __init__(  # noqa: PLR0913  everything outside of it
        self,
        policy: WorkerPolicy,
        traits: QueueTraits,
        *,
        source: intake.Source,
        queue: Queue,
        topic: Topic,
        bedrocks: Mapping[str, TargetBedrock],
        callback_targets: CallbackTargets,
        rng: random.Random,
        primary: Worker | None = None,
    ) -> None:
        """Serve one queue; with `primary`, the control queue of that worker, which runs and stops both.

        The two share everything that is about Bedrock, SNS and the order per deployment. What is about messages (leases,
        places, settlements, continuations, dead letters) is with the queue that a message came from.
        """
        if primary is not None:
            policy = replace(policy, max_held=min(CONTROL_PLACES, policy.max_held))
            primary.control = self
        self._primary = primary
        self.control: Worker | None = None
        """The worker of the control queue, if there is one."""
        self._policy = policy
        self._traits = traits
        self._queue = queue
        self._rng = rng
        self._tasks: set[asyncio.Task[None]] = set() if primary is None else primary._tasks  # noqa: SLF001  another one of the same class
        self._shutdown_timeout: asyncio.Timeout | None = None
        self._shutdown_ends_at: float | None = None
        self._vital_tasks: dict[str, asyncio.Task[object]] = {}
        self.has_left_early = False
        """Messages were left leased at shutdown; they are received again."""
        counters = Counters() if primary is None else primary.counters
        self.counters: Counters = counters
        self.leases = Leases(
            queue,
            lease_seconds=policy.visibility_timeout,
            max_held=policy.max_held,
            traits=traits,
            rng=rng,
            counters=counters,
        )
        self._copies = Copies()
        self.intake = intake.Intake(
            source,
            self.leases,
            self._begin,
            max_held=policy.max_held,
            is_fifo=traits.is_fifo,
            verify=lambda message: continuations.without_forged_continuation(
                message, policy.own_sender, has_rules=bool(policy.permissions)
            ),
            rng=rng,
            counters=counters,
        )
        if primary is None:
            self.request_order = RequestOrder()
            self.history = History()
            cancel_action = CancelAction(lambda: self.held_leases, self.history, policy.permissions, rng=rng)
            self.runtimes = {
                name: TargetRuntime(
                    target,
                    bedrocks[name],
                    queue,
                    policy,
                    cancel_action,
                    is_fifo=traits.is_fifo,
                    rng=rng,
                    counters=counters if name == DEFAULT else Counters(),
                )
                for name, target in policy.targets.items()
            }
            self._publisher = Publisher(topic, is_fifo=policy.is_topic_fifo, rng=rng, counters=counters)
            self._callbacks = CallbackSender(
                callback_targets, rng=rng, counters=counters, is_full=lambda: self.leases.places >= policy.max_held
            )
        else:
            self.request_order, self.history, self.runtimes = primary.request_order, primary.history, primary.runtimes
            self._publisher, self._callbacks = primary._publisher, primary._callbacks  # noqa: SLF001  as above
        self._processor = MessageProcessor(
            policy,
            traits,
            self.leases,
            rng=rng,
            dead_letter_sender=DeadLetterSender(queue, rng=rng, counters=counters),
            publisher=self._publisher,
            callbacks=self._callbacks,
            runtimes=self.runtimes,
            request_order=self.request_order,
            history=self.history,
            counters=counters,
        )
        self.intake.when_full = self._processor.capacity.free_one_place

    @property
    def dead_task(self) -> str | None:
        """The name of a task that ended before `stop`; None if all run."""
        dead = (name for name, task in self._vital_tasks.items() if task.done())
        return None if self.is_stopping else next(dead, None)

    @property
    def is_stopping(self) -> bool:
        """Return whether `stop` was called."""
        return (self._primary or self)._shutdown_ends_at is not None  # noqa: SLF001  as above

    @property
    def held_leases(self) -> list[Lease]:
        """Return the leases of all queues."""
        return [lease for each in self.queues for lease in each.leases]

    @property
    def queues(self) -> tuple[Worker, ...]:
        """Return this worker, and that of the control queue if there is one."""
        return (self,) if self.control is None else (self, self.control)

    @property
    def watcher(self) -> Watcher:
        """That of the default target."""
        return self.runtimes[DEFAULT].watcher

    @property
    def slots(self) -> Slots:
        """That of the default target."""
        return self.runtimes[DEFAULT].slots

    def runtime_of(self, lease: Lease) -> TargetRuntime:
        """Return the target runtime of a lease's request; the default one until the request is parsed."""
        return self.runtimes[lease.request.target if lease.request else DEFAULT]

    def slot_positions(self) -> dict[str, int]:
        """Return the queue position, from 1, of each message whose request waits for a slot of its target."""
        return {
            message: position
            for runtime in self.runtimes.values()
            for message, position in runtime.slots.queue_positions().items()
        }

    def trace(self, tracer: Tracer) -> None:
        """Trace every message that is received from now on."""
        for each in self.queues:
            each.leases.make_lease = partial(TracedLease, tracer)

    async def run(self) -> None:
        """Serve the queue until `stop`; return when every message is settled or released, or 24.5 s after `stop`.

        A message that cannot be released by then, because no call to AWS succeeds, stays leased: it is received again after its
        visibility timeout.
        """
        try:
            async with asyncio.timeout_at(self._shutdown_ends_at) as self._shutdown_timeout:
                await self._serve_queue()
        except TimeoutError:
            self.has_left_early = True
            log.warning("daemon.left_early", held=len(self.held_leases), remedy=_LEFT_REMEDY)

    def stop(self) -> None:
        """Receive no more and release every message; publishing and deleting in progress is finished. Safe to repeat."""
        is_first, held = not self.is_stopping, self.held_leases
        if is_first:
            self._shutdown_ends_at = asyncio.get_running_loop().time() + LONGEST_SHUTDOWN_SECONDS
            if self._shutdown_timeout is not None:
                self._shutdown_timeout.reschedule(self._shutdown_ends_at)
        self._stop_watching()
        for each in self.queues:
            each.intake.stop()
            each.leases.begin_shutdown()
        for lease in held:
            lease.interrupt(Stopping)
        if is_first:
            log.info("daemon.stopping", held=len(held), remedy=_STOPPING_REMEDY)

    def shorten_shutdown(self) -> None:
        """Shut down within two seconds, without waiting for the long polls in flight."""
        self.stop()
        for each in self.queues:
            each.intake.shorten_shutdown()
        soon = asyncio.get_running_loop().time() + HURRIED_SHUTDOWN_SECONDS
        self._shutdown_ends_at = min(soon, self._shutdown_ends_at or soon)
        if self._shutdown_timeout is not None:
            self._shutdown_timeout.reschedule(self._shutdown_ends_at)

    def oldest_seconds(self) -> float:
        """Return the seconds since the oldest leased request was first received; 0 if there is none."""
        return max((_age(lease) for lease in self.held_leases), default=0.0)

    def waits(self) -> Counter[Reason]:
        """Return the number of leased requests by what they wait for now."""
        counts: Counter[Reason] = Counter()
        for (_, reason), number in self.waits_by_target().items():
            counts[reason] += number
        return +counts

    def waits_by_target(self) -> Counter[tuple[str, Reason]]:
        """Return the number of leased requests by target and by what they wait for now; 0 for waits that nothing is in."""
        counts = Counter({(name, reason): 0 for name in self.runtimes for reason in WAITS})
        for lease in self.held_leases:
            if lease.why is not None:
                counts[self.runtime_of(lease).target.name, lease.why] += 1
        for name, runtime in self.runtimes.items():
            if (why := runtime.slots.why()[0]) is not Reason.NO_SLOT:
                counts[name, why] += counts[name, Reason.NO_SLOT]
                counts[name, Reason.NO_SLOT] = 0
        return counts

    def lease_margin(self) -> float:
        """Return the seconds until the first lease ends; a whole lease if there is none."""
        now = asyncio.get_running_loop().time()
        return min((lease.lease_until - now for lease in self.held_leases), default=float(self._policy.visibility_timeout))

    async def _serve_queue(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._vital_tasks = {
                "leases": group.create_task(self.leases.run()),
                **{f"target {name}": group.create_task(runtime.run()) for name, runtime in self.runtimes.items()},
                "heartbeats": group.create_task(self._callbacks.run()),
            }
            if self.control is not None:
                self._vital_tasks["leases of the control queue"] = group.create_task(self.control.leases.run())
                self._vital_tasks["control queue"] = group.create_task(self.control.intake.run())
            await self.intake.run()
            if self.control is not None:
                await self._vital_tasks["control queue"]
            while self._tasks:
                await asyncio.wait(self._tasks)
            await self._publisher.drain()
            for each in self.queues:
                each.leases.stop()
            self._stop_watching()
            self._callbacks.stop()

    def _stop_watching(self) -> None:
        for runtime in self.runtimes.values():
            runtime.stop()

    def _begin(self, lease: Lease) -> None:
        if self.is_stopping:
            lease.interrupt(Stopping)
        self._tasks.add(asyncio.get_running_loop().create_task(self._serve(lease)))

    async def _serve(self, lease: Lease) -> None:
        """Process one message and settle it. Every exception ends here.

        If it ends without a settlement, the lease is dropped, the message is received again, and a fault is counted.
        """
        settlement: Settlement | None = None
        is_continued = False
        try:
            bind_contextvars(message_id=lease.message.message_id)  # the task's own, and gone with it
            settlement = await self._settlement(lease)
            is_continued = await self._settle(lease, settlement)
            if lease.refused is not None and not is_continued:
                lease.cancelled = None
                lease.clear(Cancelled)
                lease.clear(ContinuationDue)
                settlement = await self._settlement(lease)
                is_continued = await self._settle(lease, settlement)
        except Exception as fault:
            self.counters.faults += 1
            if _is_of_close(fault):
                raise
            log.exception("settlement.faulted")
        except BaseException as ended:
            if not self.is_stopping:
                self.counters.faults += 1
                log.error("request.cut_off", what=lease.what, message=repr(ended))  # noqa: TRY400  it ended from outside
            raise
        finally:
            self.leases.discard(lease)
            self._copies.discard(lease)
            self._tasks.discard(asyncio.current_task())
            decided = settlement.decisions if isinstance(settlement, Continue) else None
            lease.settled(as_cancelled=is_continued and decided is not None and decided.cancelled is not None)
            lease.trace.end("Fault" if settlement is None else type(settlement).__name__)

    async def _settlement(self, lease: Lease) -> Settlement:
        """Return the settlement of one message. After an unexpected exception it is processed again, a few times."""
        while lease.faults < 2 * MOST_FAULTS:
            try:
                return await self._process(lease)
            except LeaseLost:
                return Abandon()
            except Stopping:
                return Release()
            except Cancelled:
                return Continue(replace(lease.delivery.decisions, cancelled=lease.cancelled))
            except ContinuationDue:
                # A new message would lose the order within a FIFO group, so the message is released instead.
                return Release() if self._traits.is_fifo else Continue()
            except Displaced:
                return Release() if lease.request is None else self._processor.capacity.postpone(lease.request, lease)
            except PublishInterrupted:
                return DelayPublication()
            except Exception as fault:
                if _is_of_close(fault):
                    raise
                self.counters.faults += 1
                log.exception("request.faulted")
                lease.faults += 1
                lease.is_ending = lease.is_announced
        return Release(LONGEST_DELAY_SECONDS)  # even ending it raises

    async def _process(self, lease: Lease) -> Settlement:
        """Process the request once. Raises `Interrupted`, or any exception."""
        try:
            return await self._attempt(lease)
        except DuplicateMessage:
            return self._superseded(lease)
        except PublishRefused as refused:
            return await self._processor.give_up_event(lease, str(refused))
        except PublishInterrupted as failed:
            if lease.delivery.lineage.delays < MOST_DELAYS:
                raise
            return await self._processor.give_up_event(lease, str(failed))

    async def _attempt(self, lease: Lease) -> Settlement:
        """Process the request, unless too many of its consumers have died or raised."""
        # First of all: a message is continued only after the previous one is deleted.
        previous_receipt = lease.delivery.previous_receipt
        is_last = previous_receipt is None or await self.leases.delete_previous(previous_receipt) is None
        if await self._copies.is_superseded(lease):
            return self._superseded(lease)
        if (seconds := self._seconds_to_wait(lease)) > 0:
            return Release(seconds)
        if lease.faults:
            with lease.waiting_for(Reason.INTERNAL_ERROR, "unexpected exception; retrying"):
                await lease.pause(min(LONGEST_FAULT_PAUSE_SECONDS, FAULT_PAUSE_SECONDS * 5 ** (lease.faults - 1)))
        lineage = lease.delivery.lineage
        if (faults := lineage.faults + lease.faults) >= MOST_FAULTS or (lease.is_announced and lease.faults):
            text = f"processing failed {faults} times with an unexpected exception. Report it with the daemon's log"
            return await self._processor.fail(lease, f"internal error: {text}")
        if (deaths := self._deaths(lease)) >= MOST_DEATHS:
            text = (
                f"{deaths} consumers in a row ended while they received or started this request. "
                "Check the daemon's log for crashes and out-of-memory kills"
            )
            left = MOST_DEATHS + READ_AT_THE_END - deaths
            return await self._processor.fail(lease, text, may_read=left > 0, may_reply=left > 1)
        near_max_receives = lease.refused is None and self._traits.should_continue(lease.message.receive_count)
        most = self._traits.max_receive_count or 0
        # Continue at once only after the first death or just before the last receive: a consumer that dies right after sending
        # leaves a copy.
        if is_last and near_max_receives and (deaths <= 1 or self._traits.is_fifo or lease.message.receive_count >= most - 1):
            return Continue(after=self._seconds_apart(deaths))
        if is_last and deaths >= SUSPICIOUS_DEATHS and not self._traits.is_fifo and lease.message.receive_count > 1:
            return Continue(after=self._seconds_apart(deaths))
        loop = asyncio.get_running_loop()
        lease.begun_at = loop.time()
        if near_max_receives or deaths >= SUSPICIOUS_DEATHS:
            loop.call_later(SURVIVAL_SECONDS, self._continue_survivor if is_last else self._retry_delete_previous, lease)
        return await self._processor.process(lease)

    def _retry_delete_previous(self, lease: Lease, failures: int = 1) -> None:
        """Retry the delete of the previous message as long as this one is leased; then continue this one."""
        previous_receipt = lease.delivery.previous_receipt
        if previous_receipt is None or self.is_stopping or not self.leases.is_leased(lease):
            return

        def take(answer: asyncio.Future[CallFailed | None]) -> None:
            if answer.result() is None:
                self._continue_survivor(lease)
            else:
                pause = pause_seconds(failures, self._rng)
                asyncio.get_running_loop().call_later(pause, self._retry_delete_previous, lease, failures + 1)

        self.leases.delete_previous(previous_receipt).add_done_callback(take)

    def _superseded(self, lease: Lease) -> Settlement:
        log.info("message.superseded", message_id=lease.message.message_id, what=lease.what)
        return Done()

    def _continue_survivor(self, lease: Lease) -> None:
        """Continue a request that did not kill its consumer, with a death count of 0; not after its deadline, which ends it."""
        is_late = lease.request is not None and lease.now() >= (times_of(lease, lease.request).deadline or 0.0)
        if not is_late and not lease.is_ending and not self._traits.is_fifo and lease.refused is None:
            lease.interrupt(ContinuationDue)

    def _deaths(self, lease: Lease) -> int:
        message = lease.message
        lineage, most = lease.delivery.lineage, self._policy.visibility_timeout
        since = max(message.first_received_at, lineage.until)
        here = deaths_of(max(1, message.receive_count - bool(lineage.until)), max(0.0, message.received_at - since), most)
        return lineage.deaths + here

    def _seconds_apart(self, deaths: int) -> int:
        """Return a random delay for a continuation, so that it is not received again together with those of its batch.

        FIFO queues cannot delay a single message.
        """
        return 0 if self._traits.is_fifo else self._rng.randint(0, min(MOST_SECONDS_APART, SECONDS_APART * max(0, deaths - 1)))

    def _seconds_to_wait(self, lease: Lease) -> int:
        """Return for how many seconds this message of a FIFO queue is to be released before it is processed."""
        if lease.message.receive_count > 1 or self._traits.max_receive_count == 1 or lease.refused is not None:
            return 0
        seconds = int(lease.delivery.lineage.until - lease.now())
        return min(seconds, LONGEST_DELAY_SECONDS) if self._traits.is_fifo else 0

    async def _settle(self, lease: Lease, settlement: Settlement) -> bool:
        """Carry out a settlement; return whether the request was continued in a new message."""
        self.counters.settlements[type(settlement).__name__] += 1
        match settlement:
            case Done():
                await self.leases.delete(lease)
            case Abandon():
                pass
            case DelayPublication():
                self.counters.put_off += 1
                await self._postpone(lease)
            case Release(after=after) if self._is_last_receive(lease) or self._must_keep_failure_counts(lease, after):
                await self._continue_in_new_message(lease, delay_seconds=after, is_postponed=False, has_survived=after > 0)
            case Release(after=after):
                await self.leases.release(lease, after)
            case Continue(decisions=decisions, after=after):
                return await self._continue_in_new_message(lease, decisions, delay_seconds=after, is_postponed=False)
        return False

    def _is_last_receive(self, lease: Lease) -> bool:
        """Return whether SQS would dead-letter a released message. It may do so if even ending the request raises."""
        most = self._traits.max_receive_count
        return most is not None and lease.message.receive_count >= most and lease.faults < 2 * MOST_FAULTS

    def _must_keep_failure_counts(self, lease: Lease, after: int) -> bool:
        """Return whether the failure counts would be lost or wrong if the message were released for `after` seconds.

        A message that stays hidden this long looks like one whose consumer died, so a continuation records the counts. On a
        FIFO queue this applies only to cancels, which have no order. Not if ending the request raises too: SQS then moves the
        message to the dead-letter queue.
        """
        is_counted = lease.faults > 0 or self._deaths(lease) >= SUSPICIOUS_DEATHS
        has_no_order = not self._traits.is_fifo or (after > 0 and isinstance(lease.request, Cancel))
        return is_counted and lease.faults < 2 * MOST_FAULTS and has_no_order

    async def _postpone(self, lease: Lease) -> None:
        """Continue later in a new message, which takes no place and uses no receive until then.

        FIFO queues cannot delay a single message: there the new message says until when its first consumer must hide it.
        """
        lineage = lease.delivery.lineage
        log.warning("request.put_off", what=lease.what, seconds=lineage.delay_seconds)
        await self._continue_in_new_message(lease, delay_seconds=lineage.delay_seconds)

    async def _continue_in_new_message(
        self,
        lease: Lease,
        decided: Decisions | None = None,
        *,
        delay_seconds: int = 0,
        is_postponed: bool = True,
        has_survived: bool = False,
    ) -> bool:
        if self._copies.is_behind(lease):
            await self.leases.delete(lease)
            return False
        not_before = self._not_before(lease, decided)
        if lease.request is not None and not self._traits.is_fifo:  # FIFO queues cannot delay a single message
            delay_seconds = max(delay_seconds, seconds_until_executable(lease.request, lease, not_before))
        before, now = lease.delivery.lineage, asyncio.get_running_loop().time()
        has_survived = has_survived or (lease.begun_at is not None and now - lease.begun_at >= SURVIVAL_SECONDS)
        lineage = Lineage(
            deaths=0 if has_survived else self._deaths(lease),
            faults=before.faults + lease.faults,
            delays=before.delays + (is_postponed and delay_seconds > 0),
            until=int(lease.now() + delay_seconds) if self._traits.is_fifo and delay_seconds else 0,
        )
        continuation = continuations.write_continuation(
            lease.delivery,
            is_fifo=self._traits.is_fifo,
            new_decisions=decided,
            trace=lease.trace.traceparent,
            lineage=lineage,
            delay_seconds=delay_seconds,
            not_before=not_before,
        )
        failed = await self.leases.send_continuation(lease, continuation)
        if failed is None:
            self._copies.sent(lease, decided)
            log.info("request.continued", what=lease.what)
            await self.leases.delete(lease)
            return True
        is_second = lease.refused is not None
        log.error("continue.given_up", what=lease.what, reason=failed.code, message=str(failed), remedy=_CONTINUE_REMEDY)
        if (
            isinstance(failed, Refused | Denied | ResourceMissing)
            and not is_second
            and not self.is_stopping
            and not lease.is_lost
        ):
            lease.refused = failed
        else:
            await self.leases.release(lease, Lineage(delays=lease.message.receive_count).delay_seconds if is_second else 0)
        return False

    def _not_before(self, lease: Lease, decided: Decisions | None) -> float:
        """Return the earliest time at which the decisions in a continuation may be acted on; 0 if they delete nothing."""
        if decided is not None and decided.allows_delete:
            return lease.now() + continuations.OLDER_VISIBILITIES * self._policy.visibility_timeout
        return lease.delivery.not_before(self._policy.visibility_timeout)


def _age(lease: Lease) -> float:
    return max(0.0, lease.now() - lease.delivery.first_received_at)


def _is_of_close(fault: BaseException) -> bool:
    """Return whether an exception was raised while the coroutine was closed: then it must not await anything."""
    context: BaseException | None = fault
    while context is not None:
        if isinstance(context, GeneratorExit):
            return True
        context = context.__context__
    return False
