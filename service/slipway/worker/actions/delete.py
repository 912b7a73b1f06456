"""One delete request from its first look to its outcome: ask `decide`, do what it says, tell it what came of it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol, assert_never

import structlog

from slipway.core.bedrock.deployments import Deployment
from slipway.core.bedrock.errors import CallFailed
from slipway.core.lifecycle.delete import DeleteFacts, decide
from slipway.core.lifecycle.outcomes import Outcome
from slipway.core.lifecycle.steps import DeleteDeployment, DeleteSent, Finish, Found, NotFound, Observe, Pause
from slipway.core.requests.models import Delete
from slipway.core.sqs import continuations
from slipway.worker.kernel.interrupts import DeadlinePassed, Wait
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.observe import Observer, ObserverBedrock, ReportProgress, timed_out
from slipway.worker.kernel.tracing import DELETE

log = structlog.get_logger()


class DeleteBedrock(ObserverBedrock, Protocol):
    """What deleting calls of Bedrock. Every wait between attempts goes through `wait`."""

    async def delete(self, arn: str, *, wait: Wait) -> None:
        """Delete a deployment. Harmless where there is none, or when repeated."""


async def remove(bedrock: DeleteBedrock, arn: str, lease: Lease) -> DeleteSent | CallFailed:
    """Delete a deployment, for this request; answer what came of it. Raises `Interrupted`, before it is sent."""
    lease.check()
    try:
        with lease.trace.span(DELETE):
            await bedrock.delete(arn, wait=lease.wait_to_call)
    except CallFailed as failed:
        log.info("delete.refused", arn=arn, code=failed.code, error=str(failed))
        return failed
    log.info("deployment.deleted", arn=arn)
    return DeleteSent()


class DeleteAction:
    """Brings delete requests to their outcome, by their deadline."""

    def __init__(
        self, bedrock: DeleteBedrock, *, may_force: bool, rng: random.Random, expired: Mapping[str, Deployment]
    ) -> None:
        self._bedrock = bedrock
        self._may_force = may_force
        self._expired = expired
        """What the reaper has deleted, by ARN: the request to delete it, put on the queue before, comes afterwards."""
        self._looking = Observer(bedrock, rng)

    async def remove(self, request: Delete, lease: Lease, deadline: float, report_progress: ReportProgress) -> Outcome:
        """Answer how the request ended. `deadline` is by the event loop's clock. Raises `Interrupted`."""
        facts = DeleteFacts(
            received=continuations.first_received_at(lease.message),
            in_doubt=lease.is_in_doubt,
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
        step: Observe | DeleteDeployment | Pause,
        request: Delete,
        facts: DeleteFacts,
        lease: Lease,
        report_progress: ReportProgress,
    ) -> DeleteFacts:
        match step:
            case Observe():
                looked = self._looking.look(_identifier(request, facts), lease)
                return await self._looking.ask(
                    looked, lambda observation: self._looked(request, facts, observation, lease), facts, lease
                )
            case DeleteDeployment(arn=arn):
                return facts.after_delete(await remove(self._bedrock, arn, lease))
            case Pause():
                await self._looking.pause(step, facts.failures, lease, report_progress)
                return facts.after_pause()
        assert_never(step)

    def _looked(self, request: Delete, facts: DeleteFacts, observation: Found | NotFound, lease: Lease) -> DeleteFacts:
        if (
            isinstance(observation, NotFound)
            and request.if_expired
            and (expired := self._expired.get(request.name)) is not None
        ):
            facts = replace(facts, target=expired, is_sent=True)
        return facts.after_observation(observation, lease.now())

    async def _at_deadline(self, request: Delete, facts: DeleteFacts, lease: Lease) -> Outcome:
        """The deadline has come: say so, unless a last look shows that it is gone, or never was Slipway's."""
        reason, text = lease.cause()
        observation = await self._looking.last_observation(_identifier(request, facts), lease)
        if isinstance(observation, str):
            return timed_out(request.timeout, reason, text + observation, facts.target)
        last = decide(request, self._looked(request, facts, observation, lease))
        return last.outcome if isinstance(last, Finish) else timed_out(request.timeout, reason, text, facts.target)


def _identifier(request: Delete, facts: DeleteFacts) -> str:
    """By its ARN, once that is known: what is made later under the same name is another deployment."""
    return facts.target.arn if facts.target else request.name
