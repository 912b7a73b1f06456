"""Credentials are kept fresh beside the calls: what a refresh does is no call's trouble while the old ones are valid."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiobotocore.credentials import AioRefreshableCredentials
from botocore.exceptions import CredentialRetrievalError

from slipway.aws.sdk.credential_refresh import CredentialRefresher
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
