"""`slipway deploy`, in a pipe and at a terminal, with every source of its outcome."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from slipway.core.lifecycle.tags import REQUEST_TAG
from slipway.local.behaviour import Behaviour
from slipway.local.stack import LocalAws
from tests.e2e.commands import Ran, Terminal, at_terminal, slipway, typed
from tests.e2e.daemons import MODEL, Daemon, daemon, listening

QUICK = Behaviour(max_creating=50, max_total=500, creation_seconds=(1.0, 1.5))
SLOW = replace(QUICK, creation_seconds=(3600.0, 3600.0))
NOBODY = {"SLIPWAY_HTTP_PORT": "0"}


def near(process: Daemon) -> dict[str, str]:
    """The settings of somebody on the daemon's own machine."""
    return {"SLIPWAY_HTTP_PORT": str(process.port)}


def last(ran: Ran) -> Any:
    return json.loads(ran.out.splitlines()[-1])


async def test_in_a_pipe_it_prints_the_id_under_which_the_result_is_announced() -> None:
    async with LocalAws(terms=QUICK) as box, daemon(box), listening(box) as results:
        ran = await slipway(box, "deploy", "bot", MODEL, "--tag", "team=support", "--description", "nightly", **NOBODY)
        assert (ran.code, ran.err) == (0, "")
        await results.until(lambda: bool(results.outcomes()))
        assert results.outcomes().keys() == {ran.out.strip()}
        (made,) = box.bedrock.account().made
        assert {"key": "team", "value": "support"} in made.tags
        assert made.description == "nightly"


async def test_on_a_fifo_queue_too() -> None:
    async with LocalAws(terms=QUICK, fifo=True) as box, daemon(box) as process:
        assert (await typed(box, "deploy", "bot", MODEL, "--wait", **near(process))).code == 0


async def test_waiting_ends_with_the_outcome_as_the_daemon_tells_it() -> None:
    async with LocalAws(terms=replace(QUICK, max_creating=1)) as box, daemon(box) as process:
        await process.until(lambda: bool(process.lines("daemon.started")))
        ran = await typed(box, "deploy", "bot", MODEL, "--wait", "--json", **near(process))
        assert ran.code == 0, ran.err
        assert (last(ran)["state"], last(ran)["source"]) == ("Active", "daemon")
        assert last(ran)["customModelDeploymentArn"] == box.bedrock.account().made[0].arn
        ran = await typed(box, "deploy", "fails-bot", MODEL, "--wait", **near(process))
        assert ran.code == 1
        assert ran.lines[-1][:2] == ["Failed", "DeploymentFailed"]
        ran = await typed(box, "deploy", "endless-bot", MODEL, "--wait", "--timeout", "2", **near(process))
        assert (ran.code, ran.lines[-1][:2]) == (3, ["TimedOut", "InCreation"])
        ran = await typed(box, "deploy", "bot", MODEL, "--if-exists", "fail", "--wait", **near(process))
        assert (ran.code, ran.lines[-1][:2]) == (1, ["Failed", "AlreadyExists"])
        ran = await typed(box, "deploy", "bot", MODEL[:-1] + "x", "--wait", **near(process))
        assert (ran.code, ran.lines[-1][:2]) == (1, ["Failed", "NameConflict"])


async def test_what_was_deployed_is_deleted_and_what_is_not_ours_is_not() -> None:
    async with LocalAws(terms=QUICK) as box, daemon(box) as process:
        await process.until(lambda: bool(process.lines("daemon.started")))
        box.bedrock.account().add(box.bedrock.now(), "theirs", MODEL)
        assert (await typed(box, "deploy", "bot", MODEL, "--wait", **near(process))).code == 0
        ran = await typed(box, "delete", "bot", "--wait", **near(process))
        assert (ran.code, ran.lines[-1][0]) == (0, "Deleted")
        ran = await typed(box, "delete", "theirs", "--wait", **near(process))
        assert (ran.code, ran.lines[-1][:2]) == (1, ["Failed", "NotOurs"])
        assert box.bedrock.account().counts(box.bedrock.now())[1] == 1


async def test_another_model_is_served_or_the_former_again() -> None:
    terms = replace(QUICK, update_seconds=(0.0, 0.5))
    async with LocalAws(terms=terms) as box, daemon(box) as process:
        await process.until(lambda: bool(process.lines("daemon.started")))
        assert (await typed(box, "deploy", "bot", MODEL, "--wait", **near(process))).code == 0
        other = MODEL[:-1] + "x"
        ran = await typed(box, "update", "bot", other, "--wait", **near(process))
        assert (ran.code, ran.lines[-1][0]) == (0, "Updated")
        box.bedrock.terms = replace(terms, update_failing=1.0)
        ran = await typed(box, "update", "bot", MODEL, "--rollback", "--wait", **near(process))
        assert (ran.code, ran.lines[-1][0]) == (1, "RolledBack")
        assert box.bedrock.account().made[0].model_arn(box.bedrock.now()) == other


async def test_without_a_daemon_to_ask_the_events_tell_whatever_the_outcome_is() -> None:
    async with LocalAws(terms=QUICK) as box, daemon(box):
        box.bedrock.account().add(box.bedrock.now(), "taken", MODEL)
        words = ("--wait", "--json", "--events-queue", box.results_url)
        assert (await typed(box, "deploy", "bot", MODEL, *words, **NOBODY)).code == 0
        ran = await typed(box, "deploy", "taken", MODEL, *words, **NOBODY)
        assert (ran.code, last(ran)["reason"], last(ran)["source"]) == (1, "NameConflict", "event")


async def test_bedrock_alone_tells_of_a_deployment_that_was_made_for_it() -> None:
    async with LocalAws(terms=QUICK) as box, daemon(box):
        ran = await typed(box, "deploy", "bot", MODEL, "--wait", "--json", **NOBODY)
        assert (ran.code, last(ran)["state"], last(ran)["source"]) == (0, "Active", "Bedrock")
        (tag,) = (each["value"] for each in box.bedrock.account().made[0].tags if each["key"] == REQUEST_TAG)
        assert last(ran)["requestId"] == tag


async def test_at_most_ends_the_waiting_and_says_that_the_request_goes_on() -> None:
    async with LocalAws(terms=QUICK) as box:
        ran = await typed(box, "deploy", "bot", MODEL, "--wait", "--at-most", "1", **NOBODY)
        assert ran.code == 6
        assert "the request continues" in ran.err
        assert "no daemon" not in ran.err, "the settings say that there is none"
        assert ran.lines[0] == ["Sent", "", "", "not received yet; messages in the queue: 1"]


async def test_waiting_without_a_daemon_says_so() -> None:
    async with LocalAws(terms=QUICK) as box:
        ran = await typed(box, "deploy", "bot", MODEL, "--wait", "--at-most", "1", SLIPWAY_HTTP_PORT="9")
        assert ran.code == 6
        assert ran.err.startswith("slipway: no daemon answers at http://127.0.0.1:9 (Connection refused); start it")


async def test_who_can_no_longer_follow_says_that_the_request_goes_on() -> None:
    async with LocalAws(terms=replace(QUICK, denied=("GetCustomModelDeployment",))) as box:
        ran = await typed(box, "deploy", "bot", MODEL, "--wait", "--request-id", "r-1", **NOBODY)
        assert (ran.code, ran.out) == (2, "")
        assert "AccessDeniedException" in ran.err
        assert ran.err.endswith("; the request continues\nslipway: see: slipway explain r-1\n")
        ran = await typed(box, "deploy", "bot", MODEL, "--wait", "--events-queue", f"{box.queue_url}-none", **NOBODY)
        assert ran.code == 2
        assert "-none cannot be read (ReceiveMessage: " in ran.err
        assert ran.err.endswith("; nothing was sent\n")


async def test_ctrl_c_stops_watching_and_not_the_deployment() -> None:
    async with LocalAws(terms=SLOW) as box, daemon(box) as process, listening(box) as results:
        await process.until(lambda: bool(process.lines("daemon.started")))
        terminal = Terminal(box, "deploy", "bot", MODEL, "--wait", "--request-id", "r-1", **near(process))
        await terminal.start()
        await terminal.until(lambda screen: "Creating" in screen and "in creation" in screen)
        code = await terminal.end(signal.SIGINT)
        assert code == 130
        assert "stopped watching; the request continues" in terminal.screen
        assert "slipway explain r-1" in terminal.screen
        box.bedrock.account().made[0].ends = box.bedrock.now()
        await results.until(lambda: bool(results.outcomes()))
        assert {outcome for outcome, _ in results.outcomes()["r-1"]} == {"Active"}


async def test_ctrl_c_while_it_is_sent_says_that_it_may_be_on_the_queue() -> None:
    called, gone = asyncio.Event(), asyncio.Event()

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while await reader.read(65_536):
                called.set()
            writer.close()
            await writer.wait_closed()
        gone.set()

    async with LocalAws(terms=QUICK) as box, await asyncio.start_server(never_answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        silent = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        terminal = Terminal(box, "delete", "bot", "--request-id", "r-1", **NOBODY, **silent)
        await terminal.start()
        await called.wait()
        assert await terminal.end(signal.SIGINT) == 130
        assert "it may be on the queue; see: slipway explain r-1" in " ".join(terminal.screen.split())
        await gone.wait()


async def test_at_a_terminal_the_end_stays_on_the_screen() -> None:
    async with LocalAws(terms=QUICK) as box, daemon(box) as process:
        code, screen = await at_terminal(box, "deploy", "bot", MODEL, "--wait", **near(process))
        assert code == 0
        assert "Ctrl-C stops watching; the request continues." in screen
        assert box.bedrock.account().made[0].arn in screen.splitlines()[-1]


WRONG = [
    (["a--b", MODEL], "NAME: is"),
    (["bot", "arn:nonsense"], "MODEL_ARN: has 12 characters"),
    (["bot", MODEL.replace("us-east-1", "us-west-2")], "MODEL_ARN: is in Region us-west-2"),
    (["bot", MODEL, "--timeout", "soon"], '--timeout: is "soon"'),
    (["bot", MODEL, "--priority", "1000"], '--priority: "1000" is not a whole number from -100 to 100'),
    (["bot"], "MODEL_ARN missing: give it, or a file with -f"),
    (["bot", MODEL, "--retries", "1000"], '--retries: "1000" is not a whole number from 0 to 10'),
    (["bot", MODEL, "--tag", "slipway:x=y"], "--tag: is"),
    (["bot", MODEL, "--daemon", "http://127.0.0.1:9"], "no daemon answers at http://127.0.0.1:9"),
]


async def test_what_is_wrong_is_named_by_its_option_and_nothing_is_sent() -> None:
    async with LocalAws(terms=QUICK) as box:
        for words, said in WRONG:
            ran = await typed(box, "deploy", *words, **NOBODY)
            assert (ran.code, ran.out) == (2, "")
            assert said in ran.err
        ran = await typed(box, "deploy", "ok", MODEL, "--wait", "--at-most", "1", **NOBODY)
        assert ran.lines[0][3] == "not received yet; messages in the queue: 1", "its own"


async def test_a_tag_without_a_value_is_named() -> None:
    ran = await typed(None, "deploy", "bot", MODEL, "--tag", "team")
    assert ran.code == 2
    assert "--tag" in ran.err
    assert "KEY=VALUE" in ran.err


async def test_a_dry_run_prints_the_request_which_can_be_given_as_a_file(tmp_path: Path) -> None:
    async with LocalAws(terms=QUICK) as box:
        words = ("deploy", "bot", MODEL, "--timeout", "90m", "--expires-after", "1d", "--tag", "team=support", "--dry-run")
        ran = await typed(box, *words, **NOBODY)
        assert ran.code == 0
        assert ran.err.startswith("slipway: dry run: the request is valid; without --dry-run it is sent to http")
        assert ran.json == {
            "modelDeploymentName": "bot",
            "modelArn": MODEL,
            "tags": [{"key": "team", "value": "support"}],
            "expiresAfter": 86_400,
            "timeout": 5_400,
        }
        file = tmp_path / "request.json"
        file.write_text(ran.out)
        again = await typed(box, "deploy", "-f", str(file), "--dry-run", "--priority", "3", **NOBODY)
        assert again.json == ran.json | {"priority": 3}
        for other in (["update", "bot", MODEL], ["delete", "bot"], ["cancel", "r-1"]):
            assert (await typed(box, *other, "--dry-run", "-o", "yaml", **NOBODY)).out.startswith(f"action: {other[0]}\n")
        ran = await typed(box, "deploy", "b@t", MODEL, "--dry-run", **NOBODY)
        assert (ran.code, ran.out) == (2, "")
        body = json.dumps({"modelDeploymentName": "bot", "modelArn": MODEL, "timeout": "2h"})
        ran = await typed(box, "deploy", "-f", "-", "--query", "modelDeploymentName", stdin=body, **NOBODY)
        assert (ran.code, ran.out) == (0, '"bot"\n')
        ran = await typed(box, "deploy", "late", MODEL, "--wait", "--at-most", "1s", **NOBODY)
        assert ran.lines[0] == ["Sent", "", "", "not received yet; messages in the queue: 2"], "a dry run sends nothing"


async def test_a_target_that_nobody_knows_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    settings = tmp_path / "slipway.toml"
    settings.write_text('[targets.west]\nregion = "us-west-2"\n')
    west = MODEL.replace("us-east-1", "us-west-2")
    async with LocalAws(terms=QUICK) as box, daemon(box, SLIPWAY_CONFIG=str(settings)) as process:
        await process.until(lambda: bool(process.lines("daemon.started")))
        ran = await typed(box, "deploy", "bot", MODEL, "--target", "nope", **near(process))
        assert (ran.code, ran.out) == (2, "")
        assert '--target: the settings have no target "nope", only default, west; use one of them' in ran.err
        ran = await typed(box, "deploy", "bot", west, "--target", "west", "--wait", **near(process))
        assert ran.code == 0, "the daemon knows it"
        ran = await typed(box, "deploy", "bot", west, "--target", "west", **NOBODY)
        assert (ran.code, ran.out) == (2, "")


async def test_a_taken_name_is_answered_with_the_option_that_takes_it() -> None:
    async with LocalAws(terms=QUICK) as box, daemon(box) as process:
        assert (await typed(box, "deploy", "bot", MODEL, "--wait", **near(process))).code == 0
        ran = await typed(box, "deploy", "bot", MODEL[:-1] + "x", "--wait", **near(process))
        assert (ran.code, ran.lines[-1][1]) == (1, "NameConflict")
        assert "set ifExists (--if-exists) to update or replace" in ran.lines[-1][3]
