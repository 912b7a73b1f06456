"""Telling whoever waits that a create is made no sooner than AWS takes it."""

from __future__ import annotations

import asyncio
from types import TracebackType

from service.core.events import Progress
from service.core.outcomes import Reason
from service.flow.hold import LONG_SECONDS, Hold
from service.flow.looking import Tell, in_silence


class HeldBack:
    """Within, a create is made; where its turn is long in coming, it is announced that it waits for the rate of calls."""

    __slots__ = ("_hold", "_tell", "_timer")

    def __init__(self, hold: Hold, tell: Tell) -> None:
        self._hold = hold
        self._tell = tell
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        if self._tell is not in_silence:
            self._timer = asyncio.get_running_loop().call_later(LONG_SECONDS, self._say)

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _say(self) -> None:
        if self._hold.why is Reason.THROTTLED:
            self._tell(Progress.WAITING, Reason.THROTTLED, self._hold.why_text)
