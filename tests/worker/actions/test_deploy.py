"""Whole lives of requests in virtual time: the real flow, against a queue, a topic and an account that really work."""

from __future__ import annotations

import asyncio

from slipway.core.bedrock import ModelState
from tests.simulator.bedrock import Rules, request_of
from tests.simulator.simulation import MODEL, OTHER_MODEL, World
from tests.simulator.virtual_loop import run
from tests.simulator.wire_faults import Fault


def test_a_request_becomes_an_active_deployment_for_one_create_and_a_few_sweeps() -> None:
    async def main() -> None:
        world = World()
        world.start()
        world.ask("bot", requestId="r-1")
        await world.all_answered()
        assert world.outcomes() == {"bot": "Active"}
        data = world.event("bot")
        assert data["customModelDeploymentArn"] == world.account.made[0].arn
        assert request_of(world.account.made[0]) == "r-1"
        assert world.wire.calls["CreateCustomModelDeployment"] == 1
        assert world.wire.calls["GetCustomModelDeployment"] == 0
        await world.stop()

    run(main())


def test_a_failed_deployment_is_announced_in_bedrocks_own_words() -> None:
    async def main() -> None:
        world = World(rules=Rules(failing=1.0))
        world.start()
        world.ask("bot")
        await world.all_answered()
        data = world.event("bot")
        assert (data["outcome"], data["reason"]) == ("Failed", "DeploymentFailed")
        assert data["failureMessage"] == world.account.rules.failure_message
        await world.stop()

    run(main())


def test_two_in_creation_ten_in_total_twelve_requests_and_one_deleted_by_hand() -> None:
    async def main() -> None:
        world = World(terms={"progress_events": True, "timeout": 86_400.0})
        world.start()
        for number in range(12):
            world.ask(f"bot-{number}")
        await world.until(lambda: len(world.topic.terminal()) == 10)
        await asyncio.sleep(3600)
        assert len(world.topic.terminal()) == 10
        waiting = [number for number in range(12) if f"bot-{number}" not in world.outcomes()]
        assert waiting == [10, 11], "oldest first"
        assert {notice.event["data"]["reason"] for notice in world.progress("bot-11")[1:]} == {"NoSlot"}
        world.account.delete("bot-3")
        took = await world.until(lambda: len(world.account.made) == 11)
        assert took <= 15.5, "a freed slot is used within one sweep"
        world.account.delete("bot-4")
        await world.all_answered()
        assert set(world.outcomes().values()) == {"Active"}
        assert (world.account.model.most_creating, world.account.model.most_total) == (2, 10)
        await world.stop()

    run(main())


def test_limits_from_settings_are_kept_and_count_what_others_made() -> None:
    async def main() -> None:
        world = World(rules=Rules(max_creating=50, max_total=50), terms={"max_creating": 3, "timeout": 86_400.0})
        world.account.add("theirs", MODEL, {})
        world.start()
        for number in range(9):
            world.ask(f"bot-{number}")
        await world.all_answered()
        assert world.account.model.most_creating == 3
        assert world.wire.calls["CreateCustomModelDeployment"] == 9
        await world.stop()

    run(main())


def test_a_lost_answer_is_looked_for_and_adopted() -> None:
    async def main() -> None:
        world = World(plan=lambda op, n: Fault.RESPONSE_LOST if op.startswith("Create") and n == 1 else None)
        world.start()
        world.ask("bot")
        await world.all_answered()
        assert world.outcomes() == {"bot": "Active"}
        assert len(world.account.made) == 1
        assert world.wire.calls["CreateCustomModelDeployment"] == 1
        await world.stop()

    run(main())


def test_a_zombie_create_makes_no_twin() -> None:
    async def main() -> None:
        world = World(
            rules=Rules(token_seconds=0),
            plan=lambda op, n: Fault.ZOMBIE if op.startswith("Create") and n == 1 else None,
        )
        world.start()
        world.ask("bot")
        await world.all_answered()
        await asyncio.sleep(120)
        assert world.outcomes() == {"bot": "Active"}
        assert len(world.account.made) == 1
        await world.stop()

    run(main())


def test_somebody_elses_deployment_is_a_conflict_and_never_touched() -> None:
    async def main() -> None:
        world = World()
        world.account.add("bot", MODEL, {"team": "other"})
        world.start()
        world.ask("bot")
        await world.all_answered()
        data = world.event("bot")
        assert (data["outcome"], data["reason"]) == ("Failed", "NameConflict")
        assert len(world.account.existing()) == 1
        await world.stop()

    run(main())


def test_the_same_name_with_another_model_is_a_conflict() -> None:
    async def main() -> None:
        world = World()
        world.start()
        world.ask("bot", requestId="one")
        world.ask("bot", OTHER_MODEL, requestId="two")
        await world.all_answered()
        assert sorted(each.event["data"]["outcome"] for each in world.topic.terminal()) == ["Active", "Failed"]
        assert len(world.account.made) == 1
        await world.stop()

    run(main())


def test_a_hundred_requests_for_one_name_make_one_deployment_and_a_hundred_results() -> None:
    async def main() -> None:
        world = World()
        world.start()
        for number in range(100):
            world.ask("bot", requestId=f"r-{number}")
        await world.all_answered()
        assert len(world.account.made) == 1
        assert {each.event["data"]["requestId"] for each in world.topic.terminal()} == {f"r-{n}" for n in range(100)}
        assert {each.event["data"]["outcome"] for each in world.topic.terminal()} == {"Active"}
        await world.stop()

    run(main())


def test_a_model_in_creation_is_waited_for() -> None:
    async def main() -> None:
        world = World(rules=Rules(models={MODEL: ModelState.CREATING}))
        world.start()
        world.ask("bot")
        await asyncio.sleep(1800)
        assert not world.topic.terminal()
        world.account.rule(models={})
        await world.all_answered()
        assert world.outcomes() == {"bot": "Active"}
        await world.stop()

    run(main())


def test_a_model_that_does_not_exist_is_an_outcome() -> None:
    async def main() -> None:
        world = World(rules=Rules(models={MODEL: ModelState.MISSING}))
        world.start()
        world.ask("bot")
        await world.all_answered(600)
        assert (world.event("bot")["outcome"], world.event("bot")["reason"]) == ("Failed", "ModelNotFound")
        await world.stop()

    run(main())


def test_denied_until_the_deadline_is_a_time_out_that_says_so() -> None:
    async def main() -> None:
        world = World(plan=lambda op, _: Fault.DENIED if op.startswith("Create") else None)
        world.start()
        letter = world.ask("bot", timeout="PT30M")
        await world.all_answered()
        data = world.event("bot")
        assert (data["outcome"], data["reason"]) == ("TimedOut", "AccessDenied")
        assert letter.first_received is not None
        assert 1800 <= world.topic.terminal()[0].at - letter.first_received < 1830
        await world.stop()

    run(main())


def test_a_last_observation_that_fails_is_named_in_words() -> None:
    async def main() -> None:
        world = World(
            rules=Rules(creation_seconds=(9000.0, 9000.0)), plan=lambda op, _: Fault.DENIED if op.startswith("Get") else None
        )
        world.start()
        world.ask("bot")
        await world.all_answered()
        message = world.event("bot")["message"]
        assert "; the last observation failed: GetCustomModelDeployment: AccessDenied" in message, message
        await world.stop()

    run(main())


def test_a_deadline_in_creation_keeps_the_deployment_and_says_what_is_known() -> None:
    async def main() -> None:
        world = World(rules=Rules(creation_seconds=(9000.0, 9000.0)))
        world.start()
        world.ask("bot")
        await world.all_answered()
        data = world.event("bot")
        assert (data["outcome"], data["reason"], data["deploymentStatus"]) == ("TimedOut", "InCreation", "Creating")
        assert data["message"].startswith("Timed out after 7200 s (")
        assert data["message"].endswith("). Any existing deployment was kept."), data["message"]
        assert data["customModelDeploymentArn"] == world.account.existing()[0].arn
        await world.stop()

    run(main())


def test_absence_is_never_an_outcome() -> None:
    async def main() -> None:
        world = World(rules=Rules(creation_seconds=(3000.0, 3000.0), list_lag_seconds=120.0, get_lag_seconds=60.0))
        world.start()
        world.ask("bot")
        world.ask("gone", timeout=3600)
        await asyncio.sleep(600)
        world.account.delete("gone")
        await world.all_answered()
        assert world.outcomes() == {"bot": "Active", "gone": "TimedOut"}
        assert world.event("gone")["reason"] == "DeploymentMissing"
        await world.stop()

    run(main())


def test_a_status_that_nobody_knows_is_waited_out() -> None:
    async def main() -> None:
        world = World(rules=Rules(creation_seconds=(4000.0, 4000.0)))
        world.start()
        world.ask("bot")
        await asyncio.sleep(5)
        world.account.rule(status_text="Polishing")
        await asyncio.sleep(3600)
        assert not world.topic.terminal()
        world.account.rule(status_text="")
        await world.all_answered()
        assert world.outcomes() == {"bot": "Active"}
        await world.stop()

    run(main())


def test_many_pages_many_in_flight_few_calls() -> None:
    async def main() -> None:
        world = World(
            rules=Rules(max_creating=5000, max_total=5000, creation_seconds=(600, 900), failing=0.1, page_size=100),
            terms={"max_held": 2000},
        )
        world.start()
        for number in range(1000):
            world.ask(f"bot-{number}")
        await world.all_answered()
        assert len(world.outcomes()) == 1000
        assert {"Active", "Failed"} == set(world.outcomes().values())
        assert world.wire.calls["CreateCustomModelDeployment"] == 1000
        assert world.wire.calls["GetCustomModelDeployment"] == 0
        await world.stop()

    run(main())
