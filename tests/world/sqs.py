"""A strict SQS: what a real queue may do, it does; what emulators forgive, it does not."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from service.core.calls import CallFailed, LeaseGone, Refused, Throttled
from service.core.messages import Message, Outgoing, QueueTraits
from tests.world.wire import Wire

EPOCH = 1_764_000_000.0
LONGEST_HOLD = 12 * 3600.0
DEDUPLICATION_SECONDS = 300.0


@dataclass
class Letter:
    """A message as the queue keeps it."""

    message_id: str
    body: str
    attributes: dict[str, str]
    group: str | None
    sent_at: float
    visible_at: float
    first_received: float | None = None
    received_at: float = 0.0
    receive_count: int = 0
    receipt: str | None = None
    is_deleted: bool = False
    history: list[str] = field(default_factory=list)


class SqsQueue:
    """A queue with real visibility timeouts, receive counts, redrive, FIFO groups and stale receipt handles."""

    def __init__(
        self,
        *,
        fifo: bool = False,
        visibility: float = 120.0,
        dead_letters: SqsQueue | None = None,
        max_receive_count: int | None = None,
        most_in_flight: int = 120_000,
    ) -> None:
        self.is_fifo = fifo
        self.visibility = visibility
        self.dead_letters = dead_letters
        self.max_receive_count = max_receive_count
        self.most_in_flight = most_in_flight
        self.letters: dict[str, Letter] = {}
        self.all: list[Letter] = []
        self.arrived = asyncio.Event()
        self.duplicate_next = 0
        self._ids = itertools.count(1)
        self._seen_deduplication: dict[str, float] = {}
        self._loop = asyncio.get_running_loop()

    def now(self) -> float:
        """Answer the queue's own clock, in seconds since the epoch."""
        return EPOCH + self._loop.time()

    def put(
        self,
        body: str,
        attributes: dict[str, str] | None = None,
        group: str | None = None,
        deduplication_id: str | None = None,
    ) -> Letter | None:
        """Accept a message; None where FIFO deduplication swallows it."""
        if self.is_fifo and deduplication_id is not None:
            seen = self._seen_deduplication.get(deduplication_id)
            if seen is not None and self.now() - seen < DEDUPLICATION_SECONDS:
                return None
            self._seen_deduplication[deduplication_id] = self.now()
        letter = Letter(
            f"m-{next(self._ids):05d}", body, dict(attributes or {}), group if self.is_fifo else None, self.now(), 0.0
        )
        self.letters[letter.message_id] = letter
        self.all.append(letter)
        self.arrived.set()
        return letter

    def take(self, limit: int) -> list[Message]:
        """Hand over what is visible, and make it invisible."""
        now = self.now()
        taken: list[Message] = []
        in_flight = [letter for letter in self.letters.values() if letter.visible_at > now and letter.receipt]
        if len(in_flight) >= self.most_in_flight:
            if self.is_fifo:
                return []
            raise Throttled("ReceiveMessage", "OverLimit", "too many messages in flight")
        blocked = {letter.group for letter in in_flight} if self.is_fifo else set()
        for letter in [*self.letters.values()]:
            if len(taken) == limit:
                break
            if letter.visible_at > now or (self.is_fifo and letter.group in blocked):
                if self.is_fifo and letter.visible_at > now:
                    blocked.add(letter.group)
                continue
            if self.max_receive_count is not None and letter.receive_count >= self.max_receive_count:
                del self.letters[letter.message_id]
                assert self.dead_letters is not None
                self.dead_letters.put(letter.body, letter.attributes, letter.group)
                continue
            taken.append(self._hand_over(letter, now))
            if self.duplicate_next and not self.is_fifo:
                self.duplicate_next -= 1
                letter.visible_at = now
        return taken

    def _hand_over(self, letter: Letter, now: float) -> Message:
        letter.receive_count += 1
        letter.first_received = letter.first_received or now
        letter.received_at, letter.visible_at = now, now + self.visibility
        letter.receipt = f"{letter.message_id}/{letter.receive_count}"
        return Message(
            letter.message_id,
            letter.body,
            letter.receipt,
            letter.receive_count,
            now,
            letter.first_received,
            letter.group,
            dict(letter.attributes),
        )

    def is_visible(self) -> bool:
        """Whether a receive would bring something."""
        now = self.now()
        hidden = {letter.group for letter in self.letters.values() if letter.visible_at > now} if self.is_fifo else set()
        return any(letter.visible_at <= now and letter.group not in hidden for letter in self.letters.values())

    def change(self, receipt: str, seconds: float) -> None:
        """Change a message's visibility; refuse a handle that no longer holds it."""
        letter = self._held(receipt, "ChangeMessageVisibility")
        if self.now() + seconds - letter.received_at > LONGEST_HOLD:
            raise LeaseGone("ChangeMessageVisibility", "InvalidParameterValue", "over twelve hours")
        letter.visible_at = self.now() + seconds
        if seconds == 0:
            self.arrived.set()

    def remove(self, receipt: str) -> None:
        """Delete; a handle of an older receive does nothing, and says nothing, as on AWS."""
        letter = self.letters.get(receipt.split("/", maxsplit=1)[0])
        if letter is not None and letter.receipt == receipt:
            letter.is_deleted = True
            del self.letters[letter.message_id]
            self.arrived.set()

    def _held(self, receipt: str, operation: str) -> Letter:
        letter = self.letters.get(receipt.split("/", maxsplit=1)[0])
        if letter is None or letter.receipt != receipt:
            raise LeaseGone(operation, "ReceiptHandleIsInvalid", "stale")
        if letter.visible_at <= self.now():
            raise LeaseGone(operation, "MessageNotInflight", "visible again")
        return letter


class Queue:
    """The queue as Slipway sees it: the calls of its Protocols, over a wire."""

    def __init__(self, queue: SqsQueue, wire: Wire) -> None:
        self._queue = queue
        self._wire = wire
        self.fail_entries = 0
        """So many of the next entries of batches fail alone, within an answer of 200."""
        self.failed: Counter[str] = Counter()

    async def receive(self, limit: int, *, wait_seconds: int, attempt: str | None) -> Sequence[Message]:
        """Long-poll."""
        del attempt
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_seconds
        while not self._queue.is_visible() and loop.time() < until:
            self._queue.arrived.clear()
            now = self._queue.now()
            next_visible = min((one.visible_at for one in self._queue.letters.values() if one.visible_at > now), default=1e12)
            soonest = min(until, loop.time() + next_visible - now + 0.001)
            try:
                async with asyncio.timeout_at(soonest):
                    await self._queue.arrived.wait()
            except TimeoutError:
                continue
        return await self._wire.call("ReceiveMessage", lambda: self._queue.take(limit))

    async def extend(self, receipts: Sequence[str], seconds: int) -> Sequence[CallFailed | None]:
        """Change visibilities."""
        return await self._batch(
            "ChangeMessageVisibilityBatch", receipts, lambda receipt: self._queue.change(receipt, seconds)
        )

    async def delete(self, receipts: Sequence[str]) -> Sequence[CallFailed | None]:
        """Delete messages."""
        return await self._batch("DeleteMessageBatch", receipts, self._queue.remove)

    async def send(self, outgoing: Outgoing) -> None:
        """Send one message."""
        await self._wire.call("SendMessage", lambda: self._put(self._queue, outgoing))

    async def bury(self, outgoing: Outgoing) -> None:
        """Send one message to the dead-letter queue."""
        dead_letters = self._queue.dead_letters
        assert dead_letters is not None
        await self._wire.call("SendMessage", lambda: self._put(dead_letters, outgoing))

    def traits(self) -> QueueTraits:
        """Say what the queue is."""
        queue = self._queue
        return QueueTraits(queue.is_fifo, queue.max_receive_count, queue.dead_letters is not None)

    def _put(self, queue: SqsQueue, outgoing: Outgoing) -> None:
        queue.put(outgoing.body, dict(outgoing.attributes), outgoing.group, outgoing.deduplication_id)

    async def _batch(self, operation: str, receipts: Sequence[str], act: object) -> list[CallFailed | None]:
        if len(receipts) > 10 or len(set(receipts)) < len(receipts):
            raise Refused(operation, "TooManyEntriesInBatchRequest or BatchEntryIdsNotDistinct")

        def one(receipt: str) -> CallFailed | None:
            if self.fail_entries:
                self.fail_entries -= 1
                self.failed[operation] += 1
                return Throttled(operation, "RequestThrottled", "this entry alone")
            try:
                act(receipt)  # type: ignore[operator]
            except CallFailed as failed:
                return failed
            return None

        return await self._wire.call(operation, lambda: [one(receipt) for receipt in receipts])
