"""A pipeline that is stopped: its step hears one word at once, what it asked for is cancelled, and nothing is left of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from slipway.core.events.callbacks import StepFailed, StepSucceeded
from slipway.core.rules.permissions import PermissionRule
from tests.simulator.bedrock import USUAL, Rules
from tests.simulator.callbacks import Waiting
from tests.simulator.simulation import MODEL, World
from tests.simulator.virtual_loop import run
from tests.simulator.wire_faults import Fault, no_faults
from tests.worker.kills import Story

STEP, OTHER_STEP = "Qk3vX9aZ1b", "Zz3vX9aZ1c"
ASKED: dict[str, Any] = {
    "token": STEP,
    "status": "Executing",
    "arguments": {"modelDeploymentName": "bot", "modelArn": MODEL, "requestId": "r-1"},
}
STOPPING = {"token": STEP, "status": "Stopping"}
SLOW = replace(USUAL, creation_seconds=(900.0, 900.0))
FULL = replace(USUAL, max_total=0)


def a_world(rules: Rules = USUAL, **more: Any) -> World:
    world = World(rules=rules, **more)
    world.askers.steps |= {STEP: Waiting(), OTHER_STEP: Waiting()}
    return world


def heard(world: World) -> str:
    """Return what the step was told that failed."""
    reply = world.askers.steps[STEP].heard
    assert isinstance(reply, StepFailed)
    return reply.reason


async def stopped_in_creation(world: World) -> None:
    """Let a pipeline ask, and be stopped while its deployment is in creation; return when all has been answered."""
    world.send(ASKED)
    await world.until(lambda: len(world.account.made) == 1)
    world.send(STOPPING)
    await world.until(lambda: world.askers.steps[STEP].heard is not None, 5)
    await world.all_answered(3600)


def test_what_the_step_of_a_stopped_pipeline_waits_for_is_cancelled_and_makes_nothing() -> None:
    async def main() -> None:
        world = a_world(FULL)
        world.start()
        world.send(ASKED)
        world.ask("other", requestId="r-2", callbackToken=OTHER_STEP, timeout="PT1H")
        await asyncio.sleep(60)
        world.send(STOPPING)
        await world.until(lambda: world.askers.steps[STEP].heard is not None, 5)
        assert heard(world).startswith("Stopping: the pipeline is being stopped; the step's request is cancelled")
        await world.all_answered(7200)
        assert (world.outcome_of("r-1")["outcome"], world.outcome_of("r-2")["outcome"]) == ("Cancelled", "TimedOut")
        assert len({each.event_id for each in world.topic.terminal()}) == 2, "the stopping itself has no event"
        assert not world.account.made
        await world.stop()

    run(main())


def test_what_the_step_of_a_stopped_pipeline_has_begun_is_deleted() -> None:
    async def main() -> None:
        world = a_world(SLOW)
        world.start()
        await stopped_in_creation(world)
        assert world.outcome_of("r-1")["outcome"] == "Cancelled"
        assert not world.account.existing()
        assert heard(world).startswith("Stopping"), "a second word is not heard"
        await world.stop()

    run(main())


def test_a_callback_that_sagemaker_denies_does_not_delay_the_cancel() -> None:
    """For 15 minutes the callback was tried first, and the request went on all the while."""

    async def main() -> None:
        world = a_world(FULL)
        world.wire.plan = lambda operation, _: Fault.DENIED if "PipelineExecutionStep" in operation else None
        world.start()
        world.send(ASKED)
        await asyncio.sleep(60)
        world.send(STOPPING)
        await world.until(lambda: bool(world.topic.terminal()), 600)
        world.wire.plan = no_faults
        await world.until(lambda: world.askers.steps[STEP].heard is not None, 900)
        await world.all_answered(3600)
        assert world.outcome_of("r-1")["outcome"] == "Cancelled"
        await world.stop()

    run(main())


def test_what_has_ended_before_the_pipeline_stops_stays() -> None:
    async def main() -> None:
        world = a_world()
        world.start()
        world.send(ASKED)
        await world.all_answered(3600)
        world.send(STOPPING)
        await world.all_answered(700)
        assert isinstance(world.askers.steps[STEP].heard, StepSucceeded)
        assert world.outcome_of("r-1")["outcome"] == "Active"
        assert len(world.account.existing()) == 1
        await world.stop()

    run(main())


def test_the_stopping_finds_its_request_among_three_replicas() -> None:
    async def main() -> None:
        world = a_world(SLOW)
        for name in "abc":
            world.start(name)
        world.send(ASKED)
        await asyncio.sleep(30)
        world.send(STOPPING)
        await world.until(lambda: world.askers.steps[STEP].heard is not None, 5)
        await world.all_answered(3600)
        assert world.outcome_of("r-1")["outcome"] == "Cancelled"
        assert not world.account.existing()
        assert sum(each.slipway.counters.replies["StepFailed"] for each in world.replicas.values()) <= 2
        for name in "abc":
            await world.stop(name)

    run(main())


@pytest.mark.parametrize(
    ("actions", "outcome", "left"),
    [(("deploy",), "Active", 1), (("deploy", "cancel"), "Cancelled", 1), (("deploy", "cancel", "delete"), "Cancelled", 0)],
)
def test_where_there_are_permissions_the_pipelines_rule_must_permit_the_cancel_and_the_delete(
    actions: tuple[str, ...], outcome: str, left: int
) -> None:
    async def main() -> None:
        world = a_world(SLOW, terms={"permissions": (PermissionRule(name="pipelines", actions=actions),)})
        world.start()
        await stopped_in_creation(world)
        assert world.outcome_of("r-1")["outcome"] == outcome
        assert len(world.account.existing()) == left
        await world.stop()

    run(main())


def test_one_who_may_not_ask_stops_nothing_of_anothers() -> None:
    async def main() -> None:
        rules = (
            PermissionRule(name="team", senders=("AROATEAM:*",)),
            PermissionRule(name="others", actions=("deploy", "cancel")),
        )
        world = a_world(SLOW, terms={"permissions": rules})
        world.start()
        world.send(ASKED, sender="AROATEAM:pipeline")
        await world.until(lambda: len(world.account.made) == 1)
        world.send(STOPPING, sender="AROAOTHER:eve")
        await world.all_answered(3600)
        assert world.outcome_of("r-1")["outcome"] == "Active"
        await world.stop()

    run(main())


# Creation outlasts the time for which the message of a killed reader may stay hidden.
@pytest.mark.parametrize("rules", [replace(USUAL, creation_seconds=(900.0, 900.0)), FULL], ids=["in creation", "waiting"])
def test_a_kill_before_any_step_while_a_pipeline_stops(rules: Rules) -> None:
    def ask(world: World) -> None:
        world.send(ASKED)
        asyncio.get_running_loop().call_later(60.0, lambda: world.send(STOPPING))

    def check(world: World) -> None:
        said = {each.event["data"]["outcome"] for each in world.topic.terminal()}
        assert said == {"Cancelled"}
        assert not world.account.existing()
        assert heard(world)

    assert Story(lambda: a_world(rules), ask, check).survives_every_kill(stride=2) > 30
