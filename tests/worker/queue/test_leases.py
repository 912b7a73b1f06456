"""Leases are kept, lost, and given back, against a queue whose visibility timeouts really run out."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from itertools import pairwise

import pytest

from slipway.core.sqs import continuations
from slipway.core.sqs.messages import Message, QueueTraits
from slipway.worker.kernel.interrupts import ContinuationDue, LeaseLost
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.telemetry import Counters
from slipway.worker.queue.intake import BUSY_POLL_SECONDS, Intake
from slipway.worker.queue.leases import LONGEST_HOLD_SECONDS, LOOKED_AFTER_AT_ONCE, Leases
from tests.simulator.callers import Callers
from tests.simulator.sqs import Queue, SqsQueue
from tests.simulator.virtual_loop import run
from tests.simulator.wire_faults import Fault, Wire


class Bench:
    """A queue, custody of it, and an intake that only collects."""

    def __init__(self, *, visibility: int = 120, max_held: int = 200, fifo: bool = False) -> None:
        rng = random.Random(1)
        self.sqs = SqsQueue(visibility=visibility, fifo=fifo)
        self.wire = Wire(rng)
        self.queue = Queue(self.sqs, self.wire, Callers(rng, min(10.0, visibility / 3)))
        self.tally = Counters()
        self.leases = Leases(
            self.queue, lease_seconds=visibility, max_held=max_held, traits=QueueTraits(), rng=rng, counters=self.tally
        )
        self.holds: list[Lease] = []
        self.begin: Callable[[Lease], None] = self.holds.append
        self.intake = Intake(
            self.queue, self.leases, self._begin, max_held=max_held, is_fifo=fifo, rng=rng, counters=self.tally
        )
        self.tasks = [asyncio.ensure_future(self.leases.run()), asyncio.ensure_future(self.intake.run())]

    def _begin(self, lease: Lease) -> None:
        self.begin(lease)

    def assert_lasts_no_longer_than_hidden(self, lease: Lease) -> None:
        """A message is hidden for as long as its lease is taken to last, but for the second that a call may take."""
        hidden = self.sqs.letters[lease.message.message_id].visible_at - self.sqs.now()
        left = lease.lease_until - asyncio.get_running_loop().time()
        assert left <= max(0.0, hidden) + 1.0

    async def until(self, happened: Callable[[], bool]) -> None:
        while not happened():  # noqa: ASYNC110  the queue notifies nobody
            await asyncio.sleep(0.01)

    async def end(self) -> None:
        self.intake.stop()
        self.leases.stop()
        await asyncio.gather(*self.tasks)


def test_a_held_message_is_nobody_elses_for_as_long_as_it_is_held() -> None:
    async def main() -> None:
        bench = Bench()
        bench.sqs.put("{}")
        await asyncio.sleep(3600)
        assert [letter.receive_count for letter in bench.sqs.all] == [1]
        assert 59 <= bench.tally.leases_extended <= 62
        await bench.end()

    run(main())


def test_what_is_released_is_visible_at_once() -> None:
    async def main() -> None:
        bench = Bench()
        bench.sqs.put("{}")
        await asyncio.sleep(1)
        await bench.leases.release(bench.holds[0])
        await asyncio.sleep(1)
        assert [lease.message.receive_count for lease in bench.holds] == [1, 2]
        await bench.end()

    run(main())


def test_what_is_deleted_stays_deleted_even_when_entries_fail_alone() -> None:
    async def main() -> None:
        bench = Bench()
        for _ in range(25):
            bench.sqs.put("{}")
        await asyncio.sleep(1)
        bench.queue.fail_entries = 7
        await asyncio.gather(*(bench.leases.delete(lease) for lease in bench.holds))
        assert bench.queue.failed["DeleteMessageBatch"] == 7
        assert not bench.sqs.letters
        await bench.end()

    run(main())


def test_throttled_extends_do_not_lose_a_lease() -> None:
    async def main() -> None:
        bench = Bench(visibility=60)
        bench.sqs.put("{}")
        await asyncio.sleep(1)
        bench.wire.plan = lambda operation, number: Fault.THROTTLED if operation.startswith("Change") and number % 3 else None
        await asyncio.sleep(1800)
        assert bench.tally.leases_lost == 0
        assert bench.sqs.all[0].receive_count == 1
        await bench.end()

    run(main())


def test_a_lease_that_cannot_be_extended_is_lost_and_known_to_be() -> None:
    async def main() -> None:
        bench = Bench(visibility=60)
        bench.sqs.put("{}")
        await asyncio.sleep(1)
        bench.wire.plan = lambda operation, _: Fault.DENIED if operation.startswith("Change") else None
        bench.intake.stop()
        with pytest.raises(LeaseLost):
            await bench.holds[0].pause(100)
        assert bench.tally.leases_lost == 1
        await bench.end()

    run(main())


def test_what_is_known_to_be_lost_is_neither_handed_on_nor_given_back_any_more() -> None:
    async def main() -> None:
        bench = Bench()
        bench.sqs.put("{}")
        await asyncio.sleep(1)
        bench.wire.plan = lambda operation, _: Fault.DENIED if operation == "SendMessageBatch" else None
        (lease,) = bench.holds
        handed_on = asyncio.ensure_future(
            bench.leases.send_continuation(lease, continuations.write_continuation(lease.delivery, is_fifo=False))
        )
        await asyncio.sleep(5)
        hidden = bench.wire.calls["ChangeMessageVisibilityBatch"]
        assert hidden == 1, "a message is hidden before it is continued"
        lease.interrupt(LeaseLost)
        assert await handed_on is not None
        assert asyncio.get_running_loop().time() < lease.lease_until
        await bench.leases.release(lease)
        assert bench.wire.calls["ChangeMessageVisibilityBatch"] == hidden
        await bench.end()

    run(main())


def test_the_same_message_twice_is_one_piece_of_work_with_the_newer_receipt() -> None:
    async def main() -> None:
        bench = Bench()
        bench.sqs.duplicate_next = 1
        bench.sqs.put("{}")
        await asyncio.sleep(1)
        assert len(bench.holds) == 1
        assert bench.tally.duplicate_deliveries == 1
        await bench.leases.delete(bench.holds[0])
        assert not bench.sqs.letters
        await bench.end()

    run(main())


@pytest.mark.parametrize("after", [0.0, 1.0])
def test_a_message_received_again_while_it_is_handed_on_is_handed_on_under_its_newer_receipt(after: float) -> None:
    async def main() -> None:
        bench = Bench()
        bench.sqs.put("{}")
        (letter,) = bench.sqs.letters.values()
        await asyncio.sleep(1)
        (lease,) = bench.holds
        older = lease.receipt
        bench.wire.plan = lambda operation, _: Fault.SLOW if operation == "ChangeMessageVisibilityBatch" else None
        handing_on = asyncio.ensure_future(
            bench.leases.send_continuation(lease, continuations.write_continuation(lease.delivery, is_fifo=False))
        )
        await asyncio.sleep(after)
        bench.sqs.lapse(letter)
        assert await handing_on is None
        assert lease.receipt != older
        bench.assert_lasts_no_longer_than_hidden(lease)
        await bench.leases.delete(lease)
        await asyncio.sleep(1)
        assert len(bench.sqs.letters) == 1
        assert letter.message_id not in bench.sqs.letters
        await bench.end()

    run(main())


@pytest.mark.parametrize("answered", list(range(1, 7)))
def test_a_lease_is_never_taken_to_last_longer_than_the_message_is_hidden(answered: int) -> None:
    """An extension and the hiding before a continuation are under way at once; either may be applied last."""

    async def main() -> None:
        bench = Bench()
        bench.sqs.put("{}")
        await asyncio.sleep(1)
        bench.intake.stop()
        (lease,) = bench.holds
        changes = "ChangeMessageVisibilityBatch"
        bench.wire.plan = lambda operation, number: (
            Fault.THROTTLED if operation == "SendMessageBatch" or (operation == changes and number != answered) else None
        )
        await bench.until(lambda: lease.is_extending)
        continuation = continuations.write_continuation(lease.delivery, is_fifo=False)
        continued = asyncio.ensure_future(bench.leases.send_continuation(lease, continuation))
        await bench.until(lambda: bench.wire.calls[changes] >= answered)
        bench.wire.plan = lambda operation, _: Fault.THROTTLED if operation == "SendMessageBatch" else None
        for _ in range(300):
            await asyncio.sleep(1)
            bench.assert_lasts_no_longer_than_hidden(lease)
        lease.interrupt(LeaseLost)
        await continued
        await bench.end()

    run(main())


def test_before_the_twelve_hours_of_sqs_a_hold_is_told() -> None:
    async def main() -> None:
        bench = Bench()
        bench.sqs.put("{}")
        await asyncio.sleep(1)
        with pytest.raises(ContinuationDue):
            await bench.holds[0].pause(12 * 3600)
        assert bench.holds[0].now() - bench.holds[0].message.received_at == pytest.approx(LONGEST_HOLD_SECONDS, abs=15)
        await bench.end()

    run(main())


def test_while_many_leases_are_looked_after_everybody_else_has_a_turn() -> None:
    async def main() -> None:
        bench = Bench()
        leases = Leases(
            bench.queue, lease_seconds=120, max_held=2000, traits=QueueTraits(), rng=random.Random(1), counters=bench.tally
        )
        messages = [Message(f"m{number}", "{}", f"r{number}", 1, 0.0, 0.0) for number in range(3 * LOOKED_AFTER_AT_ONCE)]
        *holds, last = [lease for message in messages if (lease := leases.take(message))]
        await asyncio.sleep(61)
        running = asyncio.ensure_future(leases.run())
        seen = [0]
        while seen[-1] < len(holds):
            await asyncio.sleep(0)
            seen.append(sum(lease.is_extending for lease in holds))
            leases.discard(last)
        assert max(after - before for before, after in pairwise(seen)) <= LOOKED_AFTER_AT_ONCE
        assert not last.is_extending, "it was let go before its turn"
        leases.stop()
        await running
        await bench.end()

    run(main())


def test_no_more_is_held_than_the_setting_says() -> None:
    async def main() -> None:
        bench = Bench(max_held=25)
        for _ in range(100):
            bench.sqs.put("{}")
        await asyncio.sleep(60)
        assert len(bench.leases) == 25
        await asyncio.gather(*(bench.leases.delete(lease) for lease in bench.holds[:5]))
        await asyncio.sleep(60)
        assert len(bench.leases) == 25
        await bench.end()

    run(main())


def test_one_poll_when_idle_and_several_under_load() -> None:
    async def main() -> None:
        bench = Bench(max_held=1000)
        await asyncio.sleep(3600)
        assert bench.wire.calls["ReceiveMessage"] <= 181
        for _ in range(500):
            bench.sqs.put("{}")
        began = bench.wire.calls["ReceiveMessage"]
        await asyncio.sleep(3)
        assert len(bench.holds) == 500
        assert bench.wire.calls["ReceiveMessage"] - began <= 60
        await bench.end()

    run(main())


@pytest.mark.parametrize("hours", [2, 5, 12])
def test_a_long_lease_is_kept_up_to_the_limit_of_sqs_and_never_lost(hours: int) -> None:
    """SQS refuses to extend a lease beyond twelve hours after the receive, and a refused lease counts as lost."""

    async def main() -> None:
        bench = Bench(visibility=hours * 3600)
        bench.sqs.put("{}")
        await asyncio.sleep(LONGEST_HOLD_SECONDS + 3000)
        (lease,) = bench.holds
        with pytest.raises(ContinuationDue):
            lease.check()
        assert not lease.is_lost
        assert bench.tally.leases_lost == 0
        assert [letter.receive_count for letter in bench.sqs.all] == [1]
        await bench.end()

    run(main())


def test_a_daemon_that_was_full_for_long_is_healthy_as_soon_as_there_is_room() -> None:
    async def main() -> None:
        bench = Bench(max_held=1)
        loop = asyncio.get_running_loop()

        def silence() -> float | None:
            """For how long a receive under way has been silent, as the liveness check counts it."""
            return loop.time() - (bench.intake.last_ended_at or 0.0) if bench.intake.is_polling else None

        bench.sqs.put("{}")
        await asyncio.sleep(600)
        assert silence() is None, "it is full"
        bench.leases.discard(bench.holds[0])
        for _ in range(5):
            await asyncio.sleep(0)
            assert (silence() or 0.0) < 1.0
        assert silence() is not None
        await bench.end()

    run(main())


def test_polls_are_paced_while_what_they_bring_is_sent_back_though_there_is_room() -> None:
    """Those behind a request that is away are sent back at once, and keep no place."""

    async def main() -> None:
        bench = Bench(max_held=20)

        def send_back(lease: Lease) -> None:
            bench.leases.postponed_at = asyncio.get_running_loop().time()
            sent_back.append(asyncio.ensure_future(bench.leases.release(lease, 15)))

        sent_back: list[asyncio.Future[None]] = []
        bench.begin = send_back
        for _ in range(200):
            bench.sqs.put("{}")
        await asyncio.sleep(60)
        assert len(sent_back) >= 200, "each comes in time"
        assert bench.wire.calls["ReceiveMessage"] <= 60 / BUSY_POLL_SECONDS + 2
        await bench.end()

    run(main())
