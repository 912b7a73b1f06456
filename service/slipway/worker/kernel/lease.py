"""A leased message: its lease, its clock, and what its request waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

from slipway.core.call_errors import CallFailed
from slipway.core.lifecycle.outcomes import Reason
from slipway.core.lifecycle.steps import reason_for
from slipway.core.requests.models import AnyRequest, Cancel
from slipway.core.sqs.continuations import DELETE, KEEP, Delivery
from slipway.core.sqs.messages import Message
from slipway.worker.kernel.interrupts import Cancelled, Deadlines, Displaced, DuplicateMessage, LeaseLost, Waits
from slipway.worker.kernel.telemetry import UNTRACED, WAIT, Trace, Tracer

LONGEST_MEMORY: Final = 8
"""How many past waits of a request are kept for the status page and the requests API."""
LONG_SECONDS: Final = 10.0
"""A wait for the rate limit is recorded from this duration on."""

T = TypeVar("T")


@dataclass(slots=True)
class PastWait:
    """One wait, or several in a row for the same reason. `since` is by the queue's clock."""

    reason: Reason
    text: str
    since: float
    times: int = 1


class Lease(Waits):
    """A leased message and the state of its request in this process. Times are the event loop's unless stated."""

    __slots__ = (
        "arn",
        "begun_at",
        "cancelled",
        "cancellers",
        "changes",
        "delivery",
        "faults",
        "has_begun",
        "is_announced",
        "is_ending",
        "is_extending",
        "is_received_again",
        "lease_until",
        "places",
        "refused",
        "request",
        "taken_at",
        "wait_text",
        "waited",
        "watched",
        "what",
        "why",
    )  # fmt: skip

    trace: Trace = UNTRACED
    """The request's trace. A `TracedLease` has its own."""

    def __init__(self, delivery: Delivery, lease_seconds: float, deadlines: Deadlines | None = None) -> None:
        super().__init__(deadlines)
        self.delivery = delivery
        self.places = 1
        """How many of the `max_held` places it takes: more than one if the message is large."""
        self.taken_at = self._loop.time()
        self.lease_until = self.taken_at + lease_seconds
        self.is_extending = False
        self.changes = 0
        """How many extensions and further receives have begun: each may set another end of the lease."""
        self.is_received_again = False
        """Whether this process has received the message again since it leased it."""
        self.has_begun = False
        """Calls for the request were made in this delivery."""
        self.begun_at: float | None = None
        """When this process began to process the request."""
        self.faults = 0
        """Unexpected exceptions while processing it in this process."""
        self.refused: CallFailed | None = None
        """Why it cannot be continued in a new message."""
        self.is_announced = False
        """Its outcome is published."""
        self.is_ending = False
        """The outcome is decided: the request can no longer be cancelled."""
        self.cancelled: str | None = None
        """`keep` or `delete` for its deployment, once a cancel applies to the request."""
        self.cancellers: tuple[asyncio.Future[bool], ...] = ()
        self.arn: str | None = None
        """The deployment that the request is about, once it is known."""
        self.watched: str | None = None
        """The deployment that the watcher watches for this request, and for no other."""
        self.request: AnyRequest | None = None
        """The request in the message, once it is parsed."""
        self.what = ""
        """The deployment name, for logs and the status page."""
        self.why: Reason | None = None
        """What the request waits for now."""
        self.wait_text = ""
        self.waited: tuple[PastWait, ...] = ()
        """Its past waits, the latest last."""

    @property
    def message(self) -> Message:
        """The message as it was last received."""
        return self.delivery.message

    @property
    def receipt(self) -> str:
        """The receipt handle with which SQS knows the lease."""
        return self.delivery.message.receipt

    @property
    def is_lost(self) -> bool:
        """Return whether the lease is known to be lost."""
        return LeaseLost in self._due

    @property
    def is_leaving(self) -> bool:
        """Return whether it was interrupted, and is about to be settled without an outcome."""
        return bool(self._due)

    def renew(self, delivery: Delivery, lease_seconds: float) -> bool:
        """Take over a new delivery of the same message. Return False if this lease is lost already."""
        if self.is_lost:
            return False
        self.delivery = delivery
        self.is_received_again = True
        self.changes += 1
        self.taken_at = self._loop.time()
        self.lease_until = self.taken_at + lease_seconds
        return True

    def can_be_cancelled(self, by: Cancel) -> bool:
        """Return whether the cancel request is about this request, which has no outcome yet."""
        return self.request is not None and by.is_about(self.request) and not self.is_ending and not self.is_lost

    def cancel(self, *, delete: bool) -> asyncio.Future[bool]:
        """Interrupt the request so that it continues as cancelled; return a future for whether it did."""
        taken: asyncio.Future[bool] = self._loop.create_future()
        self.cancellers += (taken,)
        self.cancelled = DELETE if delete else KEEP
        self.interrupt(Cancelled)
        return taken

    def end(self) -> None:
        """Note that the outcome is decided."""
        self.is_ending = True
        self.clear(Cancelled)
        self.clear(Displaced)
        self.clear(DuplicateMessage)

    def settled(self, *, as_cancelled: bool) -> None:
        """Complete the futures of `cancel`."""
        for taken in self.cancellers:
            if not taken.done():
                taken.set_result(as_cancelled)

    def now(self) -> float:
        """Return the time by the queue's clock, in seconds since the epoch."""
        return self.message.received_at + self._loop.time() - self.taken_at

    def loop_time(self, epoch: float) -> float:
        """Convert a time by the queue's clock to one by the event loop's."""
        return epoch - self.message.received_at + self.taken_at

    def check(self) -> None:
        """Raise `Interrupted` if the request must stop.

        A lease that ran out while this process was stopped or swapped out is lost, too: the clock shows it.
        """
        self._look_at_clock()
        super().check()

    def check_lease(self) -> None:
        """Raise `LeaseLost` if the lease is lost. Other interruptions do not stop an outcome from being published."""
        self._look_at_clock()
        if self.is_lost:
            raise LeaseLost

    def _look_at_clock(self) -> None:
        if self._loop.time() >= self.lease_until:
            self.interrupt(LeaseLost)

    @contextmanager
    def waiting_for(self, why: Reason, text: str = "") -> Iterator[None]:
        """Within, this is what the request waits for. It stays known after an interruption."""
        before = self.why, self.wait_text
        self.why, self.wait_text = why, text
        self._remember(why, text, self.now())
        yield
        self.why, self.wait_text = before

    async def wait_to_call(self, future: asyncio.Future[T], failed: CallFailed, /) -> T:
        """Await what a call waits for before its next attempt, and record that as what the request waits for.

        Every call for a request waits through this, so that a request that times out meanwhile can report the cause.
        """
        before, since = (self.why, self.wait_text), self.now()
        self.why, self.wait_text = reason_for(failed), str(failed)
        answer = await self.wait(future)
        if self.now() - since >= LONG_SECONDS:
            self._remember(self.why, self.wait_text, since)
        self.why, self.wait_text = before
        return answer

    @property
    def is_in_doubt(self) -> bool:
        """Return whether earlier calls may have been applied: in another delivery, or before an exception in this one."""
        return self.has_begun or self.delivery.is_in_doubt

    def cause(self) -> tuple[Reason | None, str]:
        """Return what the request waits for, or waited for when it was interrupted, and the text for people."""
        if self.why is not None:
            return self.why, self.wait_text
        if self.is_in_doubt:
            return Reason.NO_ANSWER, "the answers to its calls came too late"
        return None, "not begun"

    def _remember(self, why: Reason, text: str, since: float) -> None:
        last = self.waited[-1] if self.waited else None
        if last is not None and last.reason is why:
            last.text = text
            last.times += 1
        else:
            self.waited = (*self.waited[1 - LONGEST_MEMORY :], PastWait(why, text, since))


class TracedLease(Lease):
    """A lease with a trace."""

    __slots__ = ("trace",)

    def __init__(self, tracer: Tracer, delivery: Delivery, lease_seconds: float, deadlines: Deadlines | None = None) -> None:
        super().__init__(delivery, lease_seconds, deadlines)
        self.trace: Trace = tracer.begin(delivery)

    @contextmanager
    def waiting_for(self, why: Reason, text: str = "") -> Iterator[None]:
        """Within, this is what the request waits for, and its trace shows it."""
        with self.trace.span(f"{WAIT} {why.value}", text), super().waiting_for(why, text):
            yield

    async def wait_to_call(self, future: asyncio.Future[T], failed: CallFailed, /) -> T:
        """Await what a call waits for, in a span of its own."""
        with self.trace.span(f"{WAIT} {reason_for(failed).value}"):
            return await super().wait_to_call(future, failed)
