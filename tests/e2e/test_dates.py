"""Whatever the `Date` of an answer of SQS is, time is kept: LocalStack sets it when a long poll arrives."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime

import pytest

from slipway.local.behaviour import Behaviour
from slipway.local.stack import Dates, LocalAws
from tests.e2e.commands import typed
from tests.e2e.daemons import MODEL, Daemon, a_request, daemon, listening

QUICK = Behaviour(max_creating=50, max_total=500, creation_seconds=(1.0, 1.0), update_seconds=(3.0, 3.0))
OTHER_MODEL = MODEL[:-12] + "zyxwvutsrqpo"
MOST_SKEW_SECONDS = 0.5


async def skew_of(process: Daemon) -> float:
    text = await process.wait_for_page("/metrics", lambda text: "\nslipway_clock_skew_seconds " in text)
    found = re.search(r"^slipway_clock_skew_seconds (\S+)$", text, re.MULTILINE)
    assert found
    return float(found[1])


@pytest.mark.parametrize("dates", ["arrival", "none", "old"])
async def test_whatever_the_date_of_a_long_poll_is_time_is_kept(dates: Dates) -> None:
    async with LocalAws(terms=QUICK, dates=dates) as box, daemon(box) as process, listening(box) as results:
        await process.until(lambda: bool(process.lines("daemon.started")))
        await box.send(a_request("bot"))
        await results.until(lambda: "bot" in results.outcomes())
        await box.send(a_request("endless-bot", timeout=4))
        await results.until(lambda: "endless-bot" in results.outcomes())
        assert abs(await skew_of(process)) < MOST_SKEW_SECONDS
        for event in results.events:
            said = datetime.fromisoformat(event["time"]).timestamp()
            assert said <= event["heard"] + MOST_SKEW_SECONDS
            for name in ("createdAt", "lastUpdatedAt"):
                if (at := event["data"].get(name)) is not None:
                    assert said >= datetime.fromisoformat(at).timestamp() - MOST_SKEW_SECONDS, (name, event)
        (made,) = (one for one in box.bedrock.account().made if one.name == "endless-bot")
        (ended,) = (one for one in results.events if one["data"]["outcome"] == "TimedOut")
        lived = datetime.fromisoformat(ended["time"]).timestamp() - made.created
        assert 2.5 <= lived <= 9.0, "the deadline is four seconds after its message was sent"


async def test_update_waits_about_as_long_as_the_update_takes() -> None:
    terms = replace(QUICK, update_seconds=(3.0, 3.0))
    async with LocalAws(terms=terms, dates="arrival") as box, daemon(box) as process:
        await process.until(lambda: bool(process.lines("daemon.started")))
        near = {"SLIPWAY_HTTP_PORT": str(process.port)}
        assert (await typed(box, "deploy", "bot", MODEL, "--wait", "--at-most", "60", **near)).code == 0
        began = box.bedrock.now()
        ran = await typed(box, "update", "bot", OTHER_MODEL, "--wait", "--at-most", "60", "--json", **near)
        took = box.bedrock.now() - began
        assert ran.code == 0, ran
        assert json.loads(ran.out.splitlines()[-1])["state"] in {"Active", "Updated"}
        (update,) = (one.update for one in box.bedrock.account().made)
        assert update is not None
        assert took <= 20.0, "it was 62.9 s for an update of 3 s"
