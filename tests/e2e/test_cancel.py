"""`slipway cancel`, what else a request can be typed with, and what each is called by when it is wrong."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

from slipway.local.behaviour import Behaviour
from slipway.local.stack import LocalAws
from tests.e2e.commands import typed
from tests.e2e.daemons import MODEL, a_request, daemon, listening

QUICK = Behaviour(max_creating=50, max_total=500, creation_seconds=(0.5, 1.0))
WAIT = ("--wait", "--at-most", "300")
NOBODY = {"SLIPWAY_HTTP_PORT": "0"}


def about(event: dict[str, Any]) -> tuple[str, str | None]:
    """Return what an event says, and of which deployment."""
    return event["data"]["outcome"], event["data"].get("customModelDeploymentArn")


async def test_a_request_is_cancelled_and_whoever_follows_either_is_told() -> None:
    async with LocalAws(terms=QUICK) as box, daemon(box, SLIPWAY_REPLY_TO="*") as process, listening(box) as results:
        await process.until(lambda: bool(process.lines("daemon.started")))
        near = {"SLIPWAY_HTTP_PORT": str(process.port)}
        following = asyncio.create_task(typed(box, "deploy", "endless-bot", MODEL, "--request-id", "r-1", *WAIT, **near))
        await process.until(lambda: bool(process.lines("deployment.created")))
        await box.send(json.dumps({"action": "cancel", "cancels": "r-1", "requestId": "c-0"}))
        ran = await following
        assert (ran.code, ran.lines[-1][0]) == (5, "Cancelled")

        ran = await typed(box, "deploy", "endless-ape", MODEL, "--request-id", "r-2", **near)
        assert (ran.code, ran.out) == (0, "r-2\n")
        await process.until(lambda: len(process.lines("deployment.created")) == 2)
        ran = await typed(box, "cancel", "r-2", "--deployment", "keep", *WAIT, "--json", **near)
        last = json.loads(ran.out.splitlines()[-1])
        assert (ran.code, last["state"], last["source"]) == (0, "CancelTaken", "daemon")
        ran = await typed(box, "cancel", "r-2", *WAIT, **near)
        assert (ran.code, ran.lines[-1][0]) == (0, "CancelTaken"), "it is cancelled already"
        ran = await typed(box, "cancel", "c-0", *WAIT, **near)
        assert (ran.code, ran.lines[-1][:2]) == (1, ["Failed", "NothingToCancel"]), "it has ended"
        await results.until(lambda: {"r-1", "r-2"} <= set(results.outcomes()))
        assert [results.outcomes()[each].pop()[0] for each in ("r-1", "r-2")] == ["Cancelled", "Cancelled"]
        assert [one.name for one in box.bedrock.account().made if one.exists(box.bedrock.now())] == [
            "endless-bot",
            "endless-ape",
        ], "kept"

        words = ("--smoke-test", "Say ready.", "--smoke-expect", "never", "--smoke-no-gate", "--expires-after", "P7D")
        ran = await typed(box, "deploy", "bot", MODEL, *words, "--reply-to", box.results_url, *WAIT, **near)
        assert ran.code == 0, ran.out
        arn = ran.lines[-1][2]
        await results.until(lambda: [about(event) for event in results.events].count(("Active", arn)) == 2)
        told, copy = (event["data"] for event in results.events if about(event) == ("Active", arn))
        assert told == copy, "on the topic, and where it was to be answered"
        assert told["smokeTest"]["passed"] is False
        assert "slipway:expires" in {tag["key"] for tag in box.bedrock.account().made[-1].tags}


async def test_a_cancel_of_an_id_that_no_daemon_knows_says_so_at_once() -> None:
    async with LocalAws(terms=QUICK) as box, daemon(box) as process:
        await process.until(lambda: bool(process.lines("daemon.started")))
        started = process.lines("daemon.started")[0]
        assert started["page"] == f"http://127.0.0.1:{process.port}/"
        near = {"SLIPWAY_HTTP_PORT": str(process.port)}
        ran = await typed(box, "cancel", "nope", **near)
        assert ran.code == 0
        assert 'know no request "nope"' in ran.err
        await box.send(a_request("endless-bot", requestId="r-1"))
        await process.until(lambda: bool(process.lines("deployment.created")))
        ran = await typed(box, "cancel", "r-1", **near)
        assert "know no request" not in ran.err


async def test_on_a_fifo_queue_a_cancel_overtakes_the_request_that_it_is_about() -> None:
    terms = replace(QUICK, max_creating=0)
    async with LocalAws(terms=terms, fifo=True) as box, daemon(box) as process:
        near = {"SLIPWAY_HTTP_PORT": str(process.port)}
        await box.send(a_request("bot"), group="bot")
        await process.until(lambda: bool(process.lines("slots.refused")))
        ran = await typed(box, "cancel", "bot", *WAIT, **near)
        assert (ran.code, ran.lines[-1][0]) == (0, "CancelTaken")


WRONG = [
    (["deploy", "bot", MODEL, "--smoke-expect", "ready"], "--smoke-expect: it has no effect without --smoke-test"),
    (
        ["deploy", "bot", MODEL, "--smoke-test", "hi", "--smoke-max-tokens", "0"],
        '--smoke-max-tokens: "0" is not a whole number from 1 to 1024',
    ),
    (["deploy", "bot", MODEL, "--expires-after", "soon"], '--expires-after: is "soon"'),
    (["deploy", "bot", MODEL, "--reply-to", "me"], '--reply-to: is "me"'),
    (["deploy", "bot", MODEL, "--target", "-"], '--target: the settings have no target "-"'),
    (["update", "bot", MODEL, "--task-token", ""], "--task-token: is empty"),
    (["delete", "bot", "--callback-token", "x"], "--callback-token: has 1 characters"),
    (["cancel", "r-1 "], 'REQUEST_ID: is "r-1 "'),
    (["cancel", "r-1", "--deployment", "burn"], '--deployment: "burn" is not one of keep, delete'),
]


async def test_what_is_wrong_is_named_by_its_option_and_nothing_is_sent() -> None:
    async with LocalAws(terms=QUICK) as box:
        for words, said in WRONG:
            ran = await typed(box, *words, **NOBODY)
            assert (ran.code, ran.out) == (2, ""), words
            assert said in ran.err
        ran = await typed(box, "cancel", "r-1", "--wait", "--at-most", "1", **NOBODY)
        assert (ran.code, ran.lines[0][3]) == (6, "not received yet; messages in the queue: 1")
