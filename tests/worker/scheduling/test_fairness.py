"""Who goes next, and what those who wait are told: turns between tenants, order within a deployment, reasons and places."""

from __future__ import annotations

import asyncio
import json
from itertools import groupby
from typing import Any

import jsonschema
import pytest

from slipway.core.diagnostics.status import RequestStatus
from slipway.core.events.schema import event_schema
from slipway.core.lifecycle.outcomes import Reason
from slipway.core.sqs.continuations import Delivery
from slipway.core.sqs.messages import Message
from slipway.http.requests_api import holdings
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.retry import no_progress
from slipway.worker.scheduling.ordering import RequestOrder
from tests.simulator.bedrock import Rules
from tests.simulator.simulation import World
from tests.simulator.virtual_loop import run
from tests.simulator.wire_faults import Fault

ONE_AT_A_TIME = Rules(max_creating=1, max_total=1000, creation_seconds=(100.0, 100.0))


def held(world: World, name: str = "a") -> dict[str, RequestStatus]:
    page: dict[str, Any] = json.loads(json.dumps(holdings(world.replicas[name].slipway, {})))
    return {one.request_id or "": one for one in map(RequestStatus.of, page["requests"])}


def made(world: World) -> list[str]:
    return [one.name.split("-")[0] for one in world.account.made]


def test_a_noisy_tenant_does_not_starve_the_rest() -> None:
    async def main() -> None:
        world = World(rules=ONE_AT_A_TIME, terms={"timeout": 86_400.0})
        world.start()
        for number in range(30):
            world.ask(f"noisy-{number}", tenant="noisy")
        await asyncio.sleep(1000.0)
        before = len(world.account.made)
        for number in range(3):
            world.ask(f"quiet-{number}", tenant="quiet")
        world.ask("nobodys")
        await world.all_answered()
        assert set(world.outcomes().values()) == {"Active"}
        after = made(world)[before:]
        assert sorted(after[:3]) == ["nobodys", "noisy", "quiet"]
        assert after[:6].count("quiet") >= 2
        assert [len(list(runs)) for who, runs in groupby(after[:7]) if who == "noisy"] == [1, 1, 1]
        await world.stop()

    run(main())


def test_weights_from_the_settings_divide_the_slots() -> None:
    async def main() -> None:
        world = World(rules=ONE_AT_A_TIME, terms={"timeout": 86_400.0, "tenant_weights": {"large": 3}})
        world.start()
        for number in range(20):
            world.ask(f"small-{number}", tenant="small")
            world.ask(f"large-{number}", tenant="large")
        await world.until(lambda: len(world.account.made) == 24)
        assert made(world)[4:24].count("large") == 15, "the first ones met no line"
        await world.stop()

    run(main())


def test_a_request_that_was_handed_on_keeps_its_age() -> None:
    async def main() -> None:
        world = World(rules=ONE_AT_A_TIME, max_receive_count=2)
        world.start("a")
        world.ask("running-0")
        world.ask("old-0")
        await asyncio.sleep(10.0)
        await world.stop("a")
        world.start("b")
        world.ask("young-0")
        await world.all_answered()
        assert made(world) == ["running", "old", "young"]
        await world.stop("b")

    run(main())


def test_turns_go_by_first_receipt_whatever_comes_first_here() -> None:
    async def main() -> None:
        turns, order = RequestOrder(), list[str]()

        async def work(name: str, first_received: float) -> None:
            lease = Lease(Delivery.of(Message(name, "{}", name, 2, 5000.0, first_received)), 120.0)
            with turns.position(["deployment bot"], lease) as turn:
                await turn.wait_until_first(no_progress)
                order.append(name)
                await asyncio.sleep(1)

        arrivals = [("head", 40.0), ("third", 30.0), ("first", 10.0), ("second", 20.0), ("second too", 20.0)]
        tasks = [asyncio.ensure_future(work(*each)) for each in arrivals]
        await asyncio.sleep(0.5)
        assert turns.queue_positions() == {"first": 1, "second": 2, "second too": 3, "third": 4}
        await asyncio.gather(*tasks)
        assert order == ["head", "first", "second", "second too", "third"]

    run(main())


def test_requests_for_one_deployment_are_done_in_the_order_of_their_first_receipt_after_a_kill_too() -> None:
    async def main() -> None:
        world = World(rules=Rules(creation_seconds=(900.0, 900.0)), max_receive_count=20)
        world.start("a")
        letters = []
        for number in range(5):
            letters.append(world.ask("bot", requestId=f"r-{number}", priority=number))
            await asyncio.sleep(1.0)
        world.kill("a")
        world.start("b")
        # The older they are, the later they come back; but the first, whose deployment goes on.
        for number, letter in enumerate(letters[1:]):
            letter.visible_at = letters[0].visible_at + 50.0 - 10.0 * number
        await world.all_answered()
        assert [each.event["data"]["requestId"] for each in world.topic.terminal()] == [f"r-{number}" for number in range(5)]
        assert len(world.account.made) == 1
        await world.stop("b")

    run(main())


def test_those_who_wait_are_told_their_place_and_how_long_it_will_be() -> None:
    async def main() -> None:
        world = World(rules=ONE_AT_A_TIME, terms={"progress_events": True})
        world.start()
        for number in range(5):
            world.ask(f"bot-{number}", requestId=f"r-{number}")
            await asyncio.sleep(1.0)
        await world.until(lambda: "r-1" in held(world) and held(world)["r-1"].waits_for == "NoSlot")
        assert held(world)["r-4"].prospect.place == 4
        assert held(world)["r-4"].prospect.to_slot is None, "nothing has ended yet"
        assert held(world)["r-0"].prospect.to_end is None
        await world.until(lambda: "r-0" not in held(world) and held(world)["r-1"].waits_for == "InCreation")
        assert held(world)["r-1"].prospect.to_end == pytest.approx(100.0, abs=15.0)
        told = [held(world)[f"r-{number}"].prospect for number in (2, 3, 4)]
        assert [each.place for each in told] == [1, 2, 3]
        assert [each.to_slot for each in told] == [pytest.approx(100.0 * place, abs=15.0) for place in (1, 2, 3)]
        assert [each.to_end for each in told] == [pytest.approx(100.0 * place + 100.0, abs=15.0) for place in (1, 2, 3)]
        world.ask("late", requestId="r-5")
        await asyncio.sleep(1.0)
        (event,) = [each.event for each in world.progress("late") if each.event["data"]["outcome"] == "Waiting"]
        jsonschema.Draft202012Validator(event_schema()).validate(event)
        waiting = event["data"]["waiting"]
        assert (event["data"]["reason"], waiting["place"]) == ("NoSlot", 4)
        assert waiting["secondsToSlot"] == pytest.approx(400.0, abs=15.0)
        assert waiting["secondsToEnd"] == pytest.approx(500.0, abs=15.0)
        await world.stop()

    run(main())


def test_who_waits_for_what_is_counted() -> None:
    async def main() -> None:
        world = World(rules=ONE_AT_A_TIME)
        slipway = world.start().slipway
        for number in range(4):
            world.ask(f"bot-{number}")
        world.ask("bot-0")
        await asyncio.sleep(20.0)
        assert slipway.waits() == {"InCreation": 1, "NoSlot": 3, "PredecessorRunning": 1}
        await world.all_answered()
        assert slipway.waits() == {}
        await world.stop()

    run(main())


def test_each_reason_to_wait_is_announced_once_under_an_id_of_its_own() -> None:
    async def main() -> None:
        world = World(rules=ONE_AT_A_TIME, terms={"progress_events": True})
        world.start()
        world.ask("bot", requestId="r-0")
        world.ask("bot", requestId="r-1")
        world.ask("next", requestId="r-2")
        await world.all_answered()
        waits = [each.event for each in world.topic.notices if each.event["data"]["outcome"] == "Waiting"]
        said = [(each["data"]["requestId"], each["data"]["reason"], each["data"]["waiting"]["place"]) for each in waits]
        assert said == [("r-1", "PredecessorRunning", 1), ("r-2", "NoSlot", 1), ("r-1", "NoSlot", 1)]
        assert len({each["id"] for each in waits}) == 3
        await world.stop()

    run(main())


def test_a_create_that_is_held_back_waits_for_the_rate_and_so_does_who_is_behind_it() -> None:
    async def main() -> None:
        is_fast = False
        last = -100.0

        def plan(operation: str, _: int) -> Fault | None:
            """One create in ten seconds is let in."""
            nonlocal last
            now = asyncio.get_running_loop().time()
            if is_fast or not operation.startswith("Create"):
                return None
            if now - last < 10.0:
                return Fault.THROTTLED
            last = now
            return None

        world = World(rules=Rules(max_creating=500, max_total=500), plan=plan, terms={"progress_events": True})
        world.start()
        for number in range(60):
            world.ask(f"bot-{number}", requestId=f"r-{number}", timeout=200 if number == 59 else 7200)
        await asyncio.sleep(12.0)
        reasons = {one.waits_for for one in held(world).values()}
        assert "Throttled" in reasons
        waits = world.replicas["a"].slipway.waits()
        assert "NoSlot" not in waits
        assert waits[Reason.THROTTLED] + waits[Reason.IN_CREATION] == 60, "nobody is counted twice, or not at all"
        assert "NoSlot" not in reasons
        assert [one for one in held(world).values() if one.prospect.place is not None], "some wait behind them, in line"
        await asyncio.sleep(202.0)
        ended = world.outcome_of("r-59")
        assert (ended["outcome"], ended["reason"]) == ("TimedOut", "Throttled")
        is_fast = True
        await world.all_answered()
        assert set(world.outcomes().values()) == {"Active", "TimedOut"}
        told = [notice.event["data"] for number in range(60) for notice in world.progress(f"bot-{number}")]
        said = {each["requestId"]: each["message"] for each in told if each.get("reason") == "Throttled"}
        assert any(text.startswith("the call waits for the rate limit") for text in said.values()), (
            "before AWS has refused for good"
        )
        assert "r-0" not in said, "it was let in at once"
        await world.stop()

    run(main())


def test_a_moment_in_the_line_before_a_call_is_not_remembered_as_a_wait() -> None:
    async def main() -> None:
        world = World(rules=Rules(max_creating=500, max_total=500))
        world.start()
        for number in range(40):
            world.ask(f"bot-{number}")
        await world.until(lambda: len(world.account.made) == 40)
        assert {wait.reason for one in held(world).values() for wait in one.waited} <= {"InCreation", "NoSlot"}
        await world.stop()

    run(main())
