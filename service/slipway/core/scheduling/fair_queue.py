"""The line for slots: who goes next. The higher priority first, then the tenants in turn by their weights, then age.

Within one priority each tenant has a time of its own, which passes by `WHOLE_TURN / weight` with each of its turns, and
whoever's time is the earliest goes next; of several, whoever's head is the oldest. So of two tenants with weights 3 and 1
one has three turns to the other's one, however many either asks for. The present is the time of the latest turn: who comes,
for the first time or again, begins there, so nobody saves up turns by being away, nor loses them (start-time fair queueing).

Between two turns of a tenant that has somebody in line, another one of the same priority has at most `1 + its weight / that
tenant's weight` (tests hold it). Whoever belongs to no tenant belongs to the tenant of none, whose weight is 1.

A plain structure: no clock, no I/O. Joining, leaving and being next take O(log n) comparisons, and a block of references
is moved; asking for one place takes O(tenants).
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping
from typing import Final, Generic, NamedTuple, TypeVar

WHOLE_TURN: Final = 1_000_000
"""The time that a turn takes of a tenant with weight 1. Whole numbers, so that no sum of steps drifts."""
_FEW: Final = 16

T = TypeVar("T")


class QueueEntry(NamedTuple, Generic[T]):
    """Somebody in line. The older goes first; of those of the same age, who came first: no two have the same number."""

    first_received: float
    number: int
    priority: int
    tenant: str | None
    who: T


def _first_received(place: QueueEntry[T]) -> float:
    return place.first_received


class _Tenant(Generic[T]):
    """Those of one tenant and priority, oldest first, and when it is their turn."""

    __slots__ = ("line", "step", "time")

    def __init__(self, time: int, step: int) -> None:
        self.line: list[QueueEntry[T]] = []
        self.time = time
        self.step = step


class _Class(Generic[T]):
    """All of one priority."""

    __slots__ = ("_many", "now", "order", "tenants", "waiting")

    def __init__(self) -> None:
        self.now = 0
        self.waiting = 0
        self._many = _FEW
        self.tenants: dict[str | None, _Tenant[T]] = {}
        """Who has somebody in line, or was given more than the present has caught up with."""
        self.order: list[tuple[int, QueueEntry[T], _Tenant[T]]] = []
        """By their time and their head, in order: the tenants that have somebody in line."""

    def enter(self, tenant: _Tenant[T]) -> None:
        """Put a tenant where it belongs among the others, now that its head or its time has changed."""
        if tenant.line:
            insort(self.order, (tenant.time, tenant.line[0], tenant))

    def withdraw(self, tenant: _Tenant[T]) -> None:
        """Take a tenant out, before its head or its time changes."""
        if tenant.line:
            del self.order[bisect_left(self.order, (tenant.time, tenant.line[0], tenant))]

    def forget(self) -> None:
        """Drop the tenants who are not in line and owe nothing: to come anew is the same for them. Now and then is enough."""
        if len(self.tenants) > self._many:
            self.tenants = {name: one for name, one in self.tenants.items() if one.line or one.time > self.now}
            self._many = 2 * len(self.tenants) + _FEW


class FairQueue(Generic[T]):
    """Everybody who waits. `weights` are whole numbers from 1; who is not named in them has 1."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._weights = weights
        self._classes: dict[int, _Class[T]] = {}
        self._number = 0

    def __len__(self) -> int:
        """How many wait."""
        return sum(each.waiting for each in self._classes.values())

    def join(self, who: T, *, priority: int, tenant: str | None, first_received: float) -> QueueEntry[T]:
        """Put somebody in line; the answer is theirs to `leave` with."""
        self._number += 1
        place = QueueEntry(first_received, self._number, priority, tenant, who)
        of = self._classes.setdefault(priority, _Class())
        group = of.tenants.get(tenant)
        if group is None:
            weight = self._weights.get(tenant, 1) if tenant is not None else 1
            group = of.tenants[tenant] = _Tenant(of.now, WHOLE_TURN // weight)
        of.withdraw(group)
        if not group.line:
            group.time = max(group.time, of.now)
        insort(group.line, place)
        of.enter(group)
        of.waiting += 1
        return place

    def leave(self, place: QueueEntry[T]) -> bool:
        """Take somebody out; answer whether they were in line. Safe to repeat."""
        of = self._classes.get(place.priority)
        group = of.tenants.get(place.tenant) if of is not None else None
        if of is None or group is None:
            return False
        index = bisect_left(group.line, place)
        if index == len(group.line) or group.line[index] is not place:
            return False
        of.withdraw(group)
        del group.line[index]
        of.enter(group)
        self._one_less(of, place.priority)
        return True

    def next(self) -> QueueEntry[T]:
        """Take out who goes next, and charge their tenant with the turn. Raises IndexError where nobody waits."""
        if not self._classes:
            raise IndexError("nobody waits")
        priority = max(self._classes)
        of = self._classes[priority]
        of.now, place, group = of.order.pop(0)
        del group.line[0]
        group.time += group.step
        of.enter(group)
        self._one_less(of, priority)
        return place

    def give_back(self, place: QueueEntry[T]) -> None:
        """The turn came to nothing, through no fault of theirs: their tenant is not charged with it."""
        of = self._classes.get(place.priority)
        group = of.tenants.get(place.tenant) if of is not None else None
        if of is not None and group is not None:
            of.withdraw(group)
            group.time = max(of.now, group.time - group.step)
            of.enter(group)

    def rank(self, place: QueueEntry[T]) -> int:
        """Answer the place in line, from 1, of somebody who is in it: where they are if nobody joins or leaves."""
        of = self._classes[place.priority]
        own = of.tenants[place.tenant]
        index = bisect_left(own.line, place)
        mine = own.time + index * own.step
        before = index + sum(each.waiting for priority, each in self._classes.items() if priority > place.priority)
        for time, head, group in of.order:
            if (time, head) >= (mine, place):
                break
            if group is not own:
                full, rest = divmod(mine - time, group.step)
                is_level = not rest and full < len(group.line) and group.line[full] < place
                before += min(full + bool(rest) + is_level, len(group.line))
        return before + 1

    def last(self, may_leave: Callable[[T], bool], newcomer: tuple[int, str | None, float] | None = None) -> T | None:
        """Answer who goes last of those who may leave, if nobody joins or leaves; None where that is nobody.

        `newcomer` is the priority, the tenant and the first receipt of somebody who might join: None, too, where they would
        go after all of those.
        """
        found: tuple[int, int, float, float] | None = None
        last: T | None = None
        if newcomer is not None:
            priority, tenant, first_received = newcomer
            of = self._classes.get(priority)
            group = of.tenants.get(tenant) if of is not None else None
            index = bisect_left(group.line, first_received, key=_first_received) if group is not None else 0
            weight = self._weights.get(tenant, 1) if tenant is not None else 1
            time = max(group.time if group is not None else 0, of.now if of is not None else 0)
            found = (-priority, time + index * (WHOLE_TURN // weight), first_received, math.inf)
        for each, of in self._classes.items():
            for _, _, group in of.order:
                at = next((i for i in reversed(range(len(group.line))) if may_leave(group.line[i].who)), None)
                if at is not None:
                    place = group.line[at]
                    key = (-each, group.time + at * group.step, place.first_received, float(place.number))
                    if found is None or key > found:
                        found, last = key, place.who
        return last

    def in_order(self, most: int | None = None) -> list[QueueEntry[T]]:
        """Answer everybody who waits, or the first so many, in the order in which they go if nobody joins or leaves."""
        keyed = sorted(
            (-priority, group.time + index * group.step, place)
            for priority, of in self._classes.items()
            for _, _, group in of.order
            for index, place in enumerate(group.line[:most])
        )
        return [place for _, _, place in keyed[:most]]

    def _one_less(self, of: _Class[T], priority: int) -> None:
        of.waiting -= 1
        if of.waiting:
            of.forget()
        else:
            # Where nobody waits, nobody is owed anything.
            del self._classes[priority]
