"""One update request from its first look to its outcome: ask `decide`, do what it says, tell it what came of it."""

from __future__ import annotations

import random
from typing import Protocol, assert_never

import structlog

from slipway.core.bedrock.deployments import ModelState
from slipway.core.bedrock.errors import CallFailed
from slipway.core.events.publish import Progress
from slipway.core.lifecycle.outcomes import Outcome
from slipway.core.lifecycle.steps import DeleteSent, Finish, Found, GetModel, Observe, Pause, Poll, RunSmokeTest
from slipway.core.lifecycle.update import SendUpdate, UpdateFacts, WriteUpdateTag, decide
from slipway.core.requests.models import Update
from slipway.core.sqs import continuations
from slipway.worker.actions.smoke_test import SmokeTestBedrock, SmokeTester
from slipway.worker.kernel.interrupts import DeadlinePassed, Wait
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.observe import Observer, ReportProgress, timed_out
from slipway.worker.kernel.tracing import UPDATE

log = structlog.get_logger()


class UpdateBedrock(SmokeTestBedrock, Protocol):
    """What updating calls of Bedrock. Every wait between attempts goes through `wait`."""

    async def update(self, arn: str, model_arn: str, *, wait: Wait) -> None:
        """Begin to let a deployment serve another model. Harmless when repeated."""

    async def model_state(self, model_arn: str, *, wait: Wait) -> ModelState:
        """Answer whether the model can be deployed."""


class UpdateAction:
    """Brings update requests to their outcome, by their deadline.

    List does not show updates, so each that is under way costs one Get every `poll_seconds`.
    """

    def __init__(self, bedrock: UpdateBedrock, *, may_force: bool, poll_seconds: float, rng: random.Random) -> None:
        self._bedrock = bedrock
        self._may_force = may_force
        self._poll_seconds = poll_seconds
        self._rng = rng
        self._looking = Observer(bedrock, rng)
        self._smoke = SmokeTester(bedrock, rng)

    async def update(self, request: Update, lease: Lease, deadline: float, report_progress: ReportProgress) -> Outcome:
        """Answer how the request ended. `deadline` is by the event loop's clock. Raises `Interrupted`."""
        facts = UpdateFacts(
            received=continuations.first_received_at(lease.message),
            in_doubt=lease.is_in_doubt,
            is_receipt_proven=continuations.is_receipt_proven(lease.message),
            may_force=self._may_force,
        )
        try:
            with lease.until(deadline):
                lease.check()
                lease.has_begun = True
                while True:
                    step = decide(request, facts)
                    if isinstance(step, Finish):
                        return step.outcome
                    facts = await self._take(step, request, facts, lease, report_progress)
        except DeadlinePassed:
            return await self._at_deadline(request, facts, lease)

    async def _take(
        self,
        step: Observe | WriteUpdateTag | SendUpdate | Poll | RunSmokeTest | GetModel | Pause,
        request: Update,
        facts: UpdateFacts,
        lease: Lease,
        report_progress: ReportProgress,
    ) -> UpdateFacts:
        match step:
            case Observe():
                return await self._looking.ask(self._looking.look(request.name, lease), facts.after_observation, facts, lease)
            case WriteUpdateTag(arn=arn, tag=tag):
                written = self._bedrock.tag(arn, tag.tags, wait=lease.wait_to_call)
                return await self._looking.ask(written, lambda _: facts.after_update_tag(), facts, lease)
            case SendUpdate(arn=arn, model_arn=model_arn):
                return facts.after_update(model_arn, await self._send(arn, model_arn, lease))
            case Poll():
                return await self._poll(step, request, facts, lease, report_progress)
            case RunSmokeTest(arn=arn) if request.smoke_test is not None:
                return facts.after_test(await self._smoke.test(request, request.smoke_test, arn, lease, report_progress))
            case RunSmokeTest():
                return facts.after_pause()
            case GetModel(model_arn=model_arn):
                asked = self._bedrock.model_state(model_arn or request.model_arn, wait=lease.wait_to_call)
                return await self._looking.ask(asked, facts.after_model, facts, lease)
            case Pause():
                await self._looking.pause(step, facts.failures, lease, report_progress)
                return facts.after_pause()
        assert_never(step)

    async def _send(self, arn: str, model_arn: str, lease: Lease) -> DeleteSent | CallFailed:
        lease.check()
        try:
            with lease.trace.span(UPDATE):
                await self._bedrock.update(arn, model_arn, wait=lease.wait_to_call)
        except CallFailed as failed:
            log.info("update.refused", arn=arn, code=failed.code, error=str(failed))
            return failed
        log.info("update.begun", arn=arn, model_arn=model_arn)
        return DeleteSent()

    async def _poll(
        self, step: Poll, request: Update, facts: UpdateFacts, lease: Lease, report_progress: ReportProgress
    ) -> UpdateFacts:
        with lease.waiting_for(step.reason, step.message):
            report_progress(Progress.WAITING, step.reason, step.message)
            await lease.pause(self._poll_seconds * (0.8 + self._rng.random() / 5))
            arn = facts.observation.deployment.arn if isinstance(facts.observation, Found) else request.name
            return await self._looking.ask(self._bedrock.get(arn, wait=lease.wait_to_call), facts.after_poll, facts, lease)

    async def _at_deadline(self, request: Update, facts: UpdateFacts, lease: Lease) -> Outcome:
        """The deadline has come: say so, unless a last look shows that Bedrock has already decided."""
        reason, text = lease.cause()
        there = facts.observation.deployment if isinstance(facts.observation, Found) else None
        observation = await self._looking.last_observation(request.name, lease)
        if isinstance(observation, str):
            return timed_out(request.timeout, reason, text + observation, there)
        last = decide(request, facts.after_observation(observation))
        if isinstance(last, Finish):
            return last.outcome
        return timed_out(request.timeout, reason, text, observation.deployment if isinstance(observation, Found) else there)
