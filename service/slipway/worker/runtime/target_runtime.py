"""The runtime of one target. Each has its own parts, so that a failing or slow target does not affect another one."""

from __future__ import annotations

import asyncio
import random
from typing import Protocol

from structlog.contextvars import bind_contextvars

from slipway.core.requests.targets import DEFAULT, Target
from slipway.core.scheduling.quota import Quota
from slipway.worker.actions import dispatch as actions
from slipway.worker.actions.cancel import CancelAction
from slipway.worker.actions.dispatch import ActionDispatcher
from slipway.worker.kernel.counters import Counters
from slipway.worker.kernel.policy import WorkerPolicy
from slipway.worker.scheduling import watcher
from slipway.worker.scheduling.outlook import EtaEstimator
from slipway.worker.scheduling.reaper import Reaper, ReaperBedrock, ReaperQueue
from slipway.worker.scheduling.slots import Slots
from slipway.worker.scheduling.watcher import Watcher


class TargetBedrock(actions.ActionBedrock, watcher.WatcherBedrock, ReaperBedrock, Protocol):
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
