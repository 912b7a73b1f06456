"""Interruptions end waits, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from slipway.core.sqs.continuations import Delivery
from slipway.core.sqs.messages import Message
from slipway.worker.kernel.batches import Batches
from slipway.worker.kernel.interrupts import DeadlinePassed, LeaseLost, Stopping, Waits
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.retry import no_progress
from slipway.worker.scheduling.ordering import RequestOrder
from tests.simulator.virtual_loop import Deadlock, run


def a_hold(lease: float = 120.0) -> Lease:
    return Lease(Delivery.of(Message("m-1", "{}", "r-1", 1, 5000.0, 5000.0)), lease)


def test_an_interruption_ends_the_wait_and_every_later_one() -> None:
    async def main() -> None:
        waits, loop = Waits(), asyncio.get_running_loop()
        loop.call_later(5, waits.interrupt, Stopping)
        with pytest.raises(Stopping):
            await waits.pause(60)
        assert loop.time() == pytest.approx(1005)
        with pytest.raises(Stopping):
            await waits.pause(0)

    run(main())


def test_the_more_urgent_interruption_is_told() -> None:
    async def main() -> None:
        lease = a_hold()
        lease.interrupt(Stopping)
        lease.interrupt(LeaseLost)
        with pytest.raises(LeaseLost):
            lease.check()

    run(main())


def test_a_deadline_holds_within_its_block_only() -> None:
    async def main() -> None:
        waits, loop = Waits(), asyncio.get_running_loop()
        with pytest.raises(DeadlinePassed), waits.until(loop.time() + 3):
            await waits.pause(10)
        await waits.pause(1)
        with pytest.raises(DeadlinePassed), waits.until(loop.time() - 1):
            waits.check()

    run(main())


def test_sleeping_through_the_end_of_a_lease_loses_it() -> None:
    async def main() -> None:
        lease = a_hold(lease=30)
        with pytest.raises(LeaseLost):
            await lease.pause(31)
        with pytest.raises(LeaseLost):
            lease.check_lease()

    run(main())


def test_stopping_does_not_stop_what_only_needs_the_lease() -> None:
    async def main() -> None:
        lease = a_hold()
        lease.interrupt(Stopping)
        lease.check_lease()

    run(main())


def test_a_hold_tells_the_queues_time_not_this_machines() -> None:
    async def main() -> None:
        lease = a_hold()
        await lease.pause(7)
        assert lease.now() == pytest.approx(5007.0)
        assert lease.loop_time(5010.0) == pytest.approx(asyncio.get_running_loop().time() + 3)

    run(main())


def test_a_simulation_that_can_never_end_is_a_deadlock() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock):
        run(main())


def test_turns_go_in_order_and_close_up_when_one_leaves() -> None:
    async def main() -> None:
        turns, order = RequestOrder(), []
        holds = [a_hold() for _ in range(4)]

        async def work(number: int) -> None:
            try:
                with turns.position(["name"], holds[number]) as turn:
                    await turn.wait_until_first(no_progress)
                    order.append(number)
                    await asyncio.sleep(1)
            except Stopping:
                order.append(-number)

        tasks = [asyncio.ensure_future(work(number)) for number in range(4)]
        await asyncio.sleep(0.5)
        assert len(turns) == 3
        holds[1].interrupt(Stopping)
        await asyncio.gather(*tasks)
        assert order == [0, -1, 2, 3]
        assert len(turns) == 0

    run(main())


def test_a_batch_goes_when_it_is_full_or_has_lingered() -> None:
    async def main() -> None:
        sent: list[list[int]] = []

        async def send(batch: object) -> list[None]:
            sent.append(list(batch))  # type: ignore[call-overload]
            return [None] * len(sent[-1])

        batches: Batches[int] = Batches(send, linger=0.05, parallel=2)
        answers = [batches.put(number) for number in range(23)]
        assert await asyncio.gather(*answers) == [None] * 23
        assert [len(batch) for batch in sent] == [10, 10, 3]

    run(main())


def test_an_entry_that_nobody_waits_for_any_more_is_not_sent() -> None:
    async def main() -> None:
        sent: list[int] = []

        async def send(batch: object) -> list[None]:
            sent.extend(batch)  # type: ignore[arg-type]
            return [None] * 1

        batches: Batches[int] = Batches(send, linger=0.05, parallel=1)
        batches.put(1).cancel()
        await batches.put(2)
        await batches.drain()
        assert sent == [2]

    run(main())


def test_a_batch_stays_within_its_size() -> None:
    async def main() -> None:
        sent: list[list[int]] = []

        async def send(batch: object) -> list[None]:
            sent.append(list(batch))  # type: ignore[call-overload]
            return [None] * len(sent[-1])

        batches: Batches[int] = Batches(send, linger=0.05, parallel=1, size=lambda number: number, largest=100)
        await asyncio.gather(*[batches.put(60), batches.put(40), batches.put(30), batches.put(500)])
        assert sent == [[60, 40], [30], [500]]

    run(main())
