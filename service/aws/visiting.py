"""AWS as somebody at the command line asks it: a few calls, patient for seconds only, then gone."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from service.aws.bedrock import Bedrock
from service.aws.calling import Caller, Tally
from service.aws.catalogue import Catalogue
from service.aws.clients import open_clients
from service.aws.inspecting import Inspector
from service.aws.listening import Listener
from service.aws.sending import Sender
from service.core.requests import Home

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
        yield Visit(
            bedrock=Bedrock(clients.bedrock, caller()),
            catalogue=Catalogue(clients.bedrock, caller()),
            inspector=Inspector(clients.custody, clients.topic, caller()),
            sender=Sender(queue_url, clients.custody, caller()),
            listen_to=lambda url: Listener(url, clients.receive, caller()),
            home=clients.home,
        )
