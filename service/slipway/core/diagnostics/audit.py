"""The audit: what exists, against what is held and what was announced. Nothing is said that the sources do not show.

What each source can say:

    Bedrock alone          leftovers (Failed, and ours), twins (one request, several deployments)
    + every daemon         conflicts (a held request whose name is taken); of what is in creation, whether somebody holds it
    + archived events      orphans (ours, and never announced) among all that was made since the first event; late ones
                           (announced as TimedOut, and Active or Failed since); conflicts that ended a request
    the queue's counts     whether a request that nobody seems to hold may still be in the queue: then nothing is said of it

What no combination can say: whether something that Slipway made has been deleted since, by right or not; anything of a
deployment whose tag was taken away, which looks like somebody else's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from slipway.core.bedrock.deployments import Deployment, Status
from slipway.core.diagnostics.explain import ExistingDeployment, predict_outcome
from slipway.core.diagnostics.status import FinishedRequest, RequestStatus
from slipway.core.events.parse import ParsedEvent
from slipway.core.lifecycle.outcomes import OutcomeKind, Reason
from slipway.core.requests.models import Deploy, IfExists
from slipway.core.time_format import format_time


class FindingKind(StrEnum):
    """What was found."""

    ORPHAN = "orphan"
    LATE = "late"
    LEFTOVER = "leftover"
    TWIN = "twin"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One thing that somebody should look at. `text` says what is so, `remedy` what to do."""

    kind: FindingKind
    name: str
    arn: str
    request_id: str | None
    text: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many messages the queue says it has. Approximate, as all that SQS counts."""

    visible: int
    in_flight: int
    delayed: int

    def unaccounted(self, held: int) -> int:
        """Answer how many requests may be somewhere else than with the holders of so many."""
        return self.visible + self.delayed + max(0, self.in_flight - held)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that was looked at. `held` and `events` are None where nobody was asked, and no archive was given."""

    existing: Sequence[ExistingDeployment]
    backlog: Backlog
    held: Sequence[RequestStatus] | None = None
    finished: Sequence[FinishedRequest] = ()
    events: Sequence[ParsedEvent] | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What was found, and, in sentences, what could not be known."""

    findings: tuple[AuditFinding, ...]
    unknown: tuple[str, ...]


def audit(evidence: Evidence) -> Report:
    """Compare what exists with what is held and was announced."""
    ours = [one for one in evidence.existing if one.request_tag is not None]
    orphans, doubts = _orphans(ours, evidence)
    findings = [*orphans, *_late(ours, evidence), *_leftovers(ours), *_twins(ours), *_conflicts(evidence)]
    order = list(FindingKind)
    findings.sort(key=lambda one: (order.index(one.kind), one.name, one.arn))
    return Report(tuple(findings), tuple(doubts))


def _orphans(ours: Sequence[ExistingDeployment], evidence: Evidence) -> tuple[list[AuditFinding], list[str]]:
    if evidence.held is None and evidence.events is None:
        return [], ["orphans: name every daemon (--daemon), or give the events (--events)"]
    ended = [told for told in evidence.events or () if told.is_terminal]
    since = min((told.at for told in evidence.events or ()), default=None)
    answered = {told.request_id for told in ended} | {one.request_id for one in evidence.finished}
    answered |= {told.arn for told in ended if told.arn} | {one.arn for one in evidence.finished if one.arn}
    held = {one.request_id for one in evidence.held or ()}
    unheld = [
        one
        for one in ours
        if one.request_tag not in held and one.request_tag not in answered and one.deployment.arn not in answered
    ]
    # An event may be older than the archive; who holds a request, or nobody, is so now.
    judged = [one for one in unheld if _can_judge(one.deployment, since, evidence)]
    doubts = []
    if len(judged) < len(unheld):
        doubts.append(_blindness(len(unheld) - len(judged), since))
    elsewhere = evidence.backlog.unaccounted(len(evidence.held or ()))
    if judged and elsewhere:
        text = f"{len(judged)} that nobody seems to hold: {elsewhere} more in the queue, or with daemons that were not asked"
        return [], [*doubts, f"orphans: {text}; ask again when the queue is empty, or name every daemon"]
    return [_orphan(one) for one in judged], doubts


def _can_judge(deployment: Deployment, since: float | None, evidence: Evidence) -> bool:
    if since is not None and deployment.created_at >= since:
        return True
    return evidence.held is not None and not deployment.status.is_terminal


def _blindness(number: int, since: float | None) -> str:
    if since is None:
        return f"orphans among {number} that have ended: whether they were announced is in the events (--events)"
    return f"orphans among {number} made before the first archived event, {format_time(since)}: give older events too"


def _orphan(one: ExistingDeployment) -> AuditFinding:
    deployment = one.deployment
    text = (
        f"made for request {one.request_tag!r}, {deployment.status_text}; nobody holds the request, and its end was not heard"
    )
    remedy = "send the same request again: Slipway adopts the deployment and announces how it ends; or delete it"
    return AuditFinding(FindingKind.ORPHAN, deployment.name, deployment.arn, one.request_tag, text, remedy)


def _late(ours: Sequence[ExistingDeployment], evidence: Evidence) -> Iterator[AuditFinding]:
    last: dict[str, ParsedEvent] = {}
    for told in sorted(evidence.events or (), key=lambda told: told.at):
        if told.is_terminal:
            last[told.arn or told.request_id] = told
    for one in ours:
        deployment = one.deployment
        end = last.get(deployment.arn) or last.get(one.request_tag or "")
        if end is not None and end.outcome == OutcomeKind.TIMED_OUT.value and deployment.status.is_terminal:
            text = f"announced as TimedOut at {format_time(end.at)}, and {deployment.status_text} now: nobody was told"
            remedy = "send the same request again, and it is adopted and announced; or delete it"
            yield AuditFinding(FindingKind.LATE, deployment.name, deployment.arn, one.request_tag, text, remedy)


def _leftovers(ours: Sequence[ExistingDeployment]) -> Iterator[AuditFinding]:
    for one in ours:
        deployment = one.deployment
        if deployment.status is Status.FAILED:
            text = f"Failed, for request {one.request_tag!r}: {deployment.failure_message or 'no failure message'}"
            remedy = "delete it: it holds its name, and may take a slot"
            yield AuditFinding(FindingKind.LEFTOVER, deployment.name, deployment.arn, one.request_tag, text, remedy)


def _twins(ours: Sequence[ExistingDeployment]) -> Iterator[AuditFinding]:
    by_request: dict[str | None, list[ExistingDeployment]] = defaultdict(list)
    for one in ours:
        by_request[one.request_tag].append(one)
    for request_id, several in by_request.items():
        first, *others = sorted(several, key=lambda one: one.deployment.created_at)
        for one in others:
            text = f"made for request {request_id!r}, as {first.deployment.name!r} was"
            remedy = "delete one of them; give each request an id of its own"
            yield AuditFinding(FindingKind.TWIN, one.deployment.name, one.deployment.arn, request_id, text, remedy)


def _conflicts(evidence: Evidence) -> Iterator[AuditFinding]:
    by_name = {one.deployment.name: one for one in evidence.existing}
    said: set[tuple[str | None, str]] = set()
    for held in evidence.held or ():
        there = by_name.get(held.name)
        if there is not None and held.request_id and (text := _blocks(held, there)):
            said.add((held.request_id, there.deployment.arn))
            yield _conflict(there, held.request_id, f"blocks request {held.request_id!r}, which is held: {text}")
    by_arn = {one.deployment.arn: one for one in evidence.existing}
    for told in evidence.events or ():
        there = by_arn.get(told.arn or "")
        if told.reason == Reason.NAME_CONFLICT.value and there is not None and (told.request_id, told.arn) not in said:
            said.add((told.request_id, there.deployment.arn))
            yield _conflict(there, told.request_id, f"ended request {told.request_id!r} with NameConflict, and is still there")


def _blocks(held: RequestStatus, there: ExistingDeployment) -> str | None:
    """Say how what holds the name will end the request; None where it will not."""
    if held.action != Deploy.action or there.request_tag == held.request_id:
        return None
    request = Deploy(
        identity=held.request_id or "",
        request_id=held.request_id or "",
        name=held.name,
        model_arn=held.model_arn,
        timeout=1.0,
        if_exists=IfExists(held.if_exists),
    )
    outcome = predict_outcome(request, held.received_at, there)
    return outcome.message if outcome is not None and outcome.kind is OutcomeKind.FAILED else None


def _conflict(there: ExistingDeployment, request_id: str, text: str) -> AuditFinding:
    deployment = there.deployment
    remedy = "use another name; or delete what holds it, if nobody needs it"
    return AuditFinding(FindingKind.CONFLICT, deployment.name, deployment.arn, request_id, text, remedy)
