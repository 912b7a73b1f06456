"""Several messages of one request: at most one of them is processed here, and the others are deleted."""

from __future__ import annotations

import asyncio
from typing import Final

from slipway.core.lifecycle.outcomes import Reason
from slipway.core.sqs.continuations import NO_DECISIONS, Decisions
from slipway.worker.kernel.interrupts import Superseded
from slipway.worker.kernel.lease import Lease

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
                other.interrupt(Superseded)
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
