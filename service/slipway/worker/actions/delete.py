"""One delete request from its first look to its outcome: ask `decide`, do what it says, tell it what came of it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol, assert_never

import structlog

from slipway.core.bedrock.deployments import Deployment
from slipway.core.bedrock.errors import CallFailed
from slipway.core.lifecycle.delete import Facts, decide
from slipway.core.lifecycle.outcomes import Outcome
from slipway.core.lifecycle.steps import Absent, Ended, Look, Pause, Remove, Seen, Sent
from slipway.core.requests.models import Delete
from slipway.core.sqs import continuations
from slipway.worker.kernel.interrupts import DeadlinePassed, Wait
from slipway.worker.kernel.lease import Hold
from slipway.worker.kernel.observe import Gets, Looking, Tell, timed_out
from slipway.worker.kernel.tracing import DELETE

log = structlog.get_logger()


class Deletes(Gets, Protocol):
    """What deleting calls of Bedrock. Every wait between attempts goes through `wait`."""

    async def delete(self, arn: str, *, wait: Wait) -> None:
        """Delete a deployment. Harmless where there is none, or when repeated."""


async def remove(bedrock: Deletes, arn: str, hold: Hold) -> Sent | CallFailed:
    """Delete a deployment, for this request; answer what came of it. Raises `Interrupted`, before it is sent."""
    hold.check()
    try:
        with hold.trace.span(DELETE):
            await bedrock.delete(arn, wait=hold.wait_to_call)
    except CallFailed as failed:
        log.info("delete.refused", arn=arn, code=failed.code, error=str(failed))
        return failed
    log.info("deployment.deleted", arn=arn)
    return Sent()


class Removing:
    """Brings delete requests to their outcome, by their deadline."""

    def __init__(self, bedrock: Deletes, *, may_force: bool, rng: random.Random, expired: Mapping[str, Deployment]) -> None:
        self._bedrock = bedrock
        self._may_force = may_force
        self._expired = expired
        """What the reaper has deleted, by ARN: the request to delete it, put on the queue before, comes afterwards."""
        self._looking = Looking(bedrock, rng)

    async def remove(self, request: Delete, hold: Hold, deadline: float, tell: Tell) -> Outcome:
        """Answer how the request ended. `deadline` is by the event loop's clock. Raises `Interrupted`."""
        facts = Facts(
            received=continuations.first_received_at(hold.message),
            in_doubt=hold.is_in_doubt,
            may_force=self._may_force,
        )
        try:
            with hold.until(deadline):
                hold.check()
                hold.has_begun = True
                while True:
                    step = decide(request, facts)
                    if isinstance(step, Ended):
                        return step.outcome
                    facts = await self._take(step, request, facts, hold, tell)
        except DeadlinePassed:
            return await self._at_deadline(request, facts, hold)

    async def _take(self, step: Look | Remove | Pause, request: Delete, facts: Facts, hold: Hold, tell: Tell) -> Facts:
        match step:
            case Look():
                looked = self._looking.look(_identifier(request, facts), hold)
                return await self._looking.ask(looked, lambda sight: self._looked(request, facts, sight, hold), facts, hold)
            case Remove(arn=arn):
                return facts.after_delete(await remove(self._bedrock, arn, hold))
            case Pause():
                await self._looking.pause(step, facts.troubles, hold, tell)
                return facts.after_pause()
        assert_never(step)

    def _looked(self, request: Delete, facts: Facts, sight: Seen | Absent, hold: Hold) -> Facts:
        if isinstance(sight, Absent) and request.if_expired and (expired := self._expired.get(request.name)) is not None:
            facts = replace(facts, target=expired, is_sent=True)
        return facts.after_look(sight, hold.now())

    async def _at_deadline(self, request: Delete, facts: Facts, hold: Hold) -> Outcome:
        """The deadline has come: say so, unless a last look shows that it is gone, or never was Slipway's."""
        reason, text = hold.cause()
        sight = await self._looking.last_look(_identifier(request, facts), hold)
        if isinstance(sight, str):
            return timed_out(request.timeout, reason, text + sight, facts.target)
        last = decide(request, self._looked(request, facts, sight, hold))
        return last.outcome if isinstance(last, Ended) else timed_out(request.timeout, reason, text, facts.target)


def _identifier(request: Delete, facts: Facts) -> str:
    """By its ARN, once that is known: what is made later under the same name is another deployment."""
    return facts.target.arn if facts.target else request.name
