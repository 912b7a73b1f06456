"""Queues and the topic for an operator's commands and clients: their attributes, sending a request, reading events.

A queue that is subscribed to the topic belongs to its owner: events are read, and stay in it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from slipway.aws.adapters.clock import AwsClock
from slipway.aws.adapters.retry import NEVER, Caller
from slipway.aws.adapters.serialization import objects_of, text_of, texts_of
from slipway.aws.operator.permission_check import denied
from slipway.aws.sdk.clients import POLL_GRACE_SECONDS
from slipway.core.bedrock import Pager
from slipway.core.call_errors import Denied
from slipway.core.diagnostics.status import Backlog


class QueueInspector:
    """Reads attributes from SQS and SNS. Every failure is a `CallFailed`."""

    def __init__(self, sqs: Any, sns: Any, caller: Caller) -> None:  # noqa: ANN401  aioboto3 has no types
        self._sqs = sqs
        self._sns = sns
        self._caller = caller
        self._call = caller.call
        self._clock = AwsClock(time.time)

    async def queue(self, url: str) -> dict[str, str]:
        """Return all attributes of a queue."""
        return (await self.queue_and_skew(url))[0]

    async def queue_and_skew(self, url: str) -> tuple[dict[str, str], float]:
        """Return all attributes of a queue, and how many seconds this machine's clock is ahead of AWS's."""
        operation = "GetQueueAttributes"

        async def send() -> tuple[dict[str, str], float]:
            answer = await self._clock.learn(self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]), self)
            return texts_of(answer, "Attributes", operation), time.time() - self._clock.now()

        return await self._call(operation, send)

    async def backlog(self, url: str) -> Backlog:
        """Return a queue's approximate message counts."""
        return backlog_of(await self.queue(url))

    async def queue_url(self, arn: str) -> str:
        """Return the URL of the queue with this ARN. Raises `ResourceMissing` if there is none."""
        operation = "GetQueueUrl"
        account, name = arn.split(":")[-2:]

        async def send() -> str:
            answer = await self._sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)
            return text_of(answer, "QueueUrl", operation)

        return await self._call(operation, send)

    async def subscribers(self, topic_arn: str) -> int:
        """Return the number of confirmed subscriptions on the first page that has any; 0 if none has."""
        operation = "ListSubscriptionsByTopic"

        async def fetch(token: str | None) -> tuple[int, str | None]:
            async def send() -> tuple[int, str | None]:
                answer = await self._sns.list_subscriptions_by_topic(
                    TopicArn=topic_arn, **({} if token is None else {"NextToken": token})
                )
                subscriptions = objects_of(answer, "Subscriptions", operation)
                confirmed = sum(text_of(each, "SubscriptionArn", operation).startswith("arn:") for each in subscriptions)
                return confirmed, text_of(answer, "NextToken", operation) if answer.get("NextToken") else None

            return await self._call(operation, send)

        async for confirmed, _ in Pager(operation, fetch, lambda page: page[1]):
            if confirmed:
                return confirmed
        return 0

    async def denials(self, queue_url: str, topic_arn: str | None = None) -> list[Denied]:
        """Return the denied operations among those that can be tried without effect. Send and receive cannot."""
        receipt = {"QueueUrl": queue_url, "ReceiptHandle": "none"}
        calls = {
            "ChangeMessageVisibility": lambda: self._sqs.change_message_visibility(VisibilityTimeout=0, **receipt),
            "DeleteMessage": lambda: self._sqs.delete_message(**receipt),
        }
        if topic_arn is not None:
            calls["GetTopicAttributes"] = lambda: self._sns.get_topic_attributes(TopicArn=topic_arn)
        return await denied(self._caller, calls)


def backlog_of(attributes: Mapping[str, str]) -> Backlog:
    """Return the message counts in a queue's attributes."""
    return Backlog(
        int(attributes["ApproximateNumberOfMessages"]),
        int(attributes["ApproximateNumberOfMessagesNotVisible"]),
        int(attributes["ApproximateNumberOfMessagesDelayed"]),
    )


class RequestSender:
    """Sends messages to the queues of one Region. Every failure is a `CallFailed`."""

    def __init__(self, client: Any, caller: Caller) -> None:  # noqa: ANN401  aioboto3 has no types
        self._client = client
        self._call = caller.call
        self._clock = AwsClock(time.time)

    async def send(self, queue_url: str, body: str, *, group: str, deduplication_id: str) -> tuple[str, float]:
        """Send one message and return its id and the time by AWS's clock.

        Retried after a lost response, so it may be sent twice: harmless, as both are the same request.
        `group` and `deduplication_id` are used only on a FIFO queue.
        """
        operation = "SendMessage"
        parameters: dict[str, Any] = {"QueueUrl": queue_url, "MessageBody": body}
        if queue_url.endswith(".fifo"):
            parameters |= {"MessageGroupId": group, "MessageDeduplicationId": deduplication_id}

        async def send() -> tuple[str, float]:
            answer = await self._clock.learn(self._client.send_message(**parameters), self)
            return text_of(answer, "MessageId", operation), self._clock.now()

        return await self._call(operation, send)


EVENT_HIDDEN_SECONDS: Final = 30
"""Visibility timeout of received events, in seconds, so that a queue with more than ten events is read completely."""


class EventListener:
    """Reads one queue without deleting. Every failure is a `CallFailed`."""

    def __init__(self, queue_url: str, client: Any, caller: Caller) -> None:  # noqa: ANN401  aioboto3 has no types
        self._url = queue_url
        self._client = client
        self._call = caller.call

    async def listen(self, seconds: int) -> list[str]:
        """Return at most ten bodies after a long poll for the first. Each can be received again later."""
        parameters: dict[str, Any] = {
            "QueueUrl": self._url,
            "MaxNumberOfMessages": 10,
            "WaitTimeSeconds": seconds,
            "VisibilityTimeout": EVENT_HIDDEN_SECONDS,
        }

        operation = "ReceiveMessage"

        async def send() -> list[str]:
            answer = await self._client.receive_message(**parameters)
            messages = objects_of(answer, "Messages", operation, may_lack=True)
            return [text_of(message, "Body", operation) for message in messages]

        return await self._call(operation, send, repeat=NEVER, call_timeout=seconds + POLL_GRACE_SECONDS)
