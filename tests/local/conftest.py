"""AWS in a box for the tests of the box, and the clients that users would point at it."""

from __future__ import annotations

import random
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import aioboto3
import aiohttp
import boto3
import pytest
import pytest_asyncio
from botocore.config import Config

from slipway.local.bedrock_account import Account
from slipway.local.bedrock_server import BedrockStandIn
from slipway.local.behaviour import Behaviour
from slipway.local.stack import LocalAws
from slipway.local.validation import Refusal

MODEL = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"
OTHER_MODEL = MODEL.replace("abcdefghijkl", "zyxwvutsrqpo")
CREATE = "CreateCustomModelDeployment"
KEYS = {"region_name": "us-east-1", "aws_access_key_id": "local", "aws_secret_access_key": "local"}


def make_account(seed: int = 1, **terms: Any) -> Account:
    wanted = Behaviour(**({"creation_seconds": (60.0, 60.0), "update_seconds": (30.0, 30.0)} | terms))
    return Account("123456789012", "us-east-1", wanted, random.Random(seed))


def code_of(call: Any) -> str:
    with pytest.raises(Refusal) as caught:
        call()
    return caught.value.code


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's AWS settings reaches a test."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_BEDROCK", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")


def open_client(service: str, url: str, **keys: str) -> AbstractAsyncContextManager[Any]:
    """Open aioboto3's client: one attempt a call, so that a fault is seen and not mended."""
    config = Config(retries={"total_max_attempts": 1}, max_pool_connections=50, read_timeout=25)
    client: AbstractAsyncContextManager[Any] = aioboto3.Session().client(
        service, endpoint_url=url, config=config, **(KEYS | keys)
    )
    return client


def open_boto3(url: str) -> Any:
    """Open boto3's client, which blocks."""
    return boto3.client("bedrock", endpoint_url=url, config=Config(retries={"total_max_attempts": 1}), **KEYS)


class Clock:
    """The stand-in's time, which passes when a test says so."""

    now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def standin(clock: Clock) -> AsyncIterator[BedrockStandIn]:
    made = BedrockStandIn(Behaviour(creation_seconds=(60.0, 60.0), update_seconds=(30.0, 30.0)), clock=clock)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def url(standin: BedrockStandIn) -> str:
    return await standin.start()


@pytest_asyncio.fixture
async def bedrock(url: str) -> AsyncIterator[Any]:
    async with open_client("bedrock", url) as client:
        yield client


@pytest_asyncio.fixture
async def http(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(url) as session:
        yield session


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def box() -> AsyncIterator[LocalAws]:
    """One box for all tests that do without one of their own: each makes the queues that it needs."""
    async with LocalAws(terms=Behaviour(creation_seconds=(0.0, 0.0))) as made:
        yield made


def fresh(name: str) -> str:
    """Return a name that no other test has."""
    return f"{name}-{uuid.uuid4().hex[:12]}"
