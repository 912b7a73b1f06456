"""Whether leases are kept, and messages given back and not used up: I8, I9."""

from __future__ import annotations

from slipway.worker.kernel.lease import Lease
from tests.simulation.recorder import ANSWER_LOST, Delivery, Life, Recorder
from tests.simulator.sqs import Letter
from tests.simulator.wire_faults import Fault

TOLD_SLACK = 10.0
"""How long an answer that says that a lease is gone may be on its way."""
KILLED_BEFORE_SECONDS = 12.0
"""A call may be under way for ten seconds, before which nothing can be handed on."""
_OF_LEAVING = ("ReceiveMessage", "ChangeMessageVisibilityBatch", "SendMessageBatch", "DeleteMessageBatch", "PublishBatch")


class Leases:
    """Follows each message from hand to hand."""

    def __init__(self, books: Recorder) -> None:
        self._books = books
        self._told_gone: dict[tuple[str | None, str], float] = {}
        self._leased_until: dict[tuple[str | None, str], float] = {}
        """When the latest lease of a process on a message ends: as many seconds after its last change as that asked SQS for.

        This is not always one visibility timeout: a message is hidden for several before its continuation is sent, and for less
        than one when the twelve hours of SQS are nearly over.
        """
        self._released: dict[str, float] = {}
        self._lapsed: dict[str, float] = {}
        """When SQS forgot about a lease."""
        self.judged = 0
        """Messages that SQS has sent to the dead-letter queue; each was judged as it went."""

    def received(self, letter: Letter, process: str | None) -> None:
        """A lease begins."""
        books = self._books
        books.deliveries.setdefault(letter.message_id, []).append(
            Delivery(books.now, process, letter.receive_count, books.world.wire.fault in ANSWER_LOST)
        )
        self._leased_until[process, letter.message_id] = books.now + books.world.sqs.visibility

    def lapsed(self, letter: Letter) -> None:
        """SQS has forgotten about a lease."""
        self._lapsed[letter.message_id] = self._books.now

    def changed(self, letter: Letter, seconds: float, process: str | None) -> None:
        """A lease was extended, or given up."""
        life = self._books.life_of(process)
        is_held = life is None or any(
            lease.message.message_id == letter.message_id for lease in life.replica.slipway.held_leases
        )
        if seconds and is_held:
            self._leased_until[process, letter.message_id] = self._books.now + seconds
            return
        self._released[letter.message_id] = self._books.now
        self._books.note(f"release  {letter.message_id} by {process}")

    def gone(self, receipt: str, process: str | None) -> None:
        """A process is told that its lease is gone: it may go on for as long as such an answer takes, and no longer."""
        books = self._books
        fault = books.world.wire.fault
        if fault in ANSWER_LOST or fault is Fault.SLOW:
            return  # it is not told
        books.faults["stale receipt handle"] += 1
        told = self._told_gone.setdefault((process, receipt), books.now)
        books.note(f"gone     {receipt} for {process}")
        life = books.life_of(process)
        was_awake = life is not None and life.continued_at < told
        if was_awake and books.now - told > 3 * TOLD_SLACK + books.world.sqs.visibility / 10:
            books.breaks("I8", f"{process} goes on with {receipt}, {books.now - told:.1f} s after it was told that it is gone")

    def leased_until(self, process: str | None, message_id: str) -> float:
        """Return when the latest lease of a process on a message ends, unless SQS makes the message visible earlier."""
        return self._leased_until.get((process, message_id), -1e9)

    def check(self, lease: Lease, process: str | None, slack: float, doing: str) -> None:
        """Report a violation if a process acts on a lease that has ended, or that it knows to be lost.

        Under I8 a message has one owner for as long as it is hidden, so what counts is the end that SQS accepted last.
        """
        books, now = self._books, self._books.now
        told = self._told_gone.get((process, lease.receipt))
        until = self.leased_until(process, lease.message.message_id)
        if told is not None and now - told > TOLD_SLACK + slack:
            books.breaks("I8", f"{process} {doing} {now - told:.1f} s after it was told that its lease is gone")
        elif now - until > TOLD_SLACK + slack:
            books.breaks("I8", f"{process} {doing} {now - until:.1f} s after its lease ended")
        elif not slack and (lease.is_lost or now >= lease.lease_until):
            books.breaks("I8", f"{process} {doing} and knows that its lease is lost")

    def holder(self, letter: Letter) -> str | None:
        """Return who was handed a message last, if it still is hidden from others."""
        last = next(reversed(self._books.deliveries.get(letter.message_id, [])), None)
        return last.process if last is not None and letter.visible_at > self._books.world.sqs.now() else None

    def buried(self, letter: Letter, *, is_over: bool) -> None:
        """A message was received too often. No healthy one is whose request is not over, unless nobody could prevent it."""
        books = self._books
        self.judged += 1
        last = books.deliveries[letter.message_id][-1]
        books.note(f"too often {letter.message_id}, last by {last.process}")
        if not is_over and not self._is_excused(letter, last):
            books.breaks("I9", f"{letter.message_id} was healthy, and went to the dead-letter queue")

    def _is_excused(self, letter: Letter, last: Delivery) -> bool:
        books = self._books
        life, end = books.life_of(last.process), books.now
        until = self.leased_until(last.process, letter.message_id)
        return (
            life is None
            or last.is_lost
            or any(
                (
                    # It never came: the answer was lost, or the process ended or was halted before it could hand it on.
                    life.killed_at is not None and life.killed_at - last.at < KILLED_BEFORE_SECONDS,
                    life.is_halted or life.halted_at >= last.at - KILLED_BEFORE_SECONDS or life.continued_at >= last.at,
                    life.is_hurried,
                    books.is_faulty_at(last.at, end),
                    # SQS handed it out again although it was held, and nobody had given it back.
                    until > end and self._released.get(letter.message_id, -1.0) < last.at,
                    # It could not be held: extending failed again and again.
                    books.last_fault.get("ChangeMessageVisibilityBatch", -1e9) > end - 1.5 * books.world.sqs.visibility,
                    self._lapsed.get(letter.message_id, -1.0) >= last.at,
                    # It could not be handed on: sending failed.
                    books.last_fault.get("SendMessageBatch", -1e9) > last.at,
                )
            )
        )

    def left(self, life: Life) -> None:
        """A process has ended after SIGTERM: nothing that it could give back is still hidden on its account."""
        books, name = self._books, life.replica.name
        books.note(f"ended    {name}")
        since = life.stopping_at or 0.0
        was_hindered = life.is_hurried or life.continued_at >= since or books.is_faulty_at(since, books.now)
        was_hindered = was_hindered or books.raised[name] > 0  # a release that raises leaves the lease to run out
        if was_hindered or any(books.last_fault.get(one, -1e9) >= since - TOLD_SLACK for one in _OF_LEAVING):
            return
        if life.replica.slipway.has_left_early:
            books.breaks("I9", f"{name} has left early, though nothing hindered it")
        for letter in books.world.letters.values():
            last = next(reversed(books.deliveries.get(letter.message_id, [])), None)
            if last is None or last.process != name or last.is_lost or life.continued_at >= last.at:
                continue
            # What it took for lost it does not touch: lapsed, or extended by a call whose answer was.
            was_lost = (name, letter.receipt) in self._told_gone
            was_lost = was_lost or books.last_fault.get("ChangeMessageVisibilityBatch", -1e9) >= last.at
            was_given_back = self._released.get(letter.message_id, -1.0) >= last.at  # if not to be visible at once
            if letter.visible_at > books.world.sqs.now() and not was_lost and not was_given_back:
                books.breaks("I9", f"{name} has ended, and has not given {letter.message_id} back")
