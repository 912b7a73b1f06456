"""Several targets, in virtual time: each is alone with its own troubles, limits and deployments."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from slipway.core.parsing import client_token, parse_request
from slipway.core.requests.targets import DEFAULT, Target, TargetRules
from tests.simulator.bedrock import USUAL, request_of
from tests.simulator.simulation import World
from tests.simulator.sqs import SOMEBODY
from tests.simulator.virtual_loop import VirtualLoop, run
from tests.simulator.wire_faults import Fault
from tests.support.bodies import message
from tests.worker.kills import Story

MANY = USUAL.changed({"max_creating": 20, "max_total": 100})
JOB = "model-customization-job"


def ask(world: World, target: str, name: str, **more: Any) -> None:
    world.ask(name, world.model_in(target), target=target, requestId=f"{name} in {target}", **more)


def waits(world: World, replica: str = "a") -> Mapping[str, set[str]]:
    """What the requests that are held have waited for, by target."""
    said: dict[str, set[str]] = {}
    for lease in world.replicas[replica].slipway.leases:
        if lease.request is not None:
            said.setdefault(lease.request.target, set()).update(each.reason for each in lease.waited)
    return said


def test_one_name_in_two_targets_is_two_deployments_at_once_and_two_events() -> None:
    async def main() -> None:
        world = World(targets={"west": USUAL})
        world.start()
        for target in world.accounts:
            world.ask("bot", world.model_in(target), target=target, requestId="r-1")
        await world.until(lambda: all(account.made for account in world.accounts.values()), 60.0)
        await world.all_answered()
        events = {each.event["source"]: each.event for each in world.topic.terminal()}
        assert set(events) == {"urn:slipway:123456789012:us-east-1", "urn:slipway:210987654321:us-west-2"}
        here, there = events.values()
        assert ("target" in here["data"], there["data"]["target"]) == (False, "west")
        assert here["data"]["outcome"] == there["data"]["outcome"] == "Active"
        assert here["id"] != there["id"]
        made = [account.made[0] for account in world.accounts.values()]
        assert [one.first_model_arn for one in made] == [world.model_in(target) for target in world.accounts]
        assert made[0].token != made[1].token
        await world.stop()

    run(main())


def test_three_targets_one_broken_and_one_throttled_to_a_call_a_second_and_the_third_does_not_notice() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        world = World(rules=MANY, targets={"broken": MANY, "slow": MANY})
        let_in = [0.0]

        def one_a_second(_operation: str, _number: int) -> Fault | None:
            if loop.time() - let_in[0] < 1.0:
                return Fault.THROTTLED
            let_in[0] = loop.time()
            return None

        world.wires["broken"].plan = lambda _operation, _number: Fault.DENIED
        world.wires["slow"].plan = one_a_second
        replica = world.start()
        for number in range(8):
            for target in world.accounts:
                ask(world, target, f"bot-{number}", timeout=1800)
        await world.until(lambda: len(world.account.made) == 8, 30.0)
        assert waits(world)[DEFAULT] <= {"InCreation", "NoSlot"}, "its own, and nobody else's"
        await world.until(lambda: {"AccessDenied"} == waits(world)["broken"], 30.0)
        await world.until(lambda: len(world.topic.terminal()) == 16)
        assert all(answer == "Applied" for _, answer in replica.calls[DEFAULT]), replica.calls[DEFAULT]
        await world.all_answered()
        ends = {each.event["data"]["requestId"]: each.event["data"] for each in world.topic.terminal()}
        outcomes = {target: {ends[f"bot-{number} in {target}"]["outcome"] for number in range(8)} for target in world.accounts}
        assert outcomes == {DEFAULT: {"Active"}, "slow": {"Active"}, "broken": {"TimedOut"}}
        assert {data["reason"] for data in ends.values() if data.get("target") == "broken"} == {"AccessDenied"}
        assert not world.accounts["broken"].made
        answers = {target: {answer for _, answer in tally} for target, tally in replica.calls.items()}
        assert answers == {DEFAULT: {"Applied"}, "broken": {"Denied"}, "slow": {"Applied", "Throttled"}}
        await world.stop()

    run(main())


def test_each_target_has_slots_of_its_own() -> None:
    async def main() -> None:
        world = World(
            rules=USUAL.changed({"max_creating": 1}),
            targets={"west": MANY},
            terms={"max_creating": 1, "allowed": {"west": TargetRules(max_creating=20)}},
        )
        replica = world.start()
        for number in range(6):
            for target in world.accounts:
                ask(world, target, f"bot-{number}")
        await world.until(lambda: len(world.accounts["west"].made) == 6, 60.0)
        assert len(world.account.made) == 1
        sites = replica.slipway.runtimes
        assert (sites[DEFAULT].slots.waiting, sites["west"].slots.waiting) == (5, 0)
        assert (sites[DEFAULT].watcher.in_flight, sites["west"].watcher.in_flight) == (1, 6)
        assert sorted(replica.slipway.slot_positions().values()) == [1, 2, 3, 4, 5]
        await world.all_answered()
        assert {each.event["data"]["outcome"] for each in world.topic.terminal()} == {"Active"}
        await world.stop()

    run(main())


def test_killed_at_any_step_the_next_one_finds_what_there_is_in_the_target() -> None:
    def check(world: World) -> None:
        assert [(one.name, request_of(one)) for one in world.accounts["west"].made] == [("bot", "bot in west")]
        assert world.account.made == []
        assert world.outcome_of("bot in west")["outcome"] == "Active"

    story = Story(lambda: World(targets={"west": USUAL}), lambda world: ask(world, "west", "bot"), check)
    assert story.survives_every_kill(stride=7) > 100


def test_update_and_delete_are_done_in_their_target() -> None:
    async def main() -> None:
        world = World(targets={"west": USUAL})
        world.start()
        for target in world.accounts:
            ask(world, target, "bot")
        await world.all_answered()
        other = world.model_in("west")[:-1] + "m"
        common = {"customModelDeploymentIdentifier": "bot", "target": "west"}
        world.send(common | {"action": "update", "modelArn": other, "requestId": "u-1"})
        await world.all_answered()
        now = world.account.now()
        assert [one.model_arn(now) for one in world.accounts["west"].made] == [other]
        world.send(common | {"action": "delete", "requestId": "d-1"})
        await world.all_answered()
        assert (world.outcome_of("u-1")["outcome"], world.outcome_of("d-1")["outcome"]) == ("Updated", "Deleted")
        assert world.accounts["west"].existing() == []
        assert [one.model_arn(now) for one in world.account.existing()] == [world.model_in(DEFAULT)]
        await world.stop()

    run(main())


@pytest.mark.parametrize("is_allowed", [True, False])
def test_the_model_of_a_job_is_held_to_the_rules_when_it_is_known(*, is_allowed: bool) -> None:
    async def main() -> None:
        pattern = "*:custom-model/amazon.nova-lite-*" if is_allowed else "*:custom-model/meta.*"
        world = World(targets={"west": USUAL}, terms={"allowed": {"west": TargetRules(models=(pattern,))}})
        world.start()
        job = world.model_in("west").replace("custom-model", JOB)
        world.send({"modelDeploymentName": "bot", "customizationJob": job, "target": "west", "requestId": "r-1"})
        await world.all_answered()
        end = world.outcome_of("r-1")
        if is_allowed:
            assert end["outcome"] == "Active"
        else:
            assert (end["outcome"], end["reason"]) == ("Rejected", "NotAllowed")
            assert end["message"].endswith(f"is not allowed by the rule models of target west ({pattern})")
            assert not world.accounts["west"].made
        await world.stop()

    run(main())


def test_what_a_target_does_not_allow_is_rejected_before_any_call() -> None:
    async def main() -> None:
        world = World(targets={"west": USUAL}, terms={"allowed": {"west": TargetRules(names=("prod-*",))}})
        replica = world.start()
        ask(world, "west", "bot")
        await world.all_answered()
        end = world.outcome_of("bot in west")
        assert (end["outcome"], end["code"]) == ("Rejected", "NotAllowed")
        assert not replica.calls["west"]
        await world.stop()

    run(main())


def test_the_token_that_bedrock_gets_is_the_requests_own() -> None:
    async def main() -> None:
        world = World(targets={"west": USUAL})
        world.start()
        ask(world, "west", "bot")
        await world.all_answered()
        body = {"modelDeploymentName": "bot", "modelArn": world.model_in("west"), "target": "west", "requestId": "bot in west"}
        targets = {name: Target(name, account.home) for name, account in world.accounts.items()}
        request = parse_request(message(body, sender=SOMEBODY), targets)
        assert world.accounts["west"].made[0].token == client_token(request)  # type: ignore[arg-type]
        await world.stop()

    run(main())
