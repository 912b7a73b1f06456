"""Opening the clients: one session, a client and a pool for each purpose, nothing of the SDK's that would surprise.

Credentials, profile and endpoints are the SDK's own business (`AWS_PROFILE`, `AWS_ENDPOINT_URL`,
`AWS_ENDPOINT_URL_BEDROCK`, …). Retries are off: `calling` is the one retry layer.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aioboto3
from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioRefreshableCredentials
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError

from service.aws.forms import encode_form
from service.aws.keys import Keeper
from service.aws.parsing import Parsers
from service.aws.regions import NotConfigured, find_home, find_regions
from service.aws.teaching import teach_update
from service.aws.transport import StraightSession, check_body
from service.core.requests import Home

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 15.0
"""The longest silence within an answer."""
LONGEST_POLL_SECONDS: Final = 20
POLL_GRACE_SECONDS: Final = 10.0
"""What an attempt to receive may take beyond its long poll."""

BEDROCK_POOL: Final = 96
CUSTODY_POOL: Final = 32
TOPIC_POOL: Final = 16
OTHERS_POOL: Final = 16


@dataclass(frozen=True, slots=True)
class Clients:
    """Open clients. Each has a pool of its own, so that no heartbeat waits behind a parked long poll."""

    receive: Any
    custody: Any
    bedrock: Any
    topic: Any
    home: Home
    open: Callable[[str], Awaitable[Any]]
    """Answers the client of another service, opened when it is first wanted: most of them never are."""
    keeper: Keeper | None = None
    """Keeps credentials that run out; None where they do not."""


@asynccontextmanager
async def open_clients(
    *,
    queue_url: str,
    topic_arn: str,
    version: str,
    most_polls: int,
    sdk: Callable[[], AioSession] = AioSession,
    transport: type[AIOHTTPSession] = StraightSession,
) -> AsyncIterator[Clients]:
    """Open the clients, and close them at the end. No call is made, except one for credentials where they need it.

    `sdk` is where settings and credentials come from, `transport` what carries HTTP: others than AWS's run in memory.
    Raises `NotConfigured` with a sentence for the operator.
    """
    session = sdk()
    try:
        regions = find_regions(os.environ, session.get_config_variable("region"), queue_url, topic_arn)
        session.set_config_variable("region", regions.bedrock)
        keeper = await _find_credentials(session)
    except BotoCoreError as exc:
        raise NotConfigured(f"AWS's own settings are not right: {exc}") from exc
    teach_update(session.get_component("data_loader"))
    session.register_component("response_parser_factory", Parsers())
    boto = aioboto3.Session(botocore_session=session)
    async with AsyncExitStack() as stack:

        async def open_one(service: str, region: str, pool: int, read_seconds: float = READ_SECONDS) -> Any:  # noqa: ANN401  aioboto3 has no types
            config = _config(f"slipway/{version} {session.user_agent()}", pool, read_seconds, transport)
            client = await stack.enter_async_context(boto.client(service, region_name=region, config=config))
            name = client.meta.service_model.service_id.hyphenize()
            if service == "sns":  # it speaks forms and XML, whose parser takes nothing else
                client.meta.events.register("before-call.sns", encode_form)
            else:
                client.meta.events.register(f"before-parse.{name}.*", check_body)
            return client

        others: dict[str, Any] = {}
        opening = asyncio.Lock()

        async def open_other(service: str) -> Any:  # noqa: ANN401  as above
            async with opening:
                if service not in others:
                    await _read_models(session, service)
                    others[service] = await open_one(service, regions.bedrock, OTHERS_POOL)
            return others[service]

        yield Clients(
            receive=await open_one("sqs", regions.queue, most_polls + 1, LONGEST_POLL_SECONDS + POLL_GRACE_SECONDS),
            custody=await open_one("sqs", regions.queue, CUSTODY_POOL),
            bedrock=await open_one("bedrock", regions.bedrock, BEDROCK_POOL),
            topic=await open_one("sns", regions.topic, TOPIC_POOL),
            home=find_home(topic_arn, regions),
            open=open_other,
            keeper=keeper,
        )


async def _read_models(session: AioSession, service: str) -> None:
    """Read what the SDK knows of a service, away from the event loop: SageMaker's is a large book."""
    loader = session.get_component("data_loader")
    for kind in ("service-2", "endpoint-rule-set-1"):
        await asyncio.to_thread(loader.load_service_model, service, kind)


def _config(user_agent: str, pool: int, read_seconds: float, transport: type[AIOHTTPSession]) -> AioConfig:
    """Never set as the session's default: aiobotocore then drops `http_session_cls` without a word.

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
    )


async def _find_credentials(session: AioSession) -> Keeper | None:
    credentials = await session.get_credentials()
    if credentials is None:
        raise NotConfigured("no AWS credentials were found: set AWS_PROFILE, or give this task or host a role")
    return Keeper(credentials) if isinstance(credentials, AioRefreshableCredentials) else None
