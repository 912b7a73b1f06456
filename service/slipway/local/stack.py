"""The local AWS stand-in, for tests and `slipway local`: Bedrock, SQS and SNS on loopback, with queues and a topic.

SQS and SNS are moto's, in a process of their own (`moto_server`). Of the available emulators, moto is the one whose tested
version pip resolves beside aioboto3 15.5.0.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import aioboto3
from aiobotocore.config import AioConfig

from slipway.local.bedrock_server import BedrockStandIn
from slipway.local.behaviour import Behaviour
from slipway.local.callbacks import CallbackStandIn

LONGEST_START_SECONDS: Final = 60.0

Dates = Literal["answer", "arrival", "none", "old"]
"""The `Date` of a response: when it is sent, when its call arrived (as LocalStack does, also for a long poll), none, or an hour
before it is sent (as through a proxy). What SQS does is not documented."""


class Queues:
    """`async with Queues() as queues`: SQS and SNS serve at `queues.url` until it is closed, or this process ends.

    The socket is opened here, so that a port in use is an OSError before anything is started.
    """

    def __init__(self, port: int = 0, *, dates: Dates = "answer") -> None:
        self._port = port
        self._dates = dates
        self._process: asyncio.subprocess.Process | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        with socket.create_server(("127.0.0.1", self._port), backlog=1024) as listener:
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            descriptor = listener.fileno()
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "slipway.local.moto_server",
                str(descriptor),
                self._dates,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                pass_fds=[descriptor],
                env={name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_"))},
                start_new_session=True,  # Ctrl-C is for the parent, which ends this process itself
            )
        try:
            async with asyncio.timeout(LONGEST_START_SECONDS):
                await self._until_it_serves()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def _until_it_serves(self) -> None:
        process = self._process
        if process is None or process.stdout is None or await process.stdout.readline() != b"serving\n":
            raise RuntimeError("SQS and SNS did not start; what they said is above")

    async def _end(self) -> None:
        process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()
            await process.wait()


VISIBILITY_SECONDS: Final = 120
MAX_RECEIVE_COUNT: Final = 5
LONGEST_POLL_SECONDS: Final = 20
RETENTION_SECONDS: Final = 14 * 86_400
_READ_TIMEOUT_SECONDS: Final = LONGEST_POLL_SECONDS + 5


class LocalAws:
    """All AWS services that Slipway calls: `async with LocalAws() as aws`, then any AWS SDK with `aws.environment()`.

    It starts with a request queue, which has a dead-letter queue, and a topic, to which a results queue is subscribed. Ports
    are free ones unless they are given; a port in use is an OSError. Nothing is kept after the end.
    """

    def __init__(
        self,
        *,
        terms: Behaviour | None = None,
        creation_seconds: tuple[float, float] | None = None,
        port: int = 0,
        bedrock_port: int = 0,
        region: str = "us-east-1",
        fifo: bool = False,
        seed: int = 1,
        dates: Dates = "answer",
    ) -> None:
        terms = terms or Behaviour()
        if creation_seconds is not None:
            terms = replace(terms, creation_seconds=creation_seconds)
        self.bedrock = BedrockStandIn(terms, seed=seed)
        self.queues = Queues(port, dates=dates)
        self.region = region
        self.askers = CallbackStandIn()
        self.askers_url = ""
        self.bedrock_url = ""
        self.queue_url = ""
        self.dead_letter_url = ""
        self.results_url = ""
        self.topic_arn = ""
        self._bedrock_port = bedrock_port
        self._fifo = fifo
        self._stack = AsyncExitStack()
        self._sqs: Any = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as starting:
            starting.push_async_callback(self.bedrock.close)
            self.bedrock_url = await self.bedrock.start(port=self._bedrock_port)
            starting.push_async_callback(self.askers.close)
            self.askers_url = await self.askers.start()
            await starting.enter_async_context(self.queues)
            self._sqs = await starting.enter_async_context(self._client("sqs"))
            async with self._client("sns") as sns:
                await self._furnish(sns)
            self._stack = starting.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def environment(self) -> dict[str, str]:
        """Return the variables with which Slipway, any AWS SDK and the AWS CLI call the stand-in, and never a real account."""
        return {
            "AWS_ENDPOINT_URL": self.queues.url,
            "AWS_ENDPOINT_URL_BEDROCK": self.bedrock_url,
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": self.bedrock_url,
            "AWS_ENDPOINT_URL_SFN": self.askers_url,
            "AWS_ENDPOINT_URL_SAGEMAKER": self.askers_url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "SLIPWAY_QUEUE_URL": self.queue_url,
            "SLIPWAY_TOPIC_ARN": self.topic_arn,
            "SLIPWAY_LOCAL_RESULTS_QUEUE_URL": self.results_url,
        }

    def quotas(self) -> tuple[int, int]:
        """Return the quotas of deployments in creation and in total."""
        return self.bedrock.terms.max_creating, self.bedrock.terms.max_total

    def counts(self) -> tuple[int, int]:
        """Return the numbers of deployments in creation and in total."""
        return self.bedrock.account(self.region).counts(self.bedrock.now())

    async def send(self, body: str, *, group: str | None = None) -> str:
        """Send a request; return its message id. On a FIFO queue, each request without a `group` gets a separate group."""
        fifo = {"MessageGroupId": group or uuid.uuid4().hex, "MessageDeduplicationId": uuid.uuid4().hex} if self._fifo else {}
        sent = await self._sqs.send_message(QueueUrl=self.queue_url, MessageBody=body, **fifo)
        return str(sent["MessageId"])

    async def receive_results(self, *, wait_seconds: int = LONGEST_POLL_SECONDS) -> list[str]:
        """Wait for an event; return up to ten published events, and delete them from the results queue."""
        got = await self._sqs.receive_message(QueueUrl=self.results_url, MaxNumberOfMessages=10, WaitTimeSeconds=wait_seconds)
        messages = got.get("Messages", [])
        if messages:
            entries = [{"Id": str(at), "ReceiptHandle": message["ReceiptHandle"]} for at, message in enumerate(messages)]
            await self._sqs.delete_message_batch(QueueUrl=self.results_url, Entries=entries)
        return [message["Body"] for message in messages]

    def _client(self, service: str) -> Any:  # noqa: ANN401  aioboto3 has no types
        return aioboto3.Session().client(
            service,
            endpoint_url=self.queues.url,
            region_name=self.region,
            aws_access_key_id="local",
            aws_secret_access_key="local",  # noqa: S106  the stand-in has no secrets
            config=AioConfig(max_pool_connections=50, read_timeout=_READ_TIMEOUT_SECONDS),
        )

    async def _furnish(self, sns: Any) -> None:  # noqa: ANN401  aioboto3 has no types
        suffix = ".fifo" if self._fifo else ""
        kept = {"MessageRetentionPeriod": str(RETENTION_SECONDS)}
        self.dead_letter_url = await self._make_queue(f"slipway-dead-letters{suffix}", **kept)
        redrive = {"deadLetterTargetArn": await self._arn(self.dead_letter_url), "maxReceiveCount": MAX_RECEIVE_COUNT}
        self.queue_url = await self._make_queue(
            f"slipway-requests{suffix}", VisibilityTimeout=str(VISIBILITY_SECONDS), RedrivePolicy=json.dumps(redrive), **kept
        )
        self.results_url = await self._make_queue(f"slipway-results{suffix}")
        topic = await sns.create_topic(Name=f"slipway-events{suffix}", Attributes={"FifoTopic": "true"} if self._fifo else {})
        self.topic_arn = topic["TopicArn"]
        await sns.subscribe(
            TopicArn=self.topic_arn,
            Protocol="sqs",
            Endpoint=await self._arn(self.results_url),
            Attributes={"RawMessageDelivery": "true"},
        )

    async def _make_queue(self, name: str, **attributes: str) -> str:
        if self._fifo:
            attributes |= {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
        made = await self._sqs.create_queue(QueueName=name, Attributes=attributes)
        return str(made["QueueUrl"])

    async def _arn(self, queue_url: str) -> str:
        got = await self._sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
        return str(got["Attributes"]["QueueArn"])


PORT: Final = 4566
BEDROCK_PORT: Final = 4567
START_SECONDS: Final = 60.0
"""Longest time for the start of a stand-in in the background."""
_END: Final = "# To change how Bedrock behaves:"
"""The last heading of the printed instructions."""
_ARN: Final = "arn:aws:bedrock:{region}:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"


async def serve_local_aws(
    *,
    terms: Behaviour,
    port: int = PORT,
    bedrock_port: int = BEDROCK_PORT,
    fifo: bool = False,
    env_file: Path | None = None,
) -> int:
    """Serve until SIGINT or SIGTERM; return the exit code: 0, or 2 with one line that names what cannot be opened.

    `env_file` gets the variables, one NAME=VALUE on each line, before the directions are printed.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    try:
        async with LocalAws(terms=terms, port=port, bedrock_port=bedrock_port, fifo=fifo) as box:
            if env_file is not None and not _write_variables(env_file, box):
                return 2
            sys.stdout.write(_directions(box, fifo=fifo))
            sys.stdout.flush()
            await stopping.wait()
    except OSError as error:
        if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
            raise
        said = "is in use" if error.errno == errno.EADDRINUSE else "needs more privileges"
        sys.stderr.write(f"slipway: port {port} or {bedrock_port} {said}; choose others with --port and --bedrock-port\n")
        return 2
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    return 0


def detach_local_aws(words: Sequence[str], *, env_file: Path | None) -> int:
    """Start the stand-in in the background, and wait until it serves; return the exit code.

    `words` are the arguments of this command. What the stand-in prints at its start is printed here.
    """
    directory = Path(tempfile.mkdtemp(prefix="slipway-local-"))
    ready, log = env_file or directory / "env", directory / "log"
    ready.unlink(missing_ok=True)
    options = [word for word in words if word != "--detach"]
    command = [sys.executable, "-m", "slipway", *options, *([] if env_file else ["--env-file", str(ready)])]
    with log.open("w") as output:
        process = subprocess.Popen(  # noqa: S603  this program, with the arguments that it was given
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and _END not in log.read_text("utf-8"):
        if time.monotonic() > until:
            process.terminate()
            sys.stderr.write(f"slipway: the stand-in did not start within {START_SECONDS:g} s; read {log}\n")
            return 2
        time.sleep(0.1)
    text = log.read_text("utf-8")
    if (code := process.poll()) is not None:
        sys.stderr.write(text)
        return code
    sys.stdout.write(f"{text}# It serves in the background and logs to {log}. To stop it: kill {process.pid}\n")
    return 0


def _write_variables(path: Path, box: LocalAws) -> bool:
    try:
        path.write_text("".join(f"{name}={value}\n" for name, value in box.environment().items()), "utf-8")
    except OSError as error:
        sys.stderr.write(f"slipway: --env-file: {path} cannot be written ({error.strerror}); name a file that can\n")
        return False
    return True


def _directions(box: LocalAws, *, fifo: bool) -> str:
    exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in box.environment().items())
    group = " --message-group-id one" if fifo else ""
    body = f'{{"modelDeploymentName": "support-bot-v42", "modelArn": "{_ARN.format(region=box.region)}"}}'
    sent, waiting = f"{group} --message-body {shlex.quote(body)}", " --wait-time-seconds 20"
    return f"""\
{exports}

# The local AWS stand-in serves until it is stopped. In another shell, with the lines above, run slipway serve; in a third:
#   aws sqs send-message --endpoint-url "$AWS_ENDPOINT_URL" --queue-url "$SLIPWAY_QUEUE_URL"{sent}
#   aws bedrock list-custom-model-deployments --endpoint-url "$AWS_ENDPOINT_URL_BEDROCK"
#   aws sqs receive-message --endpoint-url "$AWS_ENDPOINT_URL" --queue-url "$SLIPWAY_LOCAL_RESULTS_QUEUE_URL"{waiting}
{_END}
#   curl -X PATCH "$AWS_ENDPOINT_URL_BEDROCK/_slipway/terms" -d '{{"max_creating": 5}}'
"""
