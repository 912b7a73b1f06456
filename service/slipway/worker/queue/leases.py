"""Keeping what is held: one loop extends all leases, and each message is settled exactly once.

The message is the lease and the journal: as long as it is held nobody else sees it, and if this process dies, the lease
runs out and another one receives the same message.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

import structlog

from slipway.core.bedrock.errors import CallFailed, LeaseGone, Refused
from slipway.core.scheduling.backoff import pause_seconds
from slipway.core.sqs.lineage import hidden_seconds
from slipway.core.sqs.messages import Message, Outgoing, QueueTraits, attribute_bytes
from slipway.worker.kernel.batches import Batches
from slipway.worker.kernel.counters import Tally
from slipway.worker.kernel.interrupts import Deadlines, LeaseLost, TooLongHeld, rest
from slipway.worker.kernel.lease import Hold
from slipway.worker.kernel.patience import Patience

log = structlog.get_logger()

LONGEST_HOLD_SECONDS: Final = 11 * 3600.0
"""SQS ends every hold twelve hours after the receive; an hour is left for handing on."""
LEASE_LIMIT_SECONDS: Final = 12 * 3600.0 - 60.0
"""A lease that would end later, counted from the receive, is refused by SQS; a minute is for clocks and calls."""
LONGEST_ROUND_SECONDS: Final = 600.0
LONGEST_VISIBILITY_SECONDS: Final = 12 * 3600 - 120
"""Twelve hours after the receive, less what clocks and calls may take."""
SAME_SECONDS: Final = 60
"""Messages are hidden for whole minutes, so that several share a call."""
STOPPING_PATIENCE_SECONDS: Final = 5.0
LINGER_SECONDS: Final = 0.05
LOOKED_AFTER_AT_ONCE: Final = 250
"""Then everybody else has a turn: to begin extending ten thousand leases at once would stop the event loop for 0.1 s."""
PARALLEL_CALLS: Final = 8
SMALLEST_BUDGET_BYTES: Final = 32 * 1024 * 1024
SMALLEST_PLACE_BYTES: Final = 16 * 1024
"""Several times a usual request: where very many are held, a place has no more than that."""
LARGEST_BATCH_BYTES: Final = 1000 * 1024
"""SQS takes 1 MiB in one batch, ids and attribute types counted."""


def bytes_of_place(max_held: int) -> int:
    """Return how large a message may be that takes one place; a larger one takes several.

    So `max_held` bounds the bytes that are held, too: to 32 MiB, or 16 KiB for each place if that is more. The largest
    message of SQS, 1 MiB, takes a thirty-second of the places at most: it always fits.
    """
    return max(SMALLEST_PLACE_BYTES, SMALLEST_BUDGET_BYTES // max_held)


class Leases(Protocol):
    """What custody calls of SQS."""

    async def extend(self, receipts: Sequence[str], seconds: int) -> Sequence[CallFailed | None]:
        """Make at most ten messages invisible for so long from now; 0 gives them back at once."""

    async def delete(self, receipts: Sequence[str]) -> Sequence[CallFailed | None]:
        """Delete at most ten messages."""

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[CallFailed | None]:
        """Send at most ten messages to the same queue."""


class Custody:
    """Everything that is held, by message id."""

    def __init__(
        self, queue: Leases, *, lease_seconds: int, max_held: int, traits: QueueTraits, rng: random.Random, tally: Tally
    ) -> None:
        self._queue = queue
        self._place_bytes = bytes_of_place(max_held)
        self.places = 0
        """How many places are taken: one for each message, and more for a large one."""
        self._lease_seconds = lease_seconds
        self._traits = traits
        self._rng = rng
        self._tally = tally
        self._holds: dict[str, Hold] = {}
        self._deadlines = Deadlines()
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._patience_ends = math.inf
        self.make_hold: Callable[[Message, float, Deadlines], Hold] = Hold
        self.changed = asyncio.Event()
        """Set when something has been let go: there is room again."""
        self.postponed_at = -math.inf
        """When a request last gave its place up, by the event loop's clock."""
        self._extends = Batches[Hold](self._extend, linger=LINGER_SECONDS, parallel=PARALLEL_CALLS)
        self._deletes = Batches[Hold](self._delete, linger=LINGER_SECONDS, parallel=PARALLEL_CALLS)
        self._releases = Batches[Hold](self._release, linger=LINGER_SECONDS, parallel=PARALLEL_CALLS)
        self._hides = Batches(self._hide_each, linger=0.0, parallel=PARALLEL_CALLS)
        # At once: until it is sent, a kill costs one of the message's last receives.
        self._finishes = Batches(queue.delete, linger=0.0, parallel=PARALLEL_CALLS)
        self._sends = Batches(queue.send, linger=0.0, parallel=PARALLEL_CALLS, size=_size_of, largest=LARGEST_BATCH_BYTES)

    def __len__(self) -> int:
        return len(self._holds)

    def __iter__(self) -> Iterator[Hold]:
        return iter(list(self._holds.values()))

    def take(self, message: Message) -> Hold | None:
        """Hold a message from now on; None when it is held already, and this is the same piece of work again.

        The newer receipt handle is the one that counts from then on, and with it the lease begins anew.
        """
        message = message.packed()
        held = self._holds.get(message.message_id)
        if held is not None:
            self._tally.duplicate_deliveries += 1
            if held.renew(message, self._lease_seconds):
                log.info("message.duplicated", message_id=message.message_id, receive_count=message.receive_count)
                if self._traits.should_hand_on(message.receive_count):
                    held.interrupt(TooLongHeld)  # were this process to die now, nobody would receive it again
                return None
            self.places -= held.places
        hold = self._holds[message.message_id] = self.make_hold(message, self._lease_seconds, self._deadlines)
        hold.places = math.ceil(message.held_bytes / self._place_bytes)
        self.places += hold.places
        return hold

    def let_go(self, hold: Hold) -> None:
        """Stop extending this lease. Safe to repeat."""
        if self._holds.get(hold.message.message_id) is hold:
            del self._holds[hold.message.message_id]
            self.places -= hold.places
            self.changed.set()

    async def run(self) -> None:
        """Look at every lease several times in its life, and extend what is past its half, until stopped."""
        while not self._stopped.is_set():
            for number, hold in enumerate(self, 1):
                if self._holds.get(hold.message.message_id) is hold:
                    self._look_after(hold)
                if number % LOOKED_AFTER_AT_ONCE == 0:
                    await asyncio.sleep(0)
            await rest(min(self._lease_seconds / 12, LONGEST_ROUND_SECONDS), unless=self._stopped)

    def hurry(self) -> None:
        """The daemon is to end: do not try for long to settle what cannot be settled."""
        self._patience_ends = self._loop.time() + STOPPING_PATIENCE_SECONDS

    def stop(self) -> None:
        """End `run`."""
        self._stopped.set()

    async def delete(self, hold: Hold) -> None:
        """Delete the message, whose outcome is published. Gives up when the lease is over: it will be received again."""
        self.let_go(hold)
        await self._insist(self._deletes, hold, "delete")

    async def release(self, hold: Hold, after: int = 0) -> None:
        """Make the message visible again, at once or after so many seconds. Gives up when the lease is over."""
        self.let_go(hold)
        if hold.is_lost:
            return None
        if not after:
            return await self._insist(self._releases, hold, "release")
        try:
            (failed,) = await self._queue.extend([hold.receipt], after)
        except CallFailed as whole:
            failed = whole
        if failed is not None:
            log.info("release.failed", code=failed.code, remedy="its lease runs out by itself")
        return None

    async def finish(self, receipt: str) -> bool:
        """Delete the message before this one, whose owner may have died before it did so; return whether SQS took the call.

        Safe to repeat.
        """
        return await self._finishes.put(receipt) is None

    async def hand_on(self, hold: Hold, continuation: Outgoing) -> CallFailed | None:
        """Send the request on under a new message; return what made that impossible. The caller then deletes this one.

        A crash between the two leaves both: the same request twice, which is harmless. It is never left without one.
        This message is hidden before for so long that the new one's readers delete it, or use up their receives: so it
        is not continued once more meanwhile, and a request never has more than three messages.
        """
        troubles, patience, is_hidden = 0, Patience(self._rng), self._traits.is_fifo
        while True:
            receipt = hold.receipt
            failed = None if is_hidden else await self._hide(hold, continuation.delay_seconds)
            if failed is None:
                is_hidden = True
                failed = await self._sends.put(continuation)
            if failed is None:
                return None
            log.warning("continue.failed", code=failed.code, error=str(failed))
            troubles += 1
            if isinstance(failed, LeaseGone) and hold.receipt != receipt:
                continue  # received again meanwhile, here: it was the older receipt that is gone
            is_over = isinstance(failed, Refused | LeaseGone) or patience.is_over(failed)
            if is_over or not await self._may_try_again(hold, troubles):
                # Its lease is as short as before again, as soon as it is extended.
                hold.lease_until = min(hold.lease_until, self._loop.time() + self._lease_seconds / 2)
                return failed

    async def _hide(self, hold: Hold, delay_seconds: int) -> CallFailed | None:
        """Make the message invisible until its continuation has been read, or has been received too often."""
        now = self._loop.time()
        longest = LONGEST_VISIBILITY_SECONDS - int(now - hold.taken_at)
        seconds = delay_seconds + hidden_seconds(self._traits.max_receive_count, self._lease_seconds)
        seconds = min(math.ceil(seconds / SAME_SECONDS) * SAME_SECONDS, longest)
        if seconds < self._lease_seconds:
            return None
        failed = await self._hides.put((hold.receipt, seconds))
        if failed is None:
            hold.lease_until = max(hold.lease_until, now + seconds)
        return failed

    async def _hide_each(self, entries: Sequence[tuple[str, int]]) -> Sequence[CallFailed | None]:
        """Make each message invisible for its time; those of one time share a call."""
        answers: dict[str, CallFailed | None] = {}
        for seconds in {seconds for _, seconds in entries}:
            receipts = [receipt for receipt, other in entries if other == seconds]
            try:
                failed = await self._queue.extend(receipts, seconds)
            except CallFailed as whole:
                failed = [whole] * len(receipts)
            answers |= zip(receipts, failed, strict=True)
        return [answers[receipt] for receipt, _ in entries]

    def _look_after(self, hold: Hold) -> None:
        now = self._loop.time()
        if now >= hold.lease_until:
            self._lost(hold, "the lease ran out before it could be extended")
        elif now - hold.taken_at >= LONGEST_HOLD_SECONDS:
            hold.interrupt(TooLongHeld)
        is_worth_it = self._extendable_until(hold, now) >= hold.lease_until + self._lease_seconds / 12
        if hold.lease_until - now <= self._lease_seconds / 2 and is_worth_it and not hold.is_extending and not hold.is_lost:
            hold.is_extending = True
            receipt = hold.receipt
            self._extends.put(hold).add_done_callback(lambda answer: self._extended(hold, receipt, now, answer))

    def _extendable_until(self, hold: Hold, now: float) -> float:
        """Answer until when a lease that is extended now may last: SQS ends it twelve hours after the receive."""
        return min(now + self._lease_seconds, hold.taken_at + LEASE_LIMIT_SECONDS)

    def _extended(self, hold: Hold, receipt: str, asked_at: float, answer: asyncio.Future[CallFailed | None]) -> None:
        hold.is_extending = False
        if bug := answer.exception():
            self._tally.faults += 1
            log.error("extend.faulted", exc_info=bug, what=hold.what)
            return
        failed = answer.result()
        if isinstance(failed, LeaseGone) and hold.receipt != receipt:
            return  # received again meanwhile, here: it was the older receipt that is gone
        if failed is None:
            self._tally.leases_extended += 1
            hold.lease_until = max(hold.lease_until, self._extendable_until(hold, asked_at))
        elif isinstance(failed, LeaseGone) and self._holds.get(hold.message.message_id) is hold:
            self._lost(hold, str(failed))
        elif not isinstance(failed, LeaseGone):
            log.warning("extend.failed", code=failed.code, error=str(failed), what=hold.what)

    def _lost(self, hold: Hold, error: str) -> None:
        if not hold.is_lost:
            self._tally.leases_lost += 1
            log.warning("lease.lost", message_id=hold.message.message_id, what=hold.what, error=error)
            hold.interrupt(LeaseLost)

    async def _insist(self, batches: Batches[Hold], hold: Hold, doing: str) -> None:
        troubles = 0
        while (failed := await batches.put(hold)) is not None:
            troubles += 1
            if isinstance(failed, LeaseGone) or not await self._may_try_again(hold, troubles):
                log.info("settlement.given_up", doing=doing, code=failed.code, message_id=hold.message.message_id)
                return

    async def _may_try_again(self, hold: Hold, troubles: int) -> bool:
        await asyncio.sleep(pause_seconds(troubles, self._rng, longest=self._lease_seconds / 6))
        return not hold.is_lost and self._loop.time() < min(hold.lease_until, self._patience_ends)

    async def _extend(self, holds: Sequence[Hold]) -> Sequence[CallFailed | None]:
        """Extend each for a whole lease; near the limit of SQS for what is left, and those of one length in one call."""
        now = self._loop.time()
        seconds = [int(self._extendable_until(hold, now) - now) for hold in holds]
        answers: list[CallFailed | None] = [None] * len(holds)
        for length in dict.fromkeys(seconds):
            places = [place for place, each in enumerate(seconds) if each == length]
            answered = await self._queue.extend([holds[place].receipt for place in places], length)
            for place, answer in zip(places, answered, strict=True):
                answers[place] = answer
        return answers

    async def _delete(self, holds: Sequence[Hold]) -> Sequence[CallFailed | None]:
        return await self._queue.delete([hold.receipt for hold in holds])

    async def _release(self, holds: Sequence[Hold]) -> Sequence[CallFailed | None]:
        return await self._queue.extend([hold.receipt for hold in holds], 0)


def _size_of(outgoing: Outgoing) -> int:
    attributes = sum(attribute_bytes(name, value) for name, value in outgoing.attributes.items())
    return len(outgoing.body.encode(errors="surrogatepass")) + attributes
