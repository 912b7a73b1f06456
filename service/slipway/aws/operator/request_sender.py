"""Putting requests on the queue, as an asker does."""

from __future__ import annotations

import time
from typing import Any

from slipway.aws.adapters.clock import AwsClock
from slipway.aws.adapters.responses import text_of
from slipway.aws.adapters.retry import Caller


class RequestSender:
    """Sends to the queues of one Region. Every failure is a `CallFailed`."""

    def __init__(self, client: Any, caller: Caller) -> None:  # noqa: ANN401  aioboto3 has no types
        self._client = client
        self._call = caller.call
        self._clock = AwsClock(time.time)

    async def send(self, queue_url: str, body: str, *, group: str, deduplication_id: str) -> tuple[str, float]:
        """Send one message; answer its id, and when it was sent, by AWS's clock.

        Repeated after a lost answer, so it may be there twice: harmless, as both ask for the same under one request id.
        `group` and `deduplication_id` are for a FIFO queue, and not used on another.
        """
        operation = "SendMessage"
        parameters: dict[str, Any] = {"QueueUrl": queue_url, "MessageBody": body}
        if queue_url.endswith(".fifo"):
            parameters |= {"MessageGroupId": group, "MessageDeduplicationId": deduplication_id}

        async def send() -> tuple[str, float]:
            answer = await self._clock.learn(self._client.send_message(**parameters))
            return text_of(answer, "MessageId", operation), self._clock.now()

        return await self._call(operation, send)
