"""One cancel request: find the request that it is about among those held here, and let that be handed on as cancelled.

A request is only in the memory of whoever holds it, and SQS decides who receives the cancel: where the request is not held
here, the cancel is given back, for another replica to receive, until its deadline.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from service.core.actions import Cancel
from service.core.outcomes import Ending, Outcome, Reason, Release
from service.flow.history import History
from service.flow.hold import Hold

log = structlog.get_logger()

BACK_SECONDS: Final = 10
"""How long a cancel stays invisible, at most, when what it is about is not held here."""


class Cancelling:
    """Passes cancels on to what is held."""

    def __init__(self, held: Callable[[], Iterable[Hold]], history: History, *, rng: random.Random) -> None:
        self._held = held
        self._history = history
        self._rng = rng

    async def cancel(self, request: Cancel, hold: Hold, deadline: float) -> Outcome | Release:
        """Answer how the cancel ended, or that another replica is to have it. Raises `Interrupted`."""
        found = [each for each in self._held() if each is not hold and each.can_be_cancelled(request)]
        if found:
            log.info("cancel.passed_on", cancels=request.name, count=len(found))
            taken = [await hold.wait(each.cancel(delete=request.delete)) for each in found]
            if any(taken):
                return Outcome(Ending.CANCEL_TAKEN, message=f"{request.name} is handed on as cancelled")
        text = f"no request {request.name!r} is held here"
        for story in self._history:
            if request.step is None and story.finished.request_id == request.name:
                text = f"{request.name!r} has ended already: {story.finished.outcome}"
                return Outcome(Ending.FAILED, Reason.NOTHING_TO_CANCEL, text)
        if asyncio.get_running_loop().time() >= deadline:
            text = f"{text}, nor by whoever had this cancel before; it may have ended, or not been received"
            return Outcome(Ending.FAILED, Reason.NOTHING_TO_CANCEL, text)
        return Release(1 + self._rng.randrange(BACK_SECONDS))
