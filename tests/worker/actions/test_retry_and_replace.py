"""A name that is taken, and a deployment that fails: adopt, update, replace or fail; keep, delete, try again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slipway.core.lifecycle.tags import ATTEMPT_TAG, RECEIVED_TAG, REQUEST_TAG
from tests.simulator.bedrock import USUAL, Rules, request_of
from tests.simulator.simulation import MODEL, OTHER_MODEL, World
from tests.simulator.virtual_loop import run
from tests.simulator.wire_faults import Fault
from tests.worker.kills import Story

OURS = {REQUEST_TAG: "r-0", RECEIVED_TAG: "2025-11-24T00:00:00.000Z"}


def with_a_bot(rules: Rules = USUAL, **more: object) -> World:
    """A world with one deployment of Slipway's, long Active, of `OTHER_MODEL`."""
    world = World(rules=replace(rules, creation_seconds=(0.0, 0.0)), **more)  # type: ignore[arg-type]
    world.account.add("bot", OTHER_MODEL, OURS)
    world.account.rule(creation_seconds=rules.creation_seconds)
    return world


def served(world: World) -> list[tuple[str | None, str]]:
    """Whose deployments there are, and which models they serve."""
    return [(request_of(one), one.model_arn(world.account.now())) for one in world.account.existing()]


@pytest.mark.parametrize(
    ("if_exists", "outcome", "reason", "left"),
    [
        ("adopt", "Failed", "NameConflict", ("r-0", OTHER_MODEL)),
        ("fail", "Failed", "AlreadyExists", ("r-0", OTHER_MODEL)),
        ("update", "Active", None, ("r-0", MODEL)),
        ("replace", "Active", None, ("r-1", MODEL)),
    ],
)
def test_what_another_request_made(if_exists: str, outcome: str, reason: str | None, left: tuple[str, str]) -> None:
    async def main() -> None:
        world = with_a_bot(replace(USUAL, name_reserved_seconds=120.0))
        world.start()
        world.ask("bot", requestId="r-1", ifExists=if_exists)
        await world.all_answered(3600)
        data = world.outcome_of("r-1")
        assert (data["outcome"], data.get("reason")) == (outcome, reason)
        assert served(world) == [left]
        await world.stop()

    run(main())


@pytest.mark.parametrize("if_exists", ["update", "replace"])
def test_what_somebody_else_made_stays(if_exists: str) -> None:
    async def main() -> None:
        world = World()
        world.account.add("bot", OTHER_MODEL, {"team": "other"})
        world.start()
        world.ask("bot", requestId="r-1", ifExists=if_exists)
        await world.all_answered(600)
        assert world.outcome_of("r-1")["reason"] == "NameConflict"
        assert served(world) == [(None, OTHER_MODEL)]
        await world.stop()

    run(main())


def test_a_replacement_that_comes_again_does_not_replace_what_came_after_it() -> None:
    async def main() -> None:
        world = with_a_bot()
        world.start()
        letter = world.ask("bot", requestId="r-1", ifExists="replace")
        await world.all_answered(3600)
        world.ask("bot", OTHER_MODEL, requestId="r-2", ifExists="replace")
        await world.all_answered(3600)
        world.sqs.bring_back(letter)
        await world.all_answered(600)
        assert served(world) == [("r-2", OTHER_MODEL)]
        await world.stop()

    run(main())


def test_an_update_that_fails_is_a_failed_deploy() -> None:
    async def main() -> None:
        world = with_a_bot(replace(USUAL, bad_models="l$"))
        world.start()
        world.ask("bot", requestId="r-1", ifExists="update")
        await world.all_answered(600)
        assert (world.outcome_of("r-1")["outcome"], world.outcome_of("r-1")["reason"]) == ("Failed", "UpdateFailed")
        await world.stop()

    run(main())


def failing_twice(**more: object) -> World:
    """A world in which the first two attempts to make `bot` fail."""
    return World(rules=replace(USUAL, failing_attempts=2, creation_seconds=(60.0, 60.0)), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("fifo", [False, True])
def test_a_failed_deployment_is_tried_again_under_another_token(*, fifo: bool) -> None:
    async def main() -> None:
        world = failing_twice(fifo=fifo, terms={"progress_events": True})
        world.start()
        world.ask("bot", requestId="r-1", retries=2)
        await world.all_answered(3600)
        data = world.outcome_of("r-1")
        assert (data["outcome"], data["attempt"]) == ("Active", 3)
        assert len({one.token for one in world.account.made}) == 3
        assert [one.name for one in world.account.existing()] == ["bot"]
        assert {"key": ATTEMPT_TAG, "value": "3"} in world.account.existing()[0].tags
        retrying = [each.event["data"] for each in world.progress("bot") if each.event["data"]["outcome"] == "Retrying"]
        assert [each["attempt"] for each in retrying] == [1, 2]
        assert len({each.event_id for each in world.topic.notices}) == len(world.topic.notices), "attempts are told apart"
        await world.stop()

    run(main())


@pytest.mark.parametrize(("on_failure", "left"), [("keep", 1), ("delete", 0)])
def test_what_failed_for_the_last_time_is_kept_or_deleted(on_failure: str, left: int) -> None:
    async def main() -> None:
        world = failing_twice()
        world.start()
        world.ask("bot", requestId="r-1", retries=1, onFailure=on_failure)
        await world.all_answered(3600)
        data = world.outcome_of("r-1")
        assert (data["outcome"], data["reason"], data["attempt"]) == ("Failed", "DeploymentFailed", 2)
        assert world.account.rules.failure_message in data["message"]
        assert len(world.account.existing()) == left
        await world.stop()

    run(main())


def test_a_deadline_ends_the_trying() -> None:
    async def main() -> None:
        world = World(rules=replace(USUAL, failing=1.0, creation_seconds=(250.0, 250.0)))
        world.start()
        world.ask("bot", requestId="r-1", retries=10, timeout="PT10M")
        await world.all_answered(700)
        assert world.outcome_of("r-1")["outcome"] in {"Failed", "TimedOut"}
        assert len(world.account.made) == 2
        await world.stop()

    run(main())


def test_a_kill_before_any_step_of_a_retry_makes_no_attempt_twice() -> None:
    def check(world: World) -> None:
        assert (world.outcome_of("r-1")["outcome"], world.outcome_of("r-1")["attempt"]) == ("Active", 3)
        assert len(world.account.made) == 3, "one for each attempt"
        assert served(world) == [("r-1", MODEL)]

    story = Story(failing_twice, lambda world: world.ask("bot", requestId="r-1", retries=2), check)
    assert story.survives_every_kill(stride=2) > 60


def test_a_kill_before_any_step_of_giving_up_makes_no_attempt_more() -> None:
    def check(world: World) -> None:
        assert (world.outcome_of("r-1")["outcome"], world.outcome_of("r-1")["attempt"]) == ("Failed", 2)
        assert len(world.account.made) == 2
        assert served(world) == []

    story = Story(failing_twice, lambda world: world.ask("bot", requestId="r-1", retries=1, onFailure="delete"), check)
    assert story.survives_every_kill(stride=2) > 60


@pytest.mark.parametrize(("if_exists", "owner", "made"), [("replace", "r-1", 2), ("update", "r-0", 1)])
def test_a_kill_before_any_step_of_taking_a_name_over(if_exists: str, owner: str, made: int) -> None:
    def check(world: World) -> None:
        assert world.outcome_of("r-1")["outcome"] == "Active"
        assert served(world) == [(owner, MODEL)]
        assert len(world.account.made) == made, "what it made itself is not replaced"

    def begin() -> World:
        return with_a_bot(replace(USUAL, name_reserved_seconds=30.0))

    story = Story(begin, lambda world: world.ask("bot", requestId="r-1", ifExists=if_exists), check)
    assert story.survives_every_kill(stride=2) > 20


@pytest.mark.parametrize("fault", [Fault.RESPONSE_LOST, Fault.ERROR_AFTER, Fault.LATE])
def test_a_replacement_whose_answers_are_lost_makes_one_deployment(fault: Fault) -> None:
    async def main() -> None:
        bad = ("Delete", "Create", "Get", "ListTags")
        world = with_a_bot(plan=lambda op, n: fault if op.startswith(bad) and "Batch" not in op and n < 3 else None)
        world.start()
        world.ask("bot", requestId="r-1", ifExists="replace")
        await world.all_answered(3600)
        assert world.outcome_of("r-1")["outcome"] == "Active"
        assert served(world) == [("r-1", MODEL)]
        assert len(world.account.made) == 2
        await world.stop()

    run(main())
