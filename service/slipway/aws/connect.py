"""The assembly of all adapters that the daemon needs, opened and closed in one place, and the daemon's identity at AWS."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from slipway.aws.adapters.bedrock import Bedrock
from slipway.aws.adapters.clock import AwsClock, Clock
from slipway.aws.adapters.publishing import CallbackSender, Topic
from slipway.aws.adapters.queue import Queue
from slipway.aws.adapters.retry import APPLIED, Caller, Limiter, Tally
from slipway.aws.adapters.serialization import text_of
from slipway.aws.sdk.clients import Clients, Open, open_clients
from slipway.aws.sdk.credentials import CredentialRefresher
from slipway.core.call_errors import CallFailed
from slipway.core.requests.targets import DEFAULT, Targets, TargetSettings

STS: Final = "sts"
_OPERATION: Final = "GetCallerIdentity"
"""A call that no policy can deny."""


@dataclass(frozen=True, slots=True)
class CallerIdentity:
    """Who calls AWS with the daemon's credentials."""

    sender: str
    """What SQS calls the sender of its messages."""
    account: str
    arn: str
    """The user's, or the role's with the session's name; for people to read. The account if STS does not say it."""


class Identity:
    """Calls of STS, with a client that the first call opens. Every failure is a `CallFailed`."""

    def __init__(self, open_client: Open, caller: Caller) -> None:
        self._open = open_client
        self._call = caller.call

    async def get(self) -> CallerIdentity:
        """Return whose credentials these are. Safe to repeat."""
        sts = await self._open(STS)

        async def send() -> CallerIdentity:
            answer = await sts.get_caller_identity()
            sender, account = (text_of(answer, each, _OPERATION) for each in ("UserId", "Account"))
            return CallerIdentity(sender, account, str(answer.get("Arn") or account))

        return await self._call(_OPERATION, send)


OPERATIONS: Final = (
    *("ReceiveMessage", "ChangeMessageVisibilityBatch", "DeleteMessageBatch", "SendMessageBatch", "SendMessage"),
    *("GetQueueAttributes", "GetQueueUrl", "GetTopicAttributes", "PublishBatch", "Publish", "GetCallerIdentity"),
    *("CreateCustomModelDeployment", "GetCustomModelDeployment", "ListCustomModelDeployments"),
    *("UpdateCustomModelDeployment", "DeleteCustomModelDeployment", "TagResource", "ListTagsForResource"),
    *("GetCustomModel", "GetModelCustomizationJob", "Converse"),
    *("SendTaskSuccess", "SendTaskFailure", "SendTaskHeartbeat"),
    *("SendPipelineExecutionStepSuccess", "SendPipelineExecutionStepFailure"),
)
"""All operations that the daemon calls."""
ANSWERS: Final = (APPLIED, *sorted(kind.__name__ for kind in CallFailed.__subclasses__()))
"""All results of a call."""
MOST_OPEN_BEDROCK: Final = 32
MOST_OPEN_LEASES: Final = 16
MOST_OPEN_TOPIC: Final = 16
MOST_OPEN_CALLBACKS: Final = 16


@dataclass(frozen=True, slots=True)
class Aws:
    """All adapters of a daemon."""

    bedrocks: Mapping[str, Bedrock]
    """By target."""
    queue: Queue
    control: Queue | None
    """The control queue, if there is one."""
    topic: Topic
    replies: CallbackSender
    identity: Identity
    targets: Targets
    tally: Tally
    """Number of calls by operation and result since the start; a live counter."""
    limiters: tuple[Mapping[str, Limiter], ...]
    """Rate limiters by operation, added with the first call of each."""
    keeper: CredentialRefresher | None
    """Refreshes credentials that expire; None if they do not."""
    elsewhere: Mapping[str, Mapping[str, Limiter]]
    """Rate limiters by operation of each other target, by its name."""


@asynccontextmanager
async def connect(  # noqa: PLR0913  all that an operator sets
    *,
    queue_url: str,
    control_queue_url: str = "",
    topic_arn: str,
    visibility_seconds: int,
    call_timeout: float,
    most_polls: int,
    version: str,
    rng: random.Random,
    wanted: Sequence[TargetSettings] = (TargetSettings(DEFAULT),),
) -> AsyncIterator[Aws]:
    """Open all clients and close them at the end. Raises what `open_clients` raises.

    `call_timeout`, in seconds, bounds each attempt; a long poll has its wait in addition. `wanted` are the targets.
    """
    polls = most_polls * 2 if control_queue_url else most_polls
    clients_of = open_clients(queue_url=queue_url, topic_arn=topic_arn, version=version, most_polls=polls, wanted=wanted)
    async with clients_of as clients:
        yield assemble(
            clients,
            queue_url=queue_url,
            control_queue_url=control_queue_url,
            topic_arn=topic_arn,
            visibility_seconds=visibility_seconds,
            call_timeout=call_timeout,
            most_polls=most_polls,
            rng=rng,
        )


def assemble(  # noqa: PLR0913  as above
    clients: Clients,
    *,
    queue_url: str,
    control_queue_url: str = "",
    topic_arn: str,
    visibility_seconds: int,
    call_timeout: float,
    most_polls: int,
    rng: random.Random,
    machine: Clock = time.time,
) -> Aws:
    """Return the adapters for open clients. Each target has its own rate limits, which do not slow down another.

    `machine` returns seconds since the epoch, and is used only until the first response with a `Date`.
    """
    tally: Tally = Counter()
    clock = AwsClock(machine)

    def caller(most_open: int) -> Caller:
        return Caller(most_open=most_open, call_timeout=call_timeout, rng=rng, tally=tally)

    receiving, leases = caller(most_polls), caller(MOST_OPEN_LEASES)
    publishing, replying = caller(MOST_OPEN_TOPIC), caller(MOST_OPEN_CALLBACKS)
    deploying = {name: caller(MOST_OPEN_BEDROCK) for name in clients.bedrocks}

    def queue(url: str, receiving: Caller) -> Queue:
        return Queue(
            url,
            visibility_seconds=visibility_seconds,
            receiver=clients.receive,
            custodian=clients.leases,
            receiving=receiving,
            leases=leases,
            clock=clock,
        )

    return Aws(
        bedrocks={
            name: Bedrock(client, deploying[name], clock, clients.open_in[name]) for name, client in clients.bedrocks.items()
        },
        queue=queue(queue_url, receiving),
        control=queue(control_queue_url, caller(most_polls)) if control_queue_url else None,
        topic=Topic(topic_arn, clients.topic, publishing, clock),
        replies=CallbackSender(clients.open, queues=clients.leases, topics=clients.topic, caller=replying),
        identity=Identity(clients.open, leases),
        targets=clients.targets,
        tally=tally,
        limiters=tuple(adapters.limiters for adapters in (receiving, leases, deploying[DEFAULT], publishing, replying)),
        keeper=clients.keeper,
        elsewhere={name: adapters.limiters for name, adapters in deploying.items() if name != DEFAULT},
    )
