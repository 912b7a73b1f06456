"""Update requests: the steps that `core/lifecycle/update.py` decides on, carried out."""

from __future__ import annotations

import random
from typing import Protocol, assert_never

import structlog

from slipway.core.bedrock import ModelState
from slipway.core.call_errors import CallFailed
from slipway.core.events.publish import Progress
from slipway.core.lifecycle.outcomes import Outcome
from slipway.core.lifecycle.steps import DeleteSent, Finish, Found, GetModel, Observe, Poll, RunSmokeTest
from slipway.core.lifecycle.update import SendUpdate, UpdateFacts, WriteUpdateTag, decide
from slipway.core.requests.models import Update
from slipway.worker.actions.driver import ActionDriver, Run
from slipway.worker.actions.smoke_test import SmokeTestBedrock, SmokeTester
from slipway.worker.kernel.interrupts import Wait
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.retry import timed_out
from slipway.worker.kernel.telemetry import UPDATE

log = structlog.get_logger()

_Step = Observe | WriteUpdateTag | SendUpdate | Poll | RunSmokeTest | GetModel


class UpdateBedrock(SmokeTestBedrock, Protocol):
    """The Bedrock calls of an update request. Every wait between attempts goes through `wait`."""

    async def update(self, arn: str, model_arn: str, *, wait: Wait) -> None:
        """Start an update of a deployment to another model. Harmless when repeated."""

    async def model_state(self, model_arn: str, *, wait: Wait) -> ModelState:
        """Return whether the model can be deployed."""


class UpdateAction(ActionDriver[Update, UpdateFacts, _Step]):
    """Takes update requests to their outcomes.

    List does not show updates, so each update in progress costs one Get every `poll_seconds`.
    """

    def __init__(self, bedrock: UpdateBedrock, *, may_force: bool, poll_seconds: float, rng: random.Random) -> None:
        super().__init__(decide, bedrock, rng)
        self._bedrock = bedrock
        self._may_force = may_force
        self._poll_seconds = poll_seconds
        self._smoke_tester = SmokeTester(bedrock, rng)

    def initial_facts(self, lease: Lease) -> UpdateFacts:
        """Return what the delivery says."""
        return UpdateFacts(
            received=lease.delivery.first_received_at,
            in_doubt=lease.is_in_doubt,
            is_receipt_proven=lease.delivery.is_receipt_proven,
            may_force=self._may_force,
        )

    async def act(self, step: _Step, facts: UpdateFacts, run: Run[Update]) -> UpdateFacts:
        """Observe, tag, update, poll or test the deployment, or get its model's state."""
        request, lease = run.request, run.lease
        match step:
            case Observe():
                return facts.after_observation(await self.observer.look(request.name, lease))
            case WriteUpdateTag(arn=arn, tag=tag):
                await self._bedrock.tag(arn, tag.tags, wait=lease.wait_to_call)
                return facts.after_update_tag()
            case SendUpdate(arn=arn, model_arn=model_arn):
                return facts.after_update(model_arn, await self._send(arn, model_arn, lease))
            case Poll():
                return await self._poll(step, facts, run)
            case RunSmokeTest(arn=arn) if request.smoke_test is not None:
                return facts.after_test(
                    await self._smoke_tester.test(request, request.smoke_test, arn, lease, run.report_progress)
                )
            case RunSmokeTest():
                return facts.after_pause()
            case GetModel(model_arn=model_arn):
                return facts.after_model(
                    await self._bedrock.model_state(model_arn or request.model_arn, wait=lease.wait_to_call)
                )
        assert_never(step)

    async def _send(self, arn: str, model_arn: str, lease: Lease) -> DeleteSent | CallFailed:
        lease.check()
        try:
            with lease.trace.span(UPDATE):
                await self._bedrock.update(arn, model_arn, wait=lease.wait_to_call)
        except CallFailed as failed:
            log.info("update.refused", arn=arn, reason=failed.code, message=str(failed))
            return failed
        log.info("update.begun", arn=arn, model_arn=model_arn)
        return DeleteSent()

    async def _poll(self, step: Poll, facts: UpdateFacts, run: Run[Update]) -> UpdateFacts:
        lease = run.lease
        with lease.waiting_for(step.reason, step.message):
            run.report_progress(Progress.WAITING, step.reason, step.message)
            await lease.pause(self._poll_seconds * (0.8 + self.rng.random() / 5))
        arn = facts.observation.deployment.arn if isinstance(facts.observation, Found) else run.request.name
        return facts.after_poll(await self._bedrock.get(arn, wait=lease.wait_to_call))

    async def at_deadline(self, facts: UpdateFacts, run: Run[Update]) -> Outcome:
        """Return `TimedOut`, unless a last observation shows that the update has ended."""
        request, (reason, text) = run.request, run.lease.cause()
        deployment = facts.observation.deployment if isinstance(facts.observation, Found) else None
        observation = await self.observer.last_observation(request.name, run.lease)
        if isinstance(observation, str):
            return timed_out(request.timeout, reason, text + observation, deployment)
        last = decide(request, facts.after_observation(observation))
        if isinstance(last, Finish):
            return last.outcome
        deployment = observation.deployment if isinstance(observation, Found) else deployment
        return timed_out(request.timeout, reason, text, deployment)
