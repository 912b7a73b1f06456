"""A deploy that waits for a slot holds back nothing that is about the deployment that has its name."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from slipway.core.lifecycle.tags import RECEIVED_TAG, REQUEST_TAG
from tests.simulator.bedrock import USUAL
from tests.simulator.simulation import MODEL, OTHER_MODEL, World
from tests.simulator.virtual_loop import run

LONG_AGO = "2025-01-01T00:00:00.000Z"
SOON_SECONDS = 120.0


def full(**terms: Any) -> World:
    """A world with its only slot taken by `bot`."""
    rules = replace(USUAL, max_total=1, max_creating=1, creation_seconds=(0.0, 0.0))
    world = World(rules=rules, terms={"timeout": 7200.0} | terms)
    world.account.add("bot", MODEL, {REQUEST_TAG: "r-0", RECEIVED_TAG: LONG_AGO})
    world.account.rule(creation_seconds=(30.0, 30.0))
    return world


@pytest.mark.parametrize(
    ("deploy", "kind"),
    [({}, "Active"), ({"ifExists": "fail"}, "Failed"), ({"ifExists": "update"}, "Active")],
    ids=str,
)
@pytest.mark.parametrize("limits", [{}, {"max_total": 1}])
def test_a_delete_is_not_held_back_by_a_deploy_of_a_name_that_exists(
    deploy: Mapping[str, Any], kind: str, limits: Mapping[str, int]
) -> None:
    async def main() -> None:
        world = full(**limits)
        world.ask("else", requestId="r-2")
        world.start()
        await asyncio.sleep(60)
        world.ask("bot", MODEL if not deploy else OTHER_MODEL, requestId="r-1", **deploy)
        await asyncio.sleep(60)
        world.send({"action": "delete", "customModelDeploymentIdentifier": "bot", "requestId": "d-1"})
        await world.until(lambda: len(world.topic.terminal()) == 3, SOON_SECONDS)
        assert world.outcome_of("r-1")["outcome"] == kind
        assert world.outcome_of("d-1")["outcome"] == "Deleted"
        assert world.outcome_of("r-2")["outcome"] == "Active"
        await world.stop()

    run(main())


@pytest.mark.parametrize("limits", [{}, {"max_total": 1}])
def test_a_replacement_does_not_wait_for_the_slot_of_what_it_replaces(limits: Mapping[str, int]) -> None:
    async def main() -> None:
        world = full(**limits)
        world.ask("else", requestId="r-2")
        world.start()
        await asyncio.sleep(60)
        world.ask("bot", OTHER_MODEL, requestId="r-1", ifExists="replace", priority=9)
        await world.until(lambda: len(world.topic.terminal()) == 1, SOON_SECONDS)
        assert world.outcome_of("r-1")["outcome"] == "Active"
        await world.stop()

    run(main())


def test_an_update_is_not_held_back_by_a_deploy_of_a_name_that_is_made_elsewhere_meanwhile() -> None:
    async def main() -> None:
        world = full(max_total=1)
        world.start()
        world.ask("cat", requestId="r-1")
        await asyncio.sleep(60)
        world.account.rule(creation_seconds=(0.0, 0.0))
        world.account.add("cat", MODEL, {REQUEST_TAG: "r-9", RECEIVED_TAG: LONG_AGO})
        world.send({"action": "update", "customModelDeploymentIdentifier": "cat", "requestId": "u-1", "modelArn": OTHER_MODEL})
        await world.until(lambda: len(world.topic.terminal()) == 2, SOON_SECONDS)
        assert world.outcome_of("u-1")["outcome"] == "Updated"
        await world.stop()

    run(main())


def test_a_cancel_is_not_held_back_by_a_deploy_that_waits() -> None:
    async def main() -> None:
        world = full(max_total=1)
        world.start()
        world.ask("cat", requestId="r-1")
        await asyncio.sleep(60)
        world.send({"action": "cancel", "cancels": "r-1", "requestId": "c-1"})
        await world.until(lambda: len(world.topic.terminal()) == 2, SOON_SECONDS)
        assert world.outcome_of("r-1")["outcome"] == "Cancelled"
        await world.stop()

    run(main())
