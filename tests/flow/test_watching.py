"""A sweep that finds much wakes it little by little."""

from __future__ import annotations

import asyncio
import random

from service.core.deployments import Deployment, Page, Status
from service.flow.tally import Tally
from service.flow.waits import Wait
from service.flow.watcher import WOKEN_AT_ONCE, Watcher
from tests.world.loop import run

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
            lists, interval=1.0, rng=random.Random(1), tally=Tally(), needs_counts=lambda: False, counted=lambda _: None
        )
        woken = 0

        async def live(number: int) -> None:
            nonlocal woken
            await watcher.ended(f"arn-{number}", 0.0)
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
