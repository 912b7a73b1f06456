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

    waiting = 0
    """In all of them. Counted and not summed up: whoever looks at the page asks each second."""


class RequestOrder:
    """A line for each key; whoever is at its head has the turn."""

    def __init__(self) -> None:
        self._lines = _Lines()

    def position(self, keys: Sequence[str], lease: Lease) -> OrderPosition:
        """Answer a turn that is yet to be taken: alone with each of these keys, in this order.

        For the last key, who was first received earlier goes before; for those before it, who comes earlier. (Within a
        FIFO group SQS itself keeps the order; elsewhere a message that is received again may come after younger ones.)
        """
        return OrderPosition(self._lines, keys, lease)

    def places(self) -> dict[str, int]:
        """Answer how many go before each message whose request waits behind others."""
        waiting = (enumerate(line[1:], 1) for line in self._lines.values() if len(line) > 1)
        return {position.message_id: before for each in waiting for before, position in each}

    def is_followed(self, keys: Sequence[str], lease: Lease) -> bool:
        """Whether somebody stands behind this message's request in the line of any of its keys."""
        mine = lease.message.message_id
        lines = (self._lines[key] for key in keys if key in self._lines)
        return any(line[-1].message_id != mine and any(position.message_id == mine for position in line) for line in lines)

    def __len__(self) -> int:
        """How many wait behind another."""
        return self._lines.waiting - len(self._lines)


class OrderPosition:
    """A place in some lines, all of which are left in the end.

    Every request that is held has one. It is kept small: a line is a list, since a deque takes 600 bytes for its one
    place, and there is a future only for who really waits.
    """

    __slots__ = ("_first_received", "_is_first", "_joined", "_keys", "_lease", "_lines")

    def __init__(self, lines: _Lines, keys: Sequence[str], lease: Lease) -> None:
        self._lines = lines
        self._keys = keys
        self._lease = lease
        self._first_received = lease.delivery.first_received_at
        self._joined = 0
        """In how many of the lines it stands: in those of the first keys."""
        self._is_first: asyncio.Future[None] | None = None

    @property
    def message_id(self) -> str:
        """Whose turn it is."""
        return self._lease.message.message_id

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        while self._joined:
            self._leave()

    async def wait_until_first(self, report_progress: ReportProgress) -> None:
        """Return when no other holder of the keys is at work. Raises `Interrupted` while waiting; that line closes up."""
        for key in self._keys:
            line = self._lines.setdefault(key, [])
            self._joined += 1
            self._lines.waiting += 1
            if key == self._keys[-1]:
                insort(line, self, lo=1, key=_age)  # never before the head, who has the turn
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
        """Leave the last line that was joined; who is next there, if this one was at its head, has the turn."""
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
