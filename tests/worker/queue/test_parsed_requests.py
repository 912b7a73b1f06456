"""What a daemon says of what it holds: the true reason of each wait, in an order that pages keep, and no body."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from slipway.core.diagnostics.status import FinishedRequest, RequestStatus
from slipway.http.requests_api import PAGE, holdings
from tests.simulator.bedrock import Rules
from tests.simulator.simulation import MODEL, World
from tests.simulator.virtual_loop import run
from tests.simulator.wire_faults import Fault


def page(world: World, **asked: str) -> dict[str, Any]:
    rates = {("List", None): (None, 0), ("Get", "eu"): (0.5, 1)}
    made: dict[str, Any] = json.loads(json.dumps(holdings(world.replicas["a"].slipway, rates, **asked)))
    return made


def held(world: World, **asked: str) -> list[RequestStatus]:
    return [RequestStatus.of(one) for one in page(world, **asked)["requests"]]


def full(world: World) -> None:
    world.account.rule(max_creating=0)
    world.ask("earlier")
    world.ask("bot", requestId="r-1")


def model_in_creation(world: World) -> None:
    world.account.rule(models={MODEL: "Creating"})
    world.ask("bot", requestId="r-1")


def throttled(world: World) -> None:
    world.wire.plan = lambda operation, _: Fault.THROTTLED if operation.startswith("Create") else None
    world.ask("bot", requestId="r-1")


def name_reserved(world: World) -> None:
    world.account.rule(name_reserved_seconds=3600.0)
    world.account.add("bot", MODEL, {})
    world.account.delete("bot")
    world.ask("bot", requestId="r-1")


def predecessor(world: World) -> None:
    world.ask("bot", requestId="r-0")
    world.ask("bot", requestId="r-1")


def denied(world: World) -> None:
    world.wire.plan = lambda operation, _: Fault.DENIED if operation.startswith("Create") else None
    world.ask("bot", requestId="r-1")


def in_creation(world: World) -> None:
    world.ask("bot", requestId="r-1")


def in_creation_and_denied_since(world: World) -> None:
    world.wire.plan = lambda operation, _: Fault.DENIED if operation.startswith("List") else None
    world.ask("bot", requestId="r-1")


@pytest.mark.parametrize(
    ("ask", "reason", "why"),
    [
        (full, "NoSlot", "0 in creation"),
        (model_in_creation, "ModelNotActive", "is not Active yet"),
        (throttled, "Throttled", "ThrottlingException"),
        (name_reserved, "NameReserved", "already exists"),
        (predecessor, "PredecessorRunning", "behind an earlier request for deployment bot"),
        (denied, "AccessDenied", "AccessDeniedException"),
        (in_creation, "InCreation", "is in creation"),
        (in_creation_and_denied_since, "AccessDenied", "the last sweep failed"),
    ],
)
def test_the_reason_is_the_true_one(ask: Callable[[World], None], reason: str, why: str) -> None:
    async def main() -> None:
        world = World(rules=Rules(creation_seconds=(900.0, 900.0)))
        world.start()
        ask(world)
        # What is waited for between the attempts of a call is remembered once that took long.
        await world.until(
            lambda: any(one.waits_for == reason and why in one.why and one.waited for one in held(world, about="r-1")), 120.0
        )
        (said,) = held(world, about="r-1")
        assert said.waited[-1].reason in {reason, "InCreation"}
        assert (said.name, said.model_arn, said.action, said.receive_count) == ("bot", MODEL, "deploy", 1)
        assert said.deadline == pytest.approx(said.received_at + 7200.0, abs=0.01)
        assert 0 < said.lease_seconds <= 120
        await world.stop()

    run(main())


def test_places_in_line_are_by_priority_then_age() -> None:
    async def main() -> None:
        world = World(rules=Rules(max_creating=0))
        world.start()
        for name in ("first", "second", "third"):
            world.ask(name)
            await asyncio.sleep(1.0)
        world.ask("urgent", priority=5)
        await asyncio.sleep(300.0)
        places = {one.name: one.place for one in held(world)}
        assert places == {"urgent": 1, "first": 2, "second": 3, "third": 4}
        assert page(world)["slots"]["waiting"] == 4
        await world.stop()

    run(main())


def test_waits_are_remembered_and_counted() -> None:
    async def main() -> None:
        world = World()
        world.start()
        throttled(world)
        await asyncio.sleep(300.0)
        world.wire.plan = lambda _, __: None
        await world.until(lambda: held(world)[0].waits_for == "InCreation")
        throttles, creation = held(world)[0].waited
        assert (throttles.reason, creation.reason, creation.times) == ("Throttled", "InCreation", 1)
        assert throttles.times > 3
        assert throttles.since < creation.since
        await world.stop()

    run(main())


def test_how_it_ended_is_remembered() -> None:
    async def main() -> None:
        world = World()
        world.start()
        world.ask("bot", requestId="r-1")
        world.sqs.put('{"requestId": "r-2"}', group="x")
        await world.all_answered()
        said = {one["requestId"]: FinishedRequest.of(one) for one in page(world)["finished"]}
        assert (said["r-1"].outcome, said["r-1"].arn) == ("Active", world.account.made[0].arn)
        assert said["r-1"].event_id in {notice.event_id for notice in world.topic.terminal()}
        assert (said["r-2"].outcome, said["r-2"].reason) == ("Rejected", "NotUnderstood")
        assert "modelDeploymentName is missing" in str(said["r-2"].text)
        assert [one["requestId"] for one in page(world, about="bot")["finished"]] == ["r-1"]
        await world.stop()

    run(main())


def test_pages_show_each_request_once_the_oldest_first_and_never_a_body() -> None:
    async def main() -> None:
        world = World(rules=Rules(max_creating=0), terms={"max_held": 2 * PAGE})
        world.start()
        for number in range(PAGE + 20):
            world.ask(f"bot-{number}", description="only for Bedrock's eyes")
        await world.until(lambda: len(world.replicas["a"].slipway.leases) == PAGE + 20)
        first = page(world)
        second = page(world, after=first["next"])
        assert (len(first["requests"]), len(second["requests"]), second["next"]) == (PAGE, 20, None)
        names = [one["modelDeploymentName"] for one in first["requests"] + second["requests"]]
        assert len(set(names)) == PAGE + 20
        ages = [one["receivedAt"] for one in first["requests"] + second["requests"]]
        assert ages == sorted(ages)
        assert "eyes" not in json.dumps([first, second])
        await world.stop()

    run(main())
