"""A request's way through here, as somebody may want to trace it. Nobody does, unless there is a `Tracer`.

This module knows no tracing library. A tracer turns what it is told into spans; without one, all requests share one trace
that takes nothing down, and none has a byte of its own for it.
"""

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
"""Followed by the reason, in the word that events have for it."""


class Trace(Protocol):
    """What is told of one message's stay here."""

    @property
    def traceparent(self) -> str | None:
        """What is being done now, as those are told who go on with it; None where nobody traces."""

    def span(self, name: str, text: str = "", /) -> AbstractContextManager[object]:
        """Within, this is what is done. `text` says more, for people. Spans may be within each other."""

    def note(self, **facts: str | float | None) -> None:
        """Add what is known of the request; nothing for None. An `error` says how it ended other than well."""

    def end(self, settlement: str) -> None:
        """The message is settled, or left to somebody else."""


class Tracer(Protocol):
    """Whoever traces."""

    def begin(self, delivery: Delivery) -> Trace:
        """A message was received."""


class _Untraced:
    """Takes nothing down."""

    traceparent = None

    def span(self, name: str, text: str = "", /) -> AbstractContextManager[object]:  # noqa: ARG002  as a trace has it
        return _NOTHING

    def note(self, **facts: str | float | None) -> None:
        pass

    def end(self, settlement: str) -> None:
        pass


_NOTHING: Final = nullcontext()
UNTRACED: Final[Trace] = _Untraced()
"""The one that all share."""
