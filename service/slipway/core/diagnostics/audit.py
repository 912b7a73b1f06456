"""The audit for `slipway audit`: existing deployments compared with requests in progress and published outcomes.

What each source shows:

    Bedrock alone          leftovers (Failed, created by Slipway), twins (one request, several deployments)
    + every daemon         conflicts (a request in progress whose name is taken); whether a deployment in creation has a request
    + archived events      orphans (created by Slipway, outcome never published) among the deployments since the first event;
                           late ones (published as TimedOut, and Active or Failed since); conflicts that ended a request
    the queue's counts     whether a request without a known consumer may still be in the queue: then it is not reported

What no combination shows: whether a deployment that Slipway created was deleted since; anything about a deployment whose tags
were removed, which looks like another owner's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from slipway.core.bedrock import Deployment, Status
from slipway.core.diagnostics.explain import ExistingDeployment, predict_outcome
from slipway.core.diagnostics.status import Backlog, FinishedRequest, RequestStatus
from slipway.core.events.parse import ParsedEvent
from slipway.core.lifecycle.outcomes import OutcomeKind, Reason
from slipway.core.requests.models import Deploy, IfExists
from slipway.core.time_format import format_time

EVENT_TIME_SECONDS: Final = 1.0
"""How far the time of an event may be ahead of Bedrock's: it is learned from `Date` headers, which are in whole seconds."""


class FindingKind(StrEnum):
    """Kind of a finding."""

    ORPHAN = "orphan"
    LATE = "late"
    LEFTOVER = "leftover"
    TWIN = "twin"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One deployment that needs attention, with the problem and the remedy."""

    kind: FindingKind
    name: str
    arn: str
    request_id: str | None
    text: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The sources of an audit. `held` is None if no daemon was asked, `events` if no archive was given."""

    existing: Sequence[ExistingDeployment]
    backlog: Backlog
    held: Sequence[RequestStatus] | None = None
    finished: Sequence[FinishedRequest] = ()
    events: Sequence[ParsedEvent] | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The findings and, in sentences, what could not be decided."""

    findings: tuple[AuditFinding, ...]
    unknown: tuple[str, ...]


def audit(evidence: Evidence) -> Report:
    """Return the differences between deployments, requests in progress and published outcomes."""
    owned = [item for item in evidence.existing if item.request_tag is not None]
    orphans, unknown = _orphans(owned, evidence)
    findings = [*orphans, *_late(owned, evidence), *_leftovers(owned), *_twins(owned), *_conflicts(evidence)]
    order = list(FindingKind)
    findings.sort(key=lambda item: (order.index(item.kind), item.name, item.arn))
    return Report(tuple(findings), tuple(unknown))


def _orphans(owned: Sequence[ExistingDeployment], evidence: Evidence) -> tuple[list[AuditFinding], list[str]]:
    if evidence.held is None and evidence.events is None:
        return [], ["orphans: name every daemon (--daemon), or give the events (--events)"]
    ended = [event for event in evidence.events or () if event.is_terminal]
    first_event_at = min((event.at for event in evidence.events or ()), default=None)
    # A request id proves nothing: a copy by another sender is Rejected, or has another deployment. Which deployment failed is
    # shown by the outcome of its request, which may be that of a later attempt.
    every: list[ParsedEvent | FinishedRequest] = [*ended, *evidence.finished]
    outcomes = [one for one in every if one.outcome != OutcomeKind.REJECTED.value]
    arns, requests = {one.arn for one in outcomes}, {one.request_id for one in outcomes}
    without_arn = {one.request_id for one in outcomes if not one.arn}
    held = {item.request_id for item in evidence.held or ()}
    unheld = [
        item
        for item in owned
        if item.deployment.arn not in arns
        and item.request_tag not in held
        and item.request_tag not in (requests if item.deployment.status is Status.FAILED else without_arn)
    ]
    # An event may be older than the archive; requests in progress are current.
    decidable = [item for item in unheld if _is_decidable(item.deployment, first_event_at, evidence)]
    unknown = []
    if len(decidable) < len(unheld):
        unknown.append(_unknown_orphans(len(unheld) - len(decidable), first_event_at))
    unaccounted = evidence.backlog.unaccounted(len(evidence.held or ()))
    if decidable and unaccounted:
        text = f"{len(decidable)} without a known request: {unaccounted} more in the queue, or with daemons that were not asked"
        return [], [*unknown, f"orphans: {text}; run it again when the queue is empty, or name every daemon"]
    return [_orphan(item) for item in decidable], unknown


def _is_decidable(deployment: Deployment, first_event_at: float | None, evidence: Evidence) -> bool:
    if first_event_at is not None and deployment.created_at >= first_event_at - EVENT_TIME_SECONDS:
        return True
    return evidence.held is not None and not deployment.status.is_terminal


def _unknown_orphans(count: int, first_event_at: float | None) -> str:
    if first_event_at is None:
        return f"orphans among {count} that have ended: whether they were announced is in the events (--events)"
    return f"orphans among {count} made before the first archived event, {format_time(first_event_at)}: give older events too"


def _orphan(existing: ExistingDeployment) -> AuditFinding:
    deployment = existing.deployment
    text = (
        f"created for request {existing.request_tag!r}, {deployment.status_text}; no process works on the request, and its"
        " outcome was not published"
    )
    remedy = "send the same request again: Slipway adopts the deployment and publishes its outcome; or delete it"
    return AuditFinding(FindingKind.ORPHAN, deployment.name, deployment.arn, existing.request_tag, text, remedy)


def _late(owned: Sequence[ExistingDeployment], evidence: Evidence) -> Iterator[AuditFinding]:
    last: dict[str, ParsedEvent] = {}
    for event in sorted(evidence.events or (), key=lambda event: event.at):
        if event.is_terminal:
            last[event.arn or event.request_id] = event
    for existing in owned:
        deployment = existing.deployment
        outcome = last.get(deployment.arn) or last.get(existing.request_tag or "")
        if outcome is not None and outcome.outcome == OutcomeKind.TIMED_OUT.value and deployment.status.is_terminal:
            text = f"announced as TimedOut at {format_time(outcome.at)}, and {deployment.status_text} now, which no event says"
            remedy = "send the same request again, and it is adopted and announced; or delete it"
            yield AuditFinding(FindingKind.LATE, deployment.name, deployment.arn, existing.request_tag, text, remedy)


def _leftovers(owned: Sequence[ExistingDeployment]) -> Iterator[AuditFinding]:
    for existing in owned:
        deployment = existing.deployment
        if deployment.status is Status.FAILED:
            text = f"Failed, for request {existing.request_tag!r}: {deployment.failure_message or 'no failure message'}"
            remedy = "delete it: it holds its name, and may take a slot"
            yield AuditFinding(FindingKind.LEFTOVER, deployment.name, deployment.arn, existing.request_tag, text, remedy)


def _twins(owned: Sequence[ExistingDeployment]) -> Iterator[AuditFinding]:
    # Two senders may choose the same id: the owner is what tells their requests apart.
    by_request: dict[tuple[str | None, str | None], list[ExistingDeployment]] = defaultdict(list)
    for existing in owned:
        by_request[existing.request_tag, existing.slipway_tags.owner].append(existing)
    for (request_id, _), deployments in by_request.items():
        first, *twins = sorted(deployments, key=lambda existing: existing.deployment.created_at)
        for existing in twins:
            text = f"made for request {request_id!r}, as {first.deployment.name!r} was"
            remedy = "delete one of them; give each request an id of its own"
            yield AuditFinding(FindingKind.TWIN, existing.deployment.name, existing.deployment.arn, request_id, text, remedy)


def _conflicts(evidence: Evidence) -> Iterator[AuditFinding]:
    by_name = {existing.deployment.name: existing for existing in evidence.existing}
    reported: set[tuple[str | None, str]] = set()
    for held in evidence.held or ():
        existing = by_name.get(held.name)
        if existing is not None and held.request_id and (text := _blocking_reason(held, existing)):
            reported.add((held.request_id, existing.deployment.arn))
            yield _conflict(existing, held.request_id, f"blocks request {held.request_id!r}, which is held: {text}")
    by_arn = {existing.deployment.arn: existing for existing in evidence.existing}
    for event in evidence.events or ():
        existing = by_arn.get(event.arn or "")
        if (
            event.reason == Reason.NAME_CONFLICT.value
            and existing is not None
            and (event.request_id, event.arn) not in reported
        ):
            reported.add((event.request_id, existing.deployment.arn))
            yield _conflict(
                existing, event.request_id, f"ended request {event.request_id!r} with NameConflict, and is still there"
            )


def _blocking_reason(held: RequestStatus, existing: ExistingDeployment) -> str | None:
    """Return how the deployment with the name will end a request; None if it will not."""
    if held.action != Deploy.action or existing.request_tag == held.request_id:
        return None
    request = Deploy(
        identity=held.request_id or "",
        request_id=held.request_id or "",
        name=held.name,
        model_arn=held.model_arn,
        timeout=1.0,
        if_exists=IfExists(held.if_exists),
    )
    outcome = predict_outcome(request, held.received_at, existing)
    return outcome.message if outcome is not None and outcome.kind is OutcomeKind.FAILED else None


def _conflict(existing: ExistingDeployment, request_id: str, text: str) -> AuditFinding:
    deployment = existing.deployment
    remedy = "use another name, or delete the deployment if it is not needed"
    return AuditFinding(FindingKind.CONFLICT, deployment.name, deployment.arn, request_id, text, remedy)
