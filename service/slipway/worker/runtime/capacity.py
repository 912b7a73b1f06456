"""Places for messages: when they are taken, a waiting request returns to the queue for a while."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from slipway.core.lifecycle.outcomes import WAITS, Continue, Reason, Release
from slipway.core.requests.models import AnyRequest, Deploy
from slipway.core.sqs.continuations import MOST_DEATHS
from slipway.worker.kernel.interrupts import Displaced
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.telemetry import Counters
from slipway.worker.queue.intake import reserved_places
from slipway.worker.queue.leases import Leases
from slipway.worker.runtime.target_runtime import TargetRuntime
from slipway.worker.scheduling.ordering import RequestOrder

log = structlog.get_logger()

SHORTEST_DELAY_SECONDS: Final = 30.0
LONGEST_DELAY_SECONDS: Final = 900.0
"""SQS delays a new message by 15 minutes at most."""
SECONDS_IN_LINE: Final = 10.0
"""How much longer a delay may be for each request in the fair queue here."""
SHORTEST_FIFO_DELAY_SECONDS: Final = 300.0
LONGEST_FIFO_DELAY_SECONDS: Final = 3600.0
"""On FIFO each return costs one of the message's receives, so delays are longer."""
FIFO_SECONDS_ALONE: Final = 900.0
"""The longest delay on FIFO while no request waits for a slot here."""
FIFO_SECONDS_IN_LINE: Final = 300.0
"""How much longer a delay on FIFO may be for each request that waits for a slot here."""
SHORTEST_STAY_SECONDS: Final = 20.0
"""How long a request that may free something keeps its place, once begun: it counts absences and refusals, which are believed
only after several observations in one delivery (7 to 15 seconds), and would be counted anew after each return."""
MOST_RETURNS: Final = MOST_DEATHS // 2
RETURN_SECONDS: Final = 60.0
"""How long after its delay a message may arrive: until then later requests for the same deployment wait for it."""

_TROUBLES: Final = frozenset({Reason.THROTTLED, Reason.ACCESS_DENIED, Reason.NO_ANSWER})
_WAITS: Final = _TROUBLES | {Reason.PREDECESSOR, Reason.NO_SLOT, Reason.MODEL_NOT_ACTIVE, Reason.NAME_RESERVED}
"""What a deploy without a deployment in creation may wait for."""
_CONTROL_WAITS: Final = frozenset(WAITS) - {Reason.IN_CREATION}
"""What any request may wait for when it gives up its place: all but a creation, of which the slots limit the number."""


class Capacity:
    """Decides whether a request that arrives stays, and which other one gives up its place for it.

    Deploys take all places but the reserved ones. For one more deploy a request of the target with the most waiting requests
    gives up its place: the last one in the fair queue, else the one of lowest priority that arrived last. That may be the new
    request itself. So the requests of a failing target never take the places of a healthy one.

    A request that gives up its place returns after a delay with its deadline, age and receive count unchanged: in a new message
    on a standard queue; on FIFO, where that would change the order, in the same one.
    """

    def __init__(
        self,
        leases: Leases,
        runtimes: Mapping[str, TargetRuntime],
        request_order: RequestOrder,
        keys_of: Callable[[AnyRequest, Lease], Sequence[str]],
        *,
        max_held: int,
        is_fifo: bool,
        rng: random.Random,
        counters: Counters,
    ) -> None:
        self._leases = leases
        self._runtimes = runtimes
        self._request_order = request_order
        self._keys_of = keys_of
        self._max_held = max_held
        reserved = reserved_places(max_held)
        self._most_deploys = max_held - reserved
        self._comfortable = max_held - max(1, reserved // 2)
        """Above this, other requests than deploys cost a waiting request its place, too: some places stay free."""
        self._is_fifo = is_fifo
        self._rng = rng
        self._counters = counters
        self._away: dict[str, dict[float, float]] = {}
        """Postponed requests by key of `RequestOrder`: first receipt, and the latest time of return."""
        self._loop = asyncio.get_running_loop()

    def admit(self, request: AnyRequest, lease: Lease) -> bool:
        """Return whether a new request may stay; make another one give up its place if necessary."""
        if self._left(request, lease) <= 0 or self._is_worn(lease):
            return True
        if self._is_behind(request, lease):
            return False
        may_stay = self._leases.places <= self._most_deploys or self._find_place(request, lease)
        if may_stay:
            self._note_returned(request, lease)
        return may_stay

    def _find_place(self, request: AnyRequest, lease: Lease) -> bool:
        """Return whether a request may stay when the places for deploys are taken."""
        others_leased = [
            other for other in self._leases if other.request is not None and not other.is_leaving and other is not lease
        ]
        deploys = [other for other in others_leased if isinstance(other.request, Deploy)]
        if not self._returns_soon(request, lease):
            is_room = _places(deploys) + lease.places <= self._most_deploys
            is_room &= _places(others_leased) + lease.places <= self._comfortable
            return is_room or self._make_room(deploys, request, lease)
        if _places(others_leased) + lease.places > self._comfortable:
            keys = set(self._keys_of(request, lease))
            others = [
                other
                for other in others_leased
                if other.request is None or keys.isdisjoint(self._keys_of(other.request, other))
            ]
            self._free(lease.places, others)
        return True

    def free_one_place(self) -> None:
        """Postpone a waiting request if all places are taken: none may have been waiting when the last one arrived.

        Nothing is received while all places are taken, so nothing else would make room for a delete.
        """
        others_leased = [other for other in self._leases if not other.is_leaving]
        if _places(others_leased) >= self._max_held > self._most_deploys:
            self._free(1, others_leased)

    def _free(self, places: int, others_leased: Sequence[Lease]) -> None:
        """Postpone waiting requests until so many places are free: deploys, or else others that have had time to act."""
        waiting = [other for other in others_leased if isinstance(other.request, Deploy) and self._may_go(other, _WAITS)]
        waiting = waiting or [
            other for other in others_leased if self._has_had_time(other) and self._may_go(other, _CONTROL_WAITS)
        ]
        freed = 0
        for other in sorted(waiting, key=_standing):
            if freed < places:
                freed += other.places
                self._send_away(other)

    def postpone(self, request: AnyRequest, lease: Lease) -> Continue | Release:
        """Return the settlement of a request that gives up its place."""
        after = self._delay(request, lease)
        self._remember_away(request, lease, after)
        self._leases.postponed_at = self._loop.time()
        self._counters.postponed += 1
        log.info("request.postponed", seconds=after, action=request.action, target=request.target)
        return Release(after) if self._is_fifo else Continue(after=after)

    def _send_away(self, lease: Lease) -> None:
        """Interrupt a request that gives up its place; later requests for the same deployment are behind it from now on."""
        if lease.request is not None:
            self._remember_away(lease.request, lease, 0)
        lease.interrupt(Displaced)

    def _remember_away(self, request: AnyRequest, lease: Lease, after: int) -> None:
        """Remember that a request returns after so many seconds."""
        first, now = lease.delivery.first_received_at, self._loop.time()
        until = now + after + RETURN_SECONDS
        if len(self._away) > self._max_held:
            self._away = {key: away for key, away in self._away.items() if max(away.values()) > now}
        for key in self._keys_of(request, lease):
            away = self._away.get(key, {})
            self._away[key] = {received: ends for received, ends in away.items() if ends > now} | {first: until}

    def _note_returned(self, request: AnyRequest, lease: Lease) -> None:
        """Note that a postponed request has returned."""
        for key in self._keys_of(request, lease) if self._away else ():
            away = self._away.get(key, {})
            away.pop(lease.delivery.first_received_at, None)
            if not away:
                self._away.pop(key, None)

    def _is_behind(self, request: AnyRequest, lease: Lease) -> bool:
        """Return whether an earlier request for the same deployment or FIFO group is postponed: it goes first."""
        first, now = lease.delivery.first_received_at, self._loop.time()
        return any(
            earlier < first and until > now
            for key in (self._keys_of(request, lease) if self._away else ())
            for earlier, until in self._away.get(key, {}).items()
        )

    def _make_room(self, deploys: Sequence[Lease], request: AnyRequest, lease: Lease) -> bool:
        """Postpone waiting requests to free the new one's places; return False if the new one is to be postponed."""
        waiting = [other for other in deploys if self._may_go(other, _WAITS)]
        to_postpone: list[Lease] = []
        while _places(to_postpone) < lease.places:
            chosen = self._first_to_go(waiting, request, lease)
            if chosen is None:
                return False
            waiting.remove(chosen)
            to_postpone.append(chosen)
        for other in to_postpone:
            self._send_away(other)
        return True

    def _first_to_go(self, candidates: Sequence[Lease], request: AnyRequest, lease: Lease) -> Lease | None:
        """Return which waiting request gives up its place for the new one; None if that is the new one itself."""
        waiting: dict[str, list[Lease]] = {}
        for other in candidates:
            waiting.setdefault(other.request.target if other.request else "", []).append(other)
        counts = Counter({target: len(leases) for target, leases in waiting.items()})
        counts[request.target] += 1
        target = max(counts, key=lambda name: (counts[name], name == request.target))
        waiting_there = waiting.get(target, [])
        if not waiting_there:
            return None
        slots = self._runtimes[target].slots
        in_fair_queue = [other for other in waiting_there if other.why is Reason.NO_SLOT]
        others = [other for other in waiting_there if other.why is not Reason.NO_SLOT]
        is_own = target == request.target
        if len(others) > len(in_fair_queue):
            chosen = min(others, key=_standing)
            is_broken = sum(other.why in _TROUBLES for other in others) * 2 >= len(others)
            if is_own and (is_broken or not slots.has_room()) and _standing_of(request, lease) <= _standing(chosen):
                return None
        else:
            newcomer = (request.priority, request.tenant, lease.delivery.first_received_at) if is_own else None
            last = slots.last(set(in_fair_queue).__contains__, newcomer)
            if last is None:
                return None
            chosen = last
        return chosen

    def _may_go(self, lease: Lease, waits: frozenset[Reason]) -> bool:
        """Return whether a request only waits, nothing is behind it, and it may be started again at no cost.

        A Step Functions task that expects heartbeats keeps its place, unless it is away for half a minute at most.
        """
        request = lease.request
        return (
            request is not None
            and lease.why in waits
            and lease.watched is None
            and not lease.is_ending
            and not lease.is_leaving
            and (request.reply_target.task_token is None or self._returns_soon(request, lease))
            and not self._is_worn(lease)
            and not self._request_order.is_followed(self._keys_of(request, lease), lease)
            and self._left(request, lease) > SHORTEST_DELAY_SECONDS
        )

    def _has_had_time(self, lease: Lease) -> bool:
        """Return whether a request has had its place for long enough to get something done."""
        return self._loop.time() - lease.taken_at >= SHORTEST_STAY_SECONDS

    def _is_worn(self, lease: Lease) -> bool:
        """Return whether more returns would make it look like a request whose consumers die: only on FIFO."""
        return self._is_fifo and lease.delivery.lineage.deaths + lease.message.receive_count >= MOST_RETURNS

    def _returns_soon(self, request: AnyRequest, lease: Lease) -> bool:
        """Return whether a request may free what others wait for: it is away only for the shortest delay."""
        return lease.delivery.decisions.allows_delete or not isinstance(request, Deploy)

    def _left(self, request: AnyRequest, lease: Lease) -> float:
        """Return how many seconds a request has left."""
        return lease.delivery.first_received_at + request.timeout - lease.now()

    def _delay(self, request: AnyRequest, lease: Lease) -> int:
        """Return the delay of a request: longer with its age while others wait for slots, and not past its deadline."""
        age = lease.now() - lease.delivery.first_received_at
        in_fair_queue = self._runtimes[request.target].slots.waiting
        if self._returns_soon(request, lease):
            delay = SHORTEST_DELAY_SECONDS
        elif self._is_fifo:
            longest = min(FIFO_SECONDS_ALONE + FIFO_SECONDS_IN_LINE * in_fair_queue, LONGEST_FIFO_DELAY_SECONDS)
            delay = min(max(age, SHORTEST_FIFO_DELAY_SECONDS), longest)
        else:
            longest = SHORTEST_DELAY_SECONDS + SECONDS_IN_LINE * in_fair_queue
            delay = min(max(age / 2, SHORTEST_DELAY_SECONDS), longest, LONGEST_DELAY_SECONDS)
        delay *= 0.5 + self._rng.random() / 2
        return max(1, int(min(delay, self._left(request, lease))))


def _places(held_leases: Sequence[Lease]) -> int:
    return sum(other.places for other in held_leases)


def _standing(lease: Lease) -> tuple[int, float]:
    """Return the sort key for giving up a place, the lowest first: priority, then age."""
    return (0, 0.0) if lease.request is None else _standing_of(lease.request, lease)


def _standing_of(request: AnyRequest, lease: Lease) -> tuple[int, float]:
    return request.priority, -lease.delivery.first_received_at
