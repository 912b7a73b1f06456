"""One after the other: requests for the same thing take turns, in the order in which they came."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from service.core.outcomes import Reason
from service.flow.hold import Hold


class Turns:
    """A line for each key; whoever is at its head has the turn."""

    def __init__(self) -> None:
        self._lines: dict[str, list[Turn]] = {}

    def turn(self, keys: Sequence[str], hold: Hold) -> Turn:
        """Answer a turn that is yet to be taken: alone with each of these keys, in this order."""
        return Turn(self._lines, keys, hold)

    def __len__(self) -> int:
        """How many wait behind another."""
        return sum(len(line) - 1 for line in self._lines.values())


class Turn:
    """A place in some lines, all of which are left in the end.

    Every request that is held has one. It is kept small: a line is a list, since a deque takes 600 bytes for its one
    place, and there is a future only for who really waits.
    """

    __slots__ = ("_hold", "_keys", "_lines", "_standing", "_turn")

    def __init__(self, lines: dict[str, list[Turn]], keys: Sequence[str], hold: Hold) -> None:
        self._lines = lines
        self._keys = keys
        self._hold = hold
        self._standing = 0
        """In how many of the lines it stands: in those of the first keys."""
        self._turn: asyncio.Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        while self._standing:
            self._leave()

    async def come(self) -> None:
        """Return when no other holder of the keys is at work. Raises `Interrupted` while waiting; that line closes up."""
        for key in self._keys:
            line = self._lines.setdefault(key, [])
            line.append(self)
            self._standing += 1
            if line[0] is not self:
                await self._wait(key, len(line) - 1)

    async def _wait(self, key: str, before: int) -> None:
        self._turn = asyncio.get_running_loop().create_future()
        try:
            with self._hold.because(Reason.PREDECESSOR, f"{before} before this one for {key}"):
                await self._hold.wait(self._turn)
        except BaseException:
            self._leave()
            raise

    def _leave(self) -> None:
        """Leave the last line that was joined; who is next there, if this one was at its head, has the turn."""
        self._standing -= 1
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
