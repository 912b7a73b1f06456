"""The order of requests for the same deployment or FIFO group: one at a time, by first receipt.

Of several messages of one request, at most one is processed here, and the others are deleted.
"""

from __future__ import annotations

import asyncio
from bisect import insort
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Final, Self

from slipway.core.events.publish import Progress
from slipway.core.lifecycle.outcomes import Reason
from slipway.core.sqs.continuations import NO_DECISIONS, Decisions
from slipway.worker.kernel.interrupts import DuplicateMessage
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.retry import ReportProgress


class _Lines(dict[str, list["OrderPosition"]]):
    """By key: the positions in order, the first one working. No list is empty."""

    waiting = 0
    """The number of positions in all lists."""


class RequestOrder:
    """An ordered list of requests for each key; the first of each list may work."""

    def __init__(self) -> None:
        self._lines = _Lines()

    def position(self, keys: Sequence[str], lease: Lease) -> OrderPosition:
        """Return a position that is yet to be taken in the list of each of these keys, one after the other.

        For the last key the order is that of first receipt; for those before it, of arrival. (SQS itself keeps the order
        in a FIFO group; otherwise a message that is received again may arrive after younger ones.)
        """
        return OrderPosition(self._lines, keys, lease)

    def queue_positions(self) -> dict[str, int]:
        """Return the number of requests before each message whose request waits behind others."""
        waiting = (enumerate(line[1:], 1) for line in self._lines.values() if len(line) > 1)
        return {position.message_id: before for each in waiting for before, position in each}

    def is_followed(self, keys: Sequence[str], lease: Lease) -> bool:
        """Return whether a request waits behind this message's request, for any of its keys."""
        mine = lease.message.message_id
        lines = (self._lines[key] for key in keys if key in self._lines)
        return any(line[-1].message_id != mine and any(position.message_id == mine for position in line) for line in lines)

    def __len__(self) -> int:
        """Return the number of requests that wait behind another."""
        return self._lines.waiting - len(self._lines)


class OrderPosition:
    """The position of one request in the list of each of its keys; leaving the context leaves all lists."""

    __slots__ = ("_first_received", "_is_first", "_joined", "_keys", "_lease", "_lines")

    def __init__(self, lines: _Lines, keys: Sequence[str], lease: Lease) -> None:
        self._lines = lines
        self._keys = keys
        self._lease = lease
        self._first_received = lease.delivery.first_received_at
        self._joined = 0
        """In how many lists it is: those of the first keys."""
        self._is_first: asyncio.Future[None] | None = None

    @property
    def message_id(self) -> str:
        """The message of the request."""
        return self._lease.message.message_id

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        while self._joined:
            self._leave()

    async def wait_until_first(self, report_progress: ReportProgress) -> None:
        """Return when the request is first in every list. Raises `Interrupted` while waiting, and leaves that list."""
        for key in self._keys:
            line = self._lines.setdefault(key, [])
            self._joined += 1
            self._lines.waiting += 1
            if key == self._keys[-1]:
                insort(line, self, lo=1, key=_age)  # never before the first one, which is at work
            else:
                line.append(self)
            if line[0] is not self:
                text = f"behind an earlier request for {key}"
                report_progress(Progress.WAITING, Reason.PREDECESSOR, text, partial(line.index, self))
                await self._wait(text)

    async def _wait(self, text: str) -> None:
        self._is_first = asyncio.get_running_loop().create_future()
        try:
            with self._lease.waiting_for(Reason.PREDECESSOR, text):
                await self._lease.wait(self._is_first)
        except BaseException:
            self._leave()
            raise

    def _leave(self) -> None:
        """Leave the list that was joined last; the next request there may work if this one was first."""
        self._joined -= 1
        self._lines.waiting -= 1
        key = self._keys[self._joined]
        line = self._lines[key]
        was_head = line[0] is self
        line.remove(self)
        if not line:
            del self._lines[key]
        elif was_head:
            line[0]._become_first()  # noqa: SLF001  another one of the same class

    def _become_first(self) -> None:
        if self._is_first is not None and not self._is_first.done():
            self._is_first.set_result(None)


def _age(position: OrderPosition) -> float:
    return position._first_received  # noqa: SLF001  of this module


MOST_REMEMBERED: Final = 10_000
"""Requests whose latest continuation is remembered."""


class Copies:
    """Tells which of several messages of one request is superseded.

    When the answer to the send of a continuation is lost, it is sent again, and two messages carry the request. If each were
    continued in its turn, they would multiply. A message is superseded by a later continuation that was sent or received
    here, and by one of the same hop count with a greater id that is leased here. The order is total: no two processes can
    delete each other's message as superseded. A message that carries a decision is superseded only by one that carries the
    same. Continuations that another sender may have written are not compared.
    """

    def __init__(self) -> None:
        self._latest: dict[str, tuple[int, Decisions]] = {}
        """The hop count of each request's latest continuation known here, and the decision it carries."""
        self._leased: dict[str, Lease] = {}
        """The message of each request that is processed here."""
        self._ends: dict[str, list[asyncio.Future[None]]] = {}
        """Completed when the leased message of a request is let go, where others wait for that."""

    async def is_superseded(self, lease: Lease) -> bool:
        """Return whether another message carries the request on. If not, this one does.

        Another one that is leased here gives way, and is awaited. Raises `Interrupted` while waiting.
        """
        delivery = lease.delivery
        if not delivery.is_receipt_proven:
            return False
        origin = delivery.origin
        self._remember(origin, delivery.hops, delivery.decisions)
        while (other := self._leased.get(origin)) is not None and other is not lease and not other.is_lost:
            if self.is_behind(lease) or _is_before(lease, other):
                return True
            if _is_before(other, lease) and not other.is_ending:
                other.interrupt(DuplicateMessage)
            with lease.waiting_for(Reason.PREDECESSOR, "another message of the same request is processed"):
                ends: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._ends.setdefault(origin, []).append(ends)
                await lease.wait(ends)
        if self.is_behind(lease):
            return True
        self._leased[origin] = lease
        return False

    def is_behind(self, lease: Lease) -> bool:
        """Return whether a later continuation of the request was sent or received here."""
        delivery = lease.delivery
        latest, decided = self._latest.get(delivery.origin, (0, NO_DECISIONS))
        is_covered = delivery.decisions in (NO_DECISIONS, decided)
        return delivery.hops < latest and is_covered and delivery.is_receipt_proven

    def sent(self, lease: Lease, decided: Decisions | None) -> None:
        """Note that the request was continued in a new message."""
        if lease.delivery.is_receipt_proven:
            origin, hops = lease.delivery.origin, lease.delivery.next_hops
            self._remember(origin, hops, decided or lease.delivery.decisions)

    def discard(self, lease: Lease) -> None:
        """Note that the message is no longer leased here."""
        origin = lease.delivery.origin
        if self._leased.get(origin) is lease:
            del self._leased[origin]
            for ends in self._ends.pop(origin, ()):
                if not ends.done():
                    ends.set_result(None)

    def _remember(self, origin: str, hops: int, decisions: Decisions) -> None:
        if hops > self._latest.get(origin, (0, decisions))[0]:
            self._latest.pop(origin, None)
            self._latest[origin] = hops, decisions
            if len(self._latest) > MOST_REMEMBERED:
                del self._latest[next(iter(self._latest))]


def _is_before(lease: Lease, other: Lease) -> bool:
    """Return whether the other message comes later in the order of a request's messages, and carries what this one does."""
    mine, its = ((each.delivery.hops, each.message.message_id) for each in (lease, other))
    return mine < its and lease.delivery.decisions in (NO_DECISIONS, other.delivery.decisions)
