"""The leases of all messages: one loop extends them, and each message is settled exactly once.

While a message is leased no other consumer receives it. If this process dies, its visibility timeout ends and another
consumer receives the same message.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Final, Protocol

import structlog

from slipway.core.call_errors import CallFailed, ReceiptExpired, Refused, pause_seconds
from slipway.core.sqs.continuations import Delivery, hidden_seconds
from slipway.core.sqs.messages import Message, Outgoing, QueueTraits, attribute_bytes
from slipway.worker.kernel.batches import Batches
from slipway.worker.kernel.interrupts import ContinuationDue, Deadlines, LeaseLost, sleep_unless_set
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.retry import Retries
from slipway.worker.kernel.telemetry import Counters

log = structlog.get_logger()

LONGEST_HOLD_SECONDS: Final = 11 * 3600.0
"""SQS ends every lease twelve hours after the receive; an hour is left to send the continuation."""
LEASE_LIMIT_SECONDS: Final = 12 * 3600.0 - 60.0
"""The latest end of a lease after the receive that SQS accepts, less a minute for clocks and calls."""
LONGEST_ROUND_SECONDS: Final = 600.0
LONGEST_VISIBILITY_SECONDS: Final = 12 * 3600 - 120
"""Twelve hours after the receive, less two minutes for clocks and calls."""
SAME_SECONDS: Final = 60
"""Messages are hidden for whole minutes, so that several share a call."""
STOPPING_PATIENCE_SECONDS: Final = 5.0
LINGER_SECONDS: Final = 0.05
LOOKED_AFTER_AT_ONCE: Final = 250
"""How many leases one step of the loop looks at, so that other coroutines can run in between."""
PARALLEL_CALLS: Final = 8
SMALLEST_BUDGET_BYTES: Final = 32 * 1024 * 1024
SMALLEST_PLACE_BYTES: Final = 16 * 1024
"""Several times a usual request: the size of a place if `max_held` is large."""
LARGEST_BATCH_BYTES: Final = 1000 * 1024
"""SQS takes 1 MiB in one batch, ids and attribute types counted."""


def bytes_of_place(max_held: int) -> int:
    """Return the size in bytes of the largest message that takes one place; a larger one takes several.

    So `max_held` also bounds the memory for messages: 32 MiB, or 16 KiB per place if that is more. A message of 1 MiB, the
    largest that SQS accepts, always fits.
    """
    return max(SMALLEST_PLACE_BYTES, SMALLEST_BUDGET_BYTES // max_held)


class LeaseCalls(Protocol):
    """The SQS calls of leases."""

    async def extend(self, receipts: Sequence[str], seconds: int) -> Sequence[CallFailed | None]:
        """Hide at most ten messages for so many seconds from now; 0 releases them at once."""

    async def delete(self, receipts: Sequence[str]) -> Sequence[CallFailed | None]:
        """Delete at most ten messages."""

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[CallFailed | None]:
        """Send at most ten messages to the same queue."""


class Leases:
    """The leases of one queue, by message id."""

    def __init__(
        self,
        queue: LeaseCalls,
        *,
        lease_seconds: int,
        max_held: int,
        traits: QueueTraits,
        rng: random.Random,
        counters: Counters,
    ) -> None:
        self._queue = queue
        self._place_bytes = bytes_of_place(max_held)
        self.places = 0
        """The number of places taken: one for each message, more for a large one."""
        self._lease_seconds = lease_seconds
        self._traits = traits
        self._rng = rng
        self._counters = counters
        self._by_message_id: dict[str, Lease] = {}
        self._deadlines = Deadlines()
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._patience_ends = math.inf
        self.make_lease: Callable[[Delivery, float, Deadlines], Lease] = Lease
        self.changed = asyncio.Event()
        """Set when a lease has ended and its places are free."""
        self.postponed_at = -math.inf
        """When a request last gave its place up, by the event loop's clock."""
        self._extends = Batches[Lease](self._extend, linger=LINGER_SECONDS, parallel=PARALLEL_CALLS)
        self._deletes = Batches[Lease](self._delete, linger=LINGER_SECONDS, parallel=PARALLEL_CALLS)
        self._releases = Batches[Lease](self._release, linger=LINGER_SECONDS, parallel=PARALLEL_CALLS)
        self._hides = Batches(self._hide_each, linger=0.0, parallel=PARALLEL_CALLS)
        # Without linger: until it is sent, a kill costs one of the message's last receives.
        self._deletes_of_previous = Batches(queue.delete, linger=0.0, parallel=PARALLEL_CALLS)
        self._sends = Batches(queue.send, linger=0.0, parallel=PARALLEL_CALLS, size=_size_of, largest=LARGEST_BATCH_BYTES)

    def __len__(self) -> int:
        return len(self._by_message_id)

    def __iter__(self) -> Iterator[Lease]:
        return iter(list(self._by_message_id.values()))

    def take(self, message: Message) -> Lease | None:
        """Return a lease on a message; None if it is leased already and this is another delivery of it.

        The existing lease takes the newer receipt handle and a full visibility timeout.
        """
        delivery = Delivery.of(message.packed())
        message = delivery.message
        held = self._by_message_id.get(message.message_id)
        if held is not None:
            self._counters.duplicate_deliveries += 1
            if held.renew(delivery, self._lease_seconds):
                log.info("message.duplicated", message_id=message.message_id, receive_count=message.receive_count)
                if self._traits.should_continue(message.receive_count):
                    held.interrupt(ContinuationDue)  # if this process died now, SQS would move it to the dead-letter queue
                return None
            self.places -= held.places
        lease = self._by_message_id[message.message_id] = self.make_lease(delivery, self._lease_seconds, self._deadlines)
        lease.places = math.ceil(message.held_bytes / self._place_bytes)
        self.places += lease.places
        return lease

    def discard(self, lease: Lease) -> None:
        """Stop extending this lease. Safe to repeat."""
        if self._by_message_id.get(lease.message.message_id) is lease:
            del self._by_message_id[lease.message.message_id]
            self.places -= lease.places
            self.changed.set()

    async def run(self) -> None:
        """Extend every lease that is past its half, until stopped."""
        while not self._stopped.is_set():
            for number, lease in enumerate(self, 1):
                if self._by_message_id.get(lease.message.message_id) is lease:
                    self._extend_if_due(lease)
                if number % LOOKED_AFTER_AT_ONCE == 0:
                    await asyncio.sleep(0)
            await sleep_unless_set(min(self._lease_seconds / 12, LONGEST_ROUND_SECONDS), unless=self._stopped)

    def begin_shutdown(self) -> None:
        """Retry failing settlements only briefly: the daemon shuts down."""
        self._patience_ends = self._loop.time() + STOPPING_PATIENCE_SECONDS

    def stop(self) -> None:
        """End `run`."""
        self._stopped.set()

    async def delete(self, lease: Lease) -> None:
        """Delete a message whose outcome is published. Give up when the lease is over: it is then received again."""
        self.discard(lease)
        await self._settle(self._deletes, lease, "delete")

    async def release(self, lease: Lease, after: int = 0) -> None:
        """Make a message visible again, at once or after so many seconds. Give up when the lease is over."""
        self.discard(lease)
        if lease.is_lost:
            return None
        if not after:
            return await self._settle(self._releases, lease, "release")
        try:
            (failed,) = await self._queue.extend([lease.receipt], after)
        except CallFailed as whole:
            failed = whole.with_traceback(None)
        if failed is not None:
            log.info("release.failed", reason=failed.code, remedy="its lease runs out by itself")
        return None

    def delete_previous(self, receipt: str) -> asyncio.Future[CallFailed | None]:
        """Delete the previous message, in case its consumer died before it did so. Safe to repeat.

        The result of the future is the failure; None if SQS accepted the call.
        """
        return self._deletes_of_previous.put(receipt)

    def is_leased(self, lease: Lease) -> bool:
        """Return whether the message is still leased here, under this very lease."""
        return self._by_message_id.get(lease.message.message_id) is lease

    async def send_continuation(self, lease: Lease, continuation: Outgoing) -> CallFailed | None:
        """Send the continuation of a message; return the failure if it cannot be sent. The caller then deletes the message.

        A crash before that delete leaves both messages: the same request twice, which is harmless. First extend this message's
        visibility timeout until the new message is deleted or out of receives, so that this one is not continued twice. A
        request thus has at most three messages.
        """
        retries, failures, is_hidden = Retries(lease, self._rng), count(1), self._traits.is_fifo
        while True:
            receipt = lease.receipt
            # A message that is received again while it is leased uses up its receives: do not spend the time to extend it.
            is_hidden = is_hidden or lease.is_received_again
            failed = None if is_hidden else await self._hide(lease, continuation.delay_seconds)
            if failed is None:
                is_hidden = True
                failed = await self._sends.put(continuation)
            if failed is None:
                return None
            log.warning("continue.failed", reason=failed.code, message=str(failed))
            if isinstance(failed, ReceiptExpired) and lease.receipt != receipt:
                continue  # received again here meanwhile: only the older receipt has expired
            is_over = isinstance(failed, Refused | ReceiptExpired) or retries.is_over(failed)
            if is_over or not await self._may_try_again(lease, next(failures)):
                # The next extension makes its lease as short as before again.
                lease.lease_until = min(lease.lease_until, self._loop.time() + self._lease_seconds / 2)
                return failed

    async def _hide(self, lease: Lease, delay_seconds: int) -> CallFailed | None:
        """Make the message invisible until its continuation has been read, or has been received too often.

        The lease is taken to last as long only if nothing else has changed its end meanwhile: calls under way at the same time
        may be applied in any order.
        """
        now = self._loop.time()
        longest = LONGEST_VISIBILITY_SECONDS - int(now - lease.taken_at)
        seconds = delay_seconds + hidden_seconds(self._traits.max_receive_count, self._lease_seconds)
        seconds = min(math.ceil(seconds / SAME_SECONDS) * SAME_SECONDS, longest)
        if seconds < self._lease_seconds:
            return None
        is_alone, changes = not lease.is_extending, lease.changes
        failed = await self._hides.put((lease.receipt, seconds))
        if failed is None and is_alone and lease.changes == changes:
            lease.lease_until = max(lease.lease_until, now + seconds)
        return failed

    async def _hide_each(self, entries: Sequence[tuple[str, int]]) -> Sequence[CallFailed | None]:
        """Make each message invisible for its time; those of one time share a call."""
        answers: dict[str, CallFailed | None] = {}
        for seconds in {seconds for _, seconds in entries}:
            receipts = [receipt for receipt, other in entries if other == seconds]
            try:
                failed = await self._queue.extend(receipts, seconds)
            except CallFailed as whole:
                failed = [whole.with_traceback(None)] * len(receipts)
            answers |= zip(receipts, failed, strict=True)
        return [answers[receipt] for receipt, _ in entries]

    def _extend_if_due(self, lease: Lease) -> None:
        now = self._loop.time()
        if now >= lease.lease_until:
            self._lost(lease, "the lease ran out before it could be extended")
        elif now - lease.taken_at >= LONGEST_HOLD_SECONDS:
            lease.interrupt(ContinuationDue)
        is_worth_it = self._extendable_until(lease, now) >= lease.lease_until + self._lease_seconds / 12
        if lease.lease_until - now <= self._lease_seconds / 2 and is_worth_it and not lease.is_extending and not lease.is_lost:
            lease.is_extending = True
            lease.changes += 1
            receipt = lease.receipt
            self._extends.put(lease).add_done_callback(lambda answer: self._extended(lease, receipt, now, answer))

    def _extendable_until(self, lease: Lease, now: float) -> float:
        """Return the end of a lease that is extended now: SQS ends it twelve hours after the receive."""
        return min(now + self._lease_seconds, lease.taken_at + LEASE_LIMIT_SECONDS)

    def _extended(self, lease: Lease, receipt: str, asked_at: float, answer: asyncio.Future[CallFailed | None]) -> None:
        lease.is_extending = False
        if bug := answer.exception():
            self._counters.faults += 1
            log.error("extend.faulted", exc_info=bug, what=lease.what)
            return
        failed = answer.result()
        if isinstance(failed, ReceiptExpired) and lease.receipt != receipt:
            return  # received again here meanwhile: only the older receipt has expired
        if failed is None:
            self._counters.leases_extended += 1
            lease.lease_until = max(lease.lease_until, self._extendable_until(lease, asked_at))
        elif isinstance(failed, ReceiptExpired) and self._by_message_id.get(lease.message.message_id) is lease:
            self._lost(lease, str(failed))
        elif not isinstance(failed, ReceiptExpired):
            log.warning("extend.failed", reason=failed.code, message=str(failed), what=lease.what)

    def _lost(self, lease: Lease, error: str) -> None:
        if not lease.is_lost:
            self._counters.leases_lost += 1
            log.warning("lease.lost", message_id=lease.message.message_id, what=lease.what, message=error)
            lease.interrupt(LeaseLost)

    async def _settle(self, batches: Batches[Lease], lease: Lease, doing: str) -> None:
        failures = count(1)
        while (failed := await batches.put(lease)) is not None:
            if isinstance(failed, ReceiptExpired) or not await self._may_try_again(lease, next(failures)):
                log.info("settlement.given_up", doing=doing, reason=failed.code, message_id=lease.message.message_id)
                return

    async def _may_try_again(self, lease: Lease, failures: int) -> bool:
        await asyncio.sleep(pause_seconds(failures, self._rng, longest=self._lease_seconds / 6))
        return not lease.is_lost and self._loop.time() < min(lease.lease_until, self._patience_ends)

    async def _extend(self, held_leases: Sequence[Lease]) -> Sequence[CallFailed | None]:
        """Extend each by a whole lease, or less near the twelve hours of SQS; leases of one length share a call."""
        now = self._loop.time()
        seconds = [int(self._extendable_until(lease, now) - now) for lease in held_leases]
        answers: list[CallFailed | None] = [None] * len(held_leases)
        for length in dict.fromkeys(seconds):
            places = [place for place, each in enumerate(seconds) if each == length]
            answered = await self._queue.extend([held_leases[place].receipt for place in places], length)
            for place, answer in zip(places, answered, strict=True):
                answers[place] = answer
        return answers

    async def _delete(self, held_leases: Sequence[Lease]) -> Sequence[CallFailed | None]:
        return await self._queue.delete([lease.receipt for lease in held_leases])

    async def _release(self, held_leases: Sequence[Lease]) -> Sequence[CallFailed | None]:
        return await self._queue.extend([lease.receipt for lease in held_leases], 0)


def _size_of(outgoing: Outgoing) -> int:
    attributes = sum(attribute_bytes(name, value) for name, value in outgoing.attributes.items())
    return len(outgoing.body.encode(errors="surrogatepass")) + attributes
