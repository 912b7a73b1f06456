"""Opening of the SDK's clients: one session, and a client with its own connection pool for each purpose.

Credentials, profile and endpoints are the SDK's own settings (`AWS_PROFILE`, `AWS_ENDPOINT_URL`,
`AWS_ENDPOINT_URL_BEDROCK`, …). Retries are off: `adapters.retry` is the one retry layer.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import aioboto3
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError

from slipway.aws.sdk.credentials import CredentialRefresher, assume, check_authorities, check_variables, find_credentials
from slipway.aws.sdk.regions import NotConfigured, find_home, find_regions, find_targets
from slipway.aws.sdk.transport import StrictHttpSession, check_body, guard_parsers
from slipway.core.requests.targets import DEFAULT, Home, Role, Targets, TargetSettings

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 15.0
"""Read timeout: the longest pause within a response, in seconds."""
LONGEST_POLL_SECONDS: Final = 20
POLL_GRACE_SECONDS: Final = 10.0
"""Timeout of a receive in addition to its long poll, in seconds."""

BEDROCK_POOL: Final = 96
LEASES_POOL: Final = 32
TOPIC_POOL: Final = 16
OTHERS_POOL: Final = 16
STS_POOL: Final = 1


class Open(Protocol):
    """Opens clients on first use."""

    def __call__(self, service: str, region: str | None = None) -> Awaitable[Any]:
        """Return the client of a service: in the target's Region, or in another one if AWS has the service there."""


@dataclass(frozen=True, slots=True)
class Clients:
    """The open clients. Each has its own connection pool, so that no lease extension waits behind a long poll."""

    receive: Any
    leases: Any
    bedrocks: Mapping[str, Any]
    """By target."""
    topic: Any
    targets: Targets
    open: Open
    """Returns the client of another service or Region, opened at the first call."""
    open_in: Mapping[str, Open]
    """The same, by target."""
    keeper: CredentialRefresher | None = None
    """Refreshes credentials that expire; None if they do not."""

    @property
    def bedrock(self) -> Any:  # noqa: ANN401  aioboto3 has no types
        """Return the default target's client."""
        return self.bedrocks[DEFAULT]

    @property
    def home(self) -> Home:
        """Return the home of the default target."""
        return self.targets[DEFAULT].home


@asynccontextmanager
async def open_clients(
    *,
    queue_url: str,
    topic_arn: str,
    version: str,
    most_polls: int,
    wanted: Sequence[TargetSettings] = (TargetSettings(DEFAULT),),
    sdk: Callable[[], AioSession] = AioSession,
    transport: type[StrictHttpSession] = StrictHttpSession,
) -> AsyncIterator[Clients]:
    """Open the clients and close them at the end. The only call is the one that credentials may need.

    `wanted` are the targets, the default first; each has a client of its own. `sdk` is where settings and credentials come
    from, `transport` what carries HTTP: others than AWS's run in memory. Raises `NotConfigured` with a sentence for the
    operator, and `Denied` where there are no credentials yet.
    """
    check_variables(os.environ)
    with _said_in_a_sentence():
        session = sdk()
        regions = find_regions(os.environ, session.get_config_variable("region"), queue_url, topic_arn)
        session.set_config_variable("region", regions.bedrock)
        check_authorities(session.get_config_variable("ca_bundle"))
        keeper = await find_credentials(session)
    targets = find_targets(wanted, find_home(topic_arn, regions))
    register_update_operation(session.get_component("data_loader"))
    guard_parsers(session)
    boto = aioboto3.Session(botocore_session=session)
    config_of = partial(_config, f"slipway/{version} {session.user_agent()}", transport=transport)

    async def working_as(role: Role | None) -> aioboto3.Session:
        if role is None:
            return boto
        other = sdk()
        for component in ("data_loader", "response_parser_factory"):
            other.register_component(component, session.get_component(component))
        await assume(role, other, sts=session, region=regions.bedrock, config=config_of(STS_POOL, READ_SECONDS))
        return aioboto3.Session(botocore_session=other)

    async with AsyncExitStack() as stack:

        async def open_one(
            service: str, region: str, pool: int, read_seconds: float = READ_SECONDS, within: aioboto3.Session = boto
        ) -> Any:  # noqa: ANN401  aioboto3 has no types
            # AWS_BEARER_TOKEN_BEDROCK, which the SDK prefers, is of another account than a role.
            config = config_of(pool, read_seconds, signature=None if within is boto else "v4")
            with _said_in_a_sentence():
                client = await stack.enter_async_context(within.client(service, region_name=region, config=config))
            name = client.meta.service_model.service_id.hyphenize()
            if "json" in client.meta.service_model.resolved_protocol:  # the parser of XML itself takes nothing else
                client.meta.events.register(f"before-parse.{name}.*", check_body)
            return client

        def opener(within: aioboto3.Session, own_region: str) -> Open:
            others: dict[tuple[str, str], Any] = {}
            opening = asyncio.Lock()

            async def open_other(service: str, region: str | None = None) -> Any:  # noqa: ANN401  as above
                # A sender chooses the Region of a reply: only real ones open a client, so that there are not ever more.
                is_real = region in await session.get_available_regions(service, targets[DEFAULT].home.partition)
                where = (service, region if region and is_real else own_region)
                async with opening:
                    if where not in others:
                        await _read_models(session, service)
                        others[where] = await open_one(*where, OTHERS_POOL, within=within)
                return others[where]

            return open_other

        places = {settings.name: (await working_as(settings.role), targets[settings.name].home.region) for settings in wanted}
        yield Clients(
            receive=await open_one("sqs", regions.queue, most_polls + 1, LONGEST_POLL_SECONDS + POLL_GRACE_SECONDS),
            leases=await open_one("sqs", regions.queue, LEASES_POOL),
            bedrocks={
                name: await open_one("bedrock", region, BEDROCK_POOL, within=within)
                for name, (within, region) in places.items()
            },
            topic=await open_one("sns", regions.topic, TOPIC_POOL),
            targets=targets,
            open=opener(boto, regions.bedrock),
            open_in={name: opener(*place) for name, place in places.items()},
            keeper=keeper,
        )


async def _read_models(session: AioSession, service: str) -> None:
    """Load the SDK's models in a thread: SageMaker's is large."""
    loader = session.get_component("data_loader")
    for kind in ("service-2", "endpoint-rule-set-1"):
        await asyncio.to_thread(loader.load_service_model, service, kind)


def _config(
    user_agent: str, pool: int, read_seconds: float, transport: type[StrictHttpSession], signature: str | None = None
) -> AioConfig:
    """Return the clients' configuration, for each client: a session's default would silently lose `http_session_cls`.

    `user_agent` whole, not `user_agent_extra`: botocore would put that together anew for each call, 12 % of its CPU.
    """
    return AioConfig(
        http_session_cls=transport,
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=read_seconds,
        max_pool_connections=pool,
        parameter_validation=False,  # ours is stricter, and comes first; botocore's costs 5 to 15 % of a call
        user_agent=user_agent,
        signature_version=signature,
    )


@contextmanager
def _said_in_a_sentence() -> Iterator[None]:
    """Turn the SDK's errors about its own settings, like an invalid Region or endpoint, into `NotConfigured`."""
    try:
        yield
    except (BotoCoreError, ValueError) as exc:
        problem = f"AWS's own settings are not right: {str(exc).rstrip('.')}"
        raise NotConfigured(problem, "look at AWS_PROFILE, AWS_REGION and AWS_ENDPOINT_URL") from exc


UPDATE: Final = "UpdateCustomModelDeployment"
_MODELS: Final = Path(__file__).parent / "models"


def register_update_operation(loader: Any) -> None:  # noqa: ANN401  botocore has no types
    """Add UpdateCustomModelDeployment to a loader, unless its botocore has that operation.

    Call it before the first client is created. The loader keeps the model that this reads, for the client to use.
    """
    version = loader.determine_latest_version("bedrock", "service-2")
    operations = loader.load_data(f"bedrock/{version}/service-2")["operations"]
    if UPDATE not in operations:
        loader.search_paths.append(str(_MODELS))
