"""What a request takes along to its next message, beside where it began: what nobody could find out otherwise."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from slipway.core.sqs.lineage import NEW, Lineage
from slipway.core.sqs.messages import CONTINUATION, AnyAttribute, Message, Outgoing, attribute_bytes, is_sent_by

MOST_ATTEMPTS: Final = 100
LONGEST_FAILURE: Final = 500
KEEP: Final = "keep"
DELETE: Final = "delete"


@dataclass(frozen=True, slots=True)
class Decisions:
    """What was decided under an earlier message, before it was acted on."""

    attempt: int = 1
    """Which attempt to make a deployment this is: those before have failed, and what is left of them goes."""
    failure: str | None = None
    """Why the last attempt has failed: all that is left to do is to take away what it made."""
    has_failed_test: bool = False
    """It was not Bedrock that said so, but the smoke test."""
    cancelled: str | None = None
    """Somebody wants it no more, and its deployment `keep` or `delete`."""

    tested: tuple[bool, str] | None = None
    """What came of the smoke test of a deployment that is only adopted: whether it passed, and the answer."""

    @property
    def is_over(self) -> bool:
        """Whether nothing is to be made any more."""
        return self.failure is not None or self.cancelled is not None

    @property
    def allows_delete(self) -> bool:
        """Whether something may be deleted because of what was decided."""
        return replace(self, tested=None) != Decisions() and self.cancelled != KEEP

    @property
    def description(self) -> str:
        """What was decided, for whoever asks why the request is not done yet."""
        if self.cancelled is not None:
            return f"it is cancelled, and its deployment is {'deleted' if self.cancelled == DELETE else 'kept'}"
        if self.failure is not None:
            return "its last attempt has failed, and what that made is deleted"
        return f"attempt {self.attempt} is made, and what the one before has made is deleted"

    def to_json(self) -> dict[str, object]:
        """Write it; nothing where there is nothing to say."""
        said: dict[str, object] = {}
        if self.attempt > 1:
            said["attempt"] = self.attempt
        if self.failure is not None:
            said["failure"] = self.failure[:LONGEST_FAILURE]
        if self.has_failed_test:
            said["failedTest"] = True
        if self.cancelled is not None:
            said["cancelled"] = self.cancelled
        if self.tested is not None:
            has_passed, answer = self.tested
            said["tested"] = {"passed": has_passed, "answer": answer[:LONGEST_FAILURE]}
        return said

    @classmethod
    def of(cls, given: Mapping[Any, object]) -> Decisions:
        """Read it; what is not as it would be written is as if it were not there."""
        made = cls()
        match given.get("attempt"):
            case int(attempt) if 1 < attempt <= MOST_ATTEMPTS:
                made = replace(made, attempt=attempt)
        match given.get("failure"):
            case str(failure) if 0 < len(failure) <= LONGEST_FAILURE:
                made = replace(made, failure=failure, has_failed_test=given.get("failedTest") is True)
        match given.get("cancelled"):
            case ("keep" | "delete") as cancelled:
                made = replace(made, cancelled=cancelled)
        match given.get("tested"):
            case {"passed": bool(has_passed), "answer": str(answer)} if len(answer) <= LONGEST_FAILURE:
                made = replace(made, tested=(has_passed, answer))
        return made


NO_DECISIONS: Final = Decisions()
"""What most requests take along: one value for all of them."""


OLDEST_SECONDS: Final = 30 * 86_400
"""Twice what SQS keeps a message, and far more than the longest timeout."""
CLOCK_SLACK_SECONDS: Final = 300
"""How far in the future a first receipt may seem to lie: a queue's times come from many machines, some in seconds."""
MOST_HOPS: Final = 100_000
MOST_ATTRIBUTES: Final = 10
LARGEST_KEPT_BYTES: Final = 256 * 1024
"""Body and attributes of a continuation in all: what the smallest usual queue takes."""
_LONGEST_TEXT: Final = 16_000
_ORIGIN = re.compile(r"[!-~]{1,128}")
_RECEIPT = re.compile(r"[!-~]{1,2048}")
_TRACE = re.compile(r"[0-9a-f-]{55}")


@dataclass(frozen=True, slots=True)
class Continuation:
    """Where a request began. `origin` is the id of the message that brought it first."""

    origin: str
    first_received_at: float
    hops: int
    """How often it has been handed on."""
    decisions: Decisions = field(default_factory=Decisions)
    sender: str | None = None
    """Who sent that message; None where SQS did not say."""
    lineage: Lineage = NEW
    receipt: str | None = field(default=None, repr=False)
    """The receipt handle of the message before: it is deleted by whoever receives this one, if its owner died before that."""
    trace: str | None = None
    """The `traceparent` of whoever handed it on; None where nobody traces."""
    is_claimed: bool = False
    """Somebody other than Slipway wrote it, or one of those before it: its times prove nothing."""


def read_continuation(message: Message) -> Continuation | None:
    """Answer what an earlier owner handed on with this message; None for a first message, or for garbage."""
    if CONTINUATION not in message.attributes:
        return None  # most of them, and asked of each a dozen times: reading nothing as JSON would take 2 % of its CPU
    match _told(message.text(CONTINUATION)):
        case {"origin": str(begun_by), "firstReceivedAt": int() | float() as first, "hops": int(hops), **more}:
            oldest, newest = message.received_at - OLDEST_SECONDS, message.received_at + CLOCK_SLACK_SECONDS
            if _ORIGIN.fullmatch(begun_by) and oldest <= first <= newest and 1 <= hops <= MOST_HOPS:
                sender = more.get("sender")
                sender = sender if isinstance(sender, str) and _ORIGIN.fullmatch(sender) else None
                trace = more.get("trace")
                trace = trace if isinstance(trace, str) and _TRACE.fullmatch(trace) else None
                first = min(float(first), message.received_at)
                receipt = more.get("receipt")
                receipt = receipt if isinstance(receipt, str) and _RECEIPT.fullmatch(receipt) else None
                lineage = Lineage.of(more)
                is_claimed = more.get("claimed") is True
                return Continuation(begun_by, first, int(hops), Decisions.of(more), sender, lineage, receipt, trace, is_claimed)
    return None


def _told(text: str) -> object:
    try:
        return json.loads(text) if len(text) <= _LONGEST_TEXT else None
    except (ValueError, RecursionError):
        return None


def origin(message: Message) -> str:
    """Answer the id of the message that brought this request first: the same through redelivery and continuation."""
    earlier = read_continuation(message)
    return earlier.origin if earlier else message.message_id


def first_received_at(message: Message) -> float:
    """Answer when the request was first received, under whatever message: what its deadline runs from."""
    earlier = read_continuation(message)
    return earlier.first_received_at if earlier else message.first_received_at


def hops(message: Message) -> int:
    """Return how often the request was continued in a new message."""
    earlier = read_continuation(message)
    return earlier.hops if earlier else 0


def next_hops(message: Message) -> int:
    """Return the hop count of the message's continuation."""
    return min(hops(message) + 1, MOST_HOPS)


def decisions(message: Message) -> Decisions:
    """Answer what an earlier owner decided, and handed on before it was acted on."""
    earlier = read_continuation(message)
    return earlier.decisions if earlier else NO_DECISIONS


def lineage(message: Message) -> Lineage:
    """Return how often the request has failed to be processed, under the messages before this one."""
    earlier = read_continuation(message)
    return earlier.lineage if earlier else NEW


def first_sender(message: Message) -> str | None:
    """Answer who sent the request first, under whatever message; None where SQS did not say.

    What was handed on without saying so, by a version that did not ask, counts as Slipway's own.
    """
    earlier = read_continuation(message)
    return earlier.sender if earlier and earlier.sender else message.sender


def without_forged_continuation(message: Message, own: str | None, *, has_rules: bool) -> Message:
    """Return the message without what Slipway itself did not say in it.

    `own` is Slipway's own `SenderId`; None where STS did not tell it. With permissions, a continuation that Slipway did not
    send is ignored. Without, whoever may send may also hand on, but under its own name: it owns nothing of another sender's.
    """
    if CONTINUATION not in message.attributes or (own is not None and is_sent_by(message.sender, own)):
        return message
    others = {name: value for name, value in message.attributes.items() if name != CONTINUATION}
    said = message.attributes[CONTINUATION]
    told = _told(said) if isinstance(said, str) and not has_rules else None
    if not isinstance(told, dict):
        return replace(message, attributes=others)
    told["claimed"] = True
    if message.sender is None:
        told.pop("sender", None)
    else:
        told["sender"] = message.sender
    return replace(message, attributes=others | {CONTINUATION: json.dumps(told, separators=(",", ":"))})


def is_receipt_proven(message: Message) -> bool:
    """Return whether the first receipt is as SQS or Slipway itself says it: no other sender can have chosen it."""
    earlier = read_continuation(message)
    return earlier is None or not earlier.is_claimed


def is_in_doubt(message: Message) -> bool:
    """Whether somebody may have worked on this request before: received before, or handed on."""
    return message.is_redelivery or read_continuation(message) is not None


def write_continuation(
    message: Message,
    *,
    is_fifo: bool,
    decided: Decisions | None = None,
    trace: str | None = None,
    lineage: Lineage | None = None,
    delay_seconds: int = 0,
) -> Outgoing:
    """Make the message that carries the request on: same body and group, and as many attributes as fit.

    It carries what was decided now, else what had been decided before; and the `traceparent` of whoever traced it last.
    Safe to repeat: on a FIFO queue the same hand-over has the same deduplication id, so sent twice it arrives once.
    """
    earlier = read_continuation(message)
    began, number = origin(message), next_hops(message)
    more = (decided or decisions(message)).to_json()
    told = {"origin": began, "firstReceivedAt": first_received_at(message), "hops": number} | more
    told |= (lineage or (earlier.lineage if earlier else NEW)).to_json()
    if earlier and earlier.is_claimed:
        told["claimed"] = True
    if _RECEIPT.fullmatch(message.receipt):
        told["receipt"] = message.receipt
    # Not where SQS did not say: what is merely claimed must not go on under Slipway's own name.
    if message.sender is not None and (sender := first_sender(message)) is not None:
        told["sender"] = sender
    if trace := trace or (earlier.trace if earlier else None):
        told["trace"] = trace
    attributes: dict[str, AnyAttribute] = {CONTINUATION: json.dumps(told, separators=(",", ":"))}
    size = len(message.body.encode(errors="surrogatepass")) + attribute_bytes(CONTINUATION, attributes[CONTINUATION])
    for name, value in message.attributes.items():
        larger = size + attribute_bytes(name, value)
        if name != CONTINUATION and len(attributes) < MOST_ATTRIBUTES and larger <= LARGEST_KEPT_BYTES:
            attributes[name] = value
            size = larger
    said = f"{began} {number} {json.dumps(more)}" if more else f"{began} {number}"
    deduplication_id = hashlib.sha256(said.encode()).hexdigest() if is_fifo else None
    return Outgoing(message.body, attributes, message.group, deduplication_id, delay_seconds)
