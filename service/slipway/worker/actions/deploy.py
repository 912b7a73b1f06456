"""One deploy request from its first look to its outcome: ask `decide`, do what it says, tell it what came of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Final, Protocol, assert_never

import structlog

from slipway.core.bedrock.deployments import Created, ModelState
from slipway.core.bedrock.errors import CallFailed
from slipway.core.events.publish import Progress
from slipway.core.lifecycle.deploy import Create, DeployFacts, UpdateExisting, UseNextToken, Watch, decide
from slipway.core.lifecycle.outcomes import Outcome, OutcomeKind, Reason
from slipway.core.lifecycle.steps import (
    DeleteDeployment,
    Finish,
    Found,
    GetModel,
    NotFound,
    Observe,
    Pause,
    RunSmokeTest,
    SendContinuation,
    reason_for,
)
from slipway.core.lifecycle.tags import DeploymentTags, wanted_tags
from slipway.core.parsing.parse import client_token
from slipway.core.requests.models import Deploy, Update
from slipway.core.sqs import continuations
from slipway.worker.actions.delete import DeleteBedrock, remove
from slipway.worker.actions.smoke_test import SmokeTestBedrock, SmokeTester
from slipway.worker.actions.update import UpdateAction
from slipway.worker.kernel.counters import Counters
from slipway.worker.kernel.interrupts import DeadlinePassed, Wait
from slipway.worker.kernel.lease import LONG_SECONDS, Lease
from slipway.worker.kernel.observe import Observer, ReportProgress, no_progress, timed_out
from slipway.worker.kernel.tracing import CREATE
from slipway.worker.scheduling.slots import Slots
from slipway.worker.scheduling.watcher import Watcher

log = structlog.get_logger()

_SWEPT: Final = frozenset({Reason.IN_CREATION, Reason.NO_SLOT})


class DeployBedrock(DeleteBedrock, SmokeTestBedrock, Protocol):
    """What a lifecycle calls of Bedrock. Every wait between attempts goes through `wait`."""

    async def create(
        self,
        *,
        name: str,
        model_arn: str,
        description: str | None,
        tags: Sequence[tuple[str, str]],
        token: str,
        wait: Wait,
    ) -> Created:
        """Begin a deployment."""

    async def model_state(self, model_arn: str, *, wait: Wait) -> ModelState:
        """Answer whether the model can be deployed."""


class DeployAction:
    """Brings requests to their outcome, by their deadline."""

    def __init__(
        self,
        bedrock: DeployBedrock,
        slots: Slots,
        watcher: Watcher,
        updating: UpdateAction,
        *,
        rng: random.Random,
        tally: Counters,
    ) -> None:
        self._bedrock = bedrock
        self._updating = updating
        self._smoke = SmokeTester(bedrock, rng)
        self._slots = slots
        self._watcher = watcher
        self._looking = Observer(bedrock, rng)
        self._tally = tally

    async def deploy(
        self, request: Deploy, lease: Lease, deadline: float, report_progress: ReportProgress
    ) -> Outcome | SendContinuation:
        """Answer how the request ended, or what is to be handed on. `deadline` is by the event loop's clock.

        Raises `Interrupted`.
        """
        # Whoever had the message before, or handed the request on, may have made the deployment already.
        facts = DeployFacts(
            in_doubt=lease.is_in_doubt,
            received=continuations.first_received_at(lease.message),
            is_receipt_proven=continuations.is_receipt_proven(lease.message),
            decisions=continuations.decisions(lease.message),
        )
        try:
            with lease.until(deadline):
                lease.check()
                lease.has_begun = True
                while True:
                    step = decide(request, facts)
                    if isinstance(step, Finish):
                        return step.outcome
                    if isinstance(step, SendContinuation):
                        return step
                    if isinstance(step, UseNextToken):
                        log.warning("token.replaced", spent_tokens=facts.spent_tokens + 1)
                        facts = facts.after_spent_token()
                        continue
                    if isinstance(step, UpdateExisting):
                        updated = await self._update(request, lease, deadline, report_progress)
                        if updated is not None:
                            return updated
                        facts = facts.after_pause()
                        continue
                    facts = await self._take(step, request, facts, lease, report_progress)
        except DeadlinePassed:
            return await self._at_deadline(request, facts, lease)
        finally:
            # Not what was merely looked at: another request may be waiting for the same deployment.
            if lease.watched is not None:
                self._watcher.forget(lease.watched)

    def _take(
        self,
        step: Observe | GetModel | Create | Watch | RunSmokeTest | DeleteDeployment | Pause,
        request: Deploy,
        facts: DeployFacts,
        lease: Lease,
        report_progress: ReportProgress,
    ) -> Awaitable[DeployFacts]:
        """Begin what the step says; answer what will tell what is known then.

        No coroutine: one more would take 0.3 KB for each request that is watched.
        """
        match step:
            case Create():
                return self._create(request, facts, lease, report_progress)
            case RunSmokeTest():
                return self._try_out(step, request, facts, lease, report_progress)
            case DeleteDeployment(arn=arn):
                return self._remove(arn, facts, lease)
            case Watch(arn=arn, created_at=created_at):
                return self._watch(arn, created_at, facts, lease)
            case Observe():
                return self._looking.ask(self._look(request, facts, lease), facts.after_observation, facts, lease)
            case GetModel():
                asked = self._bedrock.model_state(request.model_arn, wait=lease.wait_to_call)
                return self._looking.ask(asked, facts.after_model, facts, lease)
            case Pause():
                return self._pause(step, facts, lease, report_progress)
        assert_never(step)

    async def _look(self, request: Deploy, facts: DeployFacts, lease: Lease) -> Found | NotFound:
        observation = await self._looking.look(request.name, lease)
        if isinstance(observation, NotFound) and facts.lost_arn is not None:
            return await self._looking.look(facts.lost_arn, lease)
        return observation

    async def _try_out(
        self, step: RunSmokeTest, request: Deploy, facts: DeployFacts, lease: Lease, report_progress: ReportProgress
    ) -> DeployFacts:
        test = request.smoke_test
        if test is None:
            return facts
        return facts.after_test(
            await self._smoke.test(request, test, step.arn, lease, report_progress, is_written=step.is_written)
        )

    async def _remove(self, arn: str, facts: DeployFacts, lease: Lease) -> DeployFacts:
        return facts.after_delete_call(await remove(self._bedrock, arn, lease))

    async def _pause(self, step: Pause, facts: DeployFacts, lease: Lease, report_progress: ReportProgress) -> DeployFacts:
        await self._looking.pause(step, facts.failures, lease, report_progress)
        return facts.after_pause()

    async def _create(self, request: Deploy, facts: DeployFacts, lease: Lease, report_progress: ReportProgress) -> DeployFacts:
        must_wait = not self._slots.has_room()
        answer: Created | CallFailed
        grant = await self._slots.grant(lease, request, report_progress)
        if grant is None:
            return facts.after_listing()
        with grant:
            if must_wait and facts.in_doubt and (more := await self._look_again(request, facts, lease)):
                return more
            lease.check()
            try:
                with lease.trace.span(CREATE), RateLimitNotice(lease, report_progress):
                    answer = await self._bedrock.create(
                        name=request.name,
                        model_arn=request.model_arn,
                        description=request.description,
                        tags=wanted_tags(request, facts.received, facts.decisions.attempt),
                        token=client_token(request, facts.decisions.attempt - 1, facts.spent_tokens),
                        wait=lease.wait_to_call,
                    )
            except CallFailed as failed:
                answer = failed
            else:
                lease.arn = lease.watched = answer.arn
                self._watcher.expect(answer.arn, answer.at)
            grant.answer = answer
        if isinstance(answer, Created):
            log.info("deployment.created", arn=answer.arn)
            report_progress(Progress.CREATING, None, None)
        elif answer.may_have_applied:
            self._tally.unknown_answers += 1
            log.warning("create.unknown", code=answer.code, error=str(answer))
        return facts.after_create(answer)

    async def _update(self, request: Deploy, lease: Lease, deadline: float, report_progress: ReportProgress) -> Outcome | None:
        """Let what has the name serve this request's model: that is Active. None where it has gone meanwhile."""
        wanted = Update(
            identity=request.identity,
            request_id=request.request_id,
            name=request.name,
            timeout=request.timeout,
            target=request.target,
            owner=request.owner,
            model_arn=request.model_arn,
            smoke_test=request.smoke_test,
        )
        outcome = await self._updating.update(wanted, lease, deadline, report_progress)
        if outcome.reason is Reason.DEPLOYMENT_NOT_FOUND:
            return None
        return replace(outcome, kind=OutcomeKind.ACTIVE, adopted=True) if outcome.kind is OutcomeKind.UPDATED else outcome

    async def _look_again(self, request: Deploy, facts: DeployFacts, lease: Lease) -> DeployFacts | None:
        """Answer what is known after a wait in line, when that is more than before it; None while still nothing is seen."""
        try:
            observation = await self._looking.look(request.name, lease)
        except CallFailed:
            return facts.after_pause()
        return facts.after_observation(observation) if isinstance(observation, Found) else None

    async def _watch(self, arn: str, created_at: float, facts: DeployFacts, lease: Lease) -> DeployFacts:
        lease.arn = lease.watched = arn
        with lease.waiting_for(Reason.IN_CREATION, "its deployment is in creation"):  # one text for all: 0.14 KB each
            is_seen = isinstance(facts.observation, Found)
            deployment = await lease.wait(self._watcher.ended(arn, created_at, is_seen=is_seen))
        if deployment is None:
            self._watcher.forget(arn)
            lease.watched = None
            return facts.after_missing(arn)
        slipway_tags = facts.observation.slipway_tags if isinstance(facts.observation, Found) else DeploymentTags()
        ended_at = deployment.updated_at or lease.now()
        self._tally.creation_seconds.add(max(0.0, ended_at - deployment.created_at))
        return facts.after_watch(deployment, slipway_tags)

    async def _at_deadline(self, request: Deploy, facts: DeployFacts, lease: Lease) -> Outcome:
        """The deadline has come: say so, unless a last look shows that Bedrock has already decided."""
        reason, text = self._slots.why() if lease.why is Reason.NO_SLOT else lease.cause()
        if facts.in_doubt or facts.created_by_this_delivery or isinstance(facts.observation, Found):
            observation = await self._looking.last_observation(request.name, lease)
            if isinstance(observation, str):
                text += observation
            else:
                facts = facts.after_observation(observation)
        last = decide(request, facts)
        if isinstance(last, Finish | SendContinuation):
            return last.outcome if isinstance(last, Finish) else last.outcome_at_deadline
        if reason in _SWEPT and (trouble := self._watcher.trouble) is not None:
            reason, text = reason_for(trouble), f"{text}; the last sweep failed: {trouble}"
        elif reason is Reason.IN_CREATION and lease.arn is not None and isinstance(facts.observation, NotFound):
            reason, text = Reason.DEPLOYMENT_MISSING, f"{lease.arn} was created, and is no longer found"
        return timed_out(
            request.timeout, reason, text, facts.observation.deployment if isinstance(facts.observation, Found) else None
        )


class RateLimitNotice:
    """Within, a create is made; where its turn is long in coming, it is announced that it waits for the rate of calls."""

    __slots__ = ("_hold", "_tell", "_timer")

    def __init__(self, lease: Lease, report_progress: ReportProgress) -> None:
        self._hold = lease
        self._tell = report_progress
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        if self._tell is not no_progress:
            self._timer = asyncio.get_running_loop().call_later(LONG_SECONDS, self._say)

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _say(self) -> None:
        if self._hold.why is Reason.THROTTLED:
            self._tell(Progress.WAITING, Reason.THROTTLED, self._hold.wait_text)
