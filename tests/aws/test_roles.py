"""Targets in other accounts: a role is assumed when a call needs it, at STS in the home Region, and by its own client alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs

import pytest

from slipway.aws.adapters.bedrock import Bedrock
from slipway.aws.sdk.clients import Clients, open_clients
from slipway.aws.sdk.credential_refresh import CredentialRefresher
from slipway.core.call_errors import Denied
from slipway.core.requests.targets import DEFAULT, Home, Role, TargetSettings
from tests.aws.conftest import QUEUE_URL, TOPIC_ARN, make_caller
from tests.aws.servers import Server, answer, serving

ROLE = Role("arn:aws:iam::210987654321:role/slipway", "slipway", "slipway-research")
WANTED = (TargetSettings(DEFAULT), TargetSettings("west", "us-west-2"), TargetSettings("research", "eu-west-1", ROLE))
NOTHING = answer(200, {"modelDeploymentSummaries": []})
XML = {"Content-Type": "text/xml"}
GIVEN = (
    b'<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
    b"<AccessKeyId>ASIARESEARCH</AccessKeyId><SecretAccessKey>made-up</SecretAccessKey><SessionToken>t-2</SessionToken>"
    b"<Expiration>2999-01-01T00:00:00Z</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>A:s</AssumedRoleId>"
    b"<Arn>arn:aws:sts::210987654321:assumed-role/slipway/slipway</Arn></AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>"
)
REFUSED = (
    b"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized to perform: sts:AssumeRole"
    b"</Message></Error><RequestId>r</RequestId></ErrorResponse>"
)


@asynccontextmanager
async def opened(monkeypatch: pytest.MonkeyPatch, bedrock: Server, sts: Server) -> AsyncIterator[Clients]:
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK", bedrock.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
    async with open_clients(queue_url=QUEUE_URL, topic_arn=TOPIC_ARN, version="0", most_polls=2, wanted=WANTED) as clients:
        yield clients


async def look(clients: Clients, target: str) -> None:
    bedrock = Bedrock(clients.bedrocks[target], make_caller())
    await bedrock.page(created_after=None, status=None, token=None)


async def test_each_target_has_a_client_that_signs_with_its_own_credentials_for_its_region(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with (
        serving(NOTHING) as bedrock,
        serving(answer(200, GIVEN, headers=XML)) as sts,
        opened(monkeypatch, bedrock, sts) as clients,
    ):
        for target in ("default", "west", "research", "research"):
            await look(clients, target)
        scopes = [seen.headers["authorization"].split("credential=")[1].split(",")[0].split("/") for seen in bedrock.seen]
        assert [(scope[0], scope[2]) for scope in scopes] == [
            ("akidexample", "us-east-1"),
            ("akidexample", "us-west-2"),
            ("asiaresearch", "eu-west-1"),
            ("asiaresearch", "eu-west-1"),
        ]
        assert bedrock.seen[-1].headers["x-amz-security-token"] == "t-2"
        (asked,) = sts.seen
        assert parse_qs(asked.body.decode()) == {
            "Action": ["AssumeRole"],
            "Version": ["2011-06-15"],
            "RoleArn": [ROLE.arn],
            "RoleSessionName": ["slipway"],
            "ExternalId": ["slipway-research"],
        }
        assert "akidexample/" in asked.headers["authorization"]
        assert "/us-east-1/sts/" in asked.headers["authorization"]
        assert clients.targets["research"].home == Home("aws", "210987654321", "eu-west-1")
        credentials = clients.bedrocks["research"]._request_signer._credentials  # noqa: SLF001  there is no other way to see
        assert credentials._refresh.__func__ is CredentialRefresher.refresh  # noqa: SLF001  as above


async def test_a_role_that_cannot_be_assumed_fails_the_calls_that_need_it_and_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with (
        serving(NOTHING) as bedrock,
        serving(answer(403, REFUSED, headers=XML), answer(200, GIVEN, headers=XML)) as sts,
        opened(monkeypatch, bedrock, sts) as clients,
    ):
        assert sts.seen == [], "nothing is asked before it is needed"
        with pytest.raises(Denied, match=r"AssumeRole of arn:aws:iam::210987654321:role/slipway.*sts:AssumeRole"):
            await look(clients, "research")
        await look(clients, "default")
        assert len(bedrock.seen) == 1
        async with asyncio.timeout(20):
            while len(sts.seen) < 2:  # not at once: STS is asked again after a pause
                with suppress(Denied):
                    await look(clients, "research")
                await asyncio.sleep(0.05)
        assert len(bedrock.seen) == 2


async def test_sts_is_called_at_its_endpoint_in_the_home_region(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(NOTHING) as bedrock:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK", bedrock.url)
        async with open_clients(queue_url=QUEUE_URL, topic_arn=TOPIC_ARN, version="0", most_polls=2, wanted=WANTED) as clients:
            credentials = clients.bedrocks["research"]._request_signer._credentials  # noqa: SLF001  there is no other way to see
            fetcher = credentials._refresh_using.__wrapped__.__self__  # noqa: SLF001  as above
            async with await fetcher._create_client() as sts:  # noqa: SLF001  as above
                assert sts.meta.endpoint_url == "https://sts.us-east-1.amazonaws.com"
