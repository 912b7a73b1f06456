"""A strict SQS: what a real queue may do, it does; what emulators forgive, it does not."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from slipway.aws.adapters.retry import NEVER, Wait
from slipway.aws.sdk.clients import POLL_GRACE_SECONDS
from slipway.core.call_errors import CallFailed, Denied, ReceiptExpired, Refused, Throttled
from slipway.core.sqs.messages import AnyAttribute, Message, Outgoing, QueueTraits, attribute_bytes, group_of
from tests.simulator.callers import Callers
from tests.simulator.observer import Watching
from tests.simulator.virtual_loop import PROCESS, VirtualLoop
from tests.simulator.wire_faults import Wire

E = TypeVar("E", str, Outgoing)

EPOCH = 1_764_000_000.0
LONGEST_HOLD = 12 * 3600.0
DEDUPLICATION_SECONDS = 300.0
SOMEBODY = "AIDASOMEBODY"
OWN_ROLE = "AROASLIPWAY"
"""What Slipway is, in a session of its own for each process."""
MOST_ENTRIES = 10


@dataclass
class Letter:
    """A message as the queue keeps it."""

    message_id: str
    body: str
    attributes: dict[str, AnyAttribute]
    group: str | None
    sender: str
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
        name: str = "m",
    ) -> None:
        self._name = name
        self.is_fifo = fifo
        self.visibility = visibility
        self.dead_letters = dead_letters
        self.max_receive_count = max_receive_count
        self.most_in_flight = most_in_flight
        self.letters: dict[str, Letter] = {}
        self.all: list[Letter] = []
        self.polls: list[Callable[[], None]] = []
        """Long polls that wait for a message."""
        self.largest = 1024 * 1024
        """MaximumMessageSize."""
        self.is_denied = False
        """Whether Slipway may not send to it."""
        self.watching = Watching()
        self.duplicate_next = 0
        self._ids = itertools.count(1)
        self._seen_deduplication: dict[str, float] = {}
        self._loop = asyncio.get_running_loop()

    def now(self) -> float:
        """Return the queue's own clock, in seconds since the epoch."""
        return EPOCH + self._loop.time()

    def put(
        self,
        body: str,
        attributes: Mapping[str, AnyAttribute] | None = None,
        group: str | None = None,
        deduplication_id: str | None = None,
        sender: str = SOMEBODY,
        delay_seconds: float = 0.0,
    ) -> Letter | None:
        """Accept a message; None where FIFO deduplication swallows it."""
        if self.is_fifo and deduplication_id is not None:
            seen = self._seen_deduplication.get(deduplication_id)
            if seen is not None and self.now() - seen < DEDUPLICATION_SECONDS:
                self.watching.put(None, body, dict(attributes or {}))
                return None
            self._seen_deduplication[deduplication_id] = self.now()
        letter = Letter(
            f"{self._name}-{next(self._ids):05d}",
            body,
            dict(attributes or {}),
            group if self.is_fifo else None,
            sender,
            self.now(),
            0.0,
        )
        if delay_seconds and not self.is_fifo:
            letter.visible_at = self.now() + delay_seconds
        self.letters[letter.message_id] = letter
        self.all.append(letter)
        self.watching.put(letter, letter.body, letter.attributes)
        self.wake()
        return letter

    def wake(self) -> None:
        """Something may have become visible: let those who poll look again."""
        waiting, self.polls = self.polls, []
        for poll in waiting:
            poll()

    def take(self, limit: int, process: str | None = None) -> list[Message]:
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
                self.watching.buried(letter)
                assert self.dead_letters is not None
                self.dead_letters.put(letter.body, letter.attributes, letter.group, sender=letter.sender)
                continue
            taken.append(self._hand_over(letter, now))
            self.watching.received(letter, process)
            if self.duplicate_next and not self.is_fifo:
                self.duplicate_next -= 1
                letter.visible_at = now
                self.watching.lapsed(letter)
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
            letter.sender,
        )

    def is_visible(self) -> bool:
        """Whether a receive would bring something."""
        now = self.now()
        held = [letter for letter in self.letters.values() if letter.visible_at > now]
        if self.is_fifo and sum(letter.receipt is not None for letter in held) >= self.most_in_flight:
            return False
        hidden = {letter.group for letter in held} if self.is_fifo else set()
        return any(letter.visible_at <= now and letter.group not in hidden for letter in self.letters.values())

    def next_visible(self) -> float:
        """Return when the next message becomes visible by itself, in seconds from now."""
        now = self.now()
        return min((one.visible_at - now for one in self.letters.values() if one.visible_at > now), default=math.inf)

    def change(self, receipt: str, seconds: float, process: str | None = None) -> None:
        """Change a message's visibility; refuse a handle that no longer holds it."""
        letter = self._held(receipt, "ChangeMessageVisibility")
        if self.now() + seconds - letter.received_at > LONGEST_HOLD:
            raise ReceiptExpired("ChangeMessageVisibility", "InvalidParameterValue", "over twelve hours")
        letter.visible_at = self.now() + seconds
        self.watching.changed(letter, seconds, process)
        if seconds == 0:
            self.wake()

    def lapse(self, letter: Letter) -> None:
        """Make a message visible although it is held."""
        letter.visible_at = self.now()
        self.watching.lapsed(letter)
        self.wake()

    def bring_back(self, letter: Letter) -> None:
        """Let a message that was deleted come once more, as SQS says it may."""
        letter.is_deleted, letter.visible_at = False, self.now()
        self.letters[letter.message_id] = letter
        self.wake()

    def remove(self, receipt: str, process: str | None = None) -> None:
        """Delete; a handle of an older receive does nothing, and says nothing, as on AWS."""
        letter = self.letters.get(receipt.split("/", maxsplit=1)[0])
        if letter is not None and letter.receipt == receipt:
            letter.is_deleted = True
            del self.letters[letter.message_id]
            self.watching.deleted(letter, process)
            self.wake()

    def _held(self, receipt: str, operation: str) -> Letter:
        letter = self.letters.get(receipt.split("/", maxsplit=1)[0])
        if letter is None or letter.receipt != receipt:
            raise ReceiptExpired(operation, "ReceiptHandleIsInvalid", "stale")
        if letter.visible_at <= self.now():
            raise ReceiptExpired(operation, "MessageNotInflight", "visible again")
        return letter


class Queue:
    """The queue as Slipway sees it: the calls of its Protocols, paced and repeated as real ones are, over a wire."""

    def __init__(self, queue: SqsQueue, wire: Wire, callers: Callers) -> None:
        self._queue = queue
        self._wire = wire
        self._callers = callers
        self.fail_entries = 0
        """So many of the next entries of batches fail alone, within an answer of 200."""
        self.failed: Counter[str] = Counter()

    async def receive(self, limit: int, *, wait_seconds: int, attempt: str | None, wait: Wait) -> Sequence[Message]:
        """Long-poll."""
        del attempt
        operation = "ReceiveMessage"
        return await self._callers.receiving.call(
            operation,
            lambda: self._poll(operation, limit, wait_seconds),
            repeat=NEVER,
            wait=wait,
            call_timeout=wait_seconds + POLL_GRACE_SECONDS,
        )

    def _poll(self, operation: str, limit: int, wait_seconds: int) -> Coroutine[None, None, list[Message]]:
        wire, process, queue = self._wire, PROCESS.get(), self._queue
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        until = loop.time() + wait_seconds

        def poll() -> None:
            if isinstance(loop, VirtualLoop) and loop.is_dead(process):
                return  # its connection is closed; one that is halted is handed messages all the same
            if loop.time() >= until or queue.is_visible():
                if not ready.done():
                    ready.set_result(None)
                return
            queue.polls.append(poll)
            loop.call_at(min(until, loop.time() + queue.next_visible() + 0.001), look_again, context=wire.world)

        def look_again() -> None:
            if poll in queue.polls:
                queue.polls.remove(poll)
                poll()

        wire.world.copy().run(poll)
        return wire.call(operation, lambda: queue.take(limit, wire.sender), wait_seconds=wait_seconds, ready=ready)

    async def extend(self, receipts: Sequence[str], seconds: int) -> Sequence[CallFailed | None]:
        """Change visibilities."""
        return await self._batch(
            "ChangeMessageVisibilityBatch",
            receipts,
            lambda receipt: self._queue.change(receipt, seconds, self._wire.sender),
        )

    async def delete(self, receipts: Sequence[str]) -> Sequence[CallFailed | None]:
        """Delete messages."""
        return await self._batch("DeleteMessageBatch", receipts, lambda receipt: self._queue.remove(receipt, self._wire.sender))

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[CallFailed | None]:
        """Send messages."""
        return await self._batch("SendMessageBatch", batch, lambda outgoing: self._put(self._queue, outgoing))

    async def send_dead_letter(self, outgoing: Outgoing) -> None:
        """Send one message to the dead-letter queue."""
        dead_letters = self._queue.dead_letters
        assert dead_letters is not None
        operation = "SendMessage"
        await self._callers.leases.call(
            operation, lambda: self._wire.call(operation, lambda: self._put(dead_letters, outgoing))
        )

    def traits(self) -> QueueTraits:
        """Say what the queue is."""
        queue = self._queue
        return QueueTraits(queue.is_fifo, queue.max_receive_count, queue.dead_letters is not None)

    def _put(self, queue: SqsQueue, outgoing: Outgoing) -> None:
        if queue.is_denied:
            self._queue.watching.happened("dead-letter queue denied")
            raise Denied("SendMessage", "AccessDenied", "no permission to send to this queue")
        sender = f"{OWN_ROLE}:{self._wire.sender}"
        size = len(outgoing.body.encode()) + sum(attribute_bytes(*each) for each in outgoing.attributes.items())
        if size > queue.largest:
            raise Refused("SendMessage", "InvalidParameterValue", f"message must be shorter than {queue.largest} bytes")
        if outgoing.group is not None and outgoing.group != group_of(outgoing.group):
            raise Refused("SendMessage", "InvalidParameterValue", "MessageGroupId")
        own = (dict(outgoing.attributes), outgoing.group, outgoing.deduplication_id, sender)
        queue.put(outgoing.body, *own, delay_seconds=outgoing.delay_seconds)

    async def _batch(self, operation: str, entries: Sequence[E], act: Callable[[E], None]) -> list[CallFailed | None]:
        if len(entries) > MOST_ENTRIES or len(set(map(id, entries))) < len(entries):
            raise Refused(operation, "TooManyEntriesInBatchRequest or BatchEntryIdsNotDistinct")

        def one(number: int, entry: E) -> CallFailed | None:
            if self.fail_entries or (self._wire.is_partial and number % 2 == self._wire.calls[operation] % 2):
                self.fail_entries = max(0, self.fail_entries - 1)
                self.failed[operation] += 1
                return Throttled(operation, "RequestThrottled", "this entry alone")
            try:
                act(entry)
            except CallFailed as failed:
                if isinstance(failed, ReceiptExpired):
                    self._queue.watching.lease_gone(str(entry), self._wire.sender)
                return failed
            return None

        return await self._callers.leases.call(
            operation, lambda: self._wire.call(operation, lambda: [one(*each) for each in enumerate(entries)])
        )
