"""Bugs that the simulation found (tests/simulation), each as small as possible, with the seed that showed it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from slipway.core.bedrock import ModelState
from slipway.core.call_errors import Throttled
from slipway.core.requests.models import Deploy
from slipway.core.scheduling.quota import Counts, Quota
from slipway.core.sqs.continuations import Delivery
from slipway.core.sqs.messages import Message, QueueTraits
from slipway.worker.kernel.interrupts import LeaseLost, Stopping, Wait, complete
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.retry import no_progress
from slipway.worker.kernel.telemetry import Counters
from slipway.worker.queue.intake import Intake
from slipway.worker.queue.leases import Leases
from slipway.worker.scheduling.slots import Slots
from tests.simulator.bedrock import Rules
from tests.simulator.callers import Callers
from tests.simulator.simulation import MODEL, World
from tests.simulator.sqs import Queue, SqsQueue
from tests.simulator.virtual_loop import run
from tests.simulator.wire_faults import Fault, Wire, no_faults


def test_a_request_that_was_handed_on_is_looked_for_before_it_takes_a_slot() -> None:
    """Seed 0: its own deployment may be what fills the account."""

    async def main() -> None:
        world = World(rules=Rules(max_total=1, quota_first=True, token_seconds=0.0), max_receive_count=1)
        world.start("a")
        world.ask("bot")
        await world.until(lambda: len(world.account.made) == 1)
        await world.stop("a")
        world.start("b")
        await world.all_answered(3000)
        assert world.outcomes() == {"bot": "Active"}
        assert world.wire.calls["CreateCustomModelDeployment"] == 1
        await world.stop("b")

    run(main())


def test_a_message_that_comes_again_here_for_the_last_time_is_handed_on_at_once() -> None:
    """Seeds 1 and 40: the hold kept its first receive count, and a kill then sent the message to the dead-letter queue."""

    async def main() -> None:
        world = World(max_receive_count=2)
        world.start("a")
        letter = world.ask("bot")
        await world.until(lambda: len(world.account.made) == 1)
        world.sqs.lapse(letter)
        await asyncio.sleep(10)
        world.kill("a")
        world.start("b")
        await world.all_answered(3000)
        assert not world.dead.all
        assert world.outcomes() == {"bot": "Active"}
        await world.stop("b")

    run(main())


def test_a_refusal_from_before_the_model_was_active_is_not_believed() -> None:
    """Seed 73: the create was refused because of the model, which was Active by the time it was asked about."""

    async def main() -> None:
        world = World(
            rules=Rules(models={MODEL: ModelState.CREATING}),
            plan=lambda op, n: Fault.REQUEST_LOST if op == "GetCustomModel" and n == 1 else None,
        )
        world.start()
        world.ask("bot")
        await asyncio.sleep(5)
        world.account.rule(models={})
        await world.all_answered()
        assert world.outcomes() == {"bot": "Active"}
        await world.stop()

    run(main())


def test_a_request_that_times_out_behind_another_leaves_its_watch_alone() -> None:
    """Seed 173: its last look found the deployment, and on its way out it had the watcher forget it."""

    async def main() -> None:
        world = World(
            rules=Rules(creation_seconds=(600.0, 600.0)),
            plan=lambda op, n: Fault.SLOW if op == "GetCustomModelDeployment" and n == 2 else None,
        )
        world.start("a")
        world.ask("bot", requestId="first")
        world.ask("bot", requestId="second", timeout=60)
        await asyncio.sleep(30)
        world.kill("a")
        world.start("b")
        await world.all_answered(1000)
        assert [each.event["data"]["outcome"] for each in world.topic.terminal()] == ["TimedOut", "Active"]
        await world.stop("b")

    run(main())


def test_told_to_stop_as_it_begins_nothing_is_received() -> None:
    """Seed 93: the first poll had been decided on, and not sent."""

    async def main() -> None:
        world = World()
        world.ask("bot")
        replica = world.start()
        asyncio.get_running_loop().call_soon(replica.slipway.stop, context=replica.context)
        await replica.task
        assert world.wire.calls["ReceiveMessage"] == 0

    run(main())


def test_an_interruption_before_the_line_for_a_slot_leaves_no_place_in_it() -> None:
    """Seed 435: the place was granted later, to nobody, and its slot never came back."""

    async def main() -> None:
        slots = Slots(Quota(max_creating=1), weights={}, in_creation=lambda: 0, request_sweep=lambda: None, counters=Counters())
        lease = Lease(Delivery.of(Message("m", "", "r", 1, 0.0, 0.0)), 60.0)
        lease.interrupt(Stopping)
        with pytest.raises(Stopping):
            await slots.grant(
                lease, Deploy(identity="i", request_id="r", name="bot", timeout=1.0, model_arn=MODEL), no_progress
            )
        slots.swept(Counts(0, 0))
        assert slots.has_room()

    run(main())


def test_a_look_from_before_a_long_wait_in_line_is_not_relied_on() -> None:
    """Seed 32: nothing was to be seen of its deployment yet; when its slot came the look was old, and it made a second one."""

    async def main() -> None:
        rules = Rules(
            creation_seconds=(200.0, 200.0), failing=1.0, failed_holds_name=False, token_seconds=0.0, get_lag_seconds=90.0
        )
        world = World(rules=rules, terms={"max_creating": 1, "visibility_timeout": 30})
        world.start()
        world.ask("bot")
        await world.until(lambda: len(world.account.made) == 1)
        world.kill("a")
        world.start("b")
        await world.all_answered()
        assert (world.outcomes(), len(world.account.made)) == ({"bot": "Failed"}, 1)
        await world.stop("b")

    run(main())


def test_a_lease_that_is_lost_while_it_looks_again_makes_nothing_any_more() -> None:
    """Seeds 100633 and 100979: what had waited in line looked once more, lost its lease meanwhile, and created."""

    async def main() -> None:
        world = World(rules=Rules(creation_seconds=(300.0, 300.0)), terms={"max_creating": 1})
        world.start("a")
        world.ask("first")
        world.ask("bot")
        await world.until(lambda: len(world.account.made) == 1)
        world.kill("a")
        slipway = world.start("b").slipway

        def plan(operation: str, _: int) -> Fault | None:
            if operation == "GetCustomModelDeployment" and slipway.slots.under_way:
                for lease in slipway.leases:
                    lease.interrupt(LeaseLost)
            return None

        world.wire.plan = plan
        await world.until(lambda: slipway.counters.settlements["Abandon"] > 0)
        assert world.wire.calls["CreateCustomModelDeployment"] == 1
        world.wire.plan = no_faults
        await world.all_answered()
        assert world.outcomes() == {"first": "Active", "bot": "Active"}
        await world.stop("b")

    run(main())


def test_told_to_stop_while_a_poll_waits_for_its_turn_it_is_not_sent() -> None:
    """Seed 126: the limiter had it wait after a throttle, and let it go after SIGTERM."""

    async def main() -> None:
        sent: list[int] = []

        class Source:
            async def receive(self, limit: int, *, wait_seconds: int, attempt: str | None, wait: Wait) -> Sequence[Message]:
                turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                asyncio.get_running_loop().call_later(60.0, complete, turn)
                await wait(turn, Throttled("ReceiveMessage", "RequestThrottled"))
                sent.append(limit)
                return ()

        rng, tally = random.Random(1), Counters()
        leases = Leases(
            Queue(SqsQueue(), Wire(rng), Callers(rng, 10.0)),
            lease_seconds=60,
            max_held=1,
            traits=QueueTraits(),
            rng=rng,
            counters=tally,
        )
        intake = Intake(Source(), leases, lambda _: None, max_held=1, is_fifo=False, rng=rng, counters=tally)
        running = asyncio.ensure_future(intake.run())
        await asyncio.sleep(1.0)
        intake.stop()
        await running
        assert not sent

    run(main())
