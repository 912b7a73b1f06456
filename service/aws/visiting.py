"""AWS as somebody at the command line asks it: a few calls, patient for seconds only, then gone."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aioboto3
from aiobotocore.config import AioConfig

from service.aws.bedrock import Bedrock
from service.aws.calling import Caller, Tally
from service.aws.catalogue import Catalogue
from service.aws.clients import CONNECT_SECONDS, READ_SECONDS, open_clients
from service.aws.dead_letters import DeadLetters
from service.aws.inspecting import Inspector
from service.aws.listening import Listener
from service.aws.sending import Sender
from service.aws.transport import StraightSession
from service.core.targets import DEFAULT, Home

MOST_OPEN: Final = 8
CALL_SECONDS: Final = 10.0
ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Visit:
    """What a command asks AWS through."""

    bedrock: Bedrock
    catalogue: Catalogue
    inspector: Inspector
    sender: Sender
    dead_letters: DeadLetters
    listen_to: Callable[[str], Listener]
    """Answers what hears the events in the queue with this URL."""
    home: Home


@asynccontextmanager
async def visiting(*, queue_url: str, topic_arn: str, version: str) -> AsyncIterator[Visit]:
    """Open everything, and close it at the end. Raises `NotConfigured` with a sentence for the operator."""
    tally: Tally = Counter()

    def caller() -> Caller:
        rng = random.Random()  # noqa: S311  jitter, no secret
        return Caller(most_open=MOST_OPEN, call_timeout=CALL_SECONDS, rng=rng, tally=tally, attempts=ATTEMPTS)

    async with open_clients(queue_url=queue_url, topic_arn=topic_arn, version=version, most_polls=1) as clients:
        home = clients.home
        several = {"sqs": clients.custody, "sns": clients.topic, "bedrock": clients.bedrock, "sts": lambda: _sts(home.region)}
        inspector = Inspector(several, caller())
        yield Visit(
            bedrock=Bedrock(clients.bedrock, caller(), open_client=clients.open_in[DEFAULT]),
            catalogue=Catalogue(clients.bedrock, caller()),
            inspector=inspector,
            sender=Sender(queue_url, clients.custody, caller()),
            dead_letters=DeadLetters(queue_url, clients.custody, inspector, caller()),
            listen_to=lambda url: Listener(url, clients.receive, caller()),
            home=home,
        )


def _sts(region: str) -> AbstractAsyncContextManager[Any]:
    """Answer STS's client, which is opened for the one call that needs it."""
    config = AioConfig(
        http_session_cls=StraightSession,
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
    )
    client: AbstractAsyncContextManager[Any] = aioboto3.Session().client("sts", region_name=region, config=config)
    return client
