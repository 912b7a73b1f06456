"""Smoke tests in whole lives: what gates, what is told, what is returned to."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from slipway.core.lifecycle.tags import REQUEST_TAG, SMOKE_TAG
from tests.simulator.bedrock import USUAL, Rules
from tests.simulator.simulation import MODEL, OTHER_MODEL, World
from tests.simulator.virtual_loop import run
from tests.simulator.wire_faults import Fault
from tests.worker.kills import Story

TEST = {"prompt": "Reply with the word ready.", "expect": "ready"}
UPDATE = {
    "action": "update",
    "customModelDeploymentIdentifier": "bot",
    "modelArn": OTHER_MODEL,
    "requestId": "u-1",
    "rollback": True,
    "smokeTest": TEST,
}
DULL = replace(USUAL, dull_models="m$")


def with_a_bot(rules: Rules = USUAL, **more: object) -> World:
    """A world with one deployment of Slipway's, long Active, of `MODEL`."""
    world = World(rules=replace(rules, creation_seconds=(0.0, 0.0)), **more)  # type: ignore[arg-type]
    world.account.add("bot", MODEL, {REQUEST_TAG: "r-0"})
    world.account.rule(creation_seconds=rules.creation_seconds)
    return world


def served(world: World) -> list[str]:
    """The models that are served."""
    return [one.model_arn(world.account.now()) for one in world.account.existing()]


def test_one_question_before_active_patiently() -> None:
    async def main() -> None:
        world = World(rules=replace(USUAL, unready_seconds=30.0))
        world.start()
        world.ask("bot", requestId="r-1", smokeTest=TEST)
        await world.all_answered(3600)
        data = world.outcome_of("r-1")
        assert (data["outcome"], data["smokeTest"]) == ("Active", {"passed": True, "text": "ready"})
        assert 2 < world.wire.calls["Converse"] < 10
        await world.stop()

    run(main())


@pytest.mark.parametrize(("gate", "outcome"), [(True, "Failed"), (False, "Active")])
def test_a_test_that_fails_gates_or_is_told(*, gate: bool, outcome: str) -> None:
    async def main() -> None:
        world = World(rules=DULL)
        world.start()
        world.ask("bot", OTHER_MODEL, requestId="r-1", smokeTest=TEST | {"gate": gate})
        await world.all_answered(3600)
        data = world.outcome_of("r-1")
        assert (data["outcome"], data["smokeTest"]) == (outcome, {"passed": False, "text": "…"})
        assert data.get("reason") == ("SmokeTestFailed" if gate else None)
        await world.stop()

    run(main())


def test_a_test_that_fails_is_a_failure_that_can_be_tried_again_and_deleted() -> None:
    async def main() -> None:
        world = World(rules=DULL)
        world.start()
        world.ask("bot", OTHER_MODEL, requestId="r-1", smokeTest=TEST, retries=1, onFailure="delete")
        await world.all_answered(5000)
        assert (world.outcome_of("r-1")["outcome"], world.outcome_of("r-1")["attempt"]) == ("Failed", 2)
        assert len(world.account.made) == 2
        assert not world.account.existing()
        await world.stop()

    run(main())


def test_nobody_allowed_to_ask_is_a_time_out_that_says_so() -> None:
    async def main() -> None:
        world = World(plan=lambda op, _: Fault.DENIED if op == "Converse" else None)
        world.start()
        world.ask("bot", requestId="r-1", smokeTest=TEST, timeout="PT30M")
        await world.all_answered(3600)
        assert (world.outcome_of("r-1")["outcome"], world.outcome_of("r-1")["reason"]) == ("TimedOut", "AccessDenied")
        await world.stop()

    run(main())


def test_an_update_whose_test_fails_is_rolled_back_with_both_reasons() -> None:
    async def main() -> None:
        world = with_a_bot(DULL)
        world.start()
        world.send(UPDATE)
        await world.all_answered(3600)
        data = world.outcome_of("u-1")
        assert (data["outcome"], data["reason"], data["formerModelArn"]) == ("RolledBack", "SmokeTestFailed", MODEL)
        assert data["smokeTest"]["passed"] is False
        assert MODEL in data["message"]
        assert served(world) == [MODEL]
        await world.stop()

    run(main())


def test_a_rollback_that_fails_is_told_from_the_rest() -> None:
    async def main() -> None:
        world = with_a_bot(replace(DULL, bad_models="l$"))
        world.start()
        world.send(UPDATE)
        await world.all_answered(3600)
        assert (world.outcome_of("u-1")["outcome"], world.outcome_of("u-1")["reason"]) == ("Failed", "RollbackFailed")
        assert served(world) == [OTHER_MODEL]
        await world.stop()

    run(main())


def test_a_kill_before_any_step_of_a_rollback() -> None:
    def check(world: World) -> None:
        data = world.outcome_of("u-1")
        assert (data["outcome"], data["reason"]) == ("RolledBack", "SmokeTestFailed")
        assert served(world) == [MODEL]
        assert any(tag["key"] == SMOKE_TAG for tag in world.account.made[0].tags)

    assert Story(lambda: with_a_bot(DULL), lambda world: world.send(UPDATE), check).survives_every_kill() > 40


def test_a_kill_before_any_step_of_a_test_says_the_same() -> None:
    def check(world: World) -> None:
        assert world.outcome_of("r-1")["reason"] == "SmokeTestFailed"

    def ask(world: World) -> None:
        world.ask("bot", OTHER_MODEL, requestId="r-1", smokeTest=TEST)

    assert Story(lambda: World(rules=DULL), ask, check).survives_every_kill() > 30


@pytest.mark.parametrize("request_keys", [{}, {"onFailure": "delete"}, {"retries": 1}])
def test_no_log_line_holds_what_was_asked_or_answered(request_keys: dict[str, Any]) -> None:
    async def main() -> None:
        world = World(rules=DULL)
        world.start()
        world.ask("bot", OTHER_MODEL, requestId="r-1", smokeTest=TEST, **request_keys)
        await world.all_answered(7200)
        assert "…" in world.outcome_of("r-1")["message"], "the event has the answer"
        await world.stop()

    with capture_logs() as lines:
        run(main())
    said = json.dumps(lines, default=repr, ensure_ascii=False)
    assert '"request.finished"' in said
    assert "its answer is in the event" in said
    assert "…" not in said
    assert TEST["prompt"] not in said
