"""Queues and the topic for an operator's commands and clients: attributes, the dead-letter queue, sending, reading events.

A queue that is subscribed to the topic belongs to its owner: events are read, and stay in it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Final

from slipway.aws.adapters.clock import AwsClock
from slipway.aws.adapters.queue import backlog_of
from slipway.aws.adapters.retry import NEVER, Caller
from slipway.aws.adapters.serialization import (
    Parsed,
    batch_of,
    number_of,
    objects_of,
    read_attributes,
    text_of,
    texts_of,
    unreadable,
    write_attributes,
)
from slipway.aws.operator.permission_check import denied
from slipway.aws.sdk.clients import POLL_GRACE_SECONDS
from slipway.core.bedrock import Pager
from slipway.core.call_errors import CallFailed, Denied, ResourceMissing
from slipway.core.dead_letters import DeadLetter
from slipway.core.diagnostics.doctor import redrive_of
from slipway.core.diagnostics.status import Backlog
from slipway.core.sqs.messages import Outgoing


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


HIDDEN_SECONDS: Final = 120
"""Visibility timeout of listed messages, in seconds, unless they are released before."""
BATCH: Final = 10
SPARE_RECEIVES: Final = 10
"""Receives without a new message after which the listing ends, not counting those of messages left in the queue."""
MOST_BYTES: Final = 200_000
"""Most bytes of one batch, with room for attributes: SQS accepts 256 KiB."""
_SYSTEM: Final = ["SentTimestamp", "MessageGroupId"]


class DeadLetters:
    """The dead-letter queue of a request queue. Every failure is a `CallFailed`."""

    def __init__(self, queue_url: str, client: Any, inspector: QueueInspector, caller: Caller) -> None:  # noqa: ANN401  aioboto3 has no types
        self._queue_url = queue_url
        self._url: str | None = None
        self._client = client
        self._inspector = inspector
        self._call = caller.call

    async def each(self) -> AsyncGenerator[DeadLetter]:
        """Yield every message once; release all at the end, or when it is closed.

        Listing counts as a receive, which matters only if the dead-letter queue has a dead-letter queue of its own.
        """
        url = await self.url()
        received: dict[str, DeadLetter] = {}
        try:
            async for letters in self.batches():
                new = [one for one in letters if one.message_id not in received]
                received |= {one.message_id: one for one in letters}
                for letter in new:
                    yield letter
        finally:
            await self._release(url, list(received.values()))

    async def url(self) -> str:
        """Return the URL of the dead-letter queue. Raises `ResourceMissing` if there is none."""
        if self._url is None:
            self._url = await self._find_url()
        return self._url

    async def _find_url(self) -> str:
        arn = redrive_of(await self._inspector.queue(self._queue_url)).get("deadLetterTargetArn")
        if arn is None:
            raise ResourceMissing("GetQueueAttributes", "NoDeadLetterQueue", f"{self._queue_url} has no redrive policy")
        return await self._inspector.queue_url(arn)

    async def batches(self) -> AsyncIterator[list[DeadLetter]]:
        """Yield batches of messages until none is left, or only messages come that came before.

        A message that is neither deleted nor released can be received again after its visibility timeout.
        """
        url, seen, in_vain = await self.url(), set[str](), 0
        while in_vain <= SPARE_RECEIVES + len(seen) // BATCH:
            found = await self._receive(url)
            if not found:
                return
            in_vain = in_vain + 1 if seen.issuperset(letter.message_id for letter in found) else 0
            seen.update(letter.message_id for letter in found)
            yield found

    async def send_back(self, letters: Sequence[tuple[DeadLetter, Outgoing]]) -> list[str | CallFailed]:
        """Send at most `BATCH` messages to the request queue; return the new message id of each, or why it was not sent.

        Delete the messages after that: a duplicate is better than a loss.
        """
        answers: list[str | CallFailed] = []
        for part in _parts(letters):
            answers += await self._send(part)
        return answers

    async def _send(self, outgoing: Sequence[Outgoing]) -> list[str | CallFailed]:
        operation = "SendMessageBatch"
        entries: list[dict[str, Any]] = []
        for place, item in enumerate(outgoing):
            entry: dict[str, Any] = {"Id": str(place), "MessageBody": item.body}
            entry["MessageAttributes"] = write_attributes(item.attributes)
            if item.deduplication_id is not None:
                entry |= {"MessageGroupId": item.group, "MessageDeduplicationId": item.deduplication_id}
            entries.append(entry)

        async def send() -> list[str | CallFailed]:
            answer = await self._client.send_message_batch(QueueUrl=self._queue_url, Entries=entries)
            sent = {
                text_of(letter, "Id", operation): letter
                for letter in objects_of(answer, "Successful", operation, may_lack=True)
            }
            failed = batch_of(answer, len(entries), operation)
            return [wrong or text_of(sent[str(place)], "MessageId", operation) for place, wrong in enumerate(failed)]

        try:
            return await self._call(operation, send)
        except CallFailed as failed:
            return [failed] * len(entries)

    async def delete(self, letters: Sequence[DeadLetter]) -> None:
        """Delete at most `BATCH` messages. One that cannot be deleted is received again later."""
        operation, url = "DeleteMessageBatch", await self.url()
        entries = [{"Id": str(place), "ReceiptHandle": letter.receipt} for place, letter in enumerate(letters)]

        async def send() -> None:
            batch_of(await self._client.delete_message_batch(QueueUrl=url, Entries=entries), len(entries), operation)

        if entries:
            await self._call(operation, send)

    async def release(self, letters: Sequence[DeadLetter]) -> None:
        """Release messages at once."""
        await self._release(await self.url(), letters)

    async def _receive(self, url: str) -> list[DeadLetter]:
        operation = "ReceiveMessage"

        async def send() -> list[DeadLetter]:
            answer = await self._client.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=BATCH,
                WaitTimeSeconds=1,  # so that all of SQS's machines are asked
                VisibilityTimeout=HIDDEN_SECONDS,
                MessageSystemAttributeNames=_SYSTEM,
                MessageAttributeNames=["All"],
            )
            return [_letter(item, operation) for item in objects_of(answer, "Messages", operation, may_lack=True)]

        return await self._call(operation, send)

    async def _release(self, url: str, letters: Sequence[DeadLetter]) -> None:
        operation = "ChangeMessageVisibilityBatch"
        for begin in range(0, len(letters), BATCH):
            part = letters[begin : begin + BATCH]
            entries = [
                {"Id": str(place), "ReceiptHandle": letter.receipt, "VisibilityTimeout": 0} for place, letter in enumerate(part)
            ]

            async def send(entries: list[dict[str, object]] = entries) -> None:
                answer = await self._client.change_message_visibility_batch(QueueUrl=url, Entries=entries)
                batch_of(answer, len(entries), operation)  # what was sent back is no longer there, and need not be released

            await self._call(operation, send)


def _parts(letters: Sequence[tuple[DeadLetter, Outgoing]]) -> Iterator[list[Outgoing]]:
    """Yield batches of bounded size; a message that is larger is a batch by itself."""
    part, size = list[Outgoing](), 0
    for _, item in letters:
        length = len(item.body.encode())
        if part and size + length > MOST_BYTES:
            yield part
            part, size = [], 0
        part.append(item)
        size += length
    if part:
        yield part


def _letter(message: Parsed, operation: str) -> DeadLetter:
    system = message.get("Attributes", {})
    if not isinstance(system, Mapping):
        raise unreadable(operation, "a message whose attributes are none")
    return DeadLetter(
        text_of(message, "MessageId", operation),
        text_of(message, "Body", operation),
        text_of(message, "ReceiptHandle", operation),
        number_of(system.get("SentTimestamp"), operation) / 1000,
        read_attributes(message),
        system.get("MessageGroupId"),
    )
