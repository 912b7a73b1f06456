"""Whole lives of delete requests in virtual time, and a kill before every step of one."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from slipway.core.lifecycle.outcomes import Reason
from slipway.core.lifecycle.tags import RECEIVED_TAG, REQUEST_TAG
from tests.simulator.bedrock import USUAL, Rules
from tests.simulator.simulation import MODEL, OTHER_MODEL, World
from tests.simulator.virtual_loop import run
from tests.simulator.wire_faults import Fault
from tests.worker.kills import Story

DELETE = {"action": "delete", "customModelDeploymentIdentifier": "bot", "requestId": "d-1"}


def with_a_bot(rules: Rules = USUAL, **more: object) -> World:
    """A world with one deployment of Slipway's, long Active."""
    world = World(rules=replace(rules, creation_seconds=(0.0, 0.0)), **more)  # type: ignore[arg-type]
    world.account.add("bot", MODEL, {REQUEST_TAG: "r-0", RECEIVED_TAG: "2025-11-24T00:00:00.000Z"})
    world.account.rule(creation_seconds=rules.creation_seconds)
    return world


def test_a_deployment_is_deleted_with_three_calls_and_announced_when_it_is_gone() -> None:
    async def main() -> None:
        world = with_a_bot()
        world.start()
        world.send(DELETE)
        await world.all_answered(60)
        data = world.outcome_of("d-1")
        assert (data["outcome"], data["alreadyGone"], data["modelArn"]) == ("Deleted", False, MODEL)
        assert not world.account.existing()
        assert world.wire.calls["DeleteCustomModelDeployment"] == 1
        assert world.wire.calls["GetCustomModelDeployment"] == 2
        await world.stop()

    run(main())


def test_a_delete_waits_for_the_deploy_before_it() -> None:
    async def main() -> None:
        world = World()
        world.start()
        world.ask("bot", requestId="r-1")
        world.send(DELETE)
        await world.all_answered(3600)
        assert world.outcome_of("r-1")["outcome"] == "Active"
        assert world.outcome_of("d-1")["alreadyGone"] is False
        assert not world.account.existing()
        await world.stop()

    run(main())


def test_a_delete_by_arn_takes_its_turn_behind_an_update_by_name_once_the_deployment_was_announced() -> None:
    async def main() -> None:
        world = World(rules=replace(USUAL, update_seconds=(600.0, 600.0)))
        replica = world.start()
        world.ask("bot", requestId="r-1")
        await world.all_answered(3600)
        arn = world.outcome_of("r-1")["customModelDeploymentArn"]
        about = {"customModelDeploymentIdentifier": "bot", "modelArn": OTHER_MODEL}
        world.send({"action": "update", "requestId": "u-1"} | about)
        await world.until(lambda: world.wire.calls["UpdateCustomModelDeployment"] == 1)
        world.send(DELETE | {"customModelDeploymentIdentifier": arn})
        await world.until(lambda: len(replica.slipway.leases) == 2)
        waiting = next(lease for lease in replica.slipway.leases if lease.request and lease.request.request_id == "d-1")
        assert (waiting.why, waiting.wait_text) == (Reason.PREDECESSOR, "behind an earlier request for deployment bot")
        await world.all_answered(3600)
        assert [each.event["data"]["outcome"] for each in world.topic.terminal()] == ["Active", "Updated", "Deleted"]
        await world.stop()

    run(main())


def test_what_another_replica_is_creating_is_waited_for_and_deleted() -> None:
    async def main() -> None:
        world = World(rules=replace(USUAL, creation_seconds=(900.0, 900.0)))
        world.account.add("bot", MODEL, {REQUEST_TAG: "r-0"})
        world.start()
        world.send(DELETE)
        await asyncio.sleep(800)
        assert len(world.account.existing()) == 1
        await world.all_answered(3600)
        assert world.outcome_of("d-1")["outcome"] == "Deleted"
        assert world.wire.calls["DeleteCustomModelDeployment"] < 40
        await world.stop()

    run(main())


def test_a_deadline_while_it_is_busy_is_a_time_out_that_says_so() -> None:
    async def main() -> None:
        world = World(rules=replace(USUAL, creation_seconds=(9000.0, 9000.0)))
        world.account.add("bot", MODEL, {REQUEST_TAG: "r-0"})
        world.start()
        world.send(DELETE | {"timeout": "PT10M"})
        await world.all_answered(700)
        data = world.outcome_of("d-1")
        assert (data["outcome"], data["reason"], data["deploymentStatus"]) == ("TimedOut", "Busy", "Creating")
        assert data["message"].startswith("Timed out after 600 s (")
        assert data["message"].endswith("). A delete that Bedrock has accepted may still finish."), data["message"]
        assert len(world.account.existing()) == 1
        await world.stop()

    run(main())


def test_get_that_does_not_show_yet_what_was_made_a_moment_ago_is_not_believed_at_once() -> None:
    async def main() -> None:
        world = World(rules=replace(USUAL, creation_seconds=(0.0, 0.0), get_lag_seconds=5.0))
        world.account.add("bot", MODEL, {REQUEST_TAG: "r-0"})
        world.start()
        world.send(DELETE)
        await world.all_answered(60)
        assert world.outcome_of("d-1")["alreadyGone"] is False
        assert not world.account.existing()
        await world.stop()

    run(main())


def test_every_answer_lost_is_a_delete_all_the_same() -> None:
    async def main() -> None:
        lost = {1: Fault.RESPONSE_LOST, 2: Fault.ERROR_AFTER, 3: Fault.LATE}
        world = with_a_bot(plan=lambda op, n: lost.get(n) if op.startswith("Delete") and "Batch" not in op else None)
        world.start()
        world.send(DELETE)
        await world.all_answered(600)
        assert world.outcome_of("d-1")["outcome"] == "Deleted"
        assert not world.account.existing()
        await world.stop()

    run(main())


def test_a_delete_that_comes_again_does_not_take_what_was_asked_for_later() -> None:
    async def main() -> None:
        world = with_a_bot()
        world.start()
        letter = world.send(DELETE)
        await world.all_answered(60)
        world.ask("bot", requestId="r-2")
        await world.all_answered(3600)
        world.sqs.bring_back(letter)
        await world.all_answered(60)
        assert [one.name for one in world.account.existing()] == ["bot"]
        assert world.outcome_of("d-1")["outcome"] == "Deleted", "the same event again"
        await world.stop()

    run(main())


def test_a_kill_before_any_step_changes_nothing() -> None:
    def check(world: World) -> None:
        assert world.outcome_of("d-1")["outcome"] == "Deleted"
        assert [one.name for one in world.account.existing()] == ["theirs"]

    def begin() -> World:
        world = with_a_bot()
        world.account.add("theirs", MODEL, {"team": "other"})
        return world

    story = Story(begin, lambda world: world.send(DELETE), check)
    assert story.survives_every_kill() > 15
