"""A request that somebody wants no more: waiting or in creation, here or at another replica."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.simulator.bedrock import USUAL
from tests.simulator.simulation import World
from tests.simulator.virtual_loop import run
from tests.simulator.wire_faults import Fault, no_faults
from tests.worker.kills import Story

CANCEL = {"action": "cancel", "cancels": "r-1", "requestId": "c-1"}
SLOW = replace(USUAL, creation_seconds=(900.0, 900.0))


def test_a_request_that_waits_for_a_slot_is_cancelled_and_makes_nothing() -> None:
    async def main() -> None:
        world = World(rules=replace(USUAL, max_total=0))
        world.start()
        world.ask("bot", requestId="r-1")
        await asyncio.sleep(60)
        world.send(CANCEL)
        await world.all_answered(600)
        assert world.outcome_of("r-1")["outcome"] == "Cancelled"
        assert (world.outcome_of("c-1")["outcome"], world.outcome_of("c-1")["cancels"]) == ("CancelTaken", "r-1")
        assert not world.account.made
        await world.stop()

    run(main())


@pytest.mark.parametrize("replicas", [1, 3])
def test_a_cancel_whose_hand_overs_lose_their_answers_does_not_multiply(replicas: int) -> None:
    def plan(operation: str, number: int) -> Fault | None:
        return Fault.RESPONSE_LOST if operation == "SendMessageBatch" and number % 3 == 0 else None

    async def main() -> None:
        world = World(max_receive_count=2, plan=plan)
        for number in range(replicas):
            world.start(f"p{number}")
        world.send(CANCEL | {"timeout": 1200})
        while world.sqs.letters:
            assert len(world.sqs.letters) < 50, "one is enough"
            await asyncio.sleep(1)
        assert world.outcome_of("c-1")["reason"] == "NothingToCancel"
        for number in range(replicas):
            await world.stop(f"p{number}")

    run(main())


@pytest.mark.parametrize(("deployment", "left"), [("keep", 1), ("delete", 0)])
def test_a_deployment_in_creation_is_kept_or_deleted(deployment: str, left: int) -> None:
    async def main() -> None:
        world = World(rules=SLOW)
        world.start()
        world.ask("bot", requestId="r-1")
        await asyncio.sleep(60)
        world.send(CANCEL | {"deployment": deployment})
        await world.all_answered(3600)
        assert world.outcome_of("r-1")["outcome"] == "Cancelled"
        assert len(world.account.existing()) == left
        await world.stop()

    run(main())


def test_a_request_that_has_ended_is_not_cancelled() -> None:
    async def main() -> None:
        world = World()
        world.start()
        world.ask("bot", requestId="r-1")
        await world.all_answered(3600)
        world.send(CANCEL)
        await world.all_answered(60)
        data = world.outcome_of("c-1")
        assert (data["outcome"], data["reason"]) == ("Failed", "NothingToCancel")
        assert "Active" in data["message"]
        await world.stop()

    run(main())


def test_a_cancel_that_comes_again_says_the_same() -> None:
    async def main() -> None:
        world = World(rules=SLOW)
        world.start()
        world.ask("bot", requestId="r-1")
        await asyncio.sleep(60)
        again = world.send(CANCEL)
        await world.all_answered(3600)
        world.sqs.bring_back(again)
        await world.all_answered(3600)
        assert world.outcome_of("c-1")["outcome"] == "CancelTaken"
        await world.stop()

    run(main())


def test_a_copy_of_a_cancel_that_comes_between_two_messages_of_its_request_says_the_same() -> None:
    """Worlds 101057 and 102279: there was nothing to find just then, and it was past its deadline."""

    async def main() -> None:
        world = World(rules=SLOW)
        world.start()
        world.ask("bot", requestId="r-1")
        await asyncio.sleep(60)
        copies = [world.send(CANCEL | {"timeout": "PT1M"}) for _ in range(2)]

        def plan(operation: str, _: int) -> Fault | None:
            is_between = operation in {"DeleteMessageBatch", "ReceiveMessage"} and all(each.receive_count for each in copies)
            return Fault.DENIED if is_between else None

        world.wire.plan = plan
        await asyncio.sleep(90)
        world.wire.plan = no_faults
        await world.all_answered(3600)
        said = [each.event["data"] for each in world.topic.terminal()]
        assert {data["outcome"] for data in said if data["requestId"] == "c-1"} == {"CancelTaken"}
        await world.stop()

    run(main())


def test_what_was_rejected_was_no_request_and_another_may_have_its_id() -> None:
    async def main() -> None:
        world = World(rules=SLOW)
        world.start()
        world.send({"modelDeploymentName": "bot", "requestId": "r-1"})
        await world.all_answered(60)
        world.send(CANCEL | {"timeout": "PT5M"})
        await asyncio.sleep(30)
        world.ask("bot", requestId="r-1")
        await world.all_answered(3600)
        assert world.outcome_of("c-1")["outcome"] == "CancelTaken"
        await world.stop()

    run(main())


def test_what_nobody_has_heard_of_is_looked_for_until_the_deadline() -> None:
    async def main() -> None:
        world = World(max_receive_count=3)
        world.start()
        world.send(CANCEL | {"timeout": "PT5M"})
        await asyncio.sleep(280)
        assert not world.topic.terminal()
        await world.all_answered(60)
        assert world.outcome_of("c-1")["reason"] == "NothingToCancel"
        assert not world.dead.all
        await world.stop()

    run(main())


@pytest.mark.parametrize("fifo", [False, True])
def test_a_cancel_that_was_often_given_back_has_killed_no_reader(fifo: bool) -> None:  # noqa: FBT001
    async def life() -> None:
        world = World(fifo=fifo, terms={"visibility_timeout": 30})
        world.start()
        world.send({"action": "cancel", "cancels": "unknown", "timeout": 6 * 3600, "requestId": "c-1"})
        await world.all_answered()
        assert world.outcome_of("c-1")["reason"] == "NothingToCancel"
        assert world.dead.all == []

    run(life())


def test_a_cancel_is_not_given_back_at_its_last_receive() -> None:
    """A message is not continued before the one before it is gone; at the last receive it is, or it would be lost."""

    async def life() -> None:
        world = World(max_receive_count=2)
        world.wire.plan = lambda operation, number: (
            Fault.DENIED if operation == "DeleteMessageBatch" and number % 3 == 0 else None
        )
        world.start()
        world.send({"action": "cancel", "cancels": "unknown", "timeout": 1800, "requestId": "c-1"})
        await world.until(lambda: bool(world.topic.terminal() or world.dead.all), 3600)
        assert world.dead.all == []
        assert world.outcome_of("c-1")["reason"] == "NothingToCancel"

    run(life())


def test_a_cancel_finds_its_request_among_three_replicas() -> None:
    async def main() -> None:
        world = World(rules=SLOW)
        for name in "abc":
            world.start(name)
        world.ask("bot", requestId="r-1")
        await asyncio.sleep(30)
        world.send(CANCEL)
        await world.all_answered(860)
        assert world.outcome_of("r-1")["outcome"] == "Cancelled"
        assert world.outcome_of("c-1")["outcome"] == "CancelTaken"
        for name in "abc":
            await world.stop(name)

    run(main())


def test_an_update_that_is_cancelled_goes_on_in_bedrock() -> None:
    async def main() -> None:
        world = World(rules=replace(USUAL, creation_seconds=(1.0, 1.0), update_seconds=(600.0, 600.0)))
        world.start()
        world.ask("bot", requestId="r-0")
        await world.all_answered(600)
        model = world.account.made[0].first_model_arn[:-1] + "m"
        world.send({"action": "update", "customModelDeploymentIdentifier": "bot", "modelArn": model, "requestId": "r-1"})
        await asyncio.sleep(60)
        world.send(CANCEL)
        await world.all_answered(300)
        assert world.outcome_of("r-1")["outcome"] == "Cancelled"
        await world.stop()

    run(main())


@pytest.mark.parametrize(("deployment", "left"), [("keep", 1), ("delete", 0)])
def test_a_kill_before_any_step_of_a_cancel(deployment: str, left: int) -> None:
    def ask(world: World) -> None:
        world.ask("bot", requestId="r-1")
        body = CANCEL | {"deployment": deployment}
        asyncio.get_running_loop().call_later(60.0, lambda: world.send(body))

    def check(world: World) -> None:
        said = {each.event["data"]["outcome"] for each in world.topic.terminal() if each.event["data"]["requestId"] == "r-1"}
        assert said == {"Cancelled"}
        assert len(world.account.existing()) == (left if world.account.made else 0), "a cancel may come before the create"

    assert Story(lambda: World(rules=SLOW), ask, check).survives_every_kill(stride=2) > 30
