"""Whole lives of update requests in virtual time, and a kill before every step of some."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from slipway.core.lifecycle.tags import FORMER_TAG, REQUEST_TAG
from tests.simulator.bedrock import USUAL, Rules
from tests.simulator.simulation import MODEL, OTHER_MODEL, World
from tests.simulator.virtual_loop import run
from tests.simulator.wire_faults import Fault
from tests.worker.kills import Story

BAD = "m$"
UPDATE = {"action": "update", "customModelDeploymentIdentifier": "bot", "modelArn": OTHER_MODEL, "requestId": "u-1"}


def with_a_bot(rules: Rules = USUAL, **more: object) -> World:
    """A world with one deployment of Slipway's, long Active, of `MODEL`."""
    world = World(rules=replace(rules, creation_seconds=(0.0, 0.0)), **more)  # type: ignore[arg-type]
    world.account.add("bot", MODEL, {REQUEST_TAG: "r-0"})
    world.account.rule(creation_seconds=rules.creation_seconds)
    return world


def served(world: World) -> list[str]:
    """The models that are served."""
    return [one.model_arn(world.account.now()) for one in world.account.existing()]


def test_an_update_ends_when_the_new_model_is_served() -> None:
    async def main() -> None:
        world = with_a_bot()
        world.start()
        world.send(UPDATE)
        await world.all_answered(300)
        data = world.outcome_of("u-1")
        assert (data["outcome"], data["modelArn"], data["formerModelArn"]) == ("Updated", OTHER_MODEL, MODEL)
        assert data["adopted"] is False
        assert served(world) == [OTHER_MODEL]
        assert world.wire.calls["UpdateCustomModelDeployment"] == 1
        assert world.wire.calls["ListCustomModelDeployments"] == 0
        assert world.wire.calls["GetCustomModelDeployment"] < 15, "one a poll"
        await world.stop()

    run(main())


@pytest.mark.parametrize(("rollback", "outcome"), [(False, "Failed"), (True, "RolledBack")])
def test_an_update_that_fails_leaves_the_former_model(*, rollback: bool, outcome: str) -> None:
    async def main() -> None:
        world = with_a_bot(replace(USUAL, bad_models=BAD))
        world.start()
        world.send(UPDATE | {"rollback": rollback})
        await world.all_answered(300)
        data = world.outcome_of("u-1")
        assert (data["outcome"], data["reason"], data["formerModelArn"]) == (outcome, "UpdateFailed", MODEL)
        assert served(world) == [MODEL]
        await world.stop()

    run(main())


def test_a_deadline_is_no_failure_and_what_is_waited_for_is_told_before() -> None:
    async def main() -> None:
        world = with_a_bot(replace(USUAL, update_seconds=(5000.0, 5000.0)), terms={"progress_events": True})
        world.start()
        world.send(UPDATE | {"timeout": "PT10M", "rollback": True})
        await world.all_answered(700)
        data = world.outcome_of("u-1")
        assert (data["outcome"], data["reason"]) == ("TimedOut", "Updating")
        told = [notice.event["data"] for notice in world.progress("bot")]
        assert [(each["outcome"], each.get("reason")) for each in told] == [("Accepted", None), ("Waiting", "Updating")]
        await world.stop()

    run(main())


def test_updates_of_one_deployment_are_done_one_after_the_other_and_the_last_one_stays() -> None:
    async def main() -> None:
        world = with_a_bot()
        world.start()
        models = [OTHER_MODEL, MODEL[:-1] + "n", MODEL[:-1] + "p"]
        for number, model in enumerate(models):
            world.send(UPDATE | {"requestId": f"u-{number}", "modelArn": model})
        await world.all_answered(1200)
        assert [world.outcome_of(f"u-{number}")["outcome"] for number in range(3)] == ["Updated"] * 3
        assert [world.outcome_of(f"u-{number}")["formerModelArn"] for number in range(3)] == [MODEL, *models[:2]]
        assert served(world) == models[-1:]
        await world.stop()

    run(main())


def test_an_update_that_comes_again_does_not_undo_a_later_one() -> None:
    async def main() -> None:
        world = with_a_bot()
        world.start()
        letter = world.send(UPDATE)
        await world.all_answered(300)
        world.send(UPDATE | {"requestId": "u-2", "modelArn": MODEL[:-1] + "n"})
        await world.all_answered(300)
        world.sqs.bring_back(letter)
        await world.all_answered(300)
        assert served(world) == [MODEL[:-1] + "n"]
        assert world.topic.terminal()[-1].event["data"]["reason"] == "Superseded"
        await world.stop()

    run(main())


def test_the_details_of_an_earlier_update_to_the_same_model_are_not_believed() -> None:
    async def main() -> None:
        world = with_a_bot(replace(USUAL, bad_models=BAD, details_lag_seconds=40.0))
        world.start()
        world.send(UPDATE)
        await world.all_answered(600)
        assert world.outcome_of("u-1")["reason"] == "UpdateFailed"
        world.account.rule(bad_models="")
        world.send(UPDATE | {"requestId": "u-2"})
        await world.all_answered(600)
        assert world.outcome_of("u-2")["outcome"] == "Updated"
        await world.stop()

    run(main())


def test_a_refusal_because_its_own_update_is_under_way_is_no_failure() -> None:
    def plan(operation: str, number: int) -> Fault | None:
        return Fault.RESPONSE_LOST if (operation, number) == ("UpdateCustomModelDeployment", 1) else None

    async def main() -> None:
        world = with_a_bot(replace(USUAL, details_lag_seconds=20.0), plan=plan)
        world.start()
        world.send(UPDATE)
        await world.all_answered(600)
        assert world.outcome_of("u-1")["outcome"] == "Updated", "Get shows for a while what was before"
        await world.stop()

    run(main())


def test_an_update_waits_for_the_deploy_before_it_and_for_a_model_in_creation() -> None:
    async def main() -> None:
        world = World(rules=replace(USUAL, models={OTHER_MODEL: "Creating"}))
        world.start()
        world.ask("bot", requestId="r-1")
        world.send(UPDATE)
        await world.until(lambda: bool(world.topic.terminal()))
        await asyncio.sleep(600)
        assert served(world) == [MODEL]
        world.account.rule(models={})
        await world.all_answered(1200)
        assert world.outcome_of("u-1")["outcome"] == "Updated"
        await world.stop()

    run(main())


@pytest.mark.parametrize("fault", [Fault.RESPONSE_LOST, Fault.ERROR_AFTER, Fault.LATE, Fault.ZOMBIE, Fault.REQUEST_LOST])
@pytest.mark.parametrize("operation", ["UpdateCustomModelDeployment", "TagResource", "GetCustomModelDeployment"])
def test_answers_that_are_lost_change_nothing(operation: str, fault: Fault) -> None:
    async def main() -> None:
        world = with_a_bot(plan=lambda op, n: fault if op == operation and n < 4 else None)
        world.start()
        world.send(UPDATE)
        await world.all_answered(1200)
        assert world.outcome_of("u-1")["outcome"] == "Updated"
        assert served(world) == [OTHER_MODEL]
        await world.stop()

    run(main())


@pytest.mark.parametrize(("bad", "outcome", "model"), [("", "Updated", OTHER_MODEL), (BAD, "RolledBack", MODEL)])
def test_a_kill_before_any_step_changes_nothing(bad: str, outcome: str, model: str) -> None:
    def check(world: World) -> None:
        assert world.outcome_of("u-1")["outcome"] == outcome
        assert world.outcome_of("u-1")["formerModelArn"] == MODEL, "a successor knows it too"
        assert served(world) == [model]
        tags = {tag["key"]: tag["value"] for tag in world.account.made[0].tags}
        assert tags[FORMER_TAG] == MODEL

    story = Story(
        lambda: with_a_bot(replace(USUAL, bad_models=bad)), lambda world: world.send(UPDATE | {"rollback": True}), check
    )
    assert story.survives_every_kill() > 30
