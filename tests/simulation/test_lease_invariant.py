"""The monitor knows a lease from a lost one, however long the message is hidden."""

from __future__ import annotations

import asyncio
import json

import pytest

from slipway.worker.kernel.interrupts import ContinuationDue
from tests.simulation.monitor import Monitor
from tests.simulation.recorder import Life
from tests.simulator.simulation import World
from tests.simulator.virtual_loop import VirtualLoop, run
from tests.simulator.wire_faults import Fault

VISIBILITY = 30
HIDDEN_SECONDS = 120


@pytest.mark.parametrize("halted_seconds", [VISIBILITY * 2, HIDDEN_SECONDS * 2])
def test_a_message_that_was_hidden_for_its_continuation_is_leased_for_as_long_as_it_is_hidden(halted_seconds: int) -> None:
    async def main() -> None:
        world = World(terms={"visibility_timeout": VISIBILITY, "timeout": 3600.0, "max_held": 5})
        monitor, loop = Monitor(world), asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        world.watch(monitor)
        denied = {"CreateCustomModelDeployment", "SendMessageBatch"}
        world.wire.plan = lambda operation, _: Fault.DENIED if operation in denied else None
        letter = world.ask("bot")
        monitor.ask(letter, json.loads(letter.body), 3600.0)
        replica = world.start("a")
        monitor.books.lives["a"] = Life(replica, loop.time())
        await world.until(lambda: world.wire.calls["CreateCustomModelDeployment"] > 0, 60)
        (lease,) = replica.slipway.leases
        loop.call_soon(lease.interrupt, ContinuationDue, context=replica.context)
        await world.until(lambda: world.wire.calls["SendMessageBatch"] > 0, 60)
        assert letter.visible_at - world.sqs.now() > HIDDEN_SECONDS - 1
        loop.stop_process("a")
        await asyncio.sleep(halted_seconds)
        denied.remove("CreateCustomModelDeployment")
        loop.continue_process("a")
        await world.until(lambda: len(world.account.made) == 1, 300)
        assert not monitor.books.broken
        assert letter.receive_count == (1 if halted_seconds < HIDDEN_SECONDS else 2)
        await world.stop("a")

    run(main())
