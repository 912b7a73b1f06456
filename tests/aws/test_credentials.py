"""Credentials are refreshed beside the calls: a slow or failed refresh affects no call while the old ones are valid.

A role in another account is assumed when a call needs it, at STS in the home Region, with a client of its own.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiobotocore.credentials import AioRefreshableCredentials
from botocore.exceptions import CredentialRetrievalError

from slipway.aws.adapters.bedrock import Bedrock
from slipway.aws.sdk.clients import Clients, open_clients
from slipway.aws.sdk.credentials import CredentialRefresher
from slipway.core.call_errors import Denied
from slipway.core.requests.targets import DEFAULT, Home, Role, TargetSettings
from tests.aws.conftest import QUEUE_URL, TOPIC_ARN, make_caller
from tests.aws.servers import Server, answer, serving
from tests.simulator.virtual_loop import run

BEGIN = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)


class Issuer:
    """Gives out credentials for an hour, when its `manner` has been through."""

    def __init__(self, left: float, manner: Callable[[], Awaitable[None]]) -> None:
        self.asked = 0
        self.lasting = 3600.0
        self.secret = "made-up"
        self.manner = manner
        self.credentials = AioRefreshableCredentials(
            "AKID0", "made-up", "t", self._at(left), refresh_using=self.issue, method="made-up", time_fetcher=self._at
        )
        CredentialRefresher(self.credentials)

    async def issue(self) -> dict[str, Any]:
        self.asked += 1
        await self.manner()
        expires = self._at(self.lasting).isoformat()
        return {"access_key": f"AKID{self.asked}", "secret_key": self.secret, "token": "t", "expiry_time": expires}

    async def key(self) -> str:
        return str((await self.credentials.get_frozen_credentials()).access_key)

    def _at(self, seconds: float = 0.0) -> dt.datetime:
        return BEGIN + dt.timedelta(seconds=asyncio.get_running_loop().time() + seconds)


async def hanging() -> None:
    await asyncio.sleep(40)


async def failing() -> None:
    raise ConnectionError("nobody there")


async def at_once() -> None:
    pass


def test_a_slow_refresh_holds_up_no_call_and_is_not_cut_off_with_one() -> None:
    async def main() -> None:
        issuer = Issuer(600, hanging)
        began = asyncio.get_running_loop().time()
        assert [await issuer.key() for _ in range(3)] == ["AKID0"] * 3
        assert asyncio.get_running_loop().time() == began
        await asyncio.sleep(50)
        assert await issuer.key() == "AKID1"
        assert issuer.asked == 1

    run(main())


def test_a_failed_refresh_fails_no_call_while_the_old_ones_are_valid_and_is_tried_again() -> None:
    async def main() -> None:
        issuer = Issuer(600, failing)
        for _ in range(5):
            assert await issuer.key() == "AKID0"
            await asyncio.sleep(1)
        assert issuer.asked == 1
        issuer.manner = at_once
        await asyncio.sleep(15)
        assert await issuer.key() == "AKID0"
        await asyncio.sleep(1)
        assert await issuer.key() == "AKID2"

    run(main())


def test_without_valid_ones_a_call_waits_and_what_ends_it_does_not_end_the_refresh() -> None:
    """A refresh that took longer than a call may was cut off with each call, and never ended."""

    async def main() -> None:
        issuer = Issuer(20, hanging)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(10):
                    await issuer.key()
        assert await issuer.key() == "AKID1"
        assert issuer.asked == 1

    run(main())


def test_without_valid_ones_a_failed_refresh_says_that_there_are_no_credentials() -> None:
    async def main() -> None:
        issuer = Issuer(-5, failing)
        with pytest.raises(CredentialRetrievalError, match="nobody there"):
            await issuer.key()

    run(main())


def test_a_refresh_that_never_ends_is_given_up_and_begun_anew() -> None:
    async def main() -> None:
        async def for_ever() -> None:
            await asyncio.sleep(1e6)

        issuer = Issuer(-5, for_ever)
        with pytest.raises(CredentialRetrievalError, match="Timeout"):
            await issuer.key()
        issuer.manner = at_once
        await asyncio.sleep(1)
        assert await issuer.key() == "AKID2"

    run(main())


def test_calls_that_all_need_new_ones_do_not_ask_an_issuer_that_fails_more_often_than_it_is_to_be_asked() -> None:
    async def main() -> None:
        issuer = Issuer(-5, failing)
        for _ in range(1200):
            with pytest.raises(CredentialRetrievalError, match="nobody there"):
                await issuer.key()
            await asyncio.sleep(0.1)
        assert 8 <= issuer.asked <= 20
        issuer.manner = at_once
        await asyncio.sleep(15)
        assert (await issuer.key()).startswith("AKID")

    run(main())


def test_while_the_old_ones_are_valid_a_pause_after_a_failure_fails_no_call() -> None:
    async def main() -> None:
        issuer = Issuer(20, failing)
        with pytest.raises(CredentialRetrievalError):
            await issuer.key()
        assert await issuer.key() == "AKID0"

    run(main())


def test_new_ones_that_no_header_can_carry_are_refused_and_the_old_ones_kept() -> None:
    async def main() -> None:
        issuer = Issuer(600, at_once)
        issuer.secret = "made-up\n"
        assert await issuer.key() == "AKID0"
        await asyncio.sleep(1)
        assert await issuer.key() == "AKID0"
        await asyncio.sleep(600)
        with pytest.raises(CredentialRetrievalError, match="the secret key from made-up ends with a line break"):
            await issuer.key()

    run(main())


def test_credentials_that_never_last_for_long_are_not_refreshed_all_the_time() -> None:
    async def main() -> None:
        issuer = Issuer(600, at_once)
        issuer.lasting = 880.0
        for _ in range(880):
            await issuer.key()
            await asyncio.sleep(1)
        assert 2 <= issuer.asked <= 4

    run(main())


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
