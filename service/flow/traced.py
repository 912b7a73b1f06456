"""A hold that is traced: each of its waits is a span, named for its reason."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TypeVar

from service.core.calls import CallFailed
from service.core.messages import Message
from service.core.outcomes import Reason
from service.core.steps import reason_for
from service.flow.hold import Because, Hold
from service.flow.tracing import WAIT, Trace, Tracer
from service.flow.waits import Deadlines

T = TypeVar("T")


class TracedHold(Hold):
    """A message held, and its trace."""

    __slots__ = ("trace",)

    def __init__(self, tracer: Tracer, message: Message, lease_seconds: float, deadlines: Deadlines | None = None) -> None:
        super().__init__(message, lease_seconds, deadlines)
        self.trace: Trace = tracer.begin(message)

    def because(self, why: Reason, text: str = "") -> Because:
        """Within, this is what the request waits for, and its trace shows it."""
        because = _TracedBecause(self, self.trace.span(f"{WAIT} {why.value}", text))
        super().because(why, text)
        return because

    async def wait_to_call(self, future: asyncio.Future[T], failed: CallFailed, /) -> T:
        """Await what a call waits for; the trace shows how long that took, within the call."""
        with self.trace.span(f"{WAIT} {reason_for(failed).value}"):
            return await super().wait_to_call(future, failed)


class _TracedBecause(Because):
    __slots__ = ("_span",)

    def __init__(self, hold: Hold, span: AbstractContextManager[object]) -> None:
        super().__init__(hold)
        self._span = span

    def __enter__(self) -> None:
        self._span.__enter__()

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        super().__exit__(kind, exc, trace)
        self._span.__exit__(kind, exc, trace)
