"""Estimates of when a waiting request will get its slot and its deployment, as this process sees it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from slipway.core.lifecycle.outcomes import Reason
from slipway.core.scheduling.eta import Eta, SlotForecast, forecast, rest
from slipway.worker.kernel.counters import Counters
from slipway.worker.kernel.lease import Lease
from slipway.worker.scheduling.slots import Slots
from slipway.worker.scheduling.watcher import Watcher

FRESH_SECONDS: Final = 1.0
"""How long one view is reused: thousands of requests may start to wait at once."""


@dataclass(frozen=True, slots=True)
class View:
    """What estimates are based on at one moment."""

    times: tuple[float, ...]
    """How long the latest creations took, in seconds."""
    slots: SlotForecast | None

    def of(self, reason: Reason | None, place: int | None, in_creation_for: float | None = None) -> Eta:
        """Return the estimate for a request that waits at this queue position, or whose deployment is in creation."""
        if reason is Reason.NO_SLOT and place is not None and self.slots is not None:
            to_slot = self.slots.to_slot(place)
            return Eta(place, to_slot, to_slot + self.slots.typical)
        if reason is Reason.IN_CREATION and in_creation_for is not None:
            return Eta(to_end=rest(self.times, in_creation_for))
        return Eta(place)


class EtaEstimator:
    """Estimates waiting times from the deployments in creation."""

    def __init__(self, slots: Slots, watcher: Watcher, counters: Counters) -> None:
        self._slots = slots
        self._watcher = watcher
        self._counters = counters
        self._loop = asyncio.get_running_loop()
        self._seen_at = -FRESH_SECONDS
        self._view = View((), None)

    def view(self, lease: Lease) -> View:
        """Return the current view. The lease provides AWS's clock."""
        if self._loop.time() - self._seen_at >= FRESH_SECONDS:
            self._seen_at, self._view = self._loop.time(), self._look(lease.now())
        return self._view

    def _look(self, now: float) -> View:
        slots = self._slots
        times = tuple(self._counters.creation_seconds.latest)
        passed = [max(0.0, now - created_at) for created_at in self._watcher.began()]
        others = slots.counts.creating - len(passed)
        limit = slots.quota.creating_limit(slots.counts)
        return View(times, forecast(times, passed + [0.0] * slots.under_way, others, limit))
