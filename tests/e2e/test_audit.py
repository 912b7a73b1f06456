"""`slipway audit` as a person, and a script, would run it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.core.lifecycle.tags import REQUEST_TAG
from slipway.local.behaviour import Behaviour
from slipway.local.stack import LocalAws
from tests.e2e.commands import at_terminal, typed
from tests.e2e.daemons import MODEL, a_request, daemon, listening

QUICK = Behaviour(max_creating=50, max_total=500, creation_seconds=(0.0, 0.0))


def bug(box: LocalAws, name: str, request_id: str | None, model: str = MODEL) -> None:
    tags = [{"key": REQUEST_TAG, "value": request_id}] if request_id else []
    box.bedrock.account().add(box.bedrock.now(), name, model, tags=tags)


async def test_a_sound_account_has_no_findings_whoever_is_asked(tmp_path: Path) -> None:
    async with LocalAws(terms=QUICK) as box, daemon(box) as process, listening(box) as results:
        await box.send(a_request("bot"))
        await results.until(lambda: bool(results.outcomes()))
        archive = tmp_path / "events.jsonl"
        archive.write_text("".join(json.dumps(event) + "\n" for event in results.events))
        url = f"http://127.0.0.1:{process.port}"
        blind = await typed(box, "audit")
        assert (blind.code, blind.err, [line.partition(":")[0] for line in blind.out.splitlines()]) == (
            0,
            "",
            ["Nothing found.", "Not known"],
        )
        for words in (["--daemon", url], ["--events", str(archive)], ["--daemon", url, "--events", str(archive)]):
            ran = await typed(box, "audit", *words)
            assert (ran.code, ran.out, ran.err) == (0, "Nothing found.\n", ""), words


async def test_everything_is_found_and_changes_nothing() -> None:
    async with LocalAws(terms=QUICK) as box, daemon(box) as process, listening(box) as results:
        await box.send(a_request("bot"))
        await results.until(lambda: bool(results.outcomes()))
        bug(box, "fails-left", "r-left")
        bug(box, "forgotten", "r-forgotten")
        bug(box, "twin", "r-forgotten")
        bug(box, "theirs", None)
        box.bedrock.terms = replace(QUICK, denied=("CreateCustomModelDeployment",))
        await box.send(a_request("bot-2"))
        await process.until(lambda: bool(process.lines("request.paused")))
        bug(box, "bot-2", None)
        account = box.bedrock.account()
        before = len(account.made)
        archive = "".join(json.dumps({"Type": "Notification", "Message": json.dumps(event)}) + "\n" for event in results.events)
        words = ("audit", "--daemon", f"http://127.0.0.1:{process.port}", "--events", "-", "--json")
        async with asyncio.timeout(60.0):  # the first request's message may still be on its way out of the queue
            while "in the queue" in str((ran := await typed(box, *words, stdin=archive)).json["unknown"]):
                pass
        assert ran.code == 1, ran.err
        found = {(finding["kind"], finding["modelDeploymentName"]) for finding in ran.json["findings"]}
        assert found == {
            ("orphan", "fails-left"), ("orphan", "forgotten"), ("orphan", "twin"),
            ("leftover", "fails-left"), ("twin", "twin"), ("conflict", "bot-2"),
        }  # fmt: skip
        assert len(account.made) == before
        assert not [call for call in account.calls if call.startswith(("Delete", "Update"))]


async def test_at_a_terminal_its_headings_have_colours() -> None:
    async with LocalAws(terms=QUICK) as box:
        bug(box, "fails-left", "r-left")
        code, screen = await at_terminal(box, "audit")
        assert code == 1
        assert "leftover" in screen
        assert "\x1b[" in screen
        assert "Not known: orphans" in screen


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--daemon", "http://127.0.0.1:9"], "no daemon answers at http://127.0.0.1:9"),
        (["--events", "/nonexistent/events"], "--events: /nonexistent/events cannot be read"),
        (["--events", "-"], "--events: -: line 1: it is not JSON"),
    ],
)
async def test_what_cannot_be_looked_at_is_said_and_is_no_finding(words: list[str], said: str) -> None:
    async with LocalAws(terms=QUICK) as box:
        ran = await typed(box, "audit", *words, stdin="nonsense\n")
        assert (ran.code, ran.out) == (2, "")
        assert said in ran.err
        assert ran.err.count("\n") == 1


async def test_denied_is_said_with_what_to_check() -> None:
    async with LocalAws(terms=replace(QUICK, denied=("ListCustomModelDeployments",))) as box:
        ran = await typed(box, "audit")
        assert (ran.code, ran.out) == (2, "")
        assert "AccessDenied" in ran.err
        assert "check the credentials" in ran.err


async def test_without_settings_it_names_the_setting() -> None:
    ran = await typed(None, "audit")
    assert (ran.code, ran.out) == (2, "")
    assert "SLIPWAY_QUEUE_URL and SLIPWAY_TOPIC_ARN are not set" in ran.err


async def test_a_list_that_does_not_end_is_said_and_not_read_for_ever() -> None:
    async with LocalAws(terms=replace(QUICK, list_tokens="same", page_size=1)) as box:
        bug(box, "bot-1", None)
        bug(box, "bot-2", None)
        ran = await typed(box, "audit")
        assert ran.code not in {0, 1}, ran.out
        assert "EndlessListing" in ran.err
        assert box.bedrock.faults.calls["ListCustomModelDeployments"] == 2
