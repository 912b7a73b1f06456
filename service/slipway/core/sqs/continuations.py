"""Continuations: new messages that carry a request on, with its first-received time and the decisions made about it.

The message attribute `SlipwayContinuation` holds them as JSON. They are what a later consumer can learn nowhere else.

A continuation also carries the lineage: how often the request failed over all its messages, and the limits at which it ends. A
consumer that dies reports nothing. The receive count and the time remain: a message whose consumer died stays hidden for at
least half a lease, and one that was released does not. So graceful restarts are not counted as deaths.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from slipway.core.sqs.messages import CONTINUATION, AnyAttribute, Message, Outgoing, attribute_bytes, is_sent_by

MOST_FAULTS: Final = 4
"""Unexpected exceptions after which a request ends."""
MOST_DEATHS: Final = 40
"""Consumers in a row that died within a second of starting the request, after which it ends without being read again."""
MOST_DELAYS: Final = 1350
"""Postponements because the outcome cannot be published: two weeks, as long as SQS keeps a message."""
MOST_COPIES: Final = 3
"""Most messages that carry one request at a time, not counting those that SQS delivered or accepted twice."""
READ_AT_THE_END: Final = 3
"""Consumers after that which still read the request, to report its id. Reading it may be what kills them."""
SUSPICIOUS_DEATHS: Final = 3
"""From here on a request is continued in a new message, whose receive count is zero: before it is started again, and once its
consumer survived it."""
SECONDS_APART: Final = 4
MOST_SECONDS_APART: Final = 60
"""How long a continuation is delayed at most for each death but the first, and in all. The delay is random, so that a request
that kills its consumer is no longer received together with the others of its batch, which died with it."""
SURVIVAL_SECONDS: Final = 1.0
USUAL_RECEIVES: Final = 10
"""The `maxReceiveCount` assumed for a queue without a redrive policy."""
MOST_COUNTED: Final = 100_000
LATEST_TIME: Final = 100_000_000_000
FIRST_DELAY_SECONDS: Final = 30
LONGEST_DELAY_SECONDS: Final = 900
"""The longest `DelaySeconds` of SQS."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """Failure counts of the messages that carried a request so far."""

    deaths: int = 0
    faults: int = 0
    delays: int = 0
    """Postponements because its outcome could not be published."""
    until: int = 0
    """On a FIFO queue, the end of the postponement: the first consumer releases the message until then. Seconds since the
    epoch."""

    @property
    def delay_seconds(self) -> int:
        """Return the length of the next postponement; it doubles each time."""
        return int(min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(self.delays, 10)))

    def to_json(self) -> dict[str, object]:
        """Return the counts that are not zero."""
        counts = {"deaths": self.deaths, "faults": self.faults, "delays": self.delays, "until": self.until}
        return {name: count for name, count in counts.items() if count}

    @classmethod
    def of(cls, fields: Mapping[Any, object]) -> Lineage:
        """Read what `to_json` wrote. A value that is not a count is ignored."""

        def count(name: str, most: int = MOST_COUNTED) -> int:
            value = fields.get(name)
            return value if type(value) is int and 0 <= value <= most else 0

        return cls(count("deaths"), count("faults"), count("delays"), count("until", LATEST_TIME))


NO_FAILURES: Final = Lineage()
"""The lineage of a first message."""


def deaths_of(receive_count: int, seconds: float, lease_seconds: float) -> int:
    """Return how many consumers of one message died at most; `seconds` have passed since it was first received."""
    return min(receive_count - 1, int(seconds / (lease_seconds / 2)))


def hidden_seconds(max_receive_count: int | None, lease_seconds: int) -> int:
    """Return how long a message is hidden before it is continued in a new one.

    If every consumer of the new message dies before it makes a call, SQS moves that message to the dead-letter queue before the
    hidden one is continued twice more. So there are at most three messages: this one and two others.
    """
    return (min(max_receive_count or USUAL_RECEIVES, MOST_DEATHS) // 2 + 1) * lease_seconds


MOST_ATTEMPTS: Final = 100
LONGEST_FAILURE: Final = 500
KEEP: Final = "keep"
DELETE: Final = "delete"


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decisions about a request, written in a continuation before they are carried out."""

    attempt: int = 1
    """Number of the current attempt to create the deployment. Deployments of earlier attempts failed and are deleted."""
    failure: str | None = None
    """Why the last attempt failed. Only the deletion of its deployment remains to be done."""
    failed_test: str | None = None
    """The text of the smoke test result, if the smoke test was that failure."""
    cancelled: str | None = None
    """`keep` or `delete`: what a cancel does with the deployment; None if the request is not cancelled."""
    tested: tuple[bool, str] | None = None
    """The smoke test result of an adopted deployment: whether it passed, and the text."""

    @property
    def is_over(self) -> bool:
        """Return whether the request creates nothing any more."""
        return self.failure is not None or self.cancelled is not None

    @property
    def allows_delete(self) -> bool:
        """Return whether these decisions allow deleting a deployment."""
        return replace(self, tested=None) != Decisions() and self.cancelled != KEEP

    @property
    def description(self) -> str:
        """Return the decision in words, as the reason that the request is not done yet."""
        if self.cancelled is not None:
            return f"cancelled; its deployment is {'deleted' if self.cancelled == DELETE else 'kept'}"
        if self.failure is not None:
            return "its last attempt failed; the failed deployment is deleted"
        return f"attempt {self.attempt} starts; the deployment of the attempt before is deleted"

    def to_json(self) -> dict[str, object]:
        """Return the decisions that were made; an empty object if there are none."""
        fields: dict[str, object] = {}
        if self.attempt > 1:
            fields["attempt"] = self.attempt
        if self.failure is not None:
            fields["failure"] = self.failure[:LONGEST_FAILURE]
        if self.failed_test is not None:
            fields |= {"failedTest": True, "testAnswer": self.failed_test[:LONGEST_FAILURE]}
        if self.cancelled is not None:
            fields["cancelled"] = self.cancelled
        if self.tested is not None:
            passed, answer = self.tested
            fields["tested"] = {"passed": passed, "answer": answer[:LONGEST_FAILURE]}
        return fields

    @classmethod
    def of(cls, fields: Mapping[Any, object]) -> Decisions:
        """Read what `to_json` wrote. A value that it cannot have written is ignored."""
        decisions = cls()
        match fields.get("attempt"):
            case int(attempt) if 1 < attempt <= MOST_ATTEMPTS:
                decisions = replace(decisions, attempt=attempt)
        match fields.get("failure"):
            case str(failure) if 0 < len(failure) <= LONGEST_FAILURE:
                decisions = replace(decisions, failure=failure, failed_test=_failed_test(fields, failure))
        match fields.get("cancelled"):
            case ("keep" | "delete") as cancelled:
                decisions = replace(decisions, cancelled=cancelled)
        match fields.get("tested"):
            case {"passed": bool(passed), "answer": str(answer)} if len(answer) <= LONGEST_FAILURE:
                decisions = replace(decisions, tested=(passed, answer))
        return decisions


def _failed_test(fields: Mapping[Any, object], failure: str) -> str | None:
    """Return the text of the failed smoke test. An earlier version wrote it only as a part of the failure."""
    if fields.get("failedTest") is not True:
        return None
    answer = fields.get("testAnswer")
    return answer if isinstance(answer, str) and len(answer) <= LONGEST_FAILURE else failure


NO_DECISIONS: Final = Decisions()

OLDEST_SECONDS: Final = 30 * 86_400
"""Twice the longest retention of SQS, and far more than the longest timeout."""
CLOCK_SLACK_SECONDS: Final = 300
"""How far in the future a first receipt may be: a queue's times come from many machines, some rounded to seconds."""
OLDER_VISIBILITIES: Final = 1.5
"""How many visibility timeouts an earlier message has to be received again, and to be processed."""
MOST_HOPS: Final = 100_000
MOST_ATTRIBUTES: Final = 10
LARGEST_KEPT_BYTES: Final = 256 * 1024
"""Limit for the body and attributes of a continuation: the default maximum message size of a queue."""
_LONGEST_TEXT: Final = 16_000
_ORIGIN = re.compile(r"[!-~]{1,128}")
_RECEIPT = re.compile(r"[!-~]{1,2048}")
_TRACE = re.compile(r"[0-9a-f-]{55}")


@dataclass(frozen=True, slots=True)
class Continuation:
    """The content of the continuation attribute. `origin` is the id of the request's first message."""

    origin: str
    first_received_at: float
    hops: int
    """Number of continuations so far, this one included."""
    decisions: Decisions = field(default_factory=Decisions)
    sender: str | None = None
    """The `SenderId` of the first message; None if SQS did not return one."""
    lineage: Lineage = NO_FAILURES
    receipt: str | None = field(default=None, repr=False)
    """The receipt handle of the previous message. The consumer of this one deletes it, in case its sender died before that."""
    trace: str | None = None
    """The `traceparent` of the process that sent it; None without tracing."""
    not_before: float | None = None
    """When a decision may be acted on: until then an earlier message of the request may be received again."""
    is_claimed: bool = False
    """A sender other than Slipway wrote this continuation or an earlier one: its times prove nothing."""


def read_continuation(message: Message) -> Continuation | None:
    """Return the continuation in a message; None for a first message, or if the attribute is malformed."""
    if CONTINUATION not in message.attributes:
        return None  # the usual case, checked many times for each message
    match _parse_json(message.text(CONTINUATION)):
        case {"origin": str(first_id), "firstReceivedAt": int() | float() as first_received, "hops": int(hops), **others}:
            oldest, newest = message.received_at - OLDEST_SECONDS, message.received_at + CLOCK_SLACK_SECONDS
            if _ORIGIN.fullmatch(first_id) and oldest <= first_received <= newest and 1 <= hops <= MOST_HOPS:
                sender = others.get("sender")
                sender = sender if isinstance(sender, str) and _ORIGIN.fullmatch(sender) else None
                trace = others.get("trace")
                trace = trace if isinstance(trace, str) and _TRACE.fullmatch(trace) else None
                first_received = min(float(first_received), message.received_at)
                receipt = others.get("receipt")
                receipt = receipt if isinstance(receipt, str) and _RECEIPT.fullmatch(receipt) else None
                not_before = others.get("notBefore")
                not_before = float(not_before) if isinstance(not_before, int | float) else None
                return Continuation(
                    first_id,
                    first_received,
                    int(hops),
                    Decisions.of(others),
                    sender,
                    Lineage.of(others),
                    receipt,
                    trace,
                    not_before,
                    is_claimed=others.get("claimed") is True,
                )
    return None


def _parse_json(text: str) -> object:
    try:
        return json.loads(text) if len(text) <= _LONGEST_TEXT else None
    except (ValueError, RecursionError):
        return None


def without_forged_continuation(message: Message, own: str | None, *, has_rules: bool) -> Message:
    """Return the message without a continuation that another sender wrote.

    `own` is Slipway's own `SenderId`; None if STS did not return it. With permission rules, another sender's continuation is
    removed. Without them it is accepted in that sender's name: it gives no ownership of another sender's deployments.
    """
    if CONTINUATION not in message.attributes or (own is not None and is_sent_by(message.sender, own)):
        return message
    attributes = {name: value for name, value in message.attributes.items() if name != CONTINUATION}
    text = message.attributes[CONTINUATION]
    fields = _parse_json(text) if isinstance(text, str) and not has_rules else None
    if not isinstance(fields, dict):
        return replace(message, attributes=attributes)
    fields["claimed"] = True
    if message.sender is None:
        fields.pop("sender", None)
    else:
        fields["sender"] = message.sender
    return replace(message, attributes=attributes | {CONTINUATION: json.dumps(fields, separators=(",", ":"))})


@dataclass(frozen=True, slots=True)
class Delivery:
    """A received message with its continuation, which is parsed once."""

    message: Message
    continuation: Continuation | None

    @classmethod
    def of(cls, message: Message) -> Delivery:
        """Parse a message's continuation."""
        return cls(message, read_continuation(message))

    @property
    def origin(self) -> str:
        """The id of the request's first message: the same through redelivery and continuation."""
        return self.continuation.origin if self.continuation else self.message.message_id

    @property
    def first_received_at(self) -> float:
        """When the request was first received, in any of its messages: the start of its timeout."""
        return self.continuation.first_received_at if self.continuation else self.message.first_received_at

    @property
    def hops(self) -> int:
        """How often the request was continued in a new message."""
        return self.continuation.hops if self.continuation else 0

    @property
    def next_hops(self) -> int:
        """The hop count of the message's continuation."""
        return min(self.hops + 1, MOST_HOPS)

    @property
    def decisions(self) -> Decisions:
        """The decisions that an earlier consumer wrote in the continuation."""
        return self.continuation.decisions if self.continuation else NO_DECISIONS

    def not_before(self, visibility_timeout: float) -> float:
        """Return when the decisions may be acted on, in seconds since the epoch; 0 if nothing may be deleted for them.

        The consumer that decided may have died before it deleted its own message, and a copy of that may be processed
        elsewhere. Both must find what still exists and decide the same: after the continuation they would start again.
        """
        if self.continuation is None or not self.decisions.allows_delete:
            return 0.0
        latest = self.message.first_received_at + OLDER_VISIBILITIES * visibility_timeout
        return latest if self.continuation.not_before is None else min(self.continuation.not_before, latest)

    @property
    def lineage(self) -> Lineage:
        """The failure counts of the request's earlier messages."""
        return self.continuation.lineage if self.continuation else NO_FAILURES

    @property
    def first_sender(self) -> str | None:
        """The `SenderId` of the request's first message; None if SQS did not return one.

        A continuation without it, written by an early version, counts as Slipway's own.
        """
        return (self.continuation.sender if self.continuation else None) or self.message.sender

    @property
    def previous_receipt(self) -> str | None:
        """The receipt handle of the message before this continuation; None for a first message."""
        return self.continuation.receipt if self.continuation else None

    @property
    def is_receipt_proven(self) -> bool:
        """Whether the first-received time comes from SQS or Slipway: no other sender can have chosen it."""
        return self.continuation is None or not self.continuation.is_claimed

    @property
    def is_in_doubt(self) -> bool:
        """Whether another consumer may have worked on this request: a redelivery, or a continuation."""
        return self.message.is_redelivery or self.continuation is not None


def write_continuation(
    delivery: Delivery,
    *,
    is_fifo: bool,
    new_decisions: Decisions | None = None,
    trace: str | None = None,
    lineage: Lineage | None = None,
    delay_seconds: int = 0,
    not_before: float = 0.0,
) -> Outgoing:
    """Return the continuation of a message: same body and group, and as many attributes as fit.

    It carries the new decisions, else the earlier ones, and the last `traceparent`. Safe to repeat: on a FIFO queue the same
    continuation has the same deduplication id, so SQS delivers it once.
    """
    message, earlier = delivery.message, delivery.continuation
    decided = (new_decisions or delivery.decisions).to_json()
    fields = {"origin": delivery.origin, "firstReceivedAt": delivery.first_received_at, "hops": delivery.next_hops} | decided
    fields |= (lineage or delivery.lineage).to_json()
    if not_before:
        fields["notBefore"] = int(not_before)
    if not delivery.is_receipt_proven:
        fields["claimed"] = True
    if _RECEIPT.fullmatch(message.receipt):
        fields["receipt"] = message.receipt
    # Only if SQS returned the sender: a claimed one must not continue in Slipway's name.
    if message.sender is not None and (sender := delivery.first_sender) is not None:
        fields["sender"] = sender
    if trace := trace or (earlier.trace if earlier else None):
        fields["trace"] = trace
    attributes: dict[str, AnyAttribute] = {CONTINUATION: json.dumps(fields, separators=(",", ":"))}
    size = len(message.body.encode(errors="surrogatepass")) + attribute_bytes(CONTINUATION, attributes[CONTINUATION])
    for name, value in message.attributes.items():
        new_size = size + attribute_bytes(name, value)
        if name != CONTINUATION and len(attributes) < MOST_ATTRIBUTES and new_size <= LARGEST_KEPT_BYTES:
            attributes[name] = value
            size = new_size
    hop_text = f"{delivery.origin} {delivery.next_hops}"
    dedup_text = f"{hop_text} {json.dumps(decided)}" if decided else hop_text
    deduplication_id = hashlib.sha256(dedup_text.encode()).hexdigest() if is_fifo else None
    return Outgoing(message.body, attributes, message.group, deduplication_id, delay_seconds)
