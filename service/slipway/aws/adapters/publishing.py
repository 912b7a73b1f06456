"""Publishing: events to the topic, and callbacks to Step Functions, SageMaker Pipelines, and other queues and topics.

Every failure is a `CallFailed`. A callback token that is no longer valid is `Refused`, `ResourceMissing` or `Conflicting`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, assert_never

from slipway.aws.adapters.clock import AwsClock
from slipway.aws.adapters.retry import NEVER, Caller
from slipway.aws.adapters.serialization import Parsed, batch_of, text_of, unreadable, write_attributes
from slipway.aws.sdk.clients import Open
from slipway.aws.sdk.regions import reply_region
from slipway.core.call_errors import CallFailed
from slipway.core.events.callbacks import Callback, EventCopy, StepFailed, StepSucceeded, TaskFailed, TaskSucceeded
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


STEP_FUNCTIONS: Final = "stepfunctions"
SAGEMAKER: Final = "sagemaker"


class CallbackSender:
    """Sends callbacks. Safe to repeat: a receiver that has the result refuses it.

    Queues and topics may be in any Region that their address names. Tokens name none: theirs is the daemon's Region.
    """

    def __init__(self, open_client: Open, *, queues: Any, topics: Any, caller: Caller) -> None:  # noqa: ANN401  aioboto3 has no types
        self._open = open_client
        self._queues = queues
        self._topics = topics
        self._call = caller.call

    async def reply(self, reply: Callback) -> None:
        """Send one callback."""
        match reply:
            case TaskSucceeded(token=token, output=output):
                operation = "SendTaskSuccess"
                states = await self._open(STEP_FUNCTIONS)
                await self._call(operation, lambda: states.send_task_success(taskToken=token, output=output))
            case TaskFailed(token=token, error=error, cause=cause):
                operation = "SendTaskFailure"
                states = await self._open(STEP_FUNCTIONS)
                await self._call(operation, lambda: states.send_task_failure(taskToken=token, error=error, cause=cause))
            case StepSucceeded() | StepFailed():
                await self._to_pipeline(reply)
            case EventCopy():
                await self._copy(reply)
            case _:
                assert_never(reply)

    async def heartbeat(self, task_token: str) -> None:
        """Send a heartbeat for a Step Functions task."""
        operation = "SendTaskHeartbeat"
        states = await self._open(STEP_FUNCTIONS)
        await self._call(operation, lambda: states.send_task_heartbeat(taskToken=task_token))

    async def _to_pipeline(self, reply: StepSucceeded | StepFailed) -> None:
        sagemaker = await self._open(SAGEMAKER)
        given: dict[str, Any] = {"CallbackToken": reply.token, "ClientRequestToken": reply.idempotency_token}
        if isinstance(reply, StepSucceeded):
            operation = "SendPipelineExecutionStepSuccess"
            send = sagemaker.send_pipeline_execution_step_success
            given["OutputParameters"] = [{"Name": name, "Value": value} for name, value in reply.parameters]
        else:
            operation = "SendPipelineExecutionStepFailure"
            send = sagemaker.send_pipeline_execution_step_failure
            given["FailureReason"] = reply.reason

        async def say() -> str:
            return text_of(await send(**given), "PipelineExecutionArn", operation)

        await self._call(operation, say)

    async def _client(self, service: str, own: Any, address: str) -> Any:  # noqa: ANN401  as above
        """Return a client for the Region in an address; the daemon's own one for an address that names no Region."""
        region = reply_region(address)
        return own if region in {None, own.meta.region_name} else await self._open(service, region)

    async def _copy(self, reply: EventCopy) -> None:
        publication = reply.publication
        given: dict[str, Any] = {"MessageAttributes": write_attributes(publication.attributes)}
        if reply.address.endswith(".fifo"):
            given |= {"MessageGroupId": publication.group, "MessageDeduplicationId": publication.event_id}
        is_topic = reply.address.startswith("arn:")
        client = await self._client("sns" if is_topic else "sqs", self._topics if is_topic else self._queues, reply.address)
        operation = "Publish"
        if is_topic:
            given |= {"TopicArn": reply.address, "Message": publication.body}
        else:
            operation = "SendMessage"
            given |= {"QueueUrl": reply.address, "MessageBody": publication.body}

        async def send() -> str:
            answer: Parsed = await (client.publish(**given) if is_topic else client.send_message(**given))
            return text_of(answer, "MessageId", operation)

        await self._call(operation, send)
