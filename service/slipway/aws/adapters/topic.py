"""Calls of SNS for one topic. Every failure is a `CallFailed`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from slipway.aws.adapters.clock import AwsClock
from slipway.aws.adapters.message_attributes import write_attributes
from slipway.aws.adapters.responses import Parsed, batch_of, unreadable
from slipway.aws.adapters.retry import NEVER, Caller
from slipway.core.call_errors import CallFailed
from slipway.core.events.publish import Publication
from slipway.core.sqs.messages import attribute_bytes

LARGEST_BATCH_BYTES: Final = 256 * 1024
LARGEST_BATCH: Final = 10


class Topic:
    """The topic with this ARN."""

    def __init__(
        self,
        topic_arn: str,
        client: Any,  # noqa: ANN401  aioboto3 has no types
        caller: Caller,
        clock: AwsClock | None = None,
    ) -> None:
        self._arn = topic_arn
        self._client = client
        self._clock = clock or AwsClock(time.time)
        self._call = caller.call
        self._is_fifo = topic_arn.endswith(".fifo")

    async def publish(self, batch: Sequence[Publication]) -> list[CallFailed | None]:
        """Publish events, in order; answer for each None where SNS has it, else what it met. Raises none of it.

        Not repeated here: who announces must still have the right to, each time. Safe to repeat: a subscriber may see one
        twice, under the same event id. What does not fit in one call goes in several.
        """
        answers: list[CallFailed | None] = []
        for part in _calls(batch):
            try:
                answers += await self._publish(part)
            except CallFailed as failed:
                answers += [failed] * len(part)
        return answers

    async def check(self) -> None:
        """Check that the topic can be reached and read. Raises `CallFailed`."""
        operation = "GetTopicAttributes"

        async def send() -> None:
            answer = await self._clock.learn(self._client.get_topic_attributes(TopicArn=self._arn), self)
            if not answer.get("Attributes"):
                raise unreadable(operation, "an answer without Attributes")

        await self._call(operation, send)

    async def _publish(self, part: Sequence[Publication]) -> list[CallFailed | None]:
        operation = "PublishBatch"
        entries = [self._entry(place, publication) for place, publication in enumerate(part)]

        async def send() -> list[CallFailed | None]:
            publishing = self._client.publish_batch(TopicArn=self._arn, PublishBatchRequestEntries=entries)
            answer = await self._clock.learn(publishing, self)
            return batch_of(answer, len(entries), operation)

        return await self._call(operation, send, repeat=NEVER)

    def _entry(self, place: int, publication: Publication) -> Parsed:
        entry = {
            "Id": str(place),
            "Message": publication.body,
            "MessageAttributes": write_attributes(publication.attributes),
        }
        if self._is_fifo:
            entry |= {"MessageGroupId": publication.group, "MessageDeduplicationId": publication.event_id}
        return entry


def _calls(batch: Sequence[Publication]) -> Iterator[list[Publication]]:
    part: list[Publication] = []
    room = LARGEST_BATCH_BYTES
    for publication in batch:
        size = _size(publication)
        if part and (len(part) == LARGEST_BATCH or size > room):
            yield part
            part, room = [], LARGEST_BATCH_BYTES
        part.append(publication)
        room -= size
    if part:
        yield part


def _size(publication: Publication) -> int:
    return len(publication.body.encode()) + sum(attribute_bytes(*each) for each in publication.attributes.items())
