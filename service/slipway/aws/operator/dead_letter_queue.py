"""The dead-letter queue for an operator's commands: listing, redrive, deletion."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Final

from slipway.aws.adapters.retry import Caller
from slipway.aws.adapters.serialization import (
    Parsed,
    batch_of,
    number_of,
    objects_of,
    read_attributes,
    text_of,
    unreadable,
    write_attributes,
)
from slipway.aws.operator.queues import QueueInspector
from slipway.core.call_errors import CallFailed, ResourceMissing
from slipway.core.dead_letters import DeadLetter
from slipway.core.diagnostics.doctor import redrive_of
from slipway.core.sqs.messages import Outgoing

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
