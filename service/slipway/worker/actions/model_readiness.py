"""Before a model is deployed that may still be on its way: find out which it is, and wait until it is Active."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from slipway.core.bedrock.deployments import ModelState
from slipway.core.lifecycle.model_job import Job, Known, decide_model
from slipway.core.lifecycle.outcomes import Outcome, Reason
from slipway.core.lifecycle.steps import Ended, Pause
from slipway.core.requests.models import Deploy
from slipway.worker.kernel.interrupts import DeadlinePassed, Wait
from slipway.worker.kernel.lease import Hold
from slipway.worker.kernel.observe import Gets, Looking, Tell


class Makers(Gets, Protocol):
    """What is asked of Bedrock about models, and the jobs that make them."""

    async def job(self, identifier: str, *, wait: Wait) -> Job | None:
        """Answer the customization job of this ARN or name; None when there is none."""

    async def model_state(self, model_arn: str, *, wait: Wait) -> ModelState:
        """Answer whether the model can be deployed."""


class Models:
    """Waits for models, by their requests' deadlines."""

    def __init__(self, bedrock: Makers, *, rng: random.Random) -> None:
        self._bedrock = bedrock
        self._looking = Looking(bedrock, rng)

    async def ready(self, request: Deploy, hold: Hold, deadline: float, tell: Tell) -> Deploy | Outcome:
        """Answer the request, with its model known and Active; or how it ended, where there will be none.

        `deadline` is by the event loop's clock. One that passes leaves the request as far as it has come: what is to be
        said of it then, the lifecycle knows. Raises `Interrupted`.
        """
        if not request.should_ask_model:
            return request
        with suppress(DeadlinePassed), hold.until(deadline):
            hold.check()
            if request.customization_job is not None:
                found = await self._from_job(request.customization_job, hold, tell)
                if isinstance(found, Ended):
                    return found.outcome
                request = replace(request, model_arn=found.model_arn)
            await self._become_active(request.model_arn, hold, tell)
        return request

    async def _from_job(self, identifier: str, hold: Hold, tell: Tell) -> Known | Ended:
        troubles = 0
        while True:
            job = await self._looking.insist(lambda: self._bedrock.job(identifier, wait=hold.wait_to_call), hold)
            step = decide_model(identifier, job)
            if not isinstance(step, Pause):
                return step
            await self._looking.pause(step, troubles, hold, tell)
            troubles += 1

    async def _become_active(self, model_arn: str, hold: Hold, tell: Tell) -> None:
        """Wait while the model is in creation. What else it may be is for the create to find out."""
        step = Pause(Reason.MODEL_NOT_ACTIVE, f"{model_arn} is not Active yet")
        troubles = 0
        while True:
            state = await self._looking.insist(lambda: self._bedrock.model_state(model_arn, wait=hold.wait_to_call), hold)
            if state is not ModelState.CREATING:
                return
            await self._looking.pause(step, troubles, hold, tell)
            troubles += 1
