"""Every operation under the X-Ray SDK's patch of aiobotocore: in a process of its own, since the patch cannot be undone.

Prints, as JSON, what each operation is said to mean without a segment and within one, and the subsegments that were recorded.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from aws_xray_sdk.core import patch, xray_recorder
from aws_xray_sdk.core.async_context import AsyncContext

from slipway.aws.adapters.bedrock import Bedrock
from slipway.aws.connect import Identity
from slipway.aws.sdk.clients import Clients, open_clients
from slipway.core.call_errors import CallFailed
from tests.aws.conftest import QUEUE_URL, TOPIC_ARN, make_caller
from tests.aws.servers import ARN, answer, serving
from tests.aws.test_wire_matrix import MODEL, Wire, _well, meanings

ANY = {"customModelDeploymentArn": ARN, "output": {"message": {"content": [{"text": "ready"}]}}}
IDENTITY = b"<R><GetCallerIdentityResult><UserId>u</UserId><Account>123456789012</Account></GetCallerIdentityResult></R>"


class Emitter:
    """Keeps what would be sent to the X-Ray daemon."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def send_entity(self, entity: Any) -> None:
        self.names += [each.aws["operation"] for each in entity.subsegments] if hasattr(entity, "subsegments") else []


def with_clients(url: str, monkeypatch: pytest.MonkeyPatch) -> AbstractAsyncContextManager[Clients]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    return open_clients(queue_url=QUEUE_URL, topic_arn=TOPIC_ARN, version="0", most_polls=2)


async def others(clients: Clients) -> dict[str, str]:
    """Call what the matrix of the wire does not."""
    bedrock = Bedrock(clients.bedrock, make_caller(attempts=1), open_client=clients.open)
    said = {}
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "DeleteCustomModelDeployment": lambda: bedrock.delete(ARN),
        "UpdateCustomModelDeployment": lambda: bedrock.update(ARN, MODEL),
        "TagResource": lambda: bedrock.tag(ARN, {"a": "b"}),
        "Converse": lambda: bedrock.converse(ARN, "say ready", 10),
    }
    for name, call in calls.items():
        try:
            await call()
        except CallFailed as failed:
            said[name] = repr(failed)
        else:
            said[name] = "applied"
    return said


async def main() -> None:
    emitter = Emitter()
    xray_recorder.configure(
        service="slipway", sampling=False, context=AsyncContext(), emitter=emitter, context_missing="IGNORE_ERROR"
    )
    patch(["aiobotocore"])
    told: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in ("without", "within"):
            wire = Wire(_well)
            async with serving(wire) as server, with_clients(server.url, monkeypatch) as clients:
                if name == "within":
                    async with xray_recorder.in_segment_async("slipway"):
                        told[name] = await meanings(clients)
                else:
                    told[name] = await meanings(clients)
        async with serving(answer(200, ANY)) as server, with_clients(server.url, monkeypatch) as clients:
            told["others"] = await others(clients)
        async with serving(answer(200, IDENTITY)) as server, with_clients(server.url, monkeypatch) as clients:
            told["sender"] = (await Identity(clients.open, make_caller()).get()).sender
    told["recorded"] = emitter.names
    print(json.dumps(told, default=repr))  # noqa: T201  it is what this process is for


if __name__ == "__main__":
    asyncio.run(main())
