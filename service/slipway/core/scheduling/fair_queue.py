"""The fair queue for creation slots: higher priority first, then tenants in turn by weight, then the older request.

This is start-time fair queueing. Within one priority each tenant has a virtual time, which advances by `WHOLE_TURN / weight`
with each of its turns. The tenant with the earliest time is next; among equal times, the one whose first entry is older. So a
tenant with weight 3 has three turns for each turn of one with weight 1, however many entries either has. The virtual time of a
priority is that of its latest turn. A tenant that joins, for the first time or again, starts there: absence neither saves nor
costs turns.

Between two turns of a tenant with entries, another tenant of the same priority has at most `1 + its weight / that tenant's
weight` turns (tests check it). Entries without a tenant belong to one common tenant with weight 1.

No clock and no I/O. `join`, `leave` and `next` take O(log n) comparisons and move a block of references; `rank` takes
O(tenants).
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping
from typing import Final, Generic, NamedTuple, TypeVar

WHOLE_TURN: Final = 1_000_000
"""Virtual time of one turn with weight 1. An integer, so that sums do not drift."""
_FEW: Final = 16

T = TypeVar("T")


class QueueEntry(NamedTuple, Generic[T]):
    """An entry of the queue. Entries are ordered by first receipt, then by `number`, which is unique."""

    first_received: float
    number: int
    priority: int
    tenant: str | None
    waiter: T


def _first_received(entry: QueueEntry[T]) -> float:
    return entry.first_received


class _TenantQueue(Generic[T]):
    """The entries of one tenant and priority, oldest first, with their virtual time and the cost of a turn."""

    __slots__ = ("entries", "step", "time")

    def __init__(self, time: int, step: int) -> None:
        self.entries: list[QueueEntry[T]] = []
        self.time = time
        self.step = step


class _PriorityLevel(Generic[T]):
    """All entries of one priority."""

    __slots__ = ("_forget_above", "now", "order", "tenants", "waiting")

    def __init__(self) -> None:
        self.now = 0
        self.waiting = 0
        self._forget_above = _FEW
        self.tenants: dict[str | None, _TenantQueue[T]] = {}
        """Tenants with entries, and tenants whose virtual time is ahead of this priority's."""
        self.order: list[tuple[int, QueueEntry[T], _TenantQueue[T]]] = []
        """The tenants with entries, sorted by virtual time and first entry."""

    def enter(self, tenant: _TenantQueue[T]) -> None:
        """Insert a tenant into the order, after its first entry or its time has changed."""
        if tenant.entries:
            insort(self.order, (tenant.time, tenant.entries[0], tenant))

    def withdraw(self, tenant: _TenantQueue[T]) -> None:
        """Remove a tenant from the order, before its first entry or its time changes."""
        if tenant.entries:
            del self.order[bisect_left(self.order, (tenant.time, tenant.entries[0], tenant))]

    def forget(self) -> None:
        """Drop tenants without entries whose time has passed: a new start is the same for them. Amortized O(1)."""
        if len(self.tenants) > self._forget_above:
            self.tenants = {name: queue for name, queue in self.tenants.items() if queue.entries or queue.time > self.now}
            self._forget_above = 2 * len(self.tenants) + _FEW


class FairQueue(Generic[T]):
    """A fair queue of waiting requests. `weights` are integers from 1; a tenant without one has weight 1."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._weights = weights
        self._levels: dict[int, _PriorityLevel[T]] = {}
        self._last_number = 0

    def __len__(self) -> int:
        """Return the number of entries."""
        return sum(level.waiting for level in self._levels.values())

    def join(self, waiter: T, *, priority: int, tenant: str | None, first_received: float) -> QueueEntry[T]:
        """Add a waiter and return its entry, which `leave` takes."""
        self._last_number += 1
        entry = QueueEntry(first_received, self._last_number, priority, tenant, waiter)
        level = self._levels.setdefault(priority, _PriorityLevel())
        queue = level.tenants.get(tenant)
        if queue is None:
            weight = self._weights.get(tenant, 1) if tenant is not None else 1
            queue = level.tenants[tenant] = _TenantQueue(level.now, WHOLE_TURN // weight)
        level.withdraw(queue)
        if not queue.entries:
            queue.time = max(queue.time, level.now)
        insort(queue.entries, entry)
        level.enter(queue)
        level.waiting += 1
        return entry

    def leave(self, entry: QueueEntry[T]) -> bool:
        """Remove an entry and return whether it was in the queue. Safe to repeat."""
        level = self._levels.get(entry.priority)
        queue = level.tenants.get(entry.tenant) if level is not None else None
        if level is None or queue is None:
            return False
        index = bisect_left(queue.entries, entry)
        if index == len(queue.entries) or queue.entries[index] is not entry:
            return False
        level.withdraw(queue)
        del queue.entries[index]
        level.enter(queue)
        self._count_down(level, entry.priority)
        return True

    def next(self) -> QueueEntry[T]:
        """Remove and return the next entry, and charge its tenant with the turn. Raises IndexError if the queue is empty."""
        if not self._levels:
            raise IndexError("the queue is empty")
        priority = max(self._levels)
        level = self._levels[priority]
        level.now, entry, queue = level.order.pop(0)
        del queue.entries[0]
        queue.time += queue.step
        level.enter(queue)
        self._count_down(level, priority)
        return entry

    def give_back(self, entry: QueueEntry[T]) -> None:
        """Refund the turn of an entry that could not use it."""
        level = self._levels.get(entry.priority)
        queue = level.tenants.get(entry.tenant) if level is not None else None
        if level is not None and queue is not None:
            level.withdraw(queue)
            queue.time = max(level.now, queue.time - queue.step)
            level.enter(queue)

    def rank(self, entry: QueueEntry[T]) -> int:
        """Return the queue position of an entry, from 1, if no other entry joins or leaves."""
        level = self._levels[entry.priority]
        own_queue = level.tenants[entry.tenant]
        index = bisect_left(own_queue.entries, entry)
        own_time = own_queue.time + index * own_queue.step
        ahead = index + sum(other_level.waiting for priority, other_level in self._levels.items() if priority > entry.priority)
        for time, head, queue in level.order:
            if (time, head) >= (own_time, entry):
                break
            if queue is not own_queue:
                turns, rest = divmod(own_time - time, queue.step)
                is_level = not rest and turns < len(queue.entries) and queue.entries[turns] < entry
                ahead += min(turns + bool(rest) + is_level, len(queue.entries))
        return ahead + 1

    def last(self, may_leave: Callable[[T], bool], newcomer: tuple[int, str | None, float] | None = None) -> T | None:
        """Return the last waiter of those that may leave, if no other entry joins or leaves; None if there is none.

        `newcomer` is the priority, tenant and first receipt of a possible entry: None, too, if that entry would be later than
        all of those.
        """
        latest: tuple[int, int, float, float] | None = None
        last: T | None = None
        if newcomer is not None:
            priority, tenant, first_received = newcomer
            level = self._levels.get(priority)
            queue = level.tenants.get(tenant) if level is not None else None
            index = bisect_left(queue.entries, first_received, key=_first_received) if queue is not None else 0
            weight = self._weights.get(tenant, 1) if tenant is not None else 1
            time = max(queue.time if queue is not None else 0, level.now if level is not None else 0)
            latest = (-priority, time + index * (WHOLE_TURN // weight), first_received, math.inf)
        for level_priority, level in self._levels.items():
            for _, _, queue in level.order:
                last_index = next((i for i in reversed(range(len(queue.entries))) if may_leave(queue.entries[i].waiter)), None)
                if last_index is not None:
                    entry = queue.entries[last_index]
                    position = (
                        -level_priority,
                        queue.time + last_index * queue.step,
                        entry.first_received,
                        float(entry.number),
                    )
                    if latest is None or position > latest:
                        latest, last = position, entry.waiter
        return last

    def in_order(self, most: int | None = None) -> list[QueueEntry[T]]:
        """Return all entries, or the first `most`, in the order of their turns if no other entry joins or leaves."""
        keyed = sorted(
            (-priority, queue.time + index * queue.step, entry)
            for priority, level in self._levels.items()
            for _, _, queue in level.order
            for index, entry in enumerate(queue.entries[:most])
        )
        return [entry for _, _, entry in keyed[:most]]

    def _count_down(self, level: _PriorityLevel[T], priority: int) -> None:
        level.waiting -= 1
        if level.waiting:
            level.forget()
        else:
            # An empty priority needs no virtual times.
            del self._levels[priority]
