"""A full daemon still takes what frees it: deletes, cancels and updates, whatever waits for a slot."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from slipway.core.call_errors import Refused
from slipway.core.lifecycle.outcomes import Reason
from slipway.core.lifecycle.tags import EXPIRES_TAG, RECEIVED_TAG, REQUEST_TAG
from slipway.worker.queue.intake import reserved_places
from tests.simulator.bedrock import USUAL, Rules
from tests.simulator.simulation import MODEL, World
from tests.simulator.virtual_loop import run
from tests.simulator.wire_faults import Fault

LONG_AGO = "2025-01-01T00:00:00.000Z"
TERMS: dict[str, Any] = {"max_held": 20, "timeout": 7200.0, "reap_interval": 300.0}
FULL = replace(USUAL, max_total=2, max_creating=2)
SOON_SECONDS = 60.0
"""Within this a request that frees something is done, with 20 waiting deploys before it."""


def full(*, tags: dict[str, str] | None = None, deploys: int = 20, **more: Any) -> World:
    """A world with both slots taken, and so many deploys that wait for one."""
    world = World(rules=replace(FULL, creation_seconds=(0.0, 0.0)), terms=TERMS | more.pop("terms", {}), **more)
    for name in ("old-0", "old-1"):
        world.account.add(name, MODEL, {REQUEST_TAG: name, RECEIVED_TAG: LONG_AGO} | (tags or {}))
    world.account.rule(creation_seconds=(60.0, 60.0))
    for number in range(deploys):
        world.ask(f"bot-{number}", requestId=f"r-{number}", group=f"g-{number}")
    return world


def about(action: str, name: str, request_id: str, **more: object) -> dict[str, object]:
    return {"action": action, "customModelDeploymentIdentifier": name, "requestId": request_id} | more


@pytest.mark.parametrize("fifo", [False, True])
def test_deletes_cancels_and_updates_get_through_a_full_daemon(fifo: bool) -> None:  # noqa: FBT001  a parameter
    async def main() -> None:
        world = full(fifo=fifo, max_receive_count=10)
        world.start()
        await asyncio.sleep(900)
        assert len(world.account.existing()) == 2, "the deploys wait for a slot"
        began = asyncio.get_running_loop().time()
        world.send({"action": "cancel", "cancels": "r-3", "requestId": "c-1"}, group="c")
        world.send(about("update", "old-1", "u-1", modelArn=MODEL[:-1] + "m"), group="u")
        world.send(about("delete", "old-0", "d-1"), group="d")
        ends: Any = {"c-1", "r-3", "d-1", "u-1"}
        await world.until(lambda: ends <= {each.event["data"]["requestId"] for each in world.topic.terminal()}, 400)
        assert world.outcome_of("d-1")["outcome"] == "Deleted"
        assert world.outcome_of("r-3")["outcome"] == "Cancelled"
        assert world.outcome_of("u-1")["outcome"] == "Updated"
        assert asyncio.get_running_loop().time() - began < 3 * SOON_SECONDS
        await world.until(lambda: len(world.account.existing()) == 2, 120)
        await world.stop()

    run(main())


@pytest.mark.parametrize("deploys", [20, 40, 200])
def test_deletes_get_through_in_time_with_many_deploys_before_them(deploys: int) -> None:
    async def main() -> None:
        world = full(deploys=deploys)
        world.start()
        world.send(about("delete", "old-0", "d-1"))
        await world.until(lambda: len(world.account.made) > 2, SOON_SECONDS + deploys / reserved_places(20))
        await world.stop()

    run(main())


def test_what_has_expired_frees_its_slots_for_those_that_wait() -> None:
    """Two slots were owed for hours, and twenty requests timed out."""

    async def main() -> None:
        world = full(tags={EXPIRES_TAG: LONG_AGO})
        world.start()
        await world.until(lambda: len(world.account.made) == 4, 600)
        await world.stop()

    run(main())


def test_every_request_of_a_full_daemon_ends_by_its_deadline_and_with_few_calls() -> None:
    async def main() -> None:
        world = full(deploys=60, terms={"timeout": 1800.0})
        world.start()
        await world.all_answered(1900)
        assert Counter(world.outcomes().values()) == {"TimedOut": 60}
        calls = world.wire.calls
        assert calls["ReceiveMessage"] < 1900 / 2
        assert calls["SendMessageBatch"] < 1900 / 2
        assert calls["GetCustomModelDeployment"] < 60 * 6, "what has no place is sent back before anything is asked of Bedrock"
        assert not world.dead.letters
        await world.stop()

    run(main())


def test_the_requests_of_a_broken_target_leave_room_for_a_healthy_one() -> None:
    async def main() -> None:
        world = World(rules=Rules(creation_seconds=(30.0, 30.0)), terms=TERMS, targets={"west": USUAL})
        world.wires["west"].plan = lambda _operation, _number: Fault.DENIED
        for number in range(60):
            world.ask(f"west-{number}", world.model_in("west"), target="west", requestId=f"w-{number}")
        world.start()
        await asyncio.sleep(600)
        for number in range(8):
            world.ask(f"bot-{number}", requestId=f"r-{number}")
        await world.until(lambda: len(world.topic.terminal()) == 8, 900)
        assert {world.outcome_of(f"r-{number}")["outcome"] for number in range(8)} == {"Active"}
        await world.stop()

    run(main())


def test_the_older_and_the_higher_priority_keep_their_places() -> None:
    async def main() -> None:
        world = full(deploys=40)
        world.start()
        await asyncio.sleep(300)
        for number in range(10):
            world.ask(f"first-{number}", requestId=f"f-{number}", priority=9)
        await asyncio.sleep(60)
        world.account.rule(max_total=1000, max_creating=5)
        await world.until(lambda: len(world.account.made) >= 12, 600)
        made = [one.name for one in world.account.made[2:12]]
        assert all(name.startswith("first") for name in made), made
        await world.stop()

    run(main())


def test_a_delete_stays_behind_the_deploy_that_came_before_it() -> None:
    """The deploy is away when the delete comes: done at once, it would find nothing, and the deployment would stay."""

    async def main() -> None:
        world = full(deploys=60)
        world.start()
        await asyncio.sleep(30)
        for number in range(60):
            world.send(about("delete", f"bot-{number}", f"d-{number}"))
        await asyncio.sleep(120)
        assert not world.topic.terminal(), "nothing was deleted before it was made"
        await world.stop()

    run(main())


def test_a_request_that_is_away_can_be_cancelled() -> None:
    async def main() -> None:
        world = full(deploys=60)
        world.start()
        await asyncio.sleep(1200)
        for number in range(60):
            world.send({"action": "cancel", "cancels": f"r-{number}", "requestId": f"c-{number}", "timeout": 3000})
        await world.until(lambda: len(world.topic.terminal()) >= 120, 3000)
        assert {world.outcome_of(f"r-{number}")["outcome"] for number in range(60)} == {"Cancelled"}
        assert {world.outcome_of(f"c-{number}")["outcome"] for number in range(60)} == {"CancelTaken"}
        await world.stop()

    run(main())


def test_a_delete_is_received_although_all_places_were_taken_before_anything_waited() -> None:
    """Nothing is received while all places are taken: so one falls free as soon as somebody waits."""

    async def main() -> None:
        world = full(deploys=1, terms={"max_held": 2})
        world.send(about("update", "bot-0", "u-0", modelArn=MODEL))
        world.start()
        await asyncio.sleep(30)
        world.send(about("delete", "old-0", "d-1"))
        await world.until(lambda: "old-0" not in {one.name for one in world.account.existing()}, SOON_SECONDS)
        await world.stop()

    run(main())


@pytest.mark.parametrize(("name", "outcome"), [("nothing", "Deleted"), ("refused", "Failed")])
def test_a_delete_that_asks_several_times_is_not_sent_back_before_it_has(name: str, outcome: str) -> None:
    """As the last to arrive it gave up its place each time, and counted absences or refusals anew."""

    async def main() -> None:
        world = full(deploys=0, terms={"max_held": 2})
        world.account.add("refused", MODEL, {REQUEST_TAG: "r-9", RECEIVED_TAG: LONG_AGO})
        refusal = Refused("DeleteCustomModelDeployment", "ValidationException")
        world.wire.raises = lambda operation, _number: refusal if operation == refusal.operation else None
        world.account.rule(update_seconds=(3000.0, 3000.0))
        for number in range(2):
            world.send(about("update", f"old-{number}", f"u-{number}", modelArn=MODEL[:-1] + "m"))
        world.start()
        await asyncio.sleep(120)
        world.send(about("delete", name, "d-1"))
        await world.until(lambda: world.outcomes().get(name) == outcome, 2 * SOON_SECONDS)
        await world.stop()

    run(main())


def test_a_delete_gets_through_while_every_place_waits_for_a_smoke_test() -> None:
    async def main() -> None:
        world = full(deploys=0, terms={"max_held": 2})
        world.account.add("old-2", MODEL, {REQUEST_TAG: "r-9", RECEIVED_TAG: LONG_AGO})
        world.account.rule(update_seconds=(5.0, 5.0), unready_seconds=3000.0)
        for number in range(2):
            tested = about("update", f"old-{number}", f"u-{number}", modelArn=MODEL[:-1] + "m", smokeTest={"prompt": "Hello"})
            world.send(tested)
        replica = world.start()
        await asyncio.sleep(120)
        assert {lease.why for lease in replica.slipway.held_leases} == {Reason.SMOKE_TEST}
        world.send(about("delete", "old-2", "d-1"))
        await world.until(lambda: world.outcomes().get("old-2") == "Deleted", SOON_SECONDS)
        await world.until(lambda: {"old-0", "old-1"} <= world.outcomes().keys(), 3600)
        assert [world.outcome_of(f"u-{number}")["outcome"] for number in range(2)] == ["Updated", "Updated"]
        await world.stop()

    run(main())


def test_what_is_away_and_never_comes_back_holds_up_nobody_for_ever() -> None:
    """Two later requests were sent away in turn, each time for the sake of an earlier one that another replica had ended."""

    async def main() -> None:
        world = full(deploys=20, terms={"max_held": 4})
        world.start()
        await asyncio.sleep(60)
        for letter in [one for one in world.sqs.letters.values() if '"bot-19"' in one.body]:
            world.sqs.letters.pop(letter.message_id)
        for number in (20, 21):
            world.ask("bot-19", requestId=f"r-{number}")
        world.account.rule(max_total=1000, max_creating=100, creation_seconds=(1.0, 1.0))
        ends = {"r-20", "r-21"}
        await world.until(lambda: ends <= {each.event["data"]["requestId"] for each in world.topic.terminal()}, 1800)
        await world.stop()

    run(main())


@pytest.mark.parametrize("fifo", [False, True])
def test_what_waits_to_act_on_a_decision_takes_no_place(*, fifo: bool) -> None:
    async def main() -> None:
        world = full(deploys=0, fifo=fifo, max_receive_count=10, terms={"max_held": 2, "visibility_timeout": 120})
        world.account.rule(max_total=10, max_creating=10, creation_seconds=(3000.0, 3000.0))
        world.start()
        world.ask("bot-0", requestId="r-0", group="g-0")
        await world.until(lambda: len(world.account.existing()) == 3, 60)
        world.send({"action": "cancel", "cancels": "r-0", "deployment": "delete", "requestId": "c-0"}, group="c")
        await world.until(lambda: any("r-0" in each.body and each.attributes for each in world.sqs.letters.values()), 60)
        world.ask("bot-1", requestId="r-1", group="g-1")
        await world.until(lambda: len(world.account.existing()) == 4, 60)
        world.send(about("delete", "old-0", "d-1"), group="d")
        await world.until(lambda: world.outcomes().get("old-0") == "Deleted", SOON_SECONDS)
        assert "bot-0" not in world.outcomes()
        await asyncio.sleep(600)  # what it has in creation cannot be deleted yet
        world.send(about("delete", "old-1", "d-2"), group="e")
        await world.until(lambda: world.outcomes().get("old-1") == "Deleted", SOON_SECONDS)
        await world.until(lambda: world.outcomes().get("bot-0") == "Cancelled", 4000)
        await world.stop()

    run(main())
