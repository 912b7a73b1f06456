"""An AWS with state machines and event rules: ministack, from an environment of its own, beside our own Bedrock."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aioboto3

from slipway.local.bedrock_server import BedrockStandIn
from slipway.local.behaviour import Behaviour
from tests.e2e.daemons import free_port
from tests.support.readme import ROOT

ACCOUNT, REGION = "123456789012", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/anything"
PROGRAM = ROOT / ".venv-ministack" / "bin" / "ministack"


class Ministack:
    """As a box: queue, topic and results queue; and clients for what only this one has."""

    def __init__(self, folder: Path, terms: Behaviour) -> None:
        self.bedrock = BedrockStandIn(terms)
        self.queue_url = self.topic_arn = self.results_url = self.bedrock_url = ""
        self._folder = folder
        self._url = ""
        self._stack = AsyncExitStack()
        self.sqs: Any = None
        self.events: Any = None
        self.states: Any = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as starting:
            starting.push_async_callback(self.bedrock.close)
            self.bedrock_url = await self.bedrock.start()
            await self._start(starting)
            self.sqs, sns, self.events, self.states = [
                await starting.enter_async_context(self.client(service))
                for service in ("sqs", "sns", "events", "stepfunctions")
            ]
            self.queue_url = (await self.sqs.create_queue(QueueName="slipway-requests"))["QueueUrl"]
            self.results_url = (await self.sqs.create_queue(QueueName="slipway-results"))["QueueUrl"]
            self.topic_arn = (await sns.create_topic(Name="slipway-events"))["TopicArn"]
            await sns.subscribe(
                TopicArn=self.topic_arn,
                Protocol="sqs",
                Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:slipway-results",
                Attributes={"RawMessageDelivery": "true"},
            )
            self._stack = starting.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def environment(self) -> dict[str, str]:
        """Return the variables with which Slipway finds all this."""
        return {
            "AWS_ENDPOINT_URL": self._url,
            "AWS_ENDPOINT_URL_BEDROCK": self.bedrock_url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "local",
            "SLIPWAY_QUEUE_URL": self.queue_url,
            "SLIPWAY_TOPIC_ARN": self.topic_arn,
        }

    async def receive_results(self) -> list[str]:
        """Return events that were announced, waiting for a first one."""
        got = await self.sqs.receive_message(QueueUrl=self.results_url, MaxNumberOfMessages=10, WaitTimeSeconds=5)
        messages = got.get("Messages", [])
        for message in messages:
            await self.sqs.delete_message(QueueUrl=self.results_url, ReceiptHandle=message["ReceiptHandle"])
        return [message["Body"] for message in messages]

    async def run_machine(self, definition: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        """Run a state machine to its end, and describe its execution."""
        machine = await self.states.create_state_machine(name="deploying", definition=json.dumps(definition), roleArn=ROLE)
        begun = await self.states.start_execution(stateMachineArn=machine["stateMachineArn"], input=json.dumps(given))
        async with asyncio.timeout(90.0):
            while True:
                described: dict[str, Any] = await self.states.describe_execution(executionArn=begun["executionArn"])
                if described["status"] != "RUNNING":
                    return described
                await asyncio.sleep(0.2)  # Step Functions tells nobody when it ends

    async def _start(self, starting: AsyncExitStack) -> None:
        if not PROGRAM.exists():
            await asyncio.to_thread(subprocess.run, ["make", ".venv-ministack/ready"], cwd=ROOT, check=True)
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        process = await asyncio.create_subprocess_exec(
            PROGRAM,
            cwd=self._folder,
            env=os.environ | {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "TMPDIR": str(self._folder)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        starting.push_async_callback(_end, process)
        assert process.stdout is not None
        async with asyncio.timeout(60.0):
            async for line in process.stdout:
                if b"Running on" in line:
                    break
        reading = asyncio.create_task(process.stdout.read())
        starting.callback(reading.cancel)

    def client(self, service: str) -> Any:
        return aioboto3.Session().client(
            service,
            endpoint_url=self._url,
            region_name=REGION,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="local",
        )


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()
