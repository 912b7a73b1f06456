"""The latest outcomes, for whoever asks this daemon how a request ended. A convenience: the events are the record."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from service.core.held import Finished

REMEMBERED: Final = 1000
"""About 1 MB at most. What another replica finished, or this one before it was restarted, is not among them."""


class Recent:
    """What was finished here, the latest last, as far back as it is remembered."""

    def __init__(self) -> None:
        self._finished: deque[Finished] = deque(maxlen=REMEMBERED)

    def __iter__(self) -> Iterator[Finished]:
        return iter(self._finished)

    def add(self, finished: Finished) -> None:
        """Remember one; the oldest is forgotten for it. Safe to repeat."""
        self._finished.append(finished)
