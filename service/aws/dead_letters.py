"""The dead-letter queue, as a person looks through it, and sends letters of it back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from service.aws.answers import Parsed, batch_of, number_of, objects_of, text_of, unreadable
from service.aws.attributes import read_attributes, write_attributes
from service.aws.calling import Caller
from service.aws.inspecting import Inspector
from service.core.calls import Missing
from service.core.dead_letters import DeadLetter
from service.core.diagnosis import redrive_of
from service.core.messages import Outgoing

HIDDEN_SECONDS: Final = 120
"""For how long what is looked at is hidden from others, if it is not given back before."""
BATCH: Final = 10
_SYSTEM: Final = ["SentTimestamp", "MessageGroupId"]


class DeadLetters:
    """The dead-letter queue of a request queue. Every failure is a `CallFailed`."""

    def __init__(self, queue_url: str, client: Any, inspector: Inspector, caller: Caller) -> None:  # noqa: ANN401  aioboto3 has no types
        self._queue_url = queue_url
        self._client = client
        self._inspector = inspector
        self._call = caller.call

    @asynccontextmanager
    async def looking(self, most: int) -> AsyncIterator[list[DeadLetter]]:
        """Within, at most so many letters are in hand; what is still there afterwards is given back at once.

        Looking counts as a receive, which matters only if the dead-letter queue has one of its own.
        """
        url = await self.url()
        letters: dict[str, DeadLetter] = {}
        try:
            while len(letters) < most:
                found = [one for one in await self._receive(url, most - len(letters)) if one.message_id not in letters]
                if not found:
                    break
                letters |= {one.message_id: one for one in found}
            yield list(letters.values())
        finally:
            await self._release(url, list(letters.values()))

    async def url(self) -> str:
        """Answer the queue's own URL. Raises `Missing` where there is none."""
        arn = redrive_of(await self._inspector.queue(self._queue_url)).get("deadLetterTargetArn")
        if arn is None:
            raise Missing("GetQueueAttributes", "NoDeadLetterQueue", f"{self._queue_url} has no redrive policy")
        return await self._inspector.queue_url(arn)

    async def send_back(self, letter: DeadLetter, outgoing: Outgoing) -> None:
        """Send a letter's request to the request queue, then delete the letter: twice there is better than nowhere."""
        operation = "SendMessage"
        parameters: dict[str, Any] = {
            "QueueUrl": self._queue_url,
            "MessageBody": outgoing.body,
            "MessageAttributes": write_attributes(outgoing.attributes),
        }
        if outgoing.deduplication_id is not None:
            parameters |= {"MessageGroupId": outgoing.group, "MessageDeduplicationId": outgoing.deduplication_id}
        url = await self.url()

        async def send() -> None:
            text_of(await self._client.send_message(**parameters), "MessageId", operation)

        async def delete() -> None:
            await self._client.delete_message(QueueUrl=url, ReceiptHandle=letter.receipt)

        await self._call(operation, send)
        await self._call("DeleteMessage", delete)

    async def _receive(self, url: str, most: int) -> list[DeadLetter]:
        operation = "ReceiveMessage"

        async def send() -> list[DeadLetter]:
            answer = await self._client.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=min(BATCH, most),
                WaitTimeSeconds=1,  # so that all of SQS's machines are asked
                VisibilityTimeout=HIDDEN_SECONDS,
                MessageSystemAttributeNames=_SYSTEM,
                MessageAttributeNames=["All"],
            )
            return [_letter(each, operation) for each in objects_of(answer, "Messages", operation, may_lack=True)]

        return await self._call(operation, send)

    async def _release(self, url: str, letters: Sequence[DeadLetter]) -> None:
        operation = "ChangeMessageVisibilityBatch"
        for begin in range(0, len(letters), BATCH):
            part = letters[begin : begin + BATCH]
            entries = [
                {"Id": str(place), "ReceiptHandle": one.receipt, "VisibilityTimeout": 0} for place, one in enumerate(part)
            ]

            async def send(entries: list[dict[str, object]] = entries) -> None:
                answer = await self._client.change_message_visibility_batch(QueueUrl=url, Entries=entries)
                batch_of(answer, len(entries), operation)  # what was sent back is no longer there, and need not be released

            await self._call(operation, send)


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
