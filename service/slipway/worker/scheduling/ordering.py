"""One after the other: requests for the same thing take turns, in the order in which they were first received."""

from __future__ import annotations

import asyncio
from bisect import insort
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Self

from slipway.core.events.publish import Progress
from slipway.core.lifecycle.outcomes import Reason
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.observe import ReportProgress


class _Lines(dict[str, list["OrderPosition"]]):
    """By key: who stands in line, the head first. No line is empty."""

    standing = 0
    """In all of them. Counted and not summed up: whoever looks at the page asks each second."""


class RequestOrder:
    """A line for each key; whoever is at its head has the turn."""

    def __init__(self) -> None:
        self._lines = _Lines()

    def turn(self, keys: Sequence[str], lease: Lease) -> OrderPosition:
        """Answer a turn that is yet to be taken: alone with each of these keys, in this order.

        For the last key, who was first received earlier goes before; for those before it, who comes earlier. (Within a
        FIFO group SQS itself keeps the order; elsewhere a message that is received again may come after younger ones.)
        """
        return OrderPosition(self._lines, keys, lease)

    def places(self) -> dict[str, int]:
        """Answer how many go before each message whose request waits behind others."""
        waiting = (enumerate(line[1:], 1) for line in self._lines.values() if len(line) > 1)
        return {turn.message_id: before for each in waiting for before, turn in each}

    def is_followed(self, keys: Sequence[str], lease: Lease) -> bool:
        """Whether somebody stands behind this message's request in the line of any of its keys."""
        mine = lease.message.message_id
        lines = (self._lines[key] for key in keys if key in self._lines)
        return any(line[-1].message_id != mine and any(turn.message_id == mine for turn in line) for line in lines)

    def __len__(self) -> int:
        """How many wait behind another."""
        return self._lines.standing - len(self._lines)


class OrderPosition:
    """A place in some lines, all of which are left in the end.

    Every request that is held has one. It is kept small: a line is a list, since a deque takes 600 bytes for its one
    place, and there is a future only for who really waits.
    """

    __slots__ = ("_first_received", "_hold", "_keys", "_lines", "_standing", "_turn")

    def __init__(self, lines: _Lines, keys: Sequence[str], lease: Lease) -> None:
        self._lines = lines
        self._keys = keys
        self._hold = lease
        self._first_received = lease.delivery.first_received_at
        self._standing = 0
        """In how many of the lines it stands: in those of the first keys."""
        self._turn: asyncio.Future[None] | None = None

    @property
    def message_id(self) -> str:
        """Whose turn it is."""
        return self._hold.message.message_id

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        while self._standing:
            self._leave()

    async def come(self, report_progress: ReportProgress) -> None:
        """Return when no other holder of the keys is at work. Raises `Interrupted` while waiting; that line closes up."""
        for key in self._keys:
            line = self._lines.setdefault(key, [])
            self._standing += 1
            self._lines.standing += 1
            if key == self._keys[-1]:
                insort(line, self, lo=1, key=_age)  # never before the head, who has the turn
            else:
                line.append(self)
            if line[0] is not self:
                text = f"behind an earlier request for {key}"
                report_progress(Progress.WAITING, Reason.PREDECESSOR, text, partial(line.index, self))
                await self._wait(text)

    async def _wait(self, text: str) -> None:
        self._turn = asyncio.get_running_loop().create_future()
        try:
            with self._hold.waiting_for(Reason.PREDECESSOR, text):
                await self._hold.wait(self._turn)
        except BaseException:
            self._leave()
            raise

    def _leave(self) -> None:
        """Leave the last line that was joined; who is next there, if this one was at its head, has the turn."""
        self._standing -= 1
        self._lines.standing -= 1
        key = self._keys[self._standing]
        line = self._lines[key]
        was_head = line[0] is self
        line.remove(self)
        if not line:
            del self._lines[key]
        elif was_head:
            line[0]._has_come()  # noqa: SLF001  another one of the same class

    def _has_come(self) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)


def _age(turn: OrderPosition) -> float:
    return turn._first_received  # noqa: SLF001  of this module
