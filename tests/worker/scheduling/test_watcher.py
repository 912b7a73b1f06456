"""A sweep that finds much wakes it little by little."""

from __future__ import annotations

import asyncio
import random

import pytest

from slipway.core.bedrock import Deployment, Page, Status
from slipway.core.requests.targets import DEFAULT
from slipway.worker.kernel.interrupts import Wait
from slipway.worker.kernel.telemetry import Counters
from slipway.worker.scheduling.watcher import WOKEN_AT_ONCE, Watcher
from tests.simulator.bedrock import Rules
from tests.simulator.simulation import World
from tests.simulator.virtual_loop import run

MANY = 1000


class Lists:
    """Everything has ended."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def page(self, *, created_after: float | None, status: Status | None, token: str | None) -> Page:
        self.asked.set()
        ended = () if status is Status.FAILED else range(MANY)
        return Page(tuple(Deployment(f"arn-{n}", f"bot-{n}", "model", Status.ACTIVE, "Active", 0.0) for n in ended), None)

    async def get(self, identifier: str, *, wait: Wait | None = None) -> Deployment | None:
        raise AssertionError(identifier)


def test_when_a_thousand_end_at_once_others_have_their_turn_meanwhile() -> None:
    async def main() -> None:
        lists = Lists()
        watcher = Watcher(
            lists, interval=1.0, rng=random.Random(1), counters=Counters(), needs_counts=lambda: False, counted=lambda *_: None
        )
        woken = 0

        async def live(number: int) -> None:
            nonlocal woken
            await watcher.ended(f"arn-{number}", 0.0, is_seen=True)
            woken += 1

        lives = [asyncio.ensure_future(live(number)) for number in range(MANY)]
        sweeping = asyncio.ensure_future(watcher.run())
        await lists.asked.wait()
        longest, before = 0, 0
        while woken < MANY:
            await asyncio.sleep(0)
            longest, before = max(longest, woken - before), woken
        assert longest <= WOKEN_AT_ONCE
        watcher.stop()
        await asyncio.gather(sweeping, *lives)

    run(main())


@pytest.mark.parametrize("tokens", ["same", "cycle"])
@pytest.mark.parametrize("max_creating", [0, 50])
def test_a_list_that_does_not_end_costs_few_calls_and_hides_nothing(tokens: str, max_creating: int) -> None:
    """With a page of one deployment: what no page shows is asked for by Get, a few with each sweep."""

    async def main() -> None:
        rules = Rules(max_creating=50, max_total=100, creation_seconds=(300.0, 300.0), page_size=1)
        world = World(rules=rules, terms={"max_creating": max_creating})
        world.start()
        for number in range(12):
            world.ask(f"bot-{number}")
        await world.until(lambda: len(world.account.made) == 12)
        world.account.rule(list_tokens=tokens)
        before = world.wire.calls["ListCustomModelDeployments"]
        took = await world.until(lambda: len(world.outcomes()) == 12)
        assert set(world.outcomes().values()) == {"Active"}
        assert took < 500.0
        lists = world.wire.calls["ListCustomModelDeployments"] - before
        assert lists < 15 * took / 15.0 * 2, "no more than there are pages, with each sweep"
        watcher = world.replicas["a"].slipway.runtimes[DEFAULT].watcher
        assert watcher.last_failure is None or watcher.last_failure.code == "EndlessListing"
        await world.stop()

    run(main())
