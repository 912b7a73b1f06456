"""Delete requests: the steps that `core/lifecycle/delete.py` decides on, carried out."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Protocol, assert_never

import structlog

from slipway.core.bedrock import Deployment
from slipway.core.call_errors import CallFailed, pause_seconds
from slipway.core.lifecycle.delete import DeleteFacts, decide
from slipway.core.lifecycle.outcomes import Outcome
from slipway.core.lifecycle.steps import DeleteDeployment, DeleteSent, Finish, Found, NotFound, Observe
from slipway.core.requests.models import Delete
from slipway.worker.actions.driver import ActionDriver, Run
from slipway.worker.kernel.interrupts import Wait
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.retry import ObserverBedrock, timed_out
from slipway.worker.kernel.telemetry import DELETE

log = structlog.get_logger()

_NOTE: Final = "A delete that Bedrock has accepted may still finish"
"""The note of a timeout: the deployment may be gone soon."""


class DeleteBedrock(ObserverBedrock, Protocol):
    """The Bedrock calls of a delete request. Every wait between attempts goes through `wait`."""

    async def delete(self, arn: str, *, wait: Wait) -> None:
        """Delete a deployment. Harmless where there is none, or when repeated."""


async def delete_deployment(bedrock: DeleteBedrock, arn: str, lease: Lease) -> DeleteSent | CallFailed:
    """Delete a deployment for this request; return Bedrock's answer. Raises `Interrupted`, before the call is sent."""
    lease.check()
    try:
        with lease.trace.span(DELETE):
            await bedrock.delete(arn, wait=lease.wait_to_call)
    except CallFailed as failed:
        log.info("delete.refused", arn=arn, reason=failed.code, message=str(failed))
        return failed
    log.info("deployment.deleted", arn=arn)
    return DeleteSent()


class DeleteAction(ActionDriver[Delete, DeleteFacts, Observe | DeleteDeployment]):
    """Takes delete requests to their outcomes."""

    def __init__(
        self, bedrock: DeleteBedrock, *, may_force: bool, rng: random.Random, expired: Mapping[str, Deployment]
    ) -> None:
        super().__init__(decide, bedrock, rng)
        self._bedrock = bedrock
        self._may_force = may_force
        self._expired = expired
        """The deployments that the reaper has deleted, by ARN: their delete requests are received later."""

    def initial_facts(self, lease: Lease) -> DeleteFacts:
        """Return what the delivery says."""
        return DeleteFacts(
            received=lease.delivery.first_received_at,
            in_doubt=lease.is_in_doubt,
            may_force=self._may_force,
        )

    async def act(self, step: Observe | DeleteDeployment, facts: DeleteFacts, run: Run[Delete]) -> DeleteFacts:
        """Observe or delete the deployment."""
        match step:
            case Observe():
                observation = await self.observer.look(_identifier(run.request, facts), run.lease)
                return self._after_observation(facts, observation, run)
            case DeleteDeployment(arn=arn):
                return facts.after_delete(await delete_deployment(self._bedrock, arn, run.lease))
        assert_never(step)

    def _after_observation(self, facts: DeleteFacts, observation: Found | NotFound, run: Run[Delete]) -> DeleteFacts:
        request = run.request
        expired = self._expired.get(request.name) if request.if_expired and isinstance(observation, NotFound) else None
        if expired is not None:
            facts = replace(facts, target=expired, is_sent=True)
        return facts.after_observation(observation, run.lease.now())

    async def at_deadline(self, facts: DeleteFacts, run: Run[Delete]) -> Outcome:
        """Return `TimedOut`, unless last observations show that the deployment is gone, or not Slipway's."""
        request, (reason, text) = run.request, run.lease.cause()
        while True:
            observation = await self.observer.last_observation(_identifier(request, facts), run.lease)
            if isinstance(observation, str):
                return timed_out(request.timeout, reason, text + observation, facts.target, note=_NOTE)
            facts = self._after_observation(facts, observation, run)
            last = decide(request, facts)
            if isinstance(last, Finish):
                return last.outcome
            if isinstance(observation, Found):
                return timed_out(request.timeout, reason, text, facts.target, note=_NOTE)
            await run.lease.pause(pause_seconds(facts.absences, self.rng))  # one absence is not believed


def _identifier(request: Delete, facts: DeleteFacts) -> str:
    """Return the ARN, once it is known: a later deployment of the same name is another one."""
    return facts.target.arn if facts.target else request.name
