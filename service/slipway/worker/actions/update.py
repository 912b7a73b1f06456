"""One update request from its first look to its outcome: ask `decide`, do what it says, tell it what came of it."""

from __future__ import annotations

import random
from typing import Protocol, assert_never

import structlog

from slipway.core.bedrock.deployments import ModelState
from slipway.core.bedrock.errors import CallFailed
from slipway.core.events.publish import Progress
from slipway.core.lifecycle.outcomes import Outcome
from slipway.core.lifecycle.steps import AskModel, Ended, Look, Pause, Poll, Seen, Sent, TryOut
from slipway.core.lifecycle.update import Facts, Mark, SendUpdate, decide
from slipway.core.requests.models import Update
from slipway.core.sqs import continuations
from slipway.worker.actions.smoke_test import Converses, Smoke
from slipway.worker.kernel.interrupts import DeadlinePassed, Wait
from slipway.worker.kernel.lease import Hold
from slipway.worker.kernel.observe import Looking, Tell, timed_out
from slipway.worker.kernel.tracing import UPDATE

log = structlog.get_logger()


class Updates(Converses, Protocol):
    """What updating calls of Bedrock. Every wait between attempts goes through `wait`."""

    async def update(self, arn: str, model_arn: str, *, wait: Wait) -> None:
        """Begin to let a deployment serve another model. Harmless when repeated."""

    async def model_state(self, model_arn: str, *, wait: Wait) -> ModelState:
        """Answer whether the model can be deployed."""


class Updating:
    """Brings update requests to their outcome, by their deadline.

    List does not show updates, so each that is under way costs one Get every `poll_seconds`.
    """

    def __init__(self, bedrock: Updates, *, may_force: bool, poll_seconds: float, rng: random.Random) -> None:
        self._bedrock = bedrock
        self._may_force = may_force
        self._poll_seconds = poll_seconds
        self._rng = rng
        self._looking = Looking(bedrock, rng)
        self._smoke = Smoke(bedrock, rng)

    async def update(self, request: Update, hold: Hold, deadline: float, tell: Tell) -> Outcome:
        """Answer how the request ended. `deadline` is by the event loop's clock. Raises `Interrupted`."""
        facts = Facts(
            received=continuations.first_received_at(hold.message),
            in_doubt=hold.is_in_doubt,
            is_receipt_proved=continuations.is_receipt_proved(hold.message),
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

    async def _take(
        self,
        step: Look | Mark | SendUpdate | Poll | TryOut | AskModel | Pause,
        request: Update,
        facts: Facts,
        hold: Hold,
        tell: Tell,
    ) -> Facts:
        match step:
            case Look():
                return await self._looking.ask(self._looking.look(request.name, hold), facts.after_look, facts, hold)
            case Mark(arn=arn, mark=mark):
                written = self._bedrock.tag(arn, mark.tags, wait=hold.wait_to_call)
                return await self._looking.ask(written, lambda _: facts.after_mark(), facts, hold)
            case SendUpdate(arn=arn, model_arn=model_arn):
                return facts.after_update(model_arn, await self._send(arn, model_arn, hold))
            case Poll():
                return await self._poll(step, request, facts, hold, tell)
            case TryOut(arn=arn) if request.smoke_test is not None:
                return facts.after_test(await self._smoke.test(request, request.smoke_test, arn, hold, tell))
            case TryOut():
                return facts.after_pause()
            case AskModel(model_arn=model_arn):
                asked = self._bedrock.model_state(model_arn or request.model_arn, wait=hold.wait_to_call)
                return await self._looking.ask(asked, facts.after_model, facts, hold)
            case Pause():
                await self._looking.pause(step, facts.troubles, hold, tell)
                return facts.after_pause()
        assert_never(step)

    async def _send(self, arn: str, model_arn: str, hold: Hold) -> Sent | CallFailed:
        hold.check()
        try:
            with hold.trace.span(UPDATE):
                await self._bedrock.update(arn, model_arn, wait=hold.wait_to_call)
        except CallFailed as failed:
            log.info("update.refused", arn=arn, code=failed.code, error=str(failed))
            return failed
        log.info("update.begun", arn=arn, model_arn=model_arn)
        return Sent()

    async def _poll(self, step: Poll, request: Update, facts: Facts, hold: Hold, tell: Tell) -> Facts:
        with hold.because(step.reason, step.message):
            tell(Progress.WAITING, step.reason, step.message)
            await hold.pause(self._poll_seconds * (0.8 + self._rng.random() / 5))
            arn = facts.sight.deployment.arn if isinstance(facts.sight, Seen) else request.name
            return await self._looking.ask(self._bedrock.get(arn, wait=hold.wait_to_call), facts.after_poll, facts, hold)

    async def _at_deadline(self, request: Update, facts: Facts, hold: Hold) -> Outcome:
        """The deadline has come: say so, unless a last look shows that Bedrock has already decided."""
        reason, text = hold.cause()
        there = facts.sight.deployment if isinstance(facts.sight, Seen) else None
        sight = await self._looking.last_look(request.name, hold)
        if isinstance(sight, str):
            return timed_out(request.timeout, reason, text + sight, there)
        last = decide(request, facts.after_look(sight))
        if isinstance(last, Ended):
            return last.outcome
        return timed_out(request.timeout, reason, text, sight.deployment if isinstance(sight, Seen) else there)
