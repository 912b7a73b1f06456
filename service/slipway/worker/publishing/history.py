"""How the latest requests came to their ends, and how long that takes here. A convenience: the events are the record."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from slipway.core.diagnostics.status import FinishedRequest, Wait
from slipway.core.lifecycle.outcomes import OutcomeKind
from slipway.worker.kernel.lease import Lease

ENTRIES: Final = 1000
"""About 2 MB at most. What another replica finished, or this one before it was restarted, is not among them."""
TIMES: Final = 500
"""Enough to know what is usual, and few enough that what was usual last month is forgotten."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One request from its first receipt to its end. Times are seconds since the epoch, by the queue's clock."""

    finished: FinishedRequest
    received_at: float
    receive_count: int
    waited: tuple[Wait, ...]
    """The latest waits, the last of them last."""


class History:
    """What has ended here, the latest last. However much that is, only so much is kept."""

    def __init__(self) -> None:
        self._entries: deque[HistoryEntry] = deque(maxlen=ENTRIES)
        self._active_seconds: deque[float] = deque(maxlen=TIMES)

    def __iter__(self) -> Iterator[HistoryEntry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def active_seconds(self) -> tuple[float, ...]:
        """How long the latest requests took that became Active, from the first receipt to the published outcome."""
        return tuple(self._active_seconds)

    def name_of(self, arn: str) -> str:
        """Answer the name of a deployment that was announced here; its ARN where it is not known.

        Whoever asks by ARN has it from an event, mostly.
        """
        known = (story.finished for story in reversed(self._entries) if story.finished.arn == arn)
        return next((finished.name for finished in known if finished.name not in {"", arn}), arn)

    def add(self, finished: FinishedRequest, lease: Lease) -> None:
        """Keep how a request ended."""
        received_at = lease.delivery.first_received_at
        waited = tuple(Wait(wait.reason.value, wait.text, wait.since, wait.times) for wait in lease.waited)
        self._entries.append(HistoryEntry(finished, received_at, lease.message.receive_count, waited))
        if finished.outcome == OutcomeKind.ACTIVE.value:
            self._active_seconds.append(max(0.0, finished.at - received_at))
