"""The sweep without the promises: no leases, no retries, no errors, no logs, no metrics; batches, a List each second, uvloop.

What it costs is what the calls themselves cost with a client that is tuned as Slipway's is.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any

import uvloop

from slipway.aws.sdk.clients import Clients, open_clients

QUEUE, TOPIC = os.environ.get("SLIPWAY_QUEUE_URL", ""), os.environ.get("SLIPWAY_TOPIC_ARN", "")


class Sketch:
    """Everything there is."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._creating: dict[str, dict[str, Any]] = {}
        self._ended: deque[tuple[dict[str, Any], str]] = deque()
        self._open = asyncio.Semaphore(32)
        self._tasks: set[asyncio.Task[None]] = set()

    async def receive(self) -> None:
        while True:
            answer = await self._clients.receive.receive_message(QueueUrl=QUEUE, MaxNumberOfMessages=10, WaitTimeSeconds=20)
            for message in answer.get("Messages", ()):
                await self._open.acquire()
                task = asyncio.create_task(self._create(message))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _create(self, message: dict[str, Any]) -> None:
        request = json.loads(message["Body"])
        name = request["modelDeploymentName"]
        answer = await self._clients.bedrock.create_custom_model_deployment(
            modelDeploymentName=name, modelArn=request["modelArn"], clientRequestToken=name
        )
        self._open.release()
        self._creating[answer["customModelDeploymentArn"]] = message | {"at": datetime.now(UTC) - timedelta(seconds=5)}

    async def sweep(self) -> None:
        while True:
            await asyncio.sleep(0.8 + random.random() / 5)
            oldest = min((message["at"] for message in self._creating.values()), default=None)
            for status in ("Active", "Failed") if oldest else ():
                more: dict[str, str] = {}
                while True:
                    page = await self._clients.bedrock.list_custom_model_deployments(
                        maxResults=1000,
                        createdAfter=oldest,
                        statusEquals=status,
                        sortBy="CreationTime",
                        sortOrder="Ascending",
                        **more,
                    )
                    for one in page["modelDeploymentSummaries"]:
                        if message := self._creating.pop(one["customModelDeploymentArn"], None):
                            self._ended.append((message, one["status"]))
                    await self._settle()
                    if "nextToken" not in page:
                        break
                    more = {"nextToken": page["nextToken"]}

    async def _settle(self) -> None:
        batches = []
        while self._ended:
            batches.append([self._ended.popleft() for _ in range(min(10, len(self._ended)))])
        await asyncio.gather(*(self._announce(batch) for batch in batches))

    async def _announce(self, batch: list[tuple[dict[str, Any], str]]) -> None:
        events = [{"data": {"requestId": json.loads(message["Body"])["requestId"], "outcome": end}} for message, end in batch]
        entries = [{"Id": str(place), "Message": json.dumps(event)} for place, event in enumerate(events)]
        await self._clients.topic.publish_batch(TopicArn=TOPIC, PublishBatchRequestEntries=entries)
        gone = [{"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]} for place, (message, _) in enumerate(batch)]
        await self._clients.leases.delete_message_batch(QueueUrl=QUEUE, Entries=gone)


async def main() -> None:
    async with open_clients(queue_url=QUEUE, topic_arn=TOPIC, version="0", most_polls=8) as clients:
        sketch = Sketch(clients)
        await asyncio.gather(*(sketch.receive() for _ in range(8)), sketch.sweep())


if __name__ == "__main__":
    uvloop.run(main())
