"""Publishing to SNS, and the history of finished requests.

An event is published once SNS has accepted its entry of the batch. The history has the latest requests of this process, for the
status page; the events are the record.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from slipway.core.call_errors import CallFailed, Refused
from slipway.core.diagnostics.status import FinishedRequest, Wait
from slipway.core.events.publish import Publication, minimal
from slipway.core.lifecycle.outcomes import OutcomeKind
from slipway.worker.kernel.batches import Batches
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.retry import Retries
from slipway.worker.kernel.telemetry import Counters

log = structlog.get_logger()

LINGER_SECONDS: Final = 0.02
PARALLEL_CALLS: Final = 8
BEST_EFFORT_ATTEMPTS: Final = 3
LARGEST_BATCH_BYTES: Final = 240 * 1024
"""SNS takes 256 KiB of bodies and attributes in one batch; attributes are a few hundred bytes an event."""


class PublishInterrupted(Exception):
    """The topic accepts nothing at the moment: publish later."""


class PublishRefused(Exception):
    """SNS refuses this event in full and minimal form."""


class Topic(Protocol):
    """The SNS call of the publisher."""

    async def publish(self, batch: Sequence[Publication]) -> Sequence[CallFailed | None]:
        """Publish at most ten events, once; return a failure or None for each."""


class Publisher:
    """Publishes events in batches, until the time limit is over or the lease is lost."""

    def __init__(self, topic: Topic, *, is_fifo: bool, rng: random.Random, counters: Counters) -> None:
        self._rng = rng
        self._counters = counters
        self._batches = Batches(
            topic.publish,
            linger=LINGER_SECONDS,
            # On a FIFO topic one call at a time: two at once could overtake each other within a group.
            parallel=1 if is_fifo else PARALLEL_CALLS,
            size=lambda publication: len(publication.body),
            largest=LARGEST_BATCH_BYTES,
        )

    async def publish_until_done(self, publication: Publication, lease: Lease) -> None:
        """Publish; return when SNS has accepted the event. Raises `Interrupted` between attempts, never within one.

        Safe to repeat: the event keeps its id. An event that SNS refuses for its content is retried in minimal form.
        Raises `PublishRefused` if that is refused, too, and `PublishInterrupted` if the topic accepts nothing.
        """
        retries, is_minimal = Retries(lease, self._rng), False
        while True:
            lease.check_lease()
            failed = await self._batches.put(publication)
            if failed is None:
                self._counters.events_published += 1
                return
            log.warning("publish.failed", reason=failed.code, message=str(failed), event_id=publication.event_id)
            if isinstance(failed, Refused) and not is_minimal:
                publication, is_minimal = minimal(publication), True
            elif retries.is_over(failed):
                raise (PublishRefused if isinstance(failed, Refused) else PublishInterrupted)(str(failed))
            await retries.pause(failed)

    def publish_best_effort(self, publication: Publication, tries: int = BEST_EFFORT_ATTEMPTS) -> None:
        """Publish progress in order, without waiting. A progress event that fails repeatedly is dropped."""
        answer = self._batches.put(publication)
        answer.add_done_callback(lambda answer: self._published_best_effort(publication, answer, tries - 1))

    async def drain(self) -> None:
        """Return when every pending event was accepted or refused."""
        await self._batches.drain()

    def _published_best_effort(self, publication: Publication, answer: asyncio.Future[CallFailed | None], tries: int) -> None:
        if bug := answer.exception():
            self._counters.faults += 1
            log.error("progress.faulted", exc_info=bug, event_id=publication.event_id)
            return
        failed = answer.result()
        if failed is None:
            self._counters.events_published += 1
        elif tries:
            self.publish_best_effort(publication, tries)
        else:
            log.info("progress.dropped", reason=failed.code, event_id=publication.event_id)


ENTRIES: Final = 1000
"""Of this process since its start; other replicas keep their own."""
_HOUR_SECONDS: Final = 3600
_HOURS: Final = 24
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
        self._failures: Counter[int] = Counter()
        """Failed requests of the last day, by the hour since the epoch in which they ended."""

    def __iter__(self) -> Iterator[HistoryEntry]:
        return iter(self._entries)

    def __reversed__(self) -> Iterator[HistoryEntry]:
        return reversed(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def active_seconds(self) -> tuple[float, ...]:
        """The seconds that the latest `Active` requests took, from first receipt to published outcome."""
        return tuple(self._active_seconds)

    def failures_of_a_day(self, now: float) -> int:
        """Return how many requests have failed in the last 24 hours, to the hour."""
        oldest = int(now // _HOUR_SECONDS) - _HOURS
        return sum(number for hour, number in self._failures.items() if hour > oldest)

    def name_of(self, arn: str) -> str:
        """Return the name of a deployment whose outcome was published here; its ARN if it is not known."""
        known = (story.finished for story in reversed(self._entries) if story.finished.arn == arn)
        return next((finished.name for finished in known if finished.name not in {"", arn}), arn)

    def add(self, finished: FinishedRequest, lease: Lease) -> None:
        """Add a finished request."""
        received_at = lease.delivery.first_received_at
        waited = tuple(Wait(wait.reason.value, wait.text, wait.since, wait.times) for wait in lease.waited)
        self._entries.append(HistoryEntry(finished, received_at, lease.message.receive_count, waited))
        if finished.is_failure:
            hour = int(finished.at // _HOUR_SECONDS)
            self._failures[hour] += 1
            for old in [each for each in self._failures if each <= hour - _HOURS]:
                del self._failures[old]
        if finished.outcome == OutcomeKind.ACTIVE.value:
            self._active_seconds.append(max(0.0, finished.at - received_at))
