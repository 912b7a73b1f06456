"""Process a leased message until its settlement: parse, wait for earlier requests, act, publish, send callbacks."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

import structlog
from structlog.contextvars import bind_contextvars

from slipway.core.call_errors import CallFailed
from slipway.core.dead_letters import dead_letter_copy, rejected_copy
from slipway.core.diagnostics.status import FinishedRequest
from slipway.core.events.publish import (
    Progress,
    Publication,
    Times,
    announce_failure,
    announce_outcome,
    announce_progress,
    announce_rejection,
)
from slipway.core.events.trace_context import with_trace
from slipway.core.lifecycle.outcomes import (
    UNSUCCESSFUL,
    Continue,
    DelayPublication,
    Done,
    Outcome,
    OutcomeKind,
    Reason,
    Release,
    Settlement,
)
from slipway.core.lifecycle.steps import SendContinuation
from slipway.core.parsing import Admission, NoMatchingTrigger, PipelineStopping
from slipway.core.requests.envelopes import permitted_reply_target
from slipway.core.requests.fields import REQUEST_ID
from slipway.core.requests.models import AnyRequest, Cancel, Deploy, Update
from slipway.core.requests.targets import DEFAULT
from slipway.core.schema.rejection import RejectionCode, RequestRejected
from slipway.core.sqs.continuations import LONGEST_DELAY_SECONDS, MOST_DELAYS
from slipway.core.sqs.messages import QueueTraits
from slipway.worker.actions.cancel import PipelineStops
from slipway.worker.kernel.interrupts import DeadlinePassed, Interrupted
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.policy import WorkerPolicy
from slipway.worker.kernel.retry import ReportProgress, no_progress
from slipway.worker.kernel.telemetry import PUBLISH, Counters
from slipway.worker.publishing.callbacks import CallbackSender
from slipway.worker.publishing.publisher import History, Publisher
from slipway.worker.queue.dead_letter import DeadLetterSender
from slipway.worker.queue.leases import Leases
from slipway.worker.runtime.capacity import Capacity
from slipway.worker.runtime.target_runtime import TargetRuntime
from slipway.worker.scheduling.ordering import OrderPosition, RequestOrder

log = structlog.get_logger()


class MessageProcessor:
    """Takes each message to its settlement. `process` is the main path."""

    def __init__(  # noqa: PLR0913  all that a message may need
        self,
        policy: WorkerPolicy,
        traits: QueueTraits,
        leases: Leases,
        *,
        rng: random.Random,
        dead_letter_sender: DeadLetterSender,
        publisher: Publisher,
        callbacks: CallbackSender,
        runtimes: Mapping[str, TargetRuntime],
        request_order: RequestOrder,
        history: History,
        counters: Counters,
    ) -> None:
        self._policy = policy
        self._admission = Admission(
            targets=policy.targets,
            timeout=policy.timeout,
            triggers=policy.triggers,
            reply_to=policy.reply_to,
            permissions=policy.permissions,
            own_sender=policy.own_sender,
        )
        self._traits = traits
        self._dead_letter_sender = dead_letter_sender
        self._publisher = publisher
        self._callbacks = callbacks
        self._runtimes = runtimes
        self._pipeline_stops = PipelineStops(policy, callbacks, runtimes[DEFAULT].actions.cancel_action)
        self.request_order = request_order
        self.capacity = Capacity(
            leases,
            runtimes,
            self.request_order,
            self._keys,
            max_held=policy.max_held,
            is_fifo=traits.is_fifo,
            rng=rng,
            counters=counters,
        )
        self.history = history
        self._counters = counters

    async def process(self, lease: Lease) -> Settlement:
        """Process one message and return its settlement. Raises `Interrupted`, `PublishRefused` and `PublishInterrupted`."""
        try:
            request = self._admission.admit(lease.delivery, lease.delivery.first_sender)
        except RequestRejected as rejected:
            return await self._reject(lease, rejected)
        except NoMatchingTrigger as unmatched:
            return self._ignore_event(unmatched)
        except PipelineStopping as stopping:
            return await self._pipeline_stops.stop(stopping, lease)
        lease.request, lease.what = request, request.name
        runtime = self._runtimes[request.target]
        bind_contextvars(request_id=request.request_id, deployment=request.name)  # the task's own, and gone with it
        if (given_back := self._give_back(request, lease, runtime)) is not None:
            return given_back
        if request.target_label:
            bind_contextvars(target=request.target_label)
        log.info(
            "request.accepted",
            action=request.action,
            receive_count=lease.message.receive_count,
            trigger=request.trigger,
            rule=request.rule,
        )
        lease.trace.note(
            request_id=request.request_id,
            action=request.action,
            deployment=request.name,
            target=request.target_label,
            tenant=request.tenant,
        )
        deadline = lease.loop_time(times_of(lease, request).deadline or 0.0)
        with self._callbacks.heartbeats(request.reply_target):
            with suppress(DeadlinePassed), lease.until(deadline):
                await self._wait_for_earlier_messages(lease)
            with self._order_position(request, lease) as position:
                report_progress = self._progress_reporter(request, lease)
                report_progress(Progress.ACCEPTED, None, None)
                # If the deadline passes here, `run` below notices that at once and returns the outcome.
                with suppress(DeadlinePassed), lease.until(deadline):
                    await position.wait_until_first(report_progress)
                outcome = await runtime.actions.run(request, lease, deadline, report_progress)
                if isinstance(outcome, Release | Done):
                    return outcome
                if isinstance(outcome, SendContinuation):
                    if lease.refused is None:
                        return self._continue(outcome, report_progress)
                    is_tested = outcome.decisions.tested is not None
                    outcome = (
                        outcome.outcome_at_deadline if is_tested else _not_continued(outcome.outcome_at_deadline, lease.refused)
                    )
                lease.end()
                if outcome.reason is Reason.NOT_UNDERSTOOD:
                    text = outcome.message or ""
                    reused = RequestRejected(
                        RejectionCode.REQUEST_ID_REUSED, text, REQUEST_ID.name, request.request_id, request.reply_target
                    )
                    return await self._reject(lease, reused)
                publication = announce_outcome(
                    _as_announced(request, outcome), outcome, times_of(lease, request), runtime.target.source
                )
                publication = await self._announce(publication, lease)
                lease.is_announced = True
            await self._callbacks.reply(request.reply_target, publication, lease)
        self._record_end(request, outcome, lease, publication.event_id)
        return Done()

    async def fail(self, lease: Lease, text: str, *, may_read: bool = True, may_reply: bool = True) -> Settlement:
        """End a request that cannot be processed, with an event, a callback and a dead letter.

        Publish the outcome that Bedrock shows, if any: an earlier consumer may have published it and died before the delete.
        `may_read=False`: do not parse the message, because parsing may crash the consumer. `may_reply=False`: do not send the
        reply, for the same reason.
        """
        reply_target, is_there = None, False
        if lease.request is None and may_read:
            with suppress(Exception):  # parsing may be what failed
                try:
                    lease.request = self._admission.admit(lease.delivery, lease.delivery.first_sender)
                except RequestRejected as rejected:
                    reply_target = permitted_reply_target(rejected.reply_target, self._policy.reply_to)
        origin, request = lease.delivery.origin, lease.request
        if not lease.is_announced:
            if request is None:
                publication = announce_failure(origin, text, times_of(lease), self._policy.home.source)
                self._counters.endings[OutcomeKind.FAILED.value] += 1
            else:
                reply_target = request.reply_target
                outcome = await self._outcome_shown(request, lease) or Outcome(OutcomeKind.FAILED, Reason.INTERNAL_ERROR, text)
                lease.end()
                source = self._runtimes[request.target].target.source
                publication = announce_outcome(_as_announced(request, outcome), outcome, times_of(lease, request), source)
                self._runtimes[request.target].counters.endings[outcome.kind.value] += 1
            await self._announce(publication, lease)
            lease.is_announced = True
            if reply_target is not None and may_reply:
                with suppress(Exception):  # the reply may be what failed
                    await self._callbacks.reply(reply_target, publication, lease)
        if self._traits.has_dead_letter_queue:
            is_there = await self._send_dead_letter(lease, Reason.INTERNAL_ERROR.value, text)
        log.error("request.given_up", message=text, is_dead_letter=is_there)
        return Done()

    async def _outcome_shown(self, request: AnyRequest, lease: Lease) -> Outcome | None:
        """Return the outcome that one observation of Bedrock shows, as at a deadline; None if it shows none, or fails."""
        if isinstance(request, Cancel):
            return None
        now = asyncio.get_running_loop().time()
        try:
            outcome = await self._runtimes[request.target].actions.run(request, lease, now, no_progress)
        except Interrupted:
            raise
        except Exception:
            self._counters.faults += 1  # as before: that is why it is given up
            log.exception("request.faulted")
            return None
        is_known = isinstance(outcome, Outcome) and outcome.kind not in {OutcomeKind.TIMED_OUT, OutcomeKind.REJECTED}
        return outcome if isinstance(outcome, Outcome) and is_known else None

    async def give_up_event(self, lease: Lease, text: str) -> Settlement:
        """End a request whose event SNS refuses, or has not accepted for two weeks.

        Only a copy in the dead-letter queue reports it. If that copy is refused too, retry for up to two weeks, then delete the
        message.
        """
        self._counters.events_given_up += 1
        is_there = self._traits.has_dead_letter_queue and await self._send_dead_letter(lease, "Unpublishable", text)
        log.error("event.given_up", message=text, is_dead_letter=is_there)
        is_over = lease.delivery.lineage.delays >= MOST_DELAYS
        return Done() if is_there or is_over else DelayPublication()

    async def _send_dead_letter(self, lease: Lease, code: str, text: str) -> bool:
        return await self._dead_letter_sender.send_dead_letter(
            dead_letter_copy(lease.message, code, text, is_fifo=self._traits.is_fifo), lease
        )

    async def _announce(self, publication: Publication, lease: Lease) -> Publication:
        """Publish an event; return it with its trace context, if there is one."""
        with lease.trace.span(PUBLISH):
            publication = with_trace(publication, lease.trace.traceparent)
            await self._publisher.publish_until_done(publication, lease)
        return publication

    def _continue(self, step: SendContinuation, report_progress: ReportProgress) -> Settlement:
        """Return the settlement that writes the decisions into a continuation, before they are acted on."""
        otherwise = step.outcome_at_deadline
        if step.decisions.tested is not None:
            return Continue(step.decisions)
        if step.decisions.failure is None:
            report_progress(Progress.RETRYING, otherwise.reason, otherwise.message)
        log.info("request.failed_for_now", attempt=otherwise.attempt, message=otherwise.log_message)
        return Continue(step.decisions)

    def _give_back(self, request: AnyRequest, lease: Lease, runtime: TargetRuntime) -> Settlement | None:
        """Return the settlement of a request that must not take a place now; None if it is processed now."""
        if (seconds := seconds_until_executable(request, lease, self._not_before(lease))) > 0:
            if lease.delivery.decisions.cancelled is None:
                runtime.actions.cancel_action.apply_pending_cancel(lease)
            return Release(seconds)
        if not self.capacity.admit(request, lease):
            runtime.actions.cancel_action.apply_pending_cancel(lease)
            return self.capacity.postpone(request, lease)
        return None

    async def _wait_for_earlier_messages(self, lease: Lease) -> None:
        """Wait until the decisions of the continuation may be acted on."""
        seconds = self._not_before(lease) - lease.now()
        if seconds > 0:
            decided = lease.delivery.decisions.description
            with lease.waiting_for(Reason.RETRYING, f"{decided} once the previous message can no longer be received"):
                await lease.pause(seconds)

    def _not_before(self, lease: Lease) -> float:
        return lease.delivery.not_before(self._policy.visibility_timeout)

    def _order_position(self, request: AnyRequest, lease: Lease) -> OrderPosition:
        """Return the request's position in the order."""
        return self.request_order.position(self._keys(request, lease), lease)

    def _keys(self, request: AnyRequest, lease: Lease) -> list[str]:
        """Return the keys of the request order: the FIFO group and the deployment."""
        elsewhere = f" in {request.target_label}" if request.target_label else ""  # another one, of the same name
        name = self.history.name_of(request.name) if request.is_by_arn else request.name
        keys = [f"{'cancel' if isinstance(request, Cancel) else 'deployment'} {name}{elsewhere}"]
        if self._traits.is_fifo and lease.message.group is not None:
            keys.insert(0, f"group {lease.message.group}")
        return keys

    def _progress_reporter(self, request: AnyRequest, lease: Lease) -> ReportProgress:
        """Return a function that publishes each kind and reason of progress once, or nothing if progress events are off."""
        if not self._policy.progress_events:
            return no_progress
        reported: set[tuple[Progress, Reason | None]] = set()
        runtime = self._runtimes[request.target]
        attempt = lease.delivery.decisions.attempt

        def report_progress(
            progress: Progress, reason: Reason | None, message: str | None, position: Callable[[], int] | None = None, /
        ) -> None:
            if (progress, reason) not in reported:
                reported.add((progress, reason))
                prospect = runtime.outlook.view(lease).of(reason, position() if position else None)
                times = times_of(lease, request)
                source = runtime.target.source
                arn = lease.arn if progress is Progress.CREATING else None
                publication = announce_progress(request, progress, times, source, reason, message, attempt, prospect, arn)
                self._publisher.publish_best_effort(with_trace(publication, lease.trace.traceparent))

        return report_progress

    def _ignore_event(self, unmatched: NoMatchingTrigger) -> Settlement:
        """Count an upstream event that no trigger matches."""
        self._counters.events_unmatched += 1
        log.info("event.unmatched", source=unmatched.source, detail_type=unmatched.detail_type)
        return Done()

    async def _reject(self, lease: Lease, rejected: RequestRejected) -> Settlement:
        origin = lease.delivery.origin
        publication = announce_rejection(
            origin, rejected.request_id, rejected.code, rejected.reason, times_of(lease), self._policy.home.source
        )
        lease.trace.note(request_id=rejected.request_id or origin, outcome=OutcomeKind.REJECTED.value, error=rejected.reason)
        publication = await self._announce(publication, lease)
        await self._callbacks.reply(permitted_reply_target(rejected.reply_target, self._policy.reply_to), publication, lease)
        if self._traits.has_dead_letter_queue:
            await self._dead_letter_sender.send_dead_letter(
                rejected_copy(lease.message, rejected, is_fifo=self._traits.is_fifo), lease
            )
        self._counters.endings["Rejected"] += 1
        finished = FinishedRequest(
            request_id=rejected.request_id or origin,
            message_id=origin,
            outcome=OutcomeKind.REJECTED.value,
            event_id=publication.event_id,
            at=lease.now(),
            reason=Reason.NOT_UNDERSTOOD.value,
            text=rejected.reason,
        )
        self.history.add(finished, lease)
        log.warning("request.rejected", reason=rejected.code.value, field=rejected.field, message=rejected.reason)
        return Done()

    def _record_end(self, request: AnyRequest, outcome: Outcome, lease: Lease, event_id: str) -> None:
        """Record a finished request: history, counters, trace and one log line."""
        times = times_of(lease, request)
        seconds = max(0.0, times.now - times.received)
        counters = self._runtimes[request.target].counters
        counters.endings[outcome.kind.value] += 1
        self._counters.adoptions += outcome.adopted
        counters.request_seconds.add(seconds)
        finished = FinishedRequest(
            request_id=request.request_id,
            message_id=lease.delivery.origin,
            outcome=outcome.kind.value,
            event_id=event_id,
            at=times.now,
            action=request.action,
            name=request.name,
            target=request.target_label,
            arn=outcome.deployment.arn if outcome.deployment else None,
            reason=outcome.reason.value if outcome.reason else None,
            text=outcome.message,
        )
        self.history.add(finished, lease)
        lease.trace.note(
            outcome=outcome.kind.value,
            reason=finished.reason,
            arn=finished.arn,
            error=(outcome.log_message or outcome.kind.value) if outcome.kind in UNSUCCESSFUL else None,
        )
        log.info(
            "request.finished",
            outcome=outcome.kind.value,
            action=request.action,
            target=request.target,
            tenant=request.tenant,
            model=request.model_arn if isinstance(request, Deploy | Update) else None,
            reason=outcome.reason and outcome.reason.value,
            arn=outcome.deployment and outcome.deployment.arn,
            adopted=outcome.adopted,
            receive_count=lease.message.receive_count,
            seconds=round(seconds, 3),
            event_id=event_id,
            message=outcome.log_message,
        )


def _as_announced(request: AnyRequest, outcome: Outcome) -> AnyRequest:
    """Return the request for its event: for a deployment that a former version created, with the event id of that version."""
    return replace(request, owner="") if outcome.is_of_former_version else request


def _not_continued(outcome: Outcome, refused: CallFailed) -> Outcome:
    """Return the outcome of a last attempt, if the queue refuses the continuation for another one."""
    text = f"{outcome.message or outcome.kind.value}; no further attempt: the queue refused the continuation ({refused})"
    return replace(outcome, message=text)


def times_of(lease: Lease, request: AnyRequest | None = None) -> Times:
    """Return the times of a leased request by the queue's clock."""
    received = lease.delivery.first_received_at
    return Times(lease.now(), received, received + request.timeout if request else None)


def seconds_until_executable(request: AnyRequest, lease: Lease, not_before: float) -> int:
    """Return the seconds for which a message is hidden, and takes no place, until its decisions may be executed.

    Return 0 if a Step Functions task expects heartbeats, which are sent only for leased messages.
    """
    if request.reply_target.task_token is not None:
        return 0
    until = min(not_before, times_of(lease, request).deadline or 0.0)
    return max(0, min(LONGEST_DELAY_SECONDS, math.ceil(until - lease.now())))
