"""The latest finished requests of this process, for the status page. The events are the record."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from slipway.core.diagnostics.status import FinishedRequest, Wait
from slipway.core.lifecycle.outcomes import OutcomeKind
from slipway.worker.kernel.lease import Lease

ENTRIES: Final = 1000
"""Of this process since its start; other replicas keep their own."""
TIMES: Final = 500
"""The number of durations from which the typical one is computed."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One request from its first receipt to its end. Times are seconds since the epoch, by the queue's clock."""

    finished: FinishedRequest
    received_at: float
    receive_count: int
    waited: tuple[Wait, ...]
    """The latest waits, the last of them last."""


class History:
    """The latest finished requests, the latest last; their number is bounded."""

    def __init__(self) -> None:
        self._entries: deque[HistoryEntry] = deque(maxlen=ENTRIES)
        self._active_seconds: deque[float] = deque(maxlen=TIMES)

    def __iter__(self) -> Iterator[HistoryEntry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def active_seconds(self) -> tuple[float, ...]:
        """The seconds that the latest `Active` requests took, from first receipt to published outcome."""
        return tuple(self._active_seconds)

    def name_of(self, arn: str) -> str:
        """Return the name of a deployment whose outcome was published here; its ARN if it is not known."""
        known = (story.finished for story in reversed(self._entries) if story.finished.arn == arn)
        return next((finished.name for finished in known if finished.name not in {"", arn}), arn)

    def add(self, finished: FinishedRequest, lease: Lease) -> None:
        """Add a finished request."""
        received_at = lease.delivery.first_received_at
        waited = tuple(Wait(wait.reason.value, wait.text, wait.since, wait.times) for wait in lease.waited)
        self._entries.append(HistoryEntry(finished, received_at, lease.message.receive_count, waited))
        if finished.outcome == OutcomeKind.ACTIVE.value:
            self._active_seconds.append(max(0.0, finished.at - received_at))
