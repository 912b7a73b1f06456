"""`slipway list`, `get`, `watch` and `explain`, against a box in which things are so."""

from __future__ import annotations

import json
from dataclasses import replace

from slipway.core.lifecycle.tags import REQUEST_TAG
from slipway.local.behaviour import Behaviour, FaultRule
from slipway.local.stack import LocalAws
from tests.e2e.commands import Ran, Terminal, at_terminal, typed
from tests.e2e.daemons import MODEL, Daemon, a_request, daemon

CREATE = "CreateCustomModelDeployment"
QUICK = Behaviour(max_creating=50, max_total=500, creation_seconds=(0.0, 0.0))
NOBODY = {"SLIPWAY_HTTP_PORT": "0"}
OTHER = MODEL[:-1] + "m"


def bug(box: LocalAws, name: str, request_id: str | None = None, model: str = MODEL) -> None:
    tags = [{"key": REQUEST_TAG, "value": request_id}] if request_id else []
    box.bedrock.account().add(box.bedrock.now(), name, model, "a line", tags)


async def test_a_list_has_every_filter_that_bedrock_has() -> None:
    async with LocalAws(terms=QUICK) as box:
        bug(box, "bot-1", "r-1")
        bug(box, "bot-2", model=OTHER)
        bug(box, "fails-bot", "r-3")

        async def names(*words: str) -> list[str]:
            ran = await typed(box, "list", *words, **NOBODY)
            assert ran.code == 0
            return [row[0] for row in ran.rows]

        assert await names() == ["fails-bot", "bot-2", "bot-1"]
        assert await names("--oldest-first") == ["bot-1", "bot-2", "fails-bot"]
        assert await names("--status", "failed") == ["fails-bot"]
        assert await names("--model", OTHER) == ["bot-2"]
        assert await names("--name-contains", "bot-", "--created-after", "2020-01-01") == ["bot-2", "bot-1"]
        assert await names("--created-before", "2020-01-01T00:00:00Z") == []
        ran = await typed(box, "list", "--json", "--limit", "2", **NOBODY)
        assert [one.get("requestId") for one in ran.json["deployments"]] == ["r-3", None]
        following = await typed(box, "list", "--limit", "2", "--token", ran.json["nextToken"], **NOBODY)
        assert [(row[0], row[1], row[4]) for row in following.rows] == [("bot-1", "Active", "r-1")]
        ran = await typed(box, "list", "--created-after", "lately", **NOBODY)
        assert ran.code == 2
        assert "--created-after" in ran.err
        assert "ISO 8601" in ran.err


async def test_get_shows_all_and_says_when_there_is_none() -> None:
    async with LocalAws(terms=QUICK) as box:
        bug(box, "bot", "r-1")
        ran = await typed(box, "get", "bot", **NOBODY)
        facts = ran.facts
        assert (facts["status"], facts["description"], facts["requestId"], facts[f"tag {REQUEST_TAG}"]) == (
            "Active",
            "a line",
            "r-1",
            "r-1",
        )
        ran = await typed(box, "get", facts["customModelDeploymentArn"], "--json", **NOBODY)
        assert ran.json["tags"] == {REQUEST_TAG: "r-1"}
        box.bedrock.account().update(box.bedrock.now(), "bot", OTHER)
        facts = (await typed(box, "get", "bot", **NOBODY)).facts
        assert facts["updateDetails"] == f"Updating to {OTHER}"
        ran = await typed(box, "get", "nothing", **NOBODY)
        assert (ran.code, ran.out) == (1, "")
        assert "slipway list" in ran.err


async def test_watching_is_a_moving_table_or_a_line_of_json_for_each_look() -> None:
    async with LocalAws(terms=QUICK) as box, daemon(box) as process:
        bug(box, "bot", "r-1")
        await box.send(a_request("endless-bot"))
        await process.until(lambda: bool(process.lines("deployment.created")))
        near = {"SLIPWAY_HTTP_PORT": str(process.port)}
        ran = await typed(box, "watch", "--count", "2", "--every", "1", **near)
        looks = [json.loads(line) for line in ran.out.splitlines()]
        assert len(looks) == 2
        assert {key: looks[0]["slots"][key] for key in ("creating", "total", "held", "waiting")} == {
            "creating": 1, "total": 2, "held": 1, "waiting": 0,
        }  # fmt: skip
        assert [one["modelDeploymentName"] for one in looks[0]["deployments"]] == ["endless-bot", "bot"]
        terminal = Terminal(box, "watch", "--every", "1", **near)
        await terminal.start()
        await terminal.until(lambda screen: "endless-bot" in screen and "Requests in progress: 1" in screen)
        bug(box, "later")
        await terminal.until(lambda screen: "later" in screen)
        assert await terminal.end(2) == 130


async def test_list_get_and_watch_need_neither_queue_nor_topic() -> None:
    async with LocalAws(terms=QUICK) as box:
        bug(box, "bot", "r-1")
        nothing = {"SLIPWAY_QUEUE_URL", "SLIPWAY_TOPIC_ARN"}
        for words in (("list",), ("get", "bot"), ("watch", "--count", "1")):
            ran = await typed(box, *words, "-o", "json", **NOBODY, without=nothing)
            assert ran.code == 0, ran.err
            assert "bot" in ran.out


async def test_requests_in_progress_are_a_table_or_a_document() -> None:
    async with LocalAws(terms=replace(QUICK, max_creating=1)) as box, daemon(box) as process:
        near = {"SLIPWAY_HTTP_PORT": str(process.port)}
        await process.until(lambda: bool(process.lines("daemon.started")))
        ran = await typed(box, "requests", **near)
        assert (ran.code, ran.out, ran.err) == (0, "", "Nothing found.\n")
        await box.send(a_request("endless-bot", requestId="r-1"))
        await process.until(lambda: bool(process.lines("deployment.created")))
        await box.send(a_request("late", requestId="r-2", tenant="search"))
        await process.wait_for_page("/requests", lambda text: "NoSlot" in text)
        ran = await typed(box, "requests", **near)
        assert [row[:4] + row[5:] for row in ran.rows] == [
            ["endless-bot", "deploy", "Creating", "InCreation", "r-1"],
            ["late", "deploy", "Waiting", "NoSlot", "r-2"],
        ]
        ran = await typed(box, "requests", "-o", "wide", "--daemon", f"http://127.0.0.1:{process.port}", **NOBODY)
        assert ran.rows[1][6:9] == ["1", "0", "search"]
        words = ("requests", "--query", "requests[?waitsFor=='NoSlot'].requestId", "-o", "yaml")
        assert (await typed(box, *words, **near)).out == "- r-2\n"
        ran = await typed(box, "requests", **NOBODY)
        assert (ran.code, ran.out) == (2, "")
        assert "http_port is 0" in ran.err


async def explained(box: LocalAws, process: Daemon, word: str) -> Ran:
    return await typed(box, "explain", word, "--json", SLIPWAY_HTTP_PORT=str(process.port))


async def test_explain_knows_predecessors_models_names_and_slots() -> None:
    async with (
        LocalAws(terms=replace(QUICK, name_reserved_seconds=3600.0, models={OTHER: "Creating"})) as box,
        daemon(box) as process,
    ):
        await box.send(a_request("endless-bot", requestId="r-1"))
        await process.until(lambda: bool(process.lines("deployment.created")))
        await box.send(a_request("endless-bot", requestId="r-2"))
        await box.send(a_request("early", modelArn=OTHER))
        bug(box, "reserved")
        box.bedrock.account().delete(box.bedrock.now(), "reserved")
        await box.send(a_request("reserved"))
        await process.until(lambda: {"early", "reserved"} <= {each["deployment"] for each in process.lines("request.paused")})
        ran = await explained(box, process, "r-1")
        assert (ran.code, ran.json["state"], ran.json["reason"]) == (0, "Creating", "InCreation")
        assert ran.json["requests"][0]["requestId"] == "r-1"
        assert ran.json["requests"][0]["deadline"]
        ran = await explained(box, process, "r-2")
        assert (ran.json["state"], ran.json["reason"]) == ("Waiting", "PredecessorRunning")
        assert (await explained(box, process, "early")).json["reason"] == "ModelNotActive"
        assert (await explained(box, process, "reserved")).json["reason"] == "NameReserved"
        box.bedrock.terms = replace(box.bedrock.terms, max_creating=1)
        await box.send(a_request("late", requestId="r-late"))
        await process.until(lambda: bool(process.lines("slots.refused")))
        ran = await explained(box, process, "r-late")
        assert ran.json["reason"] == "NoSlot"
        assert any("queue position: " in line for line in ran.json["lines"])
        assert any("1 in creation" in line or "1 of 1 in creation" in line for line in ran.json["lines"])


async def test_explain_knows_broken_credentials_throttles_and_what_it_does_not_know() -> None:
    async with LocalAws(terms=replace(QUICK, denied=(CREATE,))) as box, daemon(box) as process:
        await box.send(a_request("denied"))
        await process.until(lambda: bool(process.lines("request.paused")))
        assert (await explained(box, process, "denied")).json["reason"] == "AccessDenied"
        box.bedrock.faults.failures[CREATE] = FaultRule(rate=0.01, burst=0.5)
        await box.send(a_request("throttled"))
        await process.until(lambda: any(each["reason"] == "Throttled" for each in process.lines("request.paused")))
        assert (await explained(box, process, "throttled")).json["reason"] == "Throttled"
        ran = await explained(box, process, "no-such-request")
        assert (ran.code, ran.json["state"]) == (1, "Unknown")


async def test_explain_without_a_daemon_says_what_that_hides() -> None:
    async with LocalAws(terms=QUICK) as box:
        await box.send(a_request("bot"))
        bug(box, "made", "r-made")
        ran = await typed(box, "explain", "bot", **NOBODY)
        assert ran.code == 1
        assert "messages in the queue that were not received yet: 1" in ran.out
        ran = await typed(box, "explain", "r-made", **NOBODY)
        assert (ran.code, ran.out.splitlines()[0]) == (0, "Active: deployment made")
        ran = await typed(box, "explain", "bot", "--daemon", "http://127.0.0.1:9", **NOBODY)
        assert (ran.code, ran.out) == (2, "")


async def test_a_list_at_a_terminal_is_a_table() -> None:
    async with LocalAws(terms=QUICK) as box:
        bug(box, "fails-bot", "r-1")
        code, screen = await at_terminal(box, "list", **NOBODY)
        assert code == 0
        heading, row = screen.splitlines()
        assert all(word in heading for word in ("NAME", "STATUS", "AGE", "MODEL", "REQUEST"))
        assert "Failed" in row
        code, screen = await at_terminal(box, "list", "-o", "wide", **NOBODY)
        assert code == 0
        assert "The model artifacts could not be loaded" in screen.splitlines()[1]
