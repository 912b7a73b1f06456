"""The trace of a request, for a tracer that turns it into spans. This module imports no tracing library."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol

from slipway.core.sqs.continuations import Delivery

CREATE: Final = "CreateCustomModelDeployment"
UPDATE: Final = "UpdateCustomModelDeployment"
DELETE: Final = "DeleteCustomModelDeployment"
PUBLISH: Final = "publish"
REPLY: Final = "reply"
WAIT: Final = "wait"
"""Followed by the reason as in events."""


class Trace(Protocol):
    """The trace of one leased message."""

    @property
    def traceparent(self) -> str | None:
        """The current span, for the next process that works on the request; None without tracing."""

    def span(self, name: str, text: str = "", /) -> AbstractContextManager[object]:
        """Within, a span of this name is open. `text` describes it. Spans may be nested."""

    def note(self, **facts: str | float | None) -> None:
        """Add attributes to the trace; None values are ignored. `error` marks the trace as failed."""

    def end(self, settlement: str) -> None:
        """End the trace: the message is settled, or its lease is given up."""


class Tracer(Protocol):
    """Makes the traces of leased messages."""

    def begin(self, delivery: Delivery) -> Trace:
        """Start the trace of a message that was received."""


class _Untraced:
    """Records nothing."""

    traceparent = None

    def span(self, name: str, text: str = "", /) -> AbstractContextManager[object]:  # noqa: ARG002  as a trace has it
        return _NOTHING

    def note(self, **facts: str | float | None) -> None:
        pass

    def end(self, settlement: str) -> None:
        pass


_NOTHING: Final = nullcontext()
UNTRACED: Final[Trace] = _Untraced()
"""The trace of every request when tracing is off."""
