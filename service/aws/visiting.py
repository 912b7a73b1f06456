"""AWS as somebody at the command line asks it: a few calls, patient for seconds only, then gone."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from service.aws.bedrock import Bedrock
from service.aws.calling import Caller, Tally
from service.aws.catalogue import Catalogue
from service.aws.clients import open_clients
from service.aws.dead_letters import DeadLetters
from service.aws.identity import Identity
from service.aws.inspecting import Inspector
from service.aws.listening import Listener
from service.aws.rights import Rights
from service.aws.sending import Sender
from service.core.targets import DEFAULT, Target, Targets, Wanted

MOST_OPEN: Final = 8
CALL_SECONDS: Final = 10.0
ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Visited:
    """One target, as a command looks at it."""

    target: Target
    bedrock: Bedrock
    catalogue: Catalogue
    rights: Rights


@dataclass(frozen=True, slots=True)
class Visit:
    """What a command asks AWS through."""

    here: Visited
    """The target that the command is about."""
    places: Mapping[str, Visited]
    """Every target of the settings, by name."""
    inspector: Inspector
    sender: Sender
    dead_letters: DeadLetters
    identity: Identity
    listen_to: Callable[[str], Listener]
    """Answers what hears the events in the queue with this URL."""

    @property
    def targets(self) -> Targets:
        """The targets as the settings have them."""
        return {name: place.target for name, place in self.places.items()}


@asynccontextmanager
async def visiting(
    *, queue_url: str, topic_arn: str, version: str, wanted: Sequence[Wanted] = (Wanted(DEFAULT),), about: str = DEFAULT
) -> AsyncIterator[Visit]:
    """Open everything, and close it at the end; `about` is one of the targets that are `wanted`.

    No role is assumed before the first call that needs it. Raises `NotConfigured` with a sentence for the operator.
    """
    tally: Tally = Counter()

    def caller() -> Caller:
        rng = random.Random()  # noqa: S311  jitter, no secret
        return Caller(most_open=MOST_OPEN, call_timeout=CALL_SECONDS, rng=rng, tally=tally, attempts=ATTEMPTS)

    opening = open_clients(queue_url=queue_url, topic_arn=topic_arn, version=version, most_polls=1, wanted=wanted)
    async with opening as clients:
        places = {
            name: Visited(
                target=target,
                bedrock=Bedrock(clients.bedrocks[name], caller(), open_client=clients.open_in[name]),
                catalogue=Catalogue(clients.bedrocks[name], caller()),
                rights=Rights(target.home, clients.bedrocks[name], clients.open_in[name], caller()),
            )
            for name, target in clients.targets.items()
        }
        inspector = Inspector(clients.custody, clients.topic, caller())
        yield Visit(
            here=places[about],
            places=places,
            inspector=inspector,
            sender=Sender(queue_url, clients.custody, caller()),
            dead_letters=DeadLetters(queue_url, clients.custody, inspector, caller()),
            identity=Identity(clients.open, caller()),
            listen_to=lambda url: Listener(url, clients.receive, caller()),
        )
