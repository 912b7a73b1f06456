"""The runtime of one target: its watcher, slots, reaper and actions, and which action handles a request.

Each target has its own, so that a failing or slow target does not affect another one.
"""

from __future__ import annotations

import asyncio
import random
from typing import Protocol, assert_never

from structlog.contextvars import bind_contextvars

from slipway.core.bedrock import Deployment
from slipway.core.lifecycle.outcomes import Done, Outcome, OutcomeKind, Reason, Release
from slipway.core.lifecycle.steps import SendContinuation
from slipway.core.requests.models import AnyRequest, Cancel, Delete, Deploy, Update
from slipway.core.requests.targets import DEFAULT, Target
from slipway.core.scheduling.quota import Quota
from slipway.worker.actions import delete as removing
from slipway.worker.actions import deploy as lifecycle
from slipway.worker.actions import model_readiness as models
from slipway.worker.actions import update as updating
from slipway.worker.actions.cancel import CancelAction
from slipway.worker.actions.delete import DeleteAction
from slipway.worker.actions.deploy import DeployAction
from slipway.worker.actions.driver import Run
from slipway.worker.actions.model_readiness import ModelReadiness
from slipway.worker.actions.update import UpdateAction
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.policy import WorkerPolicy
from slipway.worker.kernel.retry import ReportProgress
from slipway.worker.kernel.telemetry import Counters
from slipway.worker.scheduling import watcher
from slipway.worker.scheduling.reaper import Reaper, ReaperBedrock, ReaperQueue
from slipway.worker.scheduling.slots import EtaEstimator, Slots
from slipway.worker.scheduling.watcher import Watcher


class ActionBedrock(lifecycle.DeployBedrock, models.ModelSource, updating.UpdateBedrock, removing.DeleteBedrock, Protocol):
    """The Bedrock calls of all actions."""


class ActionDispatcher:
    """Takes each request to its outcome with the action that it names."""

    def __init__(
        self,
        bedrock: ActionBedrock,
        target: Target,
        policy: WorkerPolicy,
        slots: Slots,
        watcher: Watcher,
        cancel_action: CancelAction,
        *,
        rng: random.Random,
        counters: Counters,
    ) -> None:
        self._target = target
        self._models = ModelReadiness(bedrock, rng=rng)
        self._update = UpdateAction(bedrock, may_force=policy.allow_force, poll_seconds=policy.sweep_interval, rng=rng)
        self._deploy = DeployAction(bedrock, slots, watcher, self._update, rng=rng, counters=counters)
        self.cancel_action = cancel_action
        self.expired: dict[str, Deployment] = {}
        """The deployments that the reaper has deleted, by ARN."""
        self._delete = DeleteAction(bedrock, may_force=policy.allow_force, rng=rng, expired=self.expired)

    async def run(
        self, request: AnyRequest, lease: Lease, deadline: float, report_progress: ReportProgress
    ) -> Outcome | SendContinuation | Release | Done:
        """Return the request's outcome, or how its message is settled without one. Raises `Interrupted`.

        `deadline` is by the event loop's clock.
        """
        is_cancelled = lease.delivery.decisions.cancelled is not None
        match request:
            case Update() | Delete() if is_cancelled:
                return Outcome(OutcomeKind.CANCELLED, message="what it has begun in Bedrock, if anything, goes on")
            case Deploy() if is_cancelled or not request.needs_model_status:
                return await self._deploy.run(Run(request, lease, deadline, report_progress))
            case Deploy():
                return await self._deploy_when_ready(request, lease, deadline, report_progress)
            case Update():
                return await self._update.run(Run(request, lease, deadline, report_progress))
            case Delete():
                return await self._delete.run(Run(request, lease, deadline, report_progress))
            case Cancel():
                return await self.cancel_action.cancel(request, lease, deadline)
        assert_never(request)

    async def _deploy_when_ready(
        self, request: Deploy, lease: Lease, deadline: float, report_progress: ReportProgress
    ) -> Outcome | SendContinuation:
        ready = await self._models.ready(request, lease, deadline, report_progress)
        if isinstance(ready, Outcome):
            return ready
        if ready.model_arn and (wrong := self._target.model_fault(ready.model_arn)):
            text = f"the model of {ready.customization_job}, {ready.model_arn}, {wrong}"
            return Outcome(OutcomeKind.REJECTED, Reason.NOT_ALLOWED, text)
        return await self._deploy.run(Run(ready, lease, deadline, report_progress))


class TargetBedrock(ActionBedrock, watcher.WatcherBedrock, ReaperBedrock, Protocol):
    """All Bedrock calls in one account and Region."""


class TargetRuntime:
    """The watcher, slots, reaper and actions of one target."""

    def __init__(
        self,
        target: Target,
        bedrock: TargetBedrock,
        queue: ReaperQueue,
        policy: WorkerPolicy,
        cancel_action: CancelAction,
        *,
        is_fifo: bool,
        rng: random.Random,
        counters: Counters,
    ) -> None:
        self.target = target
        self.counters = counters
        """The target's sweeps, quota refusals and creation times."""
        self.watcher = Watcher(
            bedrock,
            interval=policy.sweep_interval,
            rng=rng,
            counters=counters,
            needs_counts=lambda: self.slots.needs_counts(),  # noqa: PLW0108  slots and watcher need each other
            counted=lambda others, names: self.slots.swept(others, names),  # noqa: PLW0108  as above
        )
        self.slots = Slots(
            Quota(target.rules.max_creating, target.rules.max_total),
            weights=policy.tenant_weights,
            in_creation=lambda: self.watcher.in_flight,
            request_sweep=self.watcher.request_sweep,
            counters=counters,
        )
        self.outlook = EtaEstimator(self.slots, self.watcher, counters)
        self.actions = ActionDispatcher(
            bedrock, target, policy, self.slots, self.watcher, cancel_action, rng=rng, counters=counters
        )
        self._reaper = Reaper(
            bedrock,
            queue,
            target.name,
            interval=policy.reap_interval,
            is_fifo=is_fifo,
            rng=rng,
            counters=counters,
            deleted=self.actions.expired,
            is_in_flight=lambda arn: self.watcher.created_at(arn) is not None,
            counted=self.slots.count_others,
        )

    async def run(self) -> None:
        """Watch deployments in creation and find expired ones, until stopped."""
        if self.target.name != DEFAULT:
            bind_contextvars(target=self.target.name)  # the task's own, and that of those which it starts
        async with asyncio.TaskGroup() as group:
            group.create_task(self.watcher.run())
            group.create_task(self._reaper.run())

    def stop(self) -> None:
        """End `run` after the calls in flight."""
        self.watcher.stop()
        self._reaper.stop()
