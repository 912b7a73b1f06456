"""Deploy requests: the steps that `core/lifecycle/deploy.py` decides on, carried out."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, Protocol, assert_never

import structlog

from slipway.core.bedrock import Created, ModelState
from slipway.core.call_errors import CallFailed
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
    RunSmokeTest,
    SendContinuation,
    reason_for,
)
from slipway.core.lifecycle.tags import DeploymentTags, wanted_tags
from slipway.core.parsing import client_token
from slipway.core.requests.models import Deploy, Update
from slipway.worker.actions.delete import DeleteBedrock, delete_deployment
from slipway.worker.actions.driver import ActionDriver, Run
from slipway.worker.actions.smoke_test import SmokeTestBedrock, SmokeTester
from slipway.worker.actions.update import UpdateAction
from slipway.worker.kernel.interrupts import Wait
from slipway.worker.kernel.lease import LONG_SECONDS, Lease
from slipway.worker.kernel.retry import ReportProgress, no_progress, timed_out
from slipway.worker.kernel.telemetry import CREATE, Counters
from slipway.worker.scheduling.slots import Slots
from slipway.worker.scheduling.watcher import Watcher

log = structlog.get_logger()

CLOCK_ERROR_SECONDS: Final = 2.0
"""How much AWS's clock, as it is learned from answers, may be wrong."""
_SWEPT: Final = frozenset({Reason.IN_CREATION, Reason.NO_SLOT})

_Step = Observe | GetModel | Create | UseNextToken | Watch | RunSmokeTest | DeleteDeployment | UpdateExisting


class DeployBedrock(DeleteBedrock, SmokeTestBedrock, Protocol):
    """The Bedrock calls of a deploy request. Every wait between attempts goes through `wait`."""

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
        """Create a deployment."""

    async def model_state(self, model_arn: str, *, wait: Wait) -> ModelState:
        """Return whether the model can be deployed."""


class DeployAction(ActionDriver[Deploy, DeployFacts, _Step]):
    """Takes deploy requests to their outcomes."""

    def __init__(
        self,
        bedrock: DeployBedrock,
        slots: Slots,
        watcher: Watcher,
        update_action: UpdateAction,
        *,
        rng: random.Random,
        counters: Counters,
    ) -> None:
        super().__init__(decide, bedrock, rng)
        self._bedrock = bedrock
        self._update_action = update_action
        self._smoke_tester = SmokeTester(bedrock, rng)
        self._slots = slots
        self._watcher = watcher
        self._counters = counters

    def initial_facts(self, lease: Lease) -> DeployFacts:
        """Return what the delivery says. While in doubt, an earlier delivery may have created the deployment."""
        return DeployFacts(
            in_doubt=lease.is_in_doubt,
            received=lease.delivery.first_received_at,
            is_receipt_proven=lease.delivery.is_receipt_proven,
            decisions=lease.delivery.decisions,
        )

    async def act(self, step: _Step, facts: DeployFacts, run: Run[Deploy]) -> DeployFacts | Outcome | SendContinuation:
        """Create, watch, observe, test, update or delete the deployment, or get its model's state."""
        match step:
            case Observe():
                return facts.after_observation(await self._observe(facts, run))
            case Create():
                return await self._create(facts, run)
            case Watch():
                return await self._watch(step, facts, run.lease)
            case RunSmokeTest():
                return await self._run_smoke_test(step, facts, run)
            case DeleteDeployment(arn=arn):
                return facts.after_delete_call(await delete_deployment(self._bedrock, arn, run.lease))
            case UpdateExisting():
                updated = await self._update(run)
                return facts.after_pause() if updated is None else updated
            case GetModel():
                return facts.after_model(await self._bedrock.model_state(run.request.model_arn, wait=run.lease.wait_to_call))
            case UseNextToken():
                log.warning("token.replaced", spent_tokens=facts.spent_tokens + 1)
                return facts.after_spent_token()
        assert_never(step)

    def leave(self, lease: Lease) -> None:
        """Stop watching. Not what was merely observed: another request may wait for the same deployment."""
        if lease.watched is not None:
            self._watcher.forget(lease.watched)

    async def _observe(self, facts: DeployFacts, run: Run[Deploy]) -> Found | NotFound:
        observation = await self.observer.look(run.request.name, run.lease)
        if isinstance(observation, NotFound) and facts.lost_arn is not None:
            return await self.observer.look(facts.lost_arn, run.lease)
        return observation

    async def _run_smoke_test(self, step: RunSmokeTest, facts: DeployFacts, run: Run[Deploy]) -> DeployFacts:
        test = run.request.smoke_test
        if test is None:
            return facts
        result = await self._smoke_tester.test(
            run.request, test, step.arn, run.lease, run.report_progress, is_written=step.is_written
        )
        return facts.after_test(result)

    async def _create(self, facts: DeployFacts, run: Run[Deploy]) -> DeployFacts:
        request, lease, report_progress = run.request, run.lease, run.report_progress
        must_wait = not self._slots.has_room()
        answer: Created | CallFailed
        grant = await self._slots.grant(lease, request, report_progress)
        if grant is None:
            return facts.after_listing()
        with grant:
            if must_wait and facts.in_doubt and (more := await self._observe_again(facts, run)):
                return more
            lease.check()
            try:
                with lease.trace.span(CREATE), report_rate_limit(lease, report_progress):
                    answer = await self._bedrock.create(
                        name=request.name,
                        model_arn=request.model_arn,
                        description=request.description,
                        tags=wanted_tags(request, facts.received, facts.decisions.attempt),
                        token=client_token(request, facts.decisions.attempt - 1, facts.spent_tokens),
                        wait=lease.wait_to_call,
                    )
            except CallFailed as failed:
                answer = failed.with_traceback(None)  # a traceback would hold this frame, which holds the failure
            else:
                lease.arn = lease.watched = answer.arn
                self._watcher.expect(answer.arn, answer.at)
            grant.answer = answer
        if isinstance(answer, Created):
            log.info("deployment.created", arn=answer.arn)
            report_progress(Progress.CREATING, None, None)
        elif answer.may_have_applied:
            self._counters.unknown_answers += 1
            log.warning("create.unknown", reason=answer.code, message=str(answer))
        return facts.after_create(answer)

    async def _update(self, run: Run[Deploy]) -> Outcome | SendContinuation | None:
        """Update the existing deployment to this request's model: its outcome is `Active`. None if it no longer exists."""
        request = run.request
        update = Update(
            identity=request.identity,
            request_id=request.request_id,
            name=request.name,
            timeout=request.timeout,
            target=request.target,
            owner=request.owner,
            model_arn=request.model_arn,
            smoke_test=request.smoke_test,
        )
        match await self._update_action.run(Run(update, run.lease, run.deadline, run.report_progress)):
            case Outcome(reason=Reason.DEPLOYMENT_NOT_FOUND):
                return None
            case Outcome(kind=OutcomeKind.UPDATED) as updated:
                return replace(updated, kind=OutcomeKind.ACTIVE, adopted=True)
            case outcome:
                return outcome

    async def _observe_again(self, facts: DeployFacts, run: Run[Deploy]) -> DeployFacts | None:
        """Return the facts if a deployment appeared during the wait for a slot; None if there is none yet."""
        try:
            observation = await self.observer.look(run.request.name, run.lease)
        except CallFailed:
            return facts.after_pause()
        return facts.after_observation(observation) if isinstance(observation, Found) else None

    async def _watch(self, step: Watch, facts: DeployFacts, lease: Lease) -> DeployFacts:
        lease.arn = lease.watched = step.arn
        with lease.waiting_for(Reason.IN_CREATION, "its deployment is in creation"):
            is_seen = isinstance(facts.observation, Found)
            deployment = await lease.wait(self._watcher.ended(step.arn, step.created_at, is_seen=is_seen))
        is_older = deployment is not None and deployment.created_at < step.created_at - CLOCK_ERROR_SECONDS
        if deployment is None or (facts.created_by_this_delivery and is_older):
            # Bedrock may answer a create with an earlier deployment that is gone, and List may still show that one.
            self._watcher.forget(step.arn)
            lease.watched = None
            return facts.after_missing(step.arn)
        slipway_tags = facts.observation.slipway_tags if isinstance(facts.observation, Found) else DeploymentTags()
        ended_at = deployment.updated_at or lease.now()
        self._counters.creation_seconds.add(max(0.0, ended_at - deployment.created_at))
        return facts.after_watch(deployment, slipway_tags)

    async def at_deadline(self, facts: DeployFacts, run: Run[Deploy]) -> Outcome:
        """Return `TimedOut`, unless a last observation shows that Bedrock has already decided."""
        request, lease = run.request, run.lease
        reason, text = self._slots.why() if lease.why is Reason.NO_SLOT else lease.cause()
        if facts.in_doubt or facts.created_by_this_delivery or isinstance(facts.observation, Found):
            observation = await self.observer.last_observation(request.name, lease)
            if isinstance(observation, str):
                text += observation
            else:
                facts = facts.after_observation(observation)
        last = decide(request, facts)
        if isinstance(last, Finish | SendContinuation):
            return last.outcome if isinstance(last, Finish) else last.outcome_at_deadline
        if reason in _SWEPT and (trouble := self._watcher.last_failure) is not None:
            reason, text = reason_for(trouble), f"{text}; the last sweep failed: {trouble}"
        elif reason is Reason.IN_CREATION and lease.arn is not None and isinstance(facts.observation, NotFound):
            reason, text = Reason.DEPLOYMENT_MISSING, f"{lease.arn} was created, and is no longer found"
        return timed_out(
            request.timeout, reason, text, facts.observation.deployment if isinstance(facts.observation, Found) else None
        )


@contextmanager
def report_rate_limit(lease: Lease, report_progress: ReportProgress) -> Iterator[None]:
    """Within, a create is made. Report that it waits for the rate of calls, if that takes long."""
    if report_progress is no_progress:
        yield
        return

    def report() -> None:
        if lease.why is Reason.THROTTLED:
            report_progress(Progress.WAITING, Reason.THROTTLED, lease.wait_text)

    timer = asyncio.get_running_loop().call_later(LONG_SECONDS, report)
    try:
        yield
    finally:
        timer.cancel()
