"""What ends a request's coroutine, or a task that must run, from outside: it is seen, and nothing stays held."""

from __future__ import annotations

import asyncio

from slipway.http.health import LoopLagMonitor, is_alive
from tests.simulator.simulation import World
from tests.simulator.virtual_loop import run


def test_a_request_whose_coroutine_is_cancelled_lets_go_of_its_lease_and_is_a_fault() -> None:
    async def main() -> None:
        world = World()
        slipway = world.start().slipway
        world.ask("bot")
        await world.until(lambda: len(world.account.existing()) == 1)
        (task,) = slipway._tasks  # noqa: SLF001  nothing in the daemon cancels it: a library might
        task.cancel()
        await world.until(lambda: not len(slipway.leases), 1.0)
        assert slipway.counters.faults == 1
        await world.all_answered()
        assert world.outcomes() == {"bot": "Active"}
        assert len(world.account.made) == 1
        await world.stop()

    run(main())


def test_a_task_that_must_run_and_has_ended_makes_the_daemon_unhealthy() -> None:
    async def main() -> None:
        world = World()
        slipway, pulse, began = world.start().slipway, LoopLagMonitor(), asyncio.get_running_loop().time()
        beating = asyncio.get_running_loop().create_task(pulse.run())
        await asyncio.sleep(1.0)
        assert is_alive(slipway, pulse, began)[0]
        slipway._vital_tasks["leases"].cancel()  # noqa: SLF001  as above
        await asyncio.sleep(0.1)
        assert is_alive(slipway, pulse, began) == (False, "the task of leases has ended")
        slipway.stop()
        assert slipway.dead_task is None, "stopping, every task ends"
        await world.replicas.pop("a").task
        beating.cancel()

    run(main())


def test_a_task_beside_the_requests_counts_too() -> None:
    async def main() -> None:
        world = World()
        slipway, pulse, began = world.start().slipway, LoopLagMonitor(), asyncio.get_running_loop().time()
        pulse.beside["pulse"] = asyncio.get_running_loop().create_task(asyncio.sleep(0.1))
        await asyncio.sleep(0.2)
        assert is_alive(slipway, pulse, began) == (False, "the task of pulse has ended")
        await world.stop()

    run(main())
