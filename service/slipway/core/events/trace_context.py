"""Where the trace of a request begins: what its message says of who sent it, and of who had it before.

W3C's `traceparent` is a message attribute, of SQS's or within SNS's envelope; X-Ray's header is a system attribute. Where a
message has neither, the trace's id is made of the id of the message that came first: so all who ever work on a request add to
one trace, and no parent is made up.
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
"""The name in W3C's Trace Context, in messages as in events: CloudEvents calls it the distributed tracing extension."""

_W3C = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.{0,200})?")
_ROOT = re.compile(r"1-([0-9a-f]{8})-([0-9a-f]{24})")
_PARENT = re.compile(r"(?!0{16})[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class TraceParent:
    """One span, as others refer to it: ids in lower hexadecimal."""

    trace_id: str
    span_id: str
    is_sampled: bool

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.is_sampled else '00'}"


@dataclass(frozen=True, slots=True)
class TraceStart:
    """What a message's stay here begins with."""

    trace_id: str
    parent: TraceParent | None = None
    """Whoever sent the request, where the message says so."""
    before: TraceParent | None = None
    """Whoever had it under the message before, and handed it on."""


def trace_start(delivery: Delivery) -> TraceStart:
    """Answer where the trace of a message's request begins. What does not read as a context is as if it were not there."""
    message, earlier = delivery.message, delivery.continuation
    before = read_trace_parent(earlier.trace) if earlier and earlier.trace else None
    parent = read_trace_parent(message.text(TRACEPARENT)) or read_trace_parent(_in_envelope(message.body))
    if parent is not None:
        return TraceStart(parent.trace_id, parent, before)
    trace_id, parent = _read_xray(message.text(TRACE_HEADER))
    return TraceStart(trace_id or _made_of(delivery.origin), parent, before)


def read_trace_parent(text: str) -> TraceParent | None:
    """Read a `traceparent`; None for what is none."""
    found = _W3C.fullmatch(text)
    if found is None or (found[1] == "00" and found[5]):
        return None
    return TraceParent(found[2], found[3], bool(int(found[4], 16) & 1))


def with_trace(publication: Publication, traceparent: str | None) -> Publication:
    """Answer the event with where it comes from, for whoever goes on with the trace; as it is where nobody traces."""
    if traceparent is None:
        return publication
    event = {**publication.event, TRACEPARENT: traceparent}
    return replace(publication, event=event, attributes={**publication.attributes, TRACEPARENT: traceparent})


def _in_envelope(body: str) -> str:
    """Answer what SNS says of it that brought the request, not raw; nothing where it says nothing."""
    if f'"{TRACEPARENT}"' not in body:
        return ""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    match given:
        case {"Type": "Notification", "MessageAttributes": {"traceparent": {"Value": str(value)}}}:
            return value
    return ""


def _read_xray(text: str) -> tuple[str | None, TraceParent | None]:
    """Read X-Ray's header, like `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`.

    A root without a parent is a trace's id and no more. Who has not decided about sampling leaves it to us: sampled.
    """
    said = dict(part.strip().partition("=")[::2] for part in text[:1000].split(";"))
    root = _ROOT.fullmatch(said.get("Root", ""))
    trace_id = root[1] + root[2] if root else None
    if trace_id is None or not trace_id.strip("0"):
        return None, None
    parent = said.get("Parent", "")
    if not _PARENT.fullmatch(parent):
        return trace_id, None
    return trace_id, TraceParent(trace_id, parent, said.get("Sampled") != "0")


def _made_of(origin: str) -> str:
    return hashlib.sha256(f"slipway trace {origin}".encode()).hexdigest()[:32]
