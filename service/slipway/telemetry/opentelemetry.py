"""OpenTelemetry traces. The only module that imports OpenTelemetry, imported only if tracing is on."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from slipway.core.events.trace_context import TraceParent, trace_start
from slipway.core.sqs.continuations import Delivery
from slipway.core.time_format import format_time
from slipway.worker.kernel.interrupts import Interrupted
from slipway.worker.kernel.telemetry import CREATE, DELETE, PUBLISH, REPLY, UPDATE

EXPORT_ON_SHUTDOWN_SECONDS: Final = 3.0
"""Longest time for sending the last spans at shutdown."""
_KINDS: Final[Mapping[str, SpanKind]] = {
    CREATE: SpanKind.CLIENT,
    UPDATE: SpanKind.CLIENT,
    DELETE: SpanKind.CLIENT,
    PUBLISH: SpanKind.PRODUCER,
    REPLY: SpanKind.PRODUCER,
}
Facts = str | float | None


class _Ids(RandomIdGenerator):
    """Random ids, except for a trace whose id is known before its first span."""

    def __init__(self) -> None:
        self.trace_id: int | None = None

    def generate_trace_id(self) -> int:
        """Return the id of the next trace."""
        return super().generate_trace_id() if self.trace_id is None else self.trace_id


class Spans:
    """Creates a span for each message. Times start with the host's clock and advance with the event loop's clock."""

    def __init__(self, provider: TracerProvider, *, queue: str, wall_clock: Callable[[], float] = time.time) -> None:
        self.ids = provider.id_generator = _Ids()
        self.tracer = provider.get_tracer("slipway")
        self._queue = queue
        self._wall_clock = wall_clock

    def begin(self, delivery: Delivery) -> MessageSpan:
        """Begin the span of a received message: a child of the sender's span, linked to the span that continued it."""
        message, begun = delivery.message, trace_start(delivery)
        attributes: dict[str, str | int] = {
            "messaging.system": "aws_sqs",
            "messaging.operation.type": "process",
            "messaging.operation.name": "process",
            "messaging.destination.name": self._queue,
            "messaging.message.id": message.message_id,
            "slipway.first_received": format_time(delivery.first_received_at),
            "slipway.receive_count": message.receive_count,
        }
        began = self._wall_clock()
        self.ids.trace_id = int(begun.trace_id, 16)
        span = self.tracer.start_span(
            f"process {self._queue}",
            set_span_in_context(NonRecordingSpan(_context(begun.parent))) if begun.parent else None,
            SpanKind.CONSUMER,
            attributes,
            [Link(_context(begun.before))] if begun.before else (),
            start_time=_nanoseconds(began),
        )
        self.ids.trace_id = None
        return MessageSpan(self, span, began)


class MessageSpan:
    """The span of one message, from receipt to settlement, with nested spans."""

    __slots__ = ("_began", "_loop", "_open", "_spans")

    def __init__(self, spans: Spans, span: Span, began: float) -> None:
        self._spans = spans
        self._loop = asyncio.get_running_loop()
        self._began = began - self._loop.time()
        self._open = [span]
        """Open spans, each inside the previous one."""

    @property
    def traceparent(self) -> str:
        """The context of the current span, in W3C's format."""
        context = self._open[-1].get_span_context()
        return str(TraceParent(f"{context.trace_id:032x}", f"{context.span_id:016x}", context.trace_flags.sampled))

    def span(self, name: str, text: str = "", /) -> NestedSpan:
        """Return a context manager for a nested span."""
        return NestedSpan(self, name, text)

    def note(self, **facts: Facts) -> None:
        """Add attributes of the request."""
        error = facts.pop("error", None)
        self._open[0].set_attributes({f"slipway.{name}": value for name, value in facts.items() if value is not None})
        if error is not None:
            self._open[0].set_status(Status(StatusCode.ERROR, str(error)))

    def end(self, settlement: str) -> None:
        """End all spans of the message with its settlement."""
        self.note(settlement=settlement)
        while self._open:
            self.pop()

    def push(self, name: str, text: str) -> None:
        """Begin a nested span."""
        attributes = {"slipway.text": text} if text else {}
        parent = set_span_in_context(self._open[-1])
        kind = _KINDS.get(name, SpanKind.INTERNAL)
        self._open.append(self._spans.tracer.start_span(name, parent, kind, attributes, start_time=self._now()))

    def pop(self, exc: BaseException | None = None) -> None:
        """End the innermost span. An interruption is not an error."""
        span = self._open.pop()
        if isinstance(exc, Interrupted):
            span.set_attribute("slipway.interrupted", type(exc).__name__)
        elif exc is not None:
            span.set_status(Status(StatusCode.ERROR, str(exc)))
        span.end(self._now())

    def _now(self) -> int:
        return _nanoseconds(self._began + self._loop.time())


class NestedSpan:
    """Context manager of a nested span."""

    __slots__ = ("_name", "_stay", "_text")

    def __init__(self, stay: MessageSpan, name: str, text: str) -> None:
        self._stay = stay
        self._name = name
        self._text = text

    def __enter__(self) -> Self:
        self._stay.push(self._name, self._text)
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._stay.pop(exc)


class SpanExporter:
    """Exports spans by OTLP over HTTP, configured by OpenTelemetry's variables, from a thread of the SDK."""

    def __init__(self, version: str) -> None:
        named = Resource({"service.name": "slipway", "service.version": version})
        self._processor = BatchSpanProcessor(OTLPSpanExporter())
        self.provider = TracerProvider(resource=Resource.create().merge(named).merge(OTELResourceDetector().detect()))
        self.provider.add_span_processor(self._processor)

    async def close(self) -> None:
        """Send the remaining spans, for at most EXPORT_ON_SHUTDOWN_SECONDS."""
        loop = asyncio.get_running_loop()
        is_sent = asyncio.Event()

        def send() -> None:
            self._processor.shutdown()  # type: ignore[no-untyped-call]
            with suppress(RuntimeError):  # the loop is already closed
                loop.call_soon_threadsafe(is_sent.set)

        # Not an executor's thread: an event loop waits for those at its end, however long they take.
        threading.Thread(target=send, name="last spans", daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(EXPORT_ON_SHUTDOWN_SECONDS):
                await is_sent.wait()


def _context(point: TraceParent) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if point.is_sampled else TraceFlags.DEFAULT)
    return SpanContext(int(point.trace_id, 16), int(point.span_id, 16), is_remote=True, trace_flags=flags)


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
