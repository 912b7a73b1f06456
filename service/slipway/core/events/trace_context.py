"""Trace context: the trace of a request, from the attributes of its message.

W3C's `traceparent` is a message attribute, of SQS or in an SNS envelope; X-Ray's header is a system attribute. If a message has
neither, the trace id is derived from the id of the request's first message: so every process that works on a request adds to
one trace, and no parent is invented.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import Final

from slipway.core.events.publish import Publication
from slipway.core.sqs.continuations import Delivery
from slipway.core.sqs.messages import TRACE_HEADER

TRACEPARENT: Final = "traceparent"
"""Its name in W3C Trace Context, used in messages and, by CloudEvents' distributed tracing extension, in events."""

_W3C = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.{0,200})?")
_ROOT = re.compile(r"1-([0-9a-f]{8})-([0-9a-f]{24})")
_PARENT = re.compile(r"(?!0{16})[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class TraceParent:
    """Reference to a span. Ids are lower-case hexadecimal."""

    trace_id: str
    span_id: str
    is_sampled: bool

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.is_sampled else '00'}"


@dataclass(frozen=True, slots=True)
class TraceStart:
    """The trace that a message belongs to."""

    trace_id: str
    parent: TraceParent | None = None
    """The span of the request's sender, if the message has one."""
    before: TraceParent | None = None
    """The span that sent the continuation."""


def trace_start(delivery: Delivery) -> TraceStart:
    """Return the trace of a message's request. An invalid context is ignored."""
    message, earlier = delivery.message, delivery.continuation
    previous = read_trace_parent(earlier.trace) if earlier and earlier.trace else None
    parent = read_trace_parent(message.text(TRACEPARENT)) or read_trace_parent(_sns_trace_parent(message.body))
    if parent is not None:
        return TraceStart(parent.trace_id, parent, previous)
    trace_id, parent = _read_xray(message.text(TRACE_HEADER))
    return TraceStart(trace_id or _derived_trace_id(delivery.origin), parent, previous)


def read_trace_parent(text: str) -> TraceParent | None:
    """Parse a `traceparent`; None if it is invalid."""
    match = _W3C.fullmatch(text)
    if match is None or (match[1] == "00" and match[5]):
        return None
    return TraceParent(match[2], match[3], bool(int(match[4], 16) & 1))


def with_trace(publication: Publication, traceparent: str | None) -> Publication:
    """Return the event with a `traceparent`, so that its consumers can continue the trace; unchanged without one."""
    if traceparent is None:
        return publication
    event = {**publication.event, TRACEPARENT: traceparent}
    return replace(publication, event=event, attributes={**publication.attributes, TRACEPARENT: traceparent})


def _sns_trace_parent(body: str) -> str:
    """Return the `traceparent` in an SNS envelope; an empty text if there is none."""
    if f'"{TRACEPARENT}"' not in body:
        return ""
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    match envelope:
        case {"Type": "Notification", "MessageAttributes": {"traceparent": {"Value": str(value)}}}:
            return value
    return ""


def _read_xray(text: str) -> tuple[str | None, TraceParent | None]:
    """Parse X-Ray's header, like `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`.

    A root without a parent gives only the trace id. Without a sampling decision the trace is sampled.
    """
    fields = dict(part.strip().partition("=")[::2] for part in text[:1000].split(";"))
    root = _ROOT.fullmatch(fields.get("Root", ""))
    trace_id = root[1] + root[2] if root else None
    if trace_id is None or not trace_id.strip("0"):
        return None, None
    parent = fields.get("Parent", "")
    if not _PARENT.fullmatch(parent):
        return trace_id, None
    return trace_id, TraceParent(trace_id, parent, fields.get("Sampled") != "0")


def _derived_trace_id(origin: str) -> str:
    return hashlib.sha256(f"slipway trace {origin}".encode()).hexdigest()[:32]
