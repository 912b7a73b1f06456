"""AWS's own clock: told by its answers, carried on by the loop's, and moved by no clock of the machine's."""

from __future__ import annotations

import asyncio

import pytest

from service.aws.answers import AwsClock, Parsed
from tests.aws.servers import DATE, DATE_SECONDS
from tests.world.loop import run

DATED: Parsed = {"ResponseMetadata": {"HTTPHeaders": {"date": DATE}}}
UNDATED: Parsed = {"ResponseMetadata": {"HTTPHeaders": {"date": "the day after tomorrow"}}}


def test_an_answer_without_a_date_comes_as_long_after_the_last_one_as_the_loop_says() -> None:
    """The real client, "plain: clock two days ahead, no Date on ReceiveMessage #1": the request timed out at once."""

    async def main() -> None:
        clock = AwsClock(lambda: DATE_SECONDS + 172_800)
        assert clock.read(DATED) == DATE_SECONDS
        await asyncio.sleep(90)
        assert clock.read({}) == clock.read(UNDATED) == DATE_SECONDS + 90

    run(main())


def test_before_any_date_the_clock_of_the_machine_is_all_there_is() -> None:
    async def main() -> None:
        assert AwsClock(lambda: 5.0).read({}) == 5.0

    run(main())


def test_a_machine_that_is_ahead_is_known_to_be_and_by_how_much() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        clock = AwsClock(lambda: DATE_SECONDS + 40.0 + loop.time() - began)
        assert clock.skew() is None
        clock.read(DATED)
        await asyncio.sleep(100)
        assert clock.skew() == pytest.approx(39.5)

    run(main())
