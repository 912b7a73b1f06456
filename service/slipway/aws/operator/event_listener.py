"""Reading of events from a queue that is subscribed to the topic. It belongs to its owner: messages stay in it."""

from __future__ import annotations

from typing import Any, Final

from slipway.aws.adapters.responses import objects_of, text_of
from slipway.aws.adapters.retry import NEVER, Caller
from slipway.aws.sdk.clients import POLL_GRACE_SECONDS

HIDDEN_SECONDS: Final = 30
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
            "VisibilityTimeout": HIDDEN_SECONDS,
        }

        operation = "ReceiveMessage"

        async def send() -> list[str]:
            answer = await self._client.receive_message(**parameters)
            messages = objects_of(answer, "Messages", operation, may_lack=True)
            return [text_of(message, "Body", operation) for message in messages]

        return await self._call(operation, send, repeat=NEVER, call_timeout=seconds + POLL_GRACE_SECONDS)
