"""The control queue is received from, whatever the first queue is full of; each message is settled where it came from."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from slipway.core.lifecycle.tags import RECEIVED_TAG, REQUEST_TAG
from slipway.core.sqs.messages import CONTINUATION
from slipway.worker.runtime.worker import CONTROL_PLACES
from tests.simulator.bedrock import USUAL
from tests.simulator.simulation import MODEL, OTHER_MODEL, World
from tests.simulator.virtual_loop import run
from tests.simulator.wire_faults import Fault

LONG_AGO = "2025-01-01T00:00:00.000Z"
SOON_SECONDS = 60.0


def full(deploys: int, **more: Any) -> World:
    """A world with a control queue, both slots taken, and so many deploys ahead in the first queue."""
    rules = replace(USUAL, max_total=2, max_creating=2, creation_seconds=(0.0, 0.0))
    world = World(rules=rules, has_control=True, terms={"max_held": 20, "timeout": 7200.0}, **more)
    for name in ("old-0", "old-1"):
        world.account.add(name, MODEL, {REQUEST_TAG: name, RECEIVED_TAG: LONG_AGO})
    world.account.rule(creation_seconds=(60.0, 60.0))
    for number in range(deploys):
        world.ask(f"bot-{number}", requestId=f"r-{number}", group=f"g-{number}")
    return world


def about(action: str, name: str, request_id: str, **more: object) -> dict[str, object]:
    return {"action": action, "customModelDeploymentIdentifier": name, "requestId": request_id} | more


@pytest.mark.parametrize("fifo", [False, True])
def test_what_is_sent_to_it_gets_through_with_thousands_of_deploys_before_it(fifo: bool) -> None:  # noqa: FBT001  a parameter
    async def main() -> None:
        world = full(3000, fifo=fifo)
        world.start()
        await asyncio.sleep(60)
        world.send(about("delete", "old-0", "d-1"), to_control=True)
        world.send(about("update", "old-1", "u-1", modelArn=OTHER_MODEL), to_control=True)
        held = next(each for each in world.replicas["a"].slipway.leases if each.request is not None)
        assert held.request is not None
        world.send({"action": "cancel", "cancels": held.request.request_id, "requestId": "c-1"}, to_control=True)
        ends = {"d-1", "u-1", "c-1"}
        await world.until(
            lambda: ends <= {each.event["data"]["requestId"] for each in world.topic.terminal()}, 3 * SOON_SECONDS
        )
        assert [world.outcome_of(each)["outcome"] for each in ("d-1", "u-1", "c-1")] == ["Deleted", "Updated", "CancelTaken"]
        await world.until(lambda: not world.control.letters, SOON_SECONDS)
        await world.stop()
        assert not world.replicas

    run(main())


def test_leases_continuations_and_dead_letters_stay_with_the_control_queue() -> None:
    async def main() -> None:
        world = full(0)
        world.start()
        world.send({"action": "nonsense"}, to_control=True)
        world.send({"action": "cancel", "cancels": "nobody", "requestId": "c-1", "timeout": 3600}, to_control=True)
        await asyncio.sleep(600)
        assert [letter.body for letter in world.control_dead.all] == ['{"action": "nonsense"}']
        assert not world.sqs.all
        assert not world.dead.all
        await world.all_answered(3700)
        assert world.outcome_of("c-1")["reason"] == "NothingToCancel"
        assert not world.control_dead.all[1:]
        await world.stop()

    run(main())


def test_a_request_on_the_control_queue_keeps_its_lease_and_survives_a_kill() -> None:
    async def main() -> None:
        world = full(0)
        world.wire.plan = lambda operation, _: Fault.DENIED if operation == "DeleteCustomModelDeployment" else None
        world.start()
        world.send(about("delete", "old-0", "d-1"), to_control=True)
        await asyncio.sleep(1000)
        assert [letter.receive_count for letter in world.control.all] == [1], "its lease is extended"
        world.kill("a")
        world.wire.plan = lambda *_: None
        world.start("b")
        await world.all_answered(300)
        assert world.outcome_of("d-1")["outcome"] == "Deleted"
        await world.stop("b")

    run(main())


def test_deploys_that_are_sent_there_wait_there_and_leave_places_for_deletes() -> None:
    async def main() -> None:
        world = full(0)
        for number in range(3 * CONTROL_PLACES):
            world.send({"modelDeploymentName": f"bot-{number}", "modelArn": MODEL, "requestId": f"r-{number}"}, to_control=True)
        world.start()
        await asyncio.sleep(120)
        assert len(world.replicas["a"].slipway.held_leases) <= CONTROL_PLACES
        world.send(about("delete", "old-0", "d-1"), to_control=True)
        await world.until(lambda: bool(world.topic.terminal()), SOON_SECONDS)
        assert world.outcome_of("d-1")["outcome"] == "Deleted"
        assert any(CONTINUATION in letter.attributes for letter in world.control.all), "some went back, to there"
        assert not world.sqs.all
        await world.stop()

    run(main())


def test_requests_for_one_deployment_are_in_order_whatever_queue_they_came_from() -> None:
    async def main() -> None:
        world = World(has_control=True, rules=replace(USUAL, creation_seconds=(60.0, 60.0)))
        world.start()
        world.ask("bot", requestId="r-1")
        await asyncio.sleep(10)
        world.send(about("delete", "bot", "d-1"), to_control=True)
        await world.all_answered(300)
        assert [each.event["data"]["outcome"] for each in world.topic.terminal()] == ["Active", "Deleted"]
        assert not world.account.existing()
        await world.stop()

    run(main())
