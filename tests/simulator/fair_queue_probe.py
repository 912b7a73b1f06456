"""The line for slots, watched: who looks on learns of every change at once, and by the messages themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from slipway.core.scheduling.fair_queue import FairQueue, QueueEntry
from slipway.worker.scheduling.slots import Slots, Waiter
from tests.simulator.observer import Watching


class WatchedLine(FairQueue[Waiter]):
    """The real line, except that who looks on learns whose message came, went on, left or lost its turn."""

    def __init__(self, weights: Mapping[str, int], watching: Callable[[], Watching], process: str) -> None:
        super().__init__(weights)
        self._watching = watching
        self._process = process

    def join(self, who: Waiter, *, priority: int, tenant: str | None, first_received: float) -> QueueEntry[Waiter]:
        """Put somebody in line."""
        self._watching().lined_up(who.lease, self._process)
        return super().join(who, priority=priority, tenant=tenant, first_received=first_received)

    def leave(self, place: QueueEntry[Waiter]) -> bool:
        """Take somebody out."""
        is_out = super().leave(place)
        if is_out:
            self._watching().left_line(place.waiter.lease, self._process)
        return is_out

    def next(self) -> QueueEntry[Waiter]:
        """Take out who goes next."""
        place = super().next()
        self._watching().went_next(place.waiter.lease, self._process)
        return place

    def give_back(self, place: QueueEntry[Waiter]) -> None:
        """The turn came to nothing."""
        super().give_back(place)
        self._watching().lost_turn(place.waiter.lease, self._process)


def watch_line(slots: Slots, weights: Mapping[str, int], watching: Callable[[], Watching], process: str) -> None:
    """Let who looks on see a line in which nobody stands yet."""
    slots._fair_queue = WatchedLine(weights, watching, process)  # noqa: SLF001  there is no other way to see it as it changes
