"""What the tests of the adapters share: clients as the daemon opens them, pointed at a server of the test."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from slipway.aws.adapters.bedrock import Bedrock
from slipway.aws.adapters.clock import AwsClock
from slipway.aws.adapters.publishing import Topic
from slipway.aws.adapters.queue import Queue
from slipway.aws.adapters.retry import Caller, Tally
from slipway.aws.sdk.clients import Clients, open_clients

QUEUE_URL = "https://sqs.us-east-1.amazonaws.com/123456789012/requests"
TOPIC_ARN = "arn:aws:sns:us-east-1:123456789012:events"

Open = Callable[[str], AbstractAsyncContextManager[Clients]]


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's AWS settings reaches a test."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "made-up-session-token")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def clients_at(monkeypatch: pytest.MonkeyPatch) -> Open:
    @asynccontextmanager
    async def open_at(url: str) -> AsyncIterator[Clients]:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        async with open_clients(queue_url=QUEUE_URL, topic_arn=TOPIC_ARN, version="0", most_polls=2) as clients:
            yield clients

    return open_at


def make_caller(*, call_timeout: float = 5.0, most_open: int = 32, attempts: int = 5) -> Caller:
    tally: Tally = Counter()
    return Caller(most_open=most_open, call_timeout=call_timeout, rng=random.Random(1), tally=tally, attempts=attempts)


def make_bedrock(clients: Clients, caller: Caller | None = None) -> Bedrock:
    return Bedrock(clients.bedrock, caller or make_caller(), clock=AwsClock(lambda: 5.0))


def make_queue(clients: Clients, *, url: str = QUEUE_URL, caller: Caller | None = None) -> Queue:
    caller = caller or make_caller(attempts=2)
    return Queue(
        url,
        visibility_seconds=120,
        receiver=clients.receive,
        custodian=clients.leases,
        receiving=caller,
        leases=caller,
        clock=AwsClock(lambda: 5.0),
    )


def make_topic(clients: Clients, *, arn: str = TOPIC_ARN, caller: Caller | None = None) -> Topic:
    return Topic(arn, clients.topic, caller or make_caller(attempts=2))
