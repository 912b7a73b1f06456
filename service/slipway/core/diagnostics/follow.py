"""Progress of a request as a client sees it from outside: from a snapshot of all sources to the next status change.

An end is reported only by one of these sources, in this order:

1. the event, from a queue that is subscribed to the topic: complete for every outcome;
2. a daemon that finished the request recently;
3. Bedrock: a deployment with the request's own tag whose creation has ended;
4. the queue, empty for a minute: every message was settled, and an outcome is published before its message is deleted. Then
   Bedrock shows how the request ended; if it shows nothing, only the event has the outcome.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from slipway.core.bedrock import UpdateStatus
from slipway.core.diagnostics.explain import ExistingDeployment, predict_outcome
from slipway.core.diagnostics.status import FinishedRequest, RequestStatus
from slipway.core.events.parse import ParsedEvent
from slipway.core.lifecycle.outcomes import OutcomeKind, Reason
from slipway.core.requests.models import AnyRequest, Delete, Deploy, Update
from slipway.core.scheduling.eta import NOTHING_KNOWN, Eta

QUIET_SECONDS: Final = 60.0
"""SQS's counts are approximate, and exact a minute after the last send."""
MOVED_SECONDS: Final = 5.0
MOVED_SHARE: Final = 0.25
"""Share of the remaining time by which an estimate must change to be reported."""
UNAVAILABLE: Final = "Unheard"
"""The state of a request that has ended with an outcome that only its event has."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request that was sent to the queue, with its message id and the time by AWS's clock."""

    request: AnyRequest
    message_id: str
    sent_at: float

    @property
    def request_id(self) -> str:
        """Return the id that events, tags and daemons use."""
        return self.request.request_id

    @property
    def name(self) -> str:
        """Return the deployment's name, or its ARN if the request has that."""
        return self.request.name


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusSnapshot:
    """What all sources show of one request at one time. None if a source could not be asked or knows nothing."""

    event: ParsedEvent | None = None
    """The event of its outcome."""
    finished: FinishedRequest | None = None
    held: RequestStatus | None = None
    existing: ExistingDeployment | None = None
    """The deployment with the request's name in its target."""
    is_looked_at: bool = True
    """Whether Bedrock could be asked for it."""
    was_otherwise: bool = False
    """Whether an earlier snapshot showed that the requested state was not reached yet: so this request reached it."""
    quiet_seconds: float = 0.0
    """For how long every snapshot has shown an empty queue."""
    waiting: int = 0
    """Messages in the queue that were not received yet."""


@dataclass(frozen=True, slots=True)
class StatusChange:
    """The state or outcome of a request. `reason` is a word for programs, `text` a sentence for people."""

    state: str
    reason: str | None = None
    text: str | None = None
    arn: str | None = None
    prospect: Eta = NOTHING_KNOWN
    """The daemon's queue position and estimates."""
    is_terminal: bool = False
    source: str = ""
    """The source: event, daemon, Bedrock or queue."""
    in_creation_for: float | None = field(default=None, compare=False)
    """Seconds since the creation started, if a daemon reports it."""

    @property
    def place(self) -> int | None:
        """Return the queue position, from 1; None if it does not wait for a slot."""
        return self.prospect.place


def is_change(now: StatusChange, last: StatusChange | None, passed: float) -> bool:
    """Return whether the status differs from the last reported one by more than the `passed` seconds explain."""
    if last is None or replace(now, prospect=last.prospect) != last or now.place != last.place:
        return True
    previous, current = last.prospect, now.prospect
    return _has_moved(current.to_slot, previous.to_slot, passed) or _has_moved(current.to_end, previous.to_end, passed)


def _has_moved(now: float | None, previous: float | None, passed: float) -> bool:
    if now is None or previous is None:
        return now is not previous
    return abs(previous - passed - now) > max(MOVED_SECONDS, MOVED_SHARE * now)


def status_change(ticket: Ticket, snapshot: StatusSnapshot) -> StatusChange:
    """Return the status of a request from a snapshot."""
    if (event := snapshot.event) is not None:
        return StatusChange(event.outcome, event.reason, event.text, event.arn, is_terminal=True, source="event")
    if (finished := snapshot.finished) is not None:
        return StatusChange(finished.outcome, finished.reason, finished.text, finished.arn, is_terminal=True, source="daemon")
    if (held := snapshot.held) is not None:
        is_shown = held.state in {"Waiting", "Working"}  # the other states have no further reason
        reason, text = (held.waits_for, held.why or None) if is_shown else (None, None)
        creating = held.waited[-1] if held.waited and held.waits_for == held.waited[-1].reason == Reason.IN_CREATION else None
        passed = None if creating is None else held.now - creating.since
        return StatusChange(held.state, reason, text, held.arn, held.prospect, source="daemon", in_creation_for=passed)
    is_quiet = snapshot.quiet_seconds >= QUIET_SECONDS
    request = ticket.request
    if isinstance(request, Deploy) and snapshot.existing is not None:
        is_own = snapshot.existing.request_tag == ticket.request_id
        change = _status_from_bedrock(request, ticket.sent_at, snapshot.existing) if is_own or is_quiet else None
        if change is not None and (change.is_terminal or not is_quiet):
            return change
    if snapshot.is_looked_at and (is_quiet or snapshot.was_otherwise) and is_outcome_true(request, snapshot.existing):
        kind = OutcomeKind.DELETED if snapshot.existing is None else OutcomeKind.UPDATED
        return StatusChange(kind.value, None, None, _arn(snapshot.existing), is_terminal=True, source="Bedrock")
    if is_quiet:
        text = "the queue is empty, so the request has ended; its outcome is in its event on the topic"
        return StatusChange(UNAVAILABLE, None, text, _arn(snapshot.existing), is_terminal=True, source="queue")
    text = f"not received yet; messages in the queue: {snapshot.waiting}" if snapshot.waiting else "received, or about to be"
    return StatusChange("Sent", None, text, source="queue")


def is_outcome_true(request: AnyRequest, existing: ExistingDeployment | None) -> bool:
    """Return whether Bedrock shows the result of a delete or an update."""
    match request:
        case Delete():
            return existing is None
        case Update() if existing is not None and request.smoke_test is None:  # Bedrock does not show a test's result
            update = existing.deployment.update
            is_done = update is None or update.status is not UpdateStatus.UPDATING
            return existing.deployment.model_arn == request.model_arn and is_done
        case _:
            return False


def _status_from_bedrock(request: Deploy, sent_at: float, existing: ExistingDeployment) -> StatusChange:
    outcome = predict_outcome(request, sent_at, existing)
    if outcome is None:
        state = "Working" if existing.deployment.status.is_terminal else "Creating"
        return StatusChange(state, None, None, existing.deployment.arn, source="Bedrock")
    text = outcome.message
    if outcome.kind is OutcomeKind.ACTIVE and existing.request_tag != request.request_id:
        text = f"made for request {existing.request_tag!r}, and adopted"
    reason = outcome.reason.value if outcome.reason else None
    return StatusChange(outcome.kind.value, reason, text, existing.deployment.arn, is_terminal=True, source="Bedrock")


def _arn(existing: ExistingDeployment | None) -> str | None:
    return None if existing is None else existing.deployment.arn
