"""Whether the line for slots is fair at each process: by what the messages ask for, not by Slipway's account of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from slipway.worker.kernel.lease import Lease

AGE_SLACK = 1.0
"""First receipts are told in milliseconds, and a continuation's by another message."""
GIVEN_BACK = 1
"""How many turns more than its share a tenant may have where a full account refuses some: several may be under way."""


@dataclass(frozen=True)
class Place:
    """What a message asks for, as far as its place in line goes."""

    message_id: str
    priority: int
    tenant: str | None
    first_received: float

    @classmethod
    def of(cls, lease: Lease) -> Place:
        """Read it from the message."""
        asked = json.loads(lease.message.body)
        first = lease.delivery.first_received_at
        return cls(lease.message.message_id, asked.get("priority", 0), asked.get("tenant"), first)


@dataclass
class _Line:
    waiting: dict[str, Place] = field(default_factory=dict)
    passed: Counter[tuple[int, str | None, str | None]] = field(default_factory=Counter)
    """By priority and two tenants: the turns of the first since the second waits for its next."""


class Fairness:
    """Follows the line of each process, and says which promise a turn breaks."""

    def __init__(self, weights: Mapping[str, int], breaks: Callable[[str], None], happened: Callable[[str], None]) -> None:
        self._weights = weights
        self._breaks = breaks
        self._happened = happened
        self._lines: dict[str, _Line] = {}

    def lined_up(self, lease: Lease, process: str) -> None:
        """Note who waits from now on."""
        place = Place.of(lease)
        self._lines.setdefault(process, _Line()).waiting[place.message_id] = place

    def left(self, lease: Lease, process: str) -> None:
        """Note who waits no more."""
        line = self._lines[process]
        self._settle(line, line.waiting.pop(lease.message.message_id))

    def lost_turn(self, lease: Lease, process: str) -> None:
        """Note a turn that came to nothing."""
        place, line = Place.of(lease), self._lines[process]
        for key in [key for key in line.passed if key[:2] == (place.priority, place.tenant)]:
            line.passed[key] = max(0, line.passed[key] - 1)

    def went_next(self, lease: Lease, process: str) -> None:
        """Hold a turn to the promises: priorities are strict, nobody starves, and within a tenant the oldest goes first."""
        line = self._lines[process]
        place = line.waiting.pop(lease.message.message_id)
        peers = [one for one in line.waiting.values() if one.priority == place.priority]
        if any(one.priority < place.priority for one in line.waiting.values()):
            self._happened("a lower priority waits")
        if above := [one for one in line.waiting.values() if one.priority > place.priority]:
            self._breaks(f"{place} goes before {above[0]}, which has a higher priority")
        if older := [
            one for one in peers if one.tenant == place.tenant and one.first_received < place.first_received - AGE_SLACK
        ]:
            self._breaks(f"{place} goes before {older[0]}, which is older and of the same tenant")
        for tenant in sorted({one.tenant for one in peers} - {place.tenant}, key=str):
            self._happened("tenants take turns")
            key = (place.priority, place.tenant, tenant)
            line.passed[key] += 1
            most = 1 + self._weight(place.tenant) / self._weight(tenant) + GIVEN_BACK
            if line.passed[key] > most:
                self._breaks(f"{place.tenant} has {line.passed[key]} turns while {tenant} waits for one, at {process}")
        for key in [key for key in line.passed if (key[0], key[2]) == (place.priority, place.tenant)]:
            del line.passed[key]

    def _settle(self, line: _Line, gone: Place) -> None:
        """Whose last one has left the line waits for nothing."""
        if not any((one.priority, one.tenant) == (gone.priority, gone.tenant) for one in line.waiting.values()):
            for key in [key for key in line.passed if (key[0], key[2]) == (gone.priority, gone.tenant)]:
                del line.passed[key]

    def _weight(self, tenant: str | None) -> int:
        return self._weights.get(tenant or "", 1)
