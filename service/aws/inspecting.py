"""Queues and topics, as a person looks at them: what they say of themselves. Nothing is received, and nothing changed."""

from __future__ import annotations

from typing import Any

from service.aws.calling import Caller
from service.core.audit import Backlog


class Inspector:
    """Asks SQS and SNS about queues and a topic. Every failure is a `CallFailed`."""

    def __init__(self, sqs: Any, sns: Any, caller: Caller) -> None:  # noqa: ANN401  aioboto3 has no types
        self._sqs = sqs
        self._sns = sns
        self._call = caller.call

    async def queue(self, url: str) -> dict[str, str]:
        """Answer all attributes of a queue."""
        operation = "GetQueueAttributes"

        async def send() -> dict[str, str]:
            answer = await self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
            return dict(answer["Attributes"])

        return await self._call(operation, send)

    async def backlog(self, url: str) -> Backlog:
        """Answer how many messages a queue has, as far as SQS knows."""
        said = await self.queue(url)
        return Backlog(
            int(said["ApproximateNumberOfMessages"]),
            int(said["ApproximateNumberOfMessagesNotVisible"]),
            int(said["ApproximateNumberOfMessagesDelayed"]),
        )
