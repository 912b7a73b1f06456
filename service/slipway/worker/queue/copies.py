"""Several messages of one request: at most one of them is processed here, and the others are deleted."""

from __future__ import annotations

import asyncio
from typing import Final

from slipway.core.lifecycle.outcomes import Reason
from slipway.core.sqs import continuations
from slipway.core.sqs.continuations import NOTHING_DECIDED, Carried
from slipway.worker.kernel.interrupts import Superseded
from slipway.worker.kernel.lease import Hold

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
        self._latest: dict[str, tuple[int, Carried]] = {}
        """The hop count of each request's latest continuation known here, and the decision it carries."""
        self._leased: dict[str, Hold] = {}
        """The message of each request that is processed here."""
        self._ends: dict[str, list[asyncio.Future[None]]] = {}
        """Completed when the leased message of a request is let go, where others wait for that."""

    async def is_superseded(self, hold: Hold) -> bool:
        """Return whether another message carries the request on. If not, this one does.

        Another one that is leased here gives way, and is awaited. Raises `Interrupted` while waiting.
        """
        message = hold.message
        if not continuations.is_receipt_proved(message):
            return False
        origin = continuations.origin(message)
        self._remember(origin, continuations.hops(message), continuations.carried(message))
        while (other := self._leased.get(origin)) is not None and other is not hold and not other.is_lost:
            if self.is_behind(hold) or _is_before(hold, other):
                return True
            if _is_before(other, hold) and not other.is_ending:
                other.interrupt(Superseded)
            with hold.because(Reason.PREDECESSOR, "another message of the same request is processed"):
                ends: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._ends.setdefault(origin, []).append(ends)
                await hold.wait(ends)
        if self.is_behind(hold):
            return True
        self._leased[origin] = hold
        return False

    def is_behind(self, hold: Hold) -> bool:
        """Return whether a later continuation of the request was sent or received here."""
        message = hold.message
        latest, decided = self._latest.get(continuations.origin(message), (0, NOTHING_DECIDED))
        is_covered = continuations.carried(message) in (NOTHING_DECIDED, decided)
        return continuations.hops(message) < latest and is_covered and continuations.is_receipt_proved(message)

    def sent(self, hold: Hold, decided: Carried | None) -> None:
        """Note that the request was continued in a new message."""
        if continuations.is_receipt_proved(hold.message):
            origin, hops = continuations.origin(hold.message), continuations.next_hops(hold.message)
            self._remember(origin, hops, decided or continuations.carried(hold.message))

    def let_go(self, hold: Hold) -> None:
        """Note that the message is no longer leased here."""
        origin = continuations.origin(hold.message)
        if self._leased.get(origin) is hold:
            del self._leased[origin]
            for ends in self._ends.pop(origin, ()):
                if not ends.done():
                    ends.set_result(None)

    def _remember(self, origin: str, hops: int, carried: Carried) -> None:
        if hops > self._latest.get(origin, (0, carried))[0]:
            self._latest.pop(origin, None)
            self._latest[origin] = hops, carried
            if len(self._latest) > MOST_REMEMBERED:
                del self._latest[next(iter(self._latest))]


def _is_before(hold: Hold, other: Hold) -> bool:
    """Return whether the other message comes later in the order of a request's messages, and carries what this one does."""
    mine, its = ((continuations.hops(each.message), each.message.message_id) for each in (hold, other))
    return mine < its and continuations.carried(hold.message) in (NOTHING_DECIDED, continuations.carried(other.message))
