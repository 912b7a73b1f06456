"""A strict SNS topic: keeps everything that was published, loses acknowledgements when told to."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.aws.adapters.retry import NEVER
from slipway.core.call_errors import CallFailed, Denied, Refused, Throttled
from slipway.core.events.publish import Publication
from slipway.core.lifecycle.outcomes import OutcomeKind
from slipway.core.sqs.messages import group_of
from tests.simulator.callers import Callers
from tests.simulator.virtual_loop import PROCESS
from tests.simulator.wire_faults import Wire

LARGEST_BATCH = 256 * 1024
MOST_ATTRIBUTES = 10
DEDUPLICATION_SECONDS = 300.0

ENDS = frozenset(OutcomeKind)


@dataclass
class Notice:
    """An event as subscribers got it."""

    at: float
    event_id: str
    group: str
    attributes: dict[str, str]
    event: dict[str, Any]


class Topic:
    """The topic, and everything that was announced to it."""

    def __init__(self, wire: Wire, clock: object, *, fifo: bool = False) -> None:
        self._wire = wire
        self._clock = clock
        self.is_fifo = fifo
        self.notices: list[Notice] = []
        self.fail_entries = 0
        self.is_denied = False
        """Whether Slipway may not publish to it."""
        self.refuses: Callable[[Publication], bool] = lambda _: False
        """Which events it never takes."""
        self._seen: dict[str, float] = {}

    async def publish(self, batch: Sequence[Publication]) -> list[CallFailed | None]:
        """Publish a batch, once."""
        process = PROCESS.get()
        for one in batch:
            self._wire.watching.publishing(one, process)
        size = sum(len(one.body) + sum(len(k) + len(v) for k, v in one.attributes.items()) for one in batch)
        if len(batch) > 10 or size > LARGEST_BATCH:
            raise Refused("PublishBatch", "BatchRequestTooLong")
        return await self._wire.call("PublishBatch", lambda: self._all(batch))

    def terminal(self) -> list[Notice]:
        """Return the events that end a request."""
        return [notice for notice in self.notices if notice.event["data"]["outcome"] in ENDS]

    def _all(self, batch: Sequence[Publication]) -> list[CallFailed | None]:
        if self.is_denied:
            self._wire.watching.happened("topic denied")
            raise Denied("PublishBatch", "AuthorizationError", "no permission to publish to this topic")
        return [self._one(publication) for publication in batch]

    def _one(self, publication: Publication) -> CallFailed | None:
        if self.fail_entries or (self._wire.is_partial and self._is_unlucky(publication)):
            self.fail_entries = max(0, self.fail_entries - 1)
            return Throttled("PublishBatch", "ThrottledException", "this entry alone")
        if len(publication.attributes) > MOST_ATTRIBUTES or not all(publication.attributes.values()):
            return Refused("PublishBatch", "InvalidParameter", "attributes")
        if self.is_fifo and publication.group != group_of(publication.group):
            return Refused("PublishBatch", "InvalidParameter", "MessageGroupId")
        if self.refuses(publication):
            self._wire.watching.happened("event refused")
            return Refused("PublishBatch", "InvalidParameter", "this event")
        self._wire.watching.published(publication, self._wire.sender)
        now = self._clock()  # type: ignore[operator]
        before = self._seen.get(publication.event_id)
        if self.is_fifo and before is not None and now - before < DEDUPLICATION_SECONDS:
            self._wire.watching.happened("deduplicated by the topic")
            return None
        if before is not None:
            self._wire.watching.happened("retry beyond the dedup window" if self.is_fifo else "published again")
        self._seen[publication.event_id] = now
        self.notices.append(
            Notice(now, publication.event_id, publication.group, dict(publication.attributes), json.loads(publication.body))
        )
        return None

    def _is_unlucky(self, publication: Publication) -> bool:
        return self._wire.calls["PublishBatch"] % 2 == int(publication.event_id[0], 16) % 2


class Publisher:
    """The topic as one Slipway sees it: paced and repeated as real calls are."""

    def __init__(self, topic: Topic, callers: Callers) -> None:
        self._topic = topic
        self._callers = callers

    async def publish(self, batch: Sequence[Publication]) -> Sequence[CallFailed | None]:
        """Publish a batch."""
        return await self._callers.publishing.call("PublishBatch", lambda: self._topic.publish(batch), repeat=NEVER)
