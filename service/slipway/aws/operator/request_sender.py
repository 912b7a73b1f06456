"""Sending of requests to the request queue, for commands and clients."""

from __future__ import annotations

import time
from typing import Any

from slipway.aws.adapters.clock import AwsClock
from slipway.aws.adapters.responses import text_of
from slipway.aws.adapters.retry import Caller


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
