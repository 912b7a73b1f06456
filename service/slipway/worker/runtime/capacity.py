"""Keep room for what frees room: when the places are taken, a request that waits goes back to the queue for a while."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from slipway.core.lifecycle.outcomes import Continue, Reason, Release
from slipway.core.requests.models import AnyRequest, Deploy
from slipway.core.sqs.lineage import MOST_DEATHS
from slipway.worker.kernel.counters import Counters
from slipway.worker.kernel.interrupts import Postponed
from slipway.worker.kernel.lease import Lease
from slipway.worker.queue.intake import reserved_places
from slipway.worker.queue.leases import Leases
from slipway.worker.runtime.target_runtime import TargetRuntime
from slipway.worker.scheduling.ordering import RequestOrder

log = structlog.get_logger()

SHORTEST_DELAY_SECONDS: Final = 30.0
LONGEST_DELAY_SECONDS: Final = 900.0
"""SQS delays a new message by 15 minutes at most."""
SECONDS_IN_LINE: Final = 10.0
"""How much longer a delay may be for each request that waits for a slot here: those have work for the slots meanwhile."""
SHORTEST_FIFO_DELAY_SECONDS: Final = 300.0
LONGEST_FIFO_DELAY_SECONDS: Final = 3600.0
"""On FIFO each return costs one of the message's receives: it comes back more rarely."""
FIFO_SECONDS_ALONE: Final = 900.0
"""The longest delay on FIFO while no request waits for a slot here."""
FIFO_SECONDS_IN_LINE: Final = 300.0
"""How much longer a delay on FIFO may be for each request that waits for a slot here."""
MOST_RETURNS: Final = MOST_DEATHS // 2
RETURN_SECONDS: Final = 60.0
"""How long what can be received again may take to be: as long later requests for the same deployment wait for it."""

_TROUBLES: Final = frozenset({Reason.THROTTLED, Reason.ACCESS_DENIED, Reason.NO_ANSWER})
_WAITS: Final = _TROUBLES | {Reason.PREDECESSOR, Reason.NO_SLOT, Reason.MODEL_NOT_ACTIVE, Reason.NAME_RESERVED}
"""What a deploy may wait for that has nothing in creation."""
_CONTROL_WAITS: Final = _WAITS | {Reason.BUSY, Reason.DEPLOYMENT_MISSING, Reason.UPDATING}


class Capacity:
    """Decides, when a request comes, whether it stays, and which other one gives its place up for it.

    Deploys take all places but the reserved ones. One more deploy costs a place of the target whose requests wait most;
    there, of what waits for a slot, whoever is last in the fair queue; else whoever has the lowest priority and came last.
    That may be the newcomer itself. So a broken target's requests never take the places of a healthy one.

    What gives its place up comes back after a delay, with its clock, age and count of receives as if it had stayed: in a new
    message on a standard queue; on FIFO, where that would change the order, as the same one.
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
        """Above this, also what is no deploy costs a waiting request its place: some are free for the next receive."""
        self._is_fifo = is_fifo
        self._rng = rng
        self._counters = counters
        self._away: dict[str, dict[float, float]] = {}
        """By key of `RequestOrder`: when what was postponed was first received, and until when it is away."""
        self._loop = asyncio.get_running_loop()

    def admit(self, request: AnyRequest, lease: Lease) -> bool:
        """Answer whether a request that has just come may stay; make another one give its place up where that is needed."""
        if self._left(request, lease) <= 0 or self._is_worn(lease):
            return True
        if self._is_behind(request, lease):
            return False
        may_stay = self._leases.places <= self._most_deploys or self._find_place(request, lease)
        if may_stay:
            self._note_returned(request, lease)
        return may_stay

    def _find_place(self, request: AnyRequest, lease: Lease) -> bool:
        """Answer whether a request may stay although the places for deploys may be taken."""
        held = [each for each in self._leases if each.request is not None and not each.is_leaving and each is not lease]
        deploys = [each for each in held if isinstance(each.request, Deploy)]
        if isinstance(request, Deploy) and not lease.delivery.decisions.allows_delete:
            is_room = _places(deploys) + lease.places <= self._most_deploys
            is_room &= _places(held) + lease.places <= self._comfortable
            return is_room or self._make_room(deploys, request, lease)
        if _places(held) + lease.places > self._comfortable:
            keys = set(self._keys_of(request, lease))
            others = [each for each in held if each.request is None or keys.isdisjoint(self._keys_of(each.request, each))]
            self._free(lease.places, others)
        return True

    def free_one_place(self) -> None:
        """Let a request that waits go where all places are taken: when the last one came, none may have waited yet.

        Nothing is received while all places are taken, so nothing else would make room for what frees something.
        """
        held = [each for each in self._leases if not each.is_leaving]
        if _places(held) >= self._max_held > self._most_deploys:
            self._free(1, held)

    def _free(self, places: int, held: Sequence[Lease]) -> None:
        """Let as many requests go as take so many places: deploys that wait, or else others that wait."""
        waiting = [each for each in held if isinstance(each.request, Deploy) and self._may_go(each, _WAITS)]
        waiting = waiting or [each for each in held if self._may_go(each, _CONTROL_WAITS)]
        freed = 0
        for each in sorted(waiting, key=_standing):
            if freed < places:
                freed += each.places
                self._send_away(each)

    def postpone(self, request: AnyRequest, lease: Lease) -> Continue | Release:
        """Answer how a request that gives its place up is settled."""
        after = self._delay(request, lease)
        self._remember_away(request, lease, after)
        self._leases.postponed_at = self._loop.time()
        self._counters.postponed += 1
        log.info("request.postponed", seconds=after, action=request.action, target=request.target)
        return Release(after) if self._is_fifo else Continue(after=after)

    def _send_away(self, lease: Lease) -> None:
        """Interrupt a request that gives its place up; what comes for the same deployment is behind it from now on."""
        if lease.request is not None:
            self._remember_away(lease.request, lease, 0)
        lease.interrupt(Postponed)

    def _remember_away(self, request: AnyRequest, lease: Lease, after: int) -> None:
        """Remember that a request comes back after so many seconds."""
        first, now = lease.delivery.first_received_at, self._loop.time()
        until = now + after + RETURN_SECONDS
        if len(self._away) > self._max_held:
            self._away = {key: away for key, away in self._away.items() if max(away.values()) > now}
        for key in self._keys_of(request, lease):
            away = self._away.get(key, {})
            self._away[key] = {each: ends for each, ends in away.items() if ends > now} | {first: until}

    def _note_returned(self, request: AnyRequest, lease: Lease) -> None:
        """It is no longer away, where it was."""
        for key in self._keys_of(request, lease) if self._away else ():
            away = self._away.get(key, {})
            away.pop(lease.delivery.first_received_at, None)
            if not away:
                self._away.pop(key, None)

    def _is_behind(self, request: AnyRequest, lease: Lease) -> bool:
        """Whether an earlier request, for the same deployment or of the same FIFO group, is away: it is to come first."""
        first, now = lease.delivery.first_received_at, self._loop.time()
        return any(
            earlier < first and until > now
            for key in (self._keys_of(request, lease) if self._away else ())
            for earlier, until in self._away.get(key, {}).items()
        )

    def _make_room(self, deploys: Sequence[Lease], request: Deploy, lease: Lease) -> bool:
        """Let as many go of those that wait as take the newcomer's places; answer whether it is not the newcomer that goes."""
        waiting = [each for each in deploys if self._may_go(each, _WAITS)]
        going: list[Lease] = []
        while _places(going) < lease.places:
            goes = self._first_to_go(waiting, request, lease)
            if goes is None:
                return False
            waiting.remove(goes)
            going.append(goes)
        for each in going:
            self._send_away(each)
        return True

    def _first_to_go(self, those: Sequence[Lease], request: Deploy, lease: Lease) -> Lease | None:
        """Return which of those that wait gives its place up for the newcomer; None where that is the newcomer itself."""
        waiting: dict[str, list[Lease]] = {}
        for each in those:
            waiting.setdefault(each.request.target if each.request else "", []).append(each)
        counts = Counter({target: len(those) for target, those in waiting.items()})
        counts[request.target] += 1
        target = max(counts, key=lambda each: (counts[each], each == request.target))
        there = waiting.get(target, [])
        if not there:
            return None
        slots = self._runtimes[target].slots
        in_line = [each for each in there if each.why is Reason.NO_SLOT]
        others = [each for each in there if each.why is not Reason.NO_SLOT]
        is_own = target == request.target
        if len(others) > len(in_line):
            goes = min(others, key=_standing)
            is_broken = sum(each.why in _TROUBLES for each in others) * 2 >= len(others)
            if is_own and (is_broken or not slots.has_room()) and _standing_of(request, lease) <= _standing(goes):
                return None
        else:
            newcomer = (request.priority, request.tenant, lease.delivery.first_received_at) if is_own else None
            last = slots.last(set(in_line).__contains__, newcomer)
            if last is None:
                return None
            goes = last
        return goes

    def _may_go(self, lease: Lease, waits: frozenset[Reason]) -> bool:
        """Whether a request only waits, and nobody is behind it or hears its heartbeat: to begin it again costs nothing."""
        request = lease.request
        return (
            request is not None
            and lease.why in waits
            and lease.watched is None
            and not lease.is_ending
            and not lease.is_leaving
            and request.reply_target.task_token is None
            and not self._is_worn(lease)
            and not self._request_order.is_followed(self._keys_of(request, lease), lease)
            and self._left(request, lease) > SHORTEST_DELAY_SECONDS
        )

    def _is_worn(self, lease: Lease) -> bool:
        """Whether it has been given back so often that it would soon look like one that ends its readers: only on FIFO."""
        return self._is_fifo and lease.delivery.lineage.deaths + lease.message.receive_count >= MOST_RETURNS

    def _left(self, request: AnyRequest, lease: Lease) -> float:
        """Answer how many seconds a request has left."""
        return lease.delivery.first_received_at + request.timeout - lease.now()

    def _delay(self, request: AnyRequest, lease: Lease) -> int:
        """Answer for how long a request goes away: the older, the longer, while others wait here; not past its deadline."""
        age = lease.now() - lease.delivery.first_received_at
        in_line = self._runtimes[request.target].slots.waiting
        if self._is_fifo:
            longest = min(FIFO_SECONDS_ALONE + FIFO_SECONDS_IN_LINE * in_line, LONGEST_FIFO_DELAY_SECONDS)
            delay = min(max(age, SHORTEST_FIFO_DELAY_SECONDS), longest)
        else:
            longest = SHORTEST_DELAY_SECONDS + SECONDS_IN_LINE * in_line
            delay = min(max(age / 2, SHORTEST_DELAY_SECONDS), longest, LONGEST_DELAY_SECONDS)
        delay *= 0.5 + self._rng.random() / 2
        return max(1, int(min(delay, self._left(request, lease))))


def _places(held_leases: Sequence[Lease]) -> int:
    return sum(each.places for each in held_leases)


def _standing(lease: Lease) -> tuple[int, float]:
    """Answer a key by which the lowest is to go: the priority, then the age."""
    return (0, 0.0) if lease.request is None else _standing_of(lease.request, lease)


def _standing_of(request: AnyRequest, lease: Lease) -> tuple[int, float]:
    return request.priority, -lease.delivery.first_received_at
