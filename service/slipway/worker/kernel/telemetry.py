"""Telemetry of the worker: counters and histograms, read by metrics and health, and the trace of a request.

A tracer turns a trace into spans. This module imports no metrics or tracing library.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Final, Protocol

from slipway.core.sqs.continuations import Delivery

LATEST: Final = 64
"""How many of the latest values are kept."""


@dataclass(slots=True)
class Histogram:
    """A histogram of durations in seconds."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0
    latest: deque[float] = field(default_factory=lambda: deque(maxlen=LATEST))

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds
        self.latest.append(seconds)


_MINUTES = (1.0, 5.0, 15.0, 60.0, 180.0, 480.0, 900.0, 1800.0, 3600.0, 7200.0, 21600.0, 86400.0)
_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 60.0, 300.0)


@dataclass(slots=True)
class Counters:
    """Counters since the start of the process."""

    messages_received: int = 0
    duplicate_deliveries: int = 0
    leases_lost: int = 0
    leases_extended: int = 0
    endings: Counter[str] = field(default_factory=Counter)
    events_published: int = 0
    events_unmatched: int = 0
    """Upstream events that no trigger matches."""
    replies: Counter[str] = field(default_factory=Counter)
    """Callbacks by result."""
    events_given_up: int = 0
    """Outcomes that SNS refused in every form; each is in the dead-letter queue instead."""
    put_off: int = 0
    """Requests continued later because their outcome could not be published."""
    dead_letters: Counter[str] = field(default_factory=Counter)
    """Dead letters by result."""
    adoptions: int = 0
    unknown_answers: int = 0
    quota_refusals: int = 0
    expiries: int = 0
    """Delete requests for expired deployments."""
    postponed: int = 0
    """Requests that were returned to the queue for a while, so that others got their places."""
    sweeps: int = 0
    sweeps_failed: int = 0
    settlements: Counter[str] = field(default_factory=Counter)
    faults: int = 0
    """Unexpected exceptions: each is a bug in Slipway."""
    request_seconds: Histogram = field(default_factory=lambda: Histogram(_MINUTES))
    """From the first receipt to the published outcome."""
    creation_seconds: Histogram = field(default_factory=lambda: Histogram(_MINUTES))
    """From a deployment's creation to its terminal status, by AWS's clock."""
    sweep_seconds: Histogram = field(default_factory=lambda: Histogram(_SECONDS))


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
