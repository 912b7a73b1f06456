"""One after the other: requests for the same thing take turns, in the order in which they came."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.core.outcomes import Reason
from service.flow.hold import Hold


class Turns:
    """A line for each key; whoever is at its head has the turn."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def turn(self, key: str, hold: Hold) -> AsyncIterator[None]:
        """Within, no other holder of this key is at work. Raises `Interrupted` while waiting; the line closes up."""
        line = self._lines.setdefault(key, deque())
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(place)
        try:
            if line[0] is not place:
                with hold.because(Reason.PREDECESSOR, f"{len(line) - 1} before this one for {key}"):
                    await hold.wait(place)
            yield
        finally:
            was_head = line[0] is place
            line.remove(place)
            if not line:
                del self._lines[key]
            elif was_head and not line[0].done():
                line[0].set_result(None)

    def __len__(self) -> int:
        """How many wait behind another."""
        return sum(len(line) - 1 for line in self._lines.values())
