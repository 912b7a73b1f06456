"""How a request is getting on, from all that can be seen of it from outside. Pure: what was seen goes in, news come out.

An end is said only when it is one, by the first of these that knows:

1. the event, from a queue that is subscribed to the topic: complete, whatever the outcome;
2. a daemon that has finished the request lately;
3. Bedrock: a deployment that carries the request's own tag and has ended;
4. the queue, empty for a minute: every message in it was settled, this one too, and an outcome is published before its
   message is deleted. What Bedrock shows then is how it ended; where it shows nothing, only the event says more.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from slipway.core.bedrock.deployments import UpdateStatus
from slipway.core.diagnostics.explain import ExistingDeployment, predict_outcome
from slipway.core.diagnostics.status import FinishedRequest, RequestStatus
from slipway.core.events.parse import ParsedEvent
from slipway.core.lifecycle.outcomes import OutcomeKind, Reason
from slipway.core.requests.models import AnyRequest, Delete, Deploy, Update
from slipway.core.scheduling.eta import NOTHING_KNOWN, Eta

QUIET_SECONDS: Final = 60.0
"""SQS's counts are approximate, and right a minute after the last send."""
MOVED_SECONDS: Final = 5.0
MOVED_SHARE: Final = 0.25
"""By how much an estimate must be another one, of what remains, to be news: it is a guess at all times."""
UNAVAILABLE: Final = "Unheard"
"""The outcome that is none: the request has ended, and how is only in its event."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request that was put on the queue: under this message, at this time by AWS's clock."""

    request: AnyRequest
    message_id: str
    sent_at: float

    @property
    def request_id(self) -> str:
        """Under which events, tags and daemons know it."""
        return self.request.request_id

    @property
    def name(self) -> str:
        """The deployment's name, or its ARN where the request names it by that."""
        return self.request.name


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusSnapshot:
    """What was seen of one request at one look. None where nobody could be asked, or nothing is known."""

    told: ParsedEvent | None = None
    """The event that ends it."""
    finished: FinishedRequest | None = None
    held: RequestStatus | None = None
    existing: ExistingDeployment | None = None
    """What holds the deployment's name in the request's target."""
    is_looked_at: bool = True
    """Whether Bedrock could be asked about that at all."""
    was_otherwise: bool = False
    """Whether an earlier look has shown that what is asked for was not so yet: so it is this request's doing, if it is."""
    quiet_seconds: float = 0.0
    """For how long every look has found the queue empty."""
    waiting: int = 0
    """Messages in the queue that nobody has received."""


@dataclass(frozen=True, slots=True)
class StatusChange:
    """How far a request is, or how it ended. `reason` is a word for programs, `text` a sentence for people."""

    state: str
    reason: str | None = None
    text: str | None = None
    arn: str | None = None
    prospect: Eta = NOTHING_KNOWN
    """The place in the daemon's line, and what it reckons of how long it will be."""
    is_terminal: bool = False
    source: str = ""
    """Who says so: event, daemon, Bedrock or queue."""
    in_creation_for: float | None = field(default=None, compare=False)
    """Seconds that its creation has gone on, where the daemon says so."""

    @property
    def place(self) -> int | None:
        """In that line, from 1; None where it waits in none."""
        return self.prospect.place


def is_change(now: StatusChange, last: StatusChange | None, passed: float) -> bool:
    """Whether something has changed since the last news, so many seconds ago, that the passing of time does not explain."""
    if last is None or replace(now, prospect=last.prospect) != last or now.place != last.place:
        return True
    then, there = last.prospect, now.prospect
    return _has_moved(there.to_slot, then.to_slot, passed) or _has_moved(there.to_end, then.to_end, passed)


def _has_moved(now: float | None, then: float | None, passed: float) -> bool:
    if now is None or then is None:
        return now is not then
    return abs(then - passed - now) > max(MOVED_SECONDS, MOVED_SHARE * now)


def status_change(ticket: Ticket, glimpse: StatusSnapshot) -> StatusChange:
    """Say how the request is getting on."""
    if (told := glimpse.told) is not None:
        return StatusChange(told.outcome, told.reason, told.text, told.arn, is_terminal=True, source="event")
    if (finished := glimpse.finished) is not None:
        return StatusChange(finished.outcome, finished.reason, finished.text, finished.arn, is_terminal=True, source="daemon")
    if (held := glimpse.held) is not None:
        is_shown = held.state in {"Waiting", "Working"}  # of the others the state says it all
        reason, why = (held.waits_for, held.why or None) if is_shown else (None, None)
        creating = held.waited[-1] if held.waited and held.waits_for == held.waited[-1].reason == Reason.IN_CREATION else None
        passed = None if creating is None else held.now - creating.since
        return StatusChange(held.state, reason, why, held.arn, held.prospect, source="daemon", in_creation_for=passed)
    is_quiet = glimpse.quiet_seconds >= QUIET_SECONDS
    request = ticket.request
    if isinstance(request, Deploy) and glimpse.existing is not None:
        is_own = glimpse.existing.request_tag == ticket.request_id
        seen = _as_bedrock_shows(request, ticket.sent_at, glimpse.existing) if is_own or is_quiet else None
        if seen is not None and (seen.is_terminal or not is_quiet):
            return seen
    if glimpse.is_looked_at and (is_quiet or glimpse.was_otherwise) and is_outcome_true(request, glimpse.existing):
        kind = OutcomeKind.DELETED if glimpse.existing is None else OutcomeKind.UPDATED
        return StatusChange(kind.value, None, None, _arn(glimpse.existing), is_terminal=True, source="Bedrock")
    if is_quiet:
        text = "the queue is empty, so it has ended; how is in its event on the topic"
        return StatusChange(UNAVAILABLE, None, text, _arn(glimpse.existing), is_terminal=True, source="queue")
    text = f"{glimpse.waiting} in the queue that nobody has received" if glimpse.waiting else "received, or about to be"
    return StatusChange("Sent", None, text, source="queue")


def is_outcome_true(request: AnyRequest, there: ExistingDeployment | None) -> bool:
    """Whether what a deletion or an update asks for is what Bedrock shows."""
    match request:
        case Delete():
            return there is None
        case Update() if there is not None and request.smoke_test is None:  # a test's verdict is not Bedrock's to show
            update = there.deployment.update
            is_done = update is None or update.status is not UpdateStatus.UPDATING
            return there.deployment.model_arn == request.model_arn and is_done
        case _:
            return False


def _as_bedrock_shows(request: Deploy, sent_at: float, there: ExistingDeployment) -> StatusChange:
    outcome = predict_outcome(request, sent_at, there)
    if outcome is None:
        state = "Working" if there.deployment.status.is_terminal else "Creating"
        return StatusChange(state, None, None, there.deployment.arn, source="Bedrock")
    text = outcome.message
    if outcome.kind is OutcomeKind.ACTIVE and there.request_tag != request.request_id:
        text = f"made for request {there.request_tag!r}, and adopted"
    reason = outcome.reason.value if outcome.reason else None
    return StatusChange(outcome.kind.value, reason, text, there.deployment.arn, is_terminal=True, source="Bedrock")


def _arn(there: ExistingDeployment | None) -> str | None:
    return None if there is None else there.deployment.arn
