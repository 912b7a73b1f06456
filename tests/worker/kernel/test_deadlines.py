"""Many deadlines under one timer end what one timer each would have ended."""

from __future__ import annotations

import asyncio
import random

import pytest

from slipway.worker.kernel.interrupts import DeadlinePassed, Deadlines, Waits
from tests.simulator.virtual_loop import Deadlock, run


@pytest.mark.parametrize("seed", range(20))
def test_each_wait_ends_at_its_own_deadline_whatever_becomes_of_the_others(seed: int) -> None:
    async def main() -> None:
        rng, loop, deadlines = random.Random(seed), asyncio.get_running_loop(), Deadlines()

        async def live() -> None:
            await asyncio.sleep(rng.uniform(0, 50))
            deadline, pause = loop.time() + rng.choice([1.0, rng.uniform(0, 100)]), rng.uniform(0, 100)
            begun, waits = loop.time(), Waits(deadlines)
            try:
                with waits.until(deadline):
                    await waits.pause(pause)
                assert loop.time() == pytest.approx(begun + pause)
                assert loop.time() <= deadline + 1e-6
            except DeadlinePassed:
                assert loop.time() == pytest.approx(deadline)
                assert deadline <= begun + pause + 1e-6
            waits.check()

        await asyncio.gather(*(live() for _ in range(100)))
        assert len(deadlines) == 0

    run(main())


def test_what_is_over_is_not_kept_until_its_deadline() -> None:
    async def main() -> None:
        deadlines, loop = Deadlines(), asyncio.get_running_loop()
        open_ones = [Waits(deadlines).until(loop.time() + 7200 + number % 10) for number in range(1000)]
        for until in open_ones:
            until.__enter__()
        assert len(deadlines) == 1000
        for until in open_ones[:900]:
            until.__exit__(None, None, None)
        assert len(deadlines) <= 200
        for until in open_ones[900:]:
            until.__exit__(None, None, None)
        assert len(deadlines) == 0

    run(main())


def test_no_timer_is_left_when_nothing_has_a_deadline() -> None:
    async def main() -> None:
        waits = Waits(Deadlines())
        with waits.until(asyncio.get_running_loop().time() + 10):
            waits.check()
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock):
        run(main())
