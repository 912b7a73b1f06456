"""The box as a whole: what is in it, what it says to the environment, and that nothing of it stays behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress

import pytest
import pytest_asyncio

from slipway.local.stack import LocalAws
from tests.local.conftest import MODEL, open_client

LONG_SECONDS = 120.0
"""Processes are started within it, on machines that are busy."""


@pytest_asyncio.fixture(params=[False, True], ids=["standard", "FIFO"])
async def own_box(request: pytest.FixtureRequest) -> AsyncIterator[LocalAws]:
    async with LocalAws(creation_seconds=(0.0, 0.0), fifo=request.param) as made:
        yield made


async def test_a_request_in_an_event_out(own_box: LocalAws) -> None:
    names = own_box.environment()
    assert set(names) == {
        "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_BEDROCK", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_REGION",
        "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_SFN", "AWS_ENDPOINT_URL_SAGEMAKER", "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY", "SLIPWAY_QUEUE_URL", "SLIPWAY_TOPIC_ARN", "SLIPWAY_LOCAL_RESULTS_QUEUE_URL",
    }  # fmt: skip
    is_fifo = names["SLIPWAY_QUEUE_URL"].endswith(".fifo")
    sent = await own_box.send("a request")
    async with (
        open_client("sqs", names["AWS_ENDPOINT_URL"]) as sqs,
        open_client("sns", names["AWS_ENDPOINT_URL"]) as sns,
        open_client("bedrock", names["AWS_ENDPOINT_URL_BEDROCK"]) as bedrock,
    ):
        told = await sqs.get_queue_attributes(QueueUrl=names["SLIPWAY_QUEUE_URL"], AttributeNames=["All"])
        (message,) = (await sqs.receive_message(QueueUrl=names["SLIPWAY_QUEUE_URL"], WaitTimeSeconds=5))["Messages"]
        await bedrock.create_custom_model_deployment(modelDeploymentName="a", modelArn=MODEL)
        fifo = {"MessageGroupId": "a", "MessageDeduplicationId": "e1"} if is_fifo else {}
        for _ in range(2 if is_fifo else 1):  # the second is the same event again
            await sns.publish(TopicArn=names["SLIPWAY_TOPIC_ARN"], Message="an event", **fifo)
    assert (message["MessageId"], message["Body"]) == (sent, "a request")
    assert told["Attributes"]["VisibilityTimeout"] == "120"
    assert json.loads(told["Attributes"]["RedrivePolicy"])["maxReceiveCount"] == 5
    assert await own_box.receive_results() == ["an event"]
    assert await own_box.receive_results(wait_seconds=0) == []
    assert (own_box.counts(), own_box.quotas()) == ((0, 1), (2, 10))


@pytest.fixture
def taken_port() -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("which", ["port", "bedrock_port"])
async def test_a_port_that_is_taken_is_said_and_nothing_stays(taken_port: int, which: str) -> None:
    with pytest.raises(OSError, match=str(taken_port)):
        async with LocalAws(**{which: taken_port}):  # type: ignore[arg-type]
            pass


OWNER = """
import asyncio
from slipway.local.stack import Queues

async def main():
    async with Queues() as queues:
        print(queues.url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_the_queues_die_with_whoever_started_them_even_by_kill_9() -> None:
    owner = await asyncio.create_subprocess_exec(sys.executable, "-c", OWNER, stdout=asyncio.subprocess.PIPE)
    assert owner.stdout is not None
    port = int((await owner.stdout.readline()).decode().rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    owner.send_signal(signal.SIGKILL)
    await owner.wait()
    async with asyncio.timeout(LONG_SECONDS):
        with suppress(ConnectionResetError):  # if it was still to be accepted
            assert await reader.read() == b""
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


SERVE = """
import asyncio, sys
from slipway.local.stack import serve_local_aws
from slipway.local.behaviour import Behaviour

port = int(sys.argv[1])
sys.exit(asyncio.run(serve_local_aws(terms=Behaviour(), port=port, bedrock_port=0)))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_serving_prints_what_to_export_and_stops_cleanly(number: signal.Signals) -> None:
    served = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", SERVE, "0", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert served.stdout is not None
    async with asyncio.timeout(LONG_SECONDS):
        lines = [await served.stdout.readline()]
        while b"/_slipway/terms" not in lines[-1]:
            lines.append(await served.stdout.readline())
            assert lines[-1], "it ended before it printed everything"
        shell = await asyncio.create_subprocess_exec(
            "sh", "-ec", b"".join(lines).decode() + "\nenv", stdout=asyncio.subprocess.PIPE
        )
        exported, _ = await shell.communicate()
        served.send_signal(number)
        _, complaints = await served.communicate()
    assert b"SLIPWAY_QUEUE_URL=http://127.0.0.1:" in exported
    assert b"SLIPWAY_TOPIC_ARN=arn:aws:sns:us-east-1:123456789012:slipway-events" in exported
    assert (served.returncode, complaints) == (os.EX_OK, b"")


async def test_serving_on_a_taken_port_says_so_in_one_line(taken_port: int) -> None:
    served = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVE, str(taken_port), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(LONG_SECONDS):
        said, complaints = await served.communicate()
    assert (served.returncode, said) == (2, b"")
    assert complaints.count(b"\n") == 1
    assert str(taken_port).encode() in complaints
