"""What a daemon remembers of the requests that it has finished: how each came to its end, and no more than so many."""

from __future__ import annotations

import asyncio

import pytest

from slipway.core.diagnostics.status import FinishedRequest
from slipway.core.sqs.continuations import Delivery
from slipway.core.sqs.messages import Message
from slipway.worker.kernel.lease import Lease
from slipway.worker.publishing.publisher import ENTRIES, TIMES, History
from tests.simulator.bedrock import Rules
from tests.simulator.simulation import World
from tests.simulator.virtual_loop import run


def test_a_story_tells_what_was_waited_for_and_how_it_ended() -> None:
    async def main() -> None:
        world = World(rules=Rules(max_creating=1, creation_seconds=(600.0, 600.0)))
        world.start()
        for name in ("first", "second"):
            world.ask(name, requestId=name)
            await asyncio.sleep(1.0)
        await world.all_answered()
        history = world.replicas["a"].slipway.history
        first, second = history
        assert [wait.reason for wait in first.waited] == ["InCreation"]
        assert [wait.reason for wait in second.waited] == ["NoSlot", "InCreation"]
        assert second.received_at < second.waited[0].since < second.waited[1].since < second.finished.at
        assert (second.finished.outcome, second.finished.request_id, second.receive_count) == ("Active", "second", 1)
        assert history.active_seconds == pytest.approx((600.0, 1200.0), abs=40.0)
        await world.stop()

    run(main())


def test_however_much_ends_only_so_much_is_kept() -> None:
    async def main() -> None:
        history = History()
        lease = Lease(Delivery.of(Message("m", "", "", 1, 1000.0, 1000.0)), 120.0)
        for number in range(3 * ENTRIES):
            history.add(
                FinishedRequest(request_id=str(number), message_id="m", outcome="Active", event_id="e", at=1001.0), lease
            )
        assert (len(history), len(history.active_seconds)) == (ENTRIES, TIMES)
        assert next(iter(history)).finished.request_id == str(2 * ENTRIES)

    run(main())
