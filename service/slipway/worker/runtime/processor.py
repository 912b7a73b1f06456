"""What becomes of one message: understand it, take turns, do what it asks, announce, reply."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final

import structlog
from structlog.contextvars import bind_contextvars

from slipway.core.bedrock.errors import CallFailed
from slipway.core.dead_letters import copy_because, copy_of
from slipway.core.diagnostics.status import Finished
from slipway.core.events.publish import (
    Progress,
    Publication,
    Times,
    announce_failure,
    announce_outcome,
    announce_progress,
    announce_rejection,
)
from slipway.core.events.trace_context import traced
from slipway.core.lifecycle.outcomes import WRONG, Continue, Done, Ending, Outcome, PutOff, Reason, Release, Settlement
from slipway.core.lifecycle.steps import HandOn
from slipway.core.parsing.admission import Admission
from slipway.core.parsing.callback_tokens import permitted
from slipway.core.parsing.parse import PipelineStopping, Unmatched
from slipway.core.requests.fields import REQUEST_ID
from slipway.core.requests.models import AnyRequest, Cancel
from slipway.core.requests.targets import DEFAULT
from slipway.core.schema.rejection import Code, Misunderstood
from slipway.core.sqs import continuations
from slipway.core.sqs.lineage import MOST_DELAYS
from slipway.core.sqs.messages import QueueTraits
from slipway.worker.actions.sagemaker_stop import Pipelines
from slipway.worker.kernel.counters import Tally
from slipway.worker.kernel.interrupts import DeadlinePassed
from slipway.worker.kernel.lease import Hold
from slipway.worker.kernel.observe import Tell, in_silence
from slipway.worker.kernel.policy import Terms
from slipway.worker.kernel.tracing import PUBLISH
from slipway.worker.publishing.callbacks import Replies
from slipway.worker.publishing.history import History
from slipway.worker.publishing.publisher import Announcer
from slipway.worker.queue.dead_letter import Burials
from slipway.worker.queue.leases import Custody
from slipway.worker.runtime.capacity import Room
from slipway.worker.runtime.target_runtime import Site
from slipway.worker.scheduling.ordering import Turn, Turns

log = structlog.get_logger()

OLDER_VISIBILITIES: Final = 1.5
"""How many visibility timeouts an older message has to come again, and to be looked into."""


class Answers:
    """Brings each message to its settlement. Read `answer` first."""

    def __init__(  # noqa: PLR0913  all that a message may need
        self,
        terms: Terms,
        traits: QueueTraits,
        custody: Custody,
        *,
        rng: random.Random,
        burials: Burials,
        announcer: Announcer,
        replies: Replies,
        sites: Mapping[str, Site],
        turns: Turns,
        history: History,
        tally: Tally,
    ) -> None:
        self._terms = terms
        self._admission = Admission(
            targets=terms.targets,
            timeout=terms.timeout,
            triggers=terms.triggers,
            reply_to=terms.reply_to,
            permissions=terms.permissions,
            own_sender=terms.own_sender,
        )
        self._traits = traits
        self._burials = burials
        self._announcer = announcer
        self._replies = replies
        self._sites = sites
        self._pipelines = Pipelines(terms, replies, sites[DEFAULT].lives.cancelling)
        self.turns = turns
        self.room = Room(
            custody,
            sites,
            self.turns,
            self._keys,
            max_held=terms.max_held,
            is_fifo=traits.is_fifo,
            rng=rng,
            tally=tally,
        )
        self.history = history
        self._tally = tally

    async def answer(self, hold: Hold) -> Settlement:
        """What becomes of one message: understand, take turns, do what it asks, announce, reply."""
        try:
            request = self._admission.admit(hold.message, continuations.first_sender(hold.message))
        except Misunderstood as misunderstood:
            return await self._reject(hold, misunderstood)
        except Unmatched as unmatched:
            return self._pass_over(unmatched)
        except PipelineStopping as stopping:
            return await self._pipelines.let_stop(stopping, hold)
        hold.request, hold.what = request, request.name
        site = self._sites[request.target]
        bind_contextvars(request_id=request.request_id, deployment=request.name)  # the task's own, and gone with it
        if not self.room.admit(request, hold):
            site.lives.cancelling.overtake(hold)
            return self.room.postpone(request, hold)
        if request.target_shown:
            bind_contextvars(target=request.target_shown)
        log.info(
            "request.accepted",
            action=request.action,
            receive_count=hold.message.receive_count,
            trigger=request.trigger,
            rule=request.rule,
        )
        hold.trace.note(
            request_id=request.request_id,
            action=request.action,
            deployment=request.name,
            target=request.target_shown,
            tenant=request.tenant,
        )
        deadline = hold.loop_time(times_of(hold, request).deadline or 0.0)
        with self._replies.beating(request.asker):
            with suppress(DeadlinePassed), hold.until(deadline):
                await self._let_older_messages_come(hold)
            with self._turn(request, hold) as turn:
                tell = self._teller(request, hold)
                tell(Progress.ACCEPTED, None, None)
                # A deadline that passes here is found again, at once, by the lifecycle, which knows what to say of it.
                with suppress(DeadlinePassed), hold.until(deadline):
                    await turn.come(tell)
                outcome = await site.lives.live(request, hold, deadline, tell)
                if isinstance(outcome, Release | Done):
                    return outcome
                if isinstance(outcome, HandOn):
                    if hold.refused is None:
                        return self._handed_on(outcome, tell)
                    is_tested = outcome.decided.tested is not None
                    outcome = outcome.otherwise if is_tested else _not_continued(outcome.otherwise, hold.refused)
                hold.end()
                if outcome.reason is Reason.NOT_UNDERSTOOD:
                    text = outcome.message or ""
                    reused = Misunderstood(Code.REQUEST_ID_REUSED, text, REQUEST_ID.name, request.request_id, request.asker)
                    return await self._reject(hold, reused)
                asked = replace(request, owner="") if outcome.is_of_former_version else request
                publication = announce_outcome(asked, outcome, times_of(hold, request), site.target.source)
                publication = await self._announce(publication, hold)
                hold.is_announced = True
            await self._replies.reply(request.asker, publication, hold)
        self._finished(request, outcome, hold, publication.event_id)
        return Done()

    async def fail(self, hold: Hold, text: str, *, may_read: bool = True) -> Settlement:
        """End a request that cannot be processed: with an event, a reply and a dead letter.

        What is not understood here by now (`hold.request`) is read only if it may be: that may be what kills its readers.
        """
        asker, is_there = None, False
        if hold.request is None and may_read:
            with suppress(Exception):  # reading it may be what has failed
                try:
                    hold.request = self._admission.admit(hold.message, continuations.first_sender(hold.message))
                except Misunderstood as misunderstood:
                    asker = permitted(misunderstood.asker, self._terms.reply_to)
        origin, request = continuations.origin(hold.message), hold.request
        if not hold.is_announced:
            if request is None:
                publication = announce_failure(origin, text, times_of(hold), self._terms.home.source)
            else:
                outcome = Outcome(Ending.FAILED, Reason.INTERNAL_ERROR, text)
                source = self._sites[request.target].target.source
                publication = announce_outcome(request, outcome, times_of(hold, request), source)
            await self._announce(publication, hold)
            hold.is_announced = True
            self._tally.endings[Ending.FAILED.value] += 1
            if (asker := request.asker if request else asker) is not None:
                with suppress(Exception):  # replying may be what has failed
                    await self._replies.reply(asker, publication, hold)
        if self._traits.has_dead_letter_queue:
            is_there = await self._bury(hold, Reason.INTERNAL_ERROR.value, text)
        log.error("request.given_up", error=text, is_dead_letter=is_there)
        return Done()

    async def give_up_event(self, hold: Hold, text: str) -> Settlement:
        """End a request whose outcome SNS refuses in every form, or for two weeks: the dead letter is all that tells of it.

        Where that is refused, too, it is put off, and ends after two weeks.
        """
        self._tally.events_given_up += 1
        is_there = self._traits.has_dead_letter_queue and await self._bury(hold, "Unpublishable", text)
        log.error("event.given_up", error=text, is_dead_letter=is_there)
        is_over = continuations.lineage(hold.message).delays >= MOST_DELAYS
        return Done() if is_there or is_over else PutOff()

    async def _bury(self, hold: Hold, code: str, text: str) -> bool:
        return await self._burials.bury(copy_because(hold.message, code, text, is_fifo=self._traits.is_fifo), hold)

    async def _announce(self, publication: Publication, hold: Hold) -> Publication:
        """Publish; answer what was published, with its place in the trace where there is one."""
        with hold.trace.span(PUBLISH):
            publication = traced(publication, hold.trace.traceparent)
            await self._announcer.announce(publication, hold)
        return publication

    def _handed_on(self, step: HandOn, tell: Tell) -> Settlement:
        """What was decided is written down, in the message that carries it on, before anything is done about it."""
        otherwise = step.otherwise
        if step.decided.tested is not None:
            return Continue(step.decided)
        if step.decided.failure is None:
            tell(Progress.RETRYING, otherwise.reason, otherwise.message)
        log.info("request.failed_for_now", attempt=otherwise.attempt, error=otherwise.loggable)
        return Continue(step.decided)

    async def _let_older_messages_come(self, hold: Hold) -> None:
        """Before anything is done about what was decided, let the time pass in which the message before could come again.

        Whoever decided may have died before deleting it. It must find what is there still, and decide the same; in line
        behind this one, it would find nothing, and begin anew.
        """
        if not continuations.carried(hold.message).may_delete:
            return
        until = hold.message.first_received_at + OLDER_VISIBILITIES * self._terms.visibility_timeout
        decided = continuations.carried(hold.message).in_words
        with hold.because(Reason.RETRYING, f"{decided}, as soon as its earlier message can no longer come again"):
            await hold.pause(max(0.0, until - hold.now()))

    def _turn(self, request: AnyRequest, hold: Hold) -> Turn:
        """Answer the turn behind those before this one."""
        return self.turns.turn(self._keys(request, hold), hold)

    def _keys(self, request: AnyRequest, hold: Hold) -> list[str]:
        """Answer what it must be alone with: its FIFO group, and its deployment."""
        elsewhere = f" in {request.target_shown}" if request.target_shown else ""  # another one, of the same name
        name = self.history.name_of(request.name) if request.is_by_arn else request.name
        keys = [f"{'cancel' if isinstance(request, Cancel) else 'deployment'} {name}{elsewhere}"]
        if self._traits.is_fifo and hold.message.group is not None:
            keys.insert(0, f"group {hold.message.group}")
        return keys

    def _teller(self, request: AnyRequest, hold: Hold) -> Tell:
        """Answer what announces progress: each kind and reason once, and nothing unless the settings ask for it."""
        if not self._terms.progress_events:
            return in_silence
        told: set[tuple[Progress, Reason | None]] = set()
        site = self._sites[request.target]
        attempt = continuations.carried(hold.message).attempt

        def tell(
            progress: Progress, reason: Reason | None, message: str | None, place: Callable[[], int] | None = None, /
        ) -> None:
            if (progress, reason) not in told:
                told.add((progress, reason))
                prospect = site.outlook.view(hold).of(reason, place() if place else None)
                times = times_of(hold, request)
                source = site.target.source
                publication = announce_progress(request, progress, times, source, reason, message, attempt, prospect)
                self._announcer.mention(traced(publication, hold.trace.traceparent))

        return tell

    def _pass_over(self, unmatched: Unmatched) -> Settlement:
        """An event that asks for nothing: counted, and done with."""
        self._tally.events_unmatched += 1
        log.info("event.unmatched", source=unmatched.source, detail_type=unmatched.detail_type)
        return Done()

    async def _reject(self, hold: Hold, misunderstood: Misunderstood) -> Settlement:
        origin = continuations.origin(hold.message)
        publication = announce_rejection(
            origin, misunderstood.request_id, misunderstood.code, misunderstood.reason, times_of(hold), self._terms.home.source
        )
        hold.trace.note(
            request_id=misunderstood.request_id or origin, outcome=Ending.REJECTED.value, error=misunderstood.reason
        )
        publication = await self._announce(publication, hold)
        await self._replies.reply(permitted(misunderstood.asker, self._terms.reply_to), publication, hold)
        if self._traits.has_dead_letter_queue:
            await self._burials.bury(copy_of(hold.message, misunderstood, is_fifo=self._traits.is_fifo), hold)
        self._tally.endings["Rejected"] += 1
        finished = Finished(
            request_id=misunderstood.request_id or origin,
            message_id=origin,
            outcome=Ending.REJECTED.value,
            event_id=publication.event_id,
            at=hold.now(),
            reason=Reason.NOT_UNDERSTOOD.value,
            text=misunderstood.reason,
        )
        self.history.add(finished, hold)
        log.warning("request.rejected", code=misunderstood.code.value, field=misunderstood.field, reason=misunderstood.reason)
        return Done()

    def _finished(self, request: AnyRequest, outcome: Outcome, hold: Hold, event_id: str) -> None:
        """The one line that says everything about a request that has ended."""
        times = times_of(hold, request)
        seconds = max(0.0, times.now - times.received)
        self._tally.endings[outcome.ending.value] += 1
        self._tally.adoptions += outcome.adopted
        self._tally.request_seconds.add(seconds)
        finished = Finished(
            request_id=request.request_id,
            message_id=continuations.origin(hold.message),
            outcome=outcome.ending.value,
            event_id=event_id,
            at=times.now,
            action=request.action,
            name=request.name,
            target=request.target_shown,
            arn=outcome.deployment.arn if outcome.deployment else None,
            reason=outcome.reason.value if outcome.reason else None,
            text=outcome.message,
        )
        self.history.add(finished, hold)
        hold.trace.note(
            outcome=outcome.ending.value,
            reason=finished.reason,
            arn=finished.arn,
            error=(outcome.message or outcome.ending.value) if outcome.ending in WRONG else None,
        )
        log.info(
            "request.finished",
            outcome=outcome.ending.value,
            reason=outcome.reason and outcome.reason.value,
            arn=outcome.deployment and outcome.deployment.arn,
            adopted=outcome.adopted,
            receive_count=hold.message.receive_count,
            seconds=round(seconds, 3),
            event_id=event_id,
            error=outcome.loggable,
        )


def _not_continued(outcome: Outcome, refused: CallFailed) -> Outcome:
    """Return the outcome of an attempt after which there is no other, because the queue does not take the continuation."""
    text = f"{outcome.message or outcome.ending.value}; not tried again: it cannot be continued in a new message ({refused})"
    return replace(outcome, message=text)


def times_of(hold: Hold, request: AnyRequest | None = None) -> Times:
    """Answer when things happened to what is held, by the queue's own clock."""
    received = continuations.first_received_at(hold.message)
    return Times(hold.now(), received, received + request.timeout if request else None)
