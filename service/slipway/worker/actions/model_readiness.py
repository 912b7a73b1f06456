"""Model readiness: find the model of a customization job, and wait until it is Active."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from slipway.core.bedrock import CustomizationJob, ModelState
from slipway.core.lifecycle.outcomes import Outcome, Reason
from slipway.core.lifecycle.steps import Finish, Pause, ResolvedModel, decide_model
from slipway.core.requests.models import Deploy
from slipway.worker.kernel.interrupts import DeadlinePassed, Wait
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.retry import Observer, ObserverBedrock, ReportProgress


class ModelSource(ObserverBedrock, Protocol):
    """The Bedrock calls about models and their customization jobs."""

    async def job(self, identifier: str, *, wait: Wait) -> CustomizationJob | None:
        """Return the customization job of this ARN or name; None if there is none."""

    async def model_state(self, model_arn: str, *, wait: Wait) -> ModelState:
        """Return whether the model can be deployed."""


class ModelReadiness:
    """Waits for models until their requests' deadlines."""

    def __init__(self, bedrock: ModelSource, *, rng: random.Random) -> None:
        self._bedrock = bedrock
        self._observer = Observer(bedrock, rng)

    async def ready(self, request: Deploy, lease: Lease, deadline: float, report_progress: ReportProgress) -> Deploy | Outcome:
        """Return the request with its model known and Active; or its outcome, if there will be no model.

        `deadline` is by the event loop's clock. When it passes, the request is returned as it is, and the deploy action
        reports the timeout. Raises `Interrupted`.
        """
        if not request.needs_model_status:
            return request
        with suppress(DeadlinePassed), lease.until(deadline):
            lease.check()
            if request.customization_job is not None:
                found = await self._from_job(request.customization_job, lease, report_progress)
                if isinstance(found, Finish):
                    return found.outcome
                request = replace(request, model_arn=found.model_arn)
            await self._become_active(request.model_arn, lease, report_progress)
        return request

    async def _from_job(self, identifier: str, lease: Lease, report_progress: ReportProgress) -> ResolvedModel | Finish:
        async def ask() -> ResolvedModel | Finish | Pause:
            job = await self._observer.until_answered(lambda: self._bedrock.job(identifier, wait=lease.wait_to_call), lease)
            return decide_model(identifier, job)

        return await self._observer.poll(ask, lease, report_progress)

    async def _become_active(self, model_arn: str, lease: Lease, report_progress: ReportProgress) -> None:
        """Wait while the model is in creation. Any other state is for the create call to find out."""
        creating = Pause(Reason.MODEL_NOT_ACTIVE, f"{model_arn} is not Active yet")

        async def ask() -> ModelState | Pause:
            state = await self._observer.until_answered(
                lambda: self._bedrock.model_state(model_arn, wait=lease.wait_to_call), lease
            )
            return creating if state is ModelState.CREATING else state

        await self._observer.poll(ask, lease, report_progress)
