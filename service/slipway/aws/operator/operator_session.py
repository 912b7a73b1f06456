"""AWS sessions of an operator's commands: a few calls with short timeouts."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from slipway.aws.adapters.bedrock import Bedrock
from slipway.aws.adapters.retry import Caller, Tally
from slipway.aws.connect import Identity
from slipway.aws.operator.deployment_listing import DeploymentListing
from slipway.aws.operator.permission_check import PermissionCheck
from slipway.aws.operator.queues import DeadLetters, EventListener, QueueInspector, RequestSender
from slipway.aws.sdk.clients import open_clients
from slipway.core.requests.targets import DEFAULT, Target, Targets, TargetSettings

MOST_OPEN: Final = 8
CALL_SECONDS: Final = 10.0
ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """The adapters of one target for commands."""

    target: Target
    bedrock: Bedrock
    catalogue: DeploymentListing
    rights: PermissionCheck


@dataclass(frozen=True, slots=True)
class OperatorSession:
    """All adapters of a command."""

    here: OperatorSettings
    """The target of the command."""
    places: Mapping[str, OperatorSettings]
    """Every target of the settings, by name."""
    inspector: QueueInspector
    sender: RequestSender
    dead_letters: DeadLetters
    identity: Identity
    listen_to: Callable[[str], EventListener]
    """Returns the listener for the events in the queue with a URL."""

    @property
    def targets(self) -> Targets:
        """Return the targets of the settings."""
        return {name: place.target for name, place in self.places.items()}


@asynccontextmanager
async def open_operator_session(
    *,
    queue_url: str,
    topic_arn: str,
    version: str,
    wanted: Sequence[TargetSettings] = (TargetSettings(DEFAULT),),
    about: str = DEFAULT,
) -> AsyncIterator[OperatorSession]:
    """Open all clients and close them at the end. `about` is one of the `wanted` targets.

    No role is assumed before the first call that needs it. Raises `NotConfigured` with problem and remedy.
    """
    tally: Tally = Counter()

    def caller() -> Caller:
        rng = random.Random()  # noqa: S311  jitter, no secret
        return Caller(most_open=MOST_OPEN, call_timeout=CALL_SECONDS, rng=rng, tally=tally, attempts=ATTEMPTS)

    opening = open_clients(queue_url=queue_url, topic_arn=topic_arn, version=version, most_polls=1, wanted=wanted)
    async with opening as clients:
        places = {
            name: OperatorSettings(
                target=target,
                bedrock=Bedrock(clients.bedrocks[name], caller(), open_client=clients.open_in[name]),
                catalogue=DeploymentListing(clients.bedrocks[name], caller()),
                rights=PermissionCheck(target, clients.bedrocks[name], clients.open_in[name], caller()),
            )
            for name, target in clients.targets.items()
        }
        inspector = QueueInspector(clients.leases, clients.topic, caller())
        yield OperatorSession(
            here=places[about],
            places=places,
            inspector=inspector,
            sender=RequestSender(clients.leases, caller()),
            dead_letters=DeadLetters(queue_url, clients.leases, inspector, caller()),
            identity=Identity(clients.open, caller()),
            listen_to=lambda url: EventListener(url, clients.receive, caller()),
        )
