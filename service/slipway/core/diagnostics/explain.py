"""Why a request is not ready yet, or how it ended: from what was found out about it, in sentences for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from slipway.core.bedrock.deployments import Deployment
from slipway.core.diagnostics.audit import Backlog
from slipway.core.diagnostics.status import FinishedRequest, RequestStatus, Wait
from slipway.core.lifecycle.deploy import DeployFacts, decide
from slipway.core.lifecycle.outcomes import Outcome, Reason
from slipway.core.lifecycle.steps import ABSENCES_TO_BELIEVE, Finish, Found
from slipway.core.lifecycle.tags import DeploymentTags
from slipway.core.requests.models import Deploy
from slipway.core.scheduling.eta import Eta
from slipway.core.time_format import format_time


@dataclass(frozen=True, slots=True)
class ExistingDeployment:
    """A deployment, and what its tags say of it."""

    deployment: Deployment
    slipway_tags: DeploymentTags

    @property
    def request_tag(self) -> str | None:
        """The request that it was made for; None where Slipway did not make it."""
        return self.slipway_tags.request


def predict_outcome(request: Deploy, received: float, there: ExistingDeployment) -> Outcome | None:
    """Answer the outcome that a request first received then has at once for what is there; None where something is done.

    Where only the job is known that makes its model, nothing is said of what another request made: it may be adopted.
    """
    if not request.model_arn and there.request_tag not in {None, request.request_id}:
        return None
    step = decide(
        request,
        DeployFacts(
            observation=Found(there.deployment, there.slipway_tags), received=received, times_found=ABSENCES_TO_BELIEVE
        ),
    )
    return step.outcome if isinstance(step, Finish) else None


NEXT: Final[Mapping[str, str]] = {
    Reason.NO_SLOT: "it is created as soon as there is a slot and it is its turn; raise the quota or delete what nobody needs",
    Reason.IN_CREATION: "Bedrock is creating it; when that has ended, it is announced within a sweep",
    Reason.MODEL_NOT_ACTIVE: "it is tried again, at growing intervals, until the model is Active",
    Reason.THROTTLED: "it is tried again, more slowly; nothing need be done",
    Reason.NAME_RESERVED: "it is tried again until Bedrock lets go of the name, minutes after what had it was deleted",
    Reason.PREDECESSOR: "it begins when the request before it has ended",
    Reason.ACCESS_DENIED: "it is tried again; mend the daemon's credentials or permissions, and it goes on by itself",
    Reason.NO_ANSWER: "it is looked at, and tried again; check the network and the endpoints of the daemon",
    Reason.BUSY: "it is tried again when what Bedrock is doing with the deployment is done",
    Reason.RETRYING: "what was decided is done, when one and a half times visibility_timeout have passed since",
    Reason.UPDATING: "Bedrock is giving it the other model; when it serves that, it is announced",
    Reason.SMOKE_TEST: "the deployment is invoked, and its outcome is announced when it has answered, or often enough not",
    Reason.INTERNAL_ERROR: "it is tried again a few times, then it fails; the daemon's log has the traceback: report it",
    Reason.DEPLOYMENT_MISSING: "it is looked for until the deadline; perhaps somebody has deleted it",
}
"""What Slipway does about each wait, and what a person can do. A test holds it to the reasons that are waits."""

_STANDING: Final = frozenset({Reason.NO_SLOT, Reason.IN_CREATION, Reason.UPDATING, Reason.PREDECESSOR})
"""Waits that are over when they are over. After all others the same thing is tried again, and may fail again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainFacts:
    """What was found out about one word: a request's id, or a deployment's name or ARN."""

    word: str
    held: tuple[RequestStatus, ...] = ()
    finished: tuple[FinishedRequest, ...] = ()
    existing: ExistingDeployment | None = None
    backlog: Backlog | None = None
    lines: Mapping[str, Any] | None = None
    """How fast the daemons call each operation, and how many calls wait; None where no daemon could be asked."""
    failures: Mapping[str, str] | None = None
    """What keeps the daemons from their work."""
    unanswered: tuple[str, ...] = ()
    """Who did not answer, in sentences."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """`reason` is a word for programs; `lines` are for people, the most important first."""

    state: str
    reason: str | None
    lines: tuple[str, ...]

    @property
    def is_known(self) -> bool:
        """Whether anything at all is known of it."""
        return self.state != "Unknown"


def explain(knowledge: ExplainFacts) -> Explanation:
    """Say what is so, why, and what will happen next."""
    tail = [f"not asked: {each}" for each in knowledge.unanswered]
    if knowledge.held:
        first = min(knowledge.held, key=lambda held: held.waits_for == Reason.PREDECESSOR.value)
        others = [f"held, too, for the same deployment: request {one.request_id}" for one in knowledge.held if one is not first]
        lines = _lines_of(first.target, knowledge.lines or {})
        reason = _reason(first, lines)
        return Explanation(first.state, reason, (*_of_held(first, reason, lines), *others, *tail))
    if knowledge.finished:
        last = max(knowledge.finished, key=lambda finished: finished.at)
        return Explanation(last.outcome, last.reason, (*_of_finished(last), *_of_existing(knowledge.existing), *tail))
    if knowledge.existing is not None:
        said = (*_of_existing(knowledge.existing), "no daemon that was asked holds a request for it")
        return Explanation(knowledge.existing.deployment.status_text, None, (*said, *tail))
    return Explanation("Unknown", None, (*_of_nothing(knowledge), *tail))


def _lines_of(target: str | None, lines: Mapping[str, Any]) -> Mapping[str, Any]:
    """The daemon writes behind an operation which target's it is, unless it is the default's: others make nobody wait."""
    return {name: line for name, line in lines.items() if (name.partition(" in ")[2] or None) == target}


def _reason(held: RequestStatus, lines: Mapping[str, Any]) -> str | None:
    """What keeps it: its wait; while it is tried again, what it was last tried in vain for; or the line before a call."""
    if held.waits_for is not None:
        return held.waits_for
    if held.waited and held.waited[-1].reason not in _STANDING:
        return held.waited[-1].reason
    return Reason.THROTTLED.value if any(line.get("waiting") and line.get("perSecond") for line in lines.values()) else None


def _of_held(held: RequestStatus, reason: str | None, lines: Mapping[str, Any]) -> Iterator[str]:
    where = f" in target {held.target}" if held.target else ""
    said = f"{held.action} {held.name}{where}, request {held.request_id}" if held.request_id else f"message {held.message_id}"
    yield f"{said}: {held.waits_for}: {held.why}" if held.waits_for else f"{said}: a call is under way"
    if held.waits_for is None:
        yield from _of_lines(lines)
    yield from _of_prospect(held.prospect, "turn" if held.waits_for == Reason.PREDECESSOR else "slot")
    if reason is not None and reason in NEXT:
        yield f"next: {NEXT[reason]}"
    if held.deadline is not None:
        left = held.deadline - held.now
        yield f"deadline: {format_time(held.deadline)}, in {left:.0f} s; then it ends as TimedOut, and what exists is kept"
    often = f"{held.receive_count} times, first" if held.receive_count > 1 else "once,"
    yield f"received {often} at {format_time(held.received_at)}; leased for {held.lease_seconds:.0f} s more"
    yield from (_of_wait(wait) for wait in held.waited)


def _of_prospect(prospect: Eta, what: str) -> Iterator[str]:
    if prospect.place is not None:
        expected = "" if prospect.to_slot is None else f", which it may have in {prospect.to_slot:.0f} s"
        yield f"place {prospect.place} in the daemon's line for a {what}{expected}"
    if prospect.to_end is not None:
        yield f"as creations went lately, it has ended in {prospect.to_end:.0f} s"


def _of_wait(wait: Wait) -> str:
    times = f", {wait.times} times" if wait.times > 1 else ""
    return f"since {format_time(wait.since)}: {wait.reason}{times}: {wait.text}"


def _of_lines(lines: Mapping[str, Any]) -> Iterator[str]:
    for operation, line in lines.items():
        if line.get("waiting"):
            rate = f" at {line['perSecond']:.2g} calls a second" if line.get("perSecond") else ""
            yield f"calls of {operation} in line: {line['waiting']}{rate}: AWS throttles, or many are made"


def _of_finished(finished: FinishedRequest) -> Iterator[str]:
    reason = f", {finished.reason}" if finished.reason else ""
    text = f": {finished.text}" if finished.text else ""
    yield f"request {finished.request_id} ended {finished.outcome}{reason}, at {format_time(finished.at)}{text}"
    yield f"announced as event {finished.event_id}"


def _of_existing(existing: ExistingDeployment | None) -> Iterator[str]:
    if existing is None:
        return
    deployment = existing.deployment
    whose = f"made for request {existing.request_tag}" if existing.request_tag is not None else "not made by Slipway"
    failure = f": {deployment.failure_message}" if deployment.failure_message else ""
    yield f"{deployment.name} is {deployment.status_text}, {whose}, at {format_time(deployment.created_at)}{failure}"
    yield f"{deployment.arn}, of {deployment.model_arn}"


def _of_nothing(knowledge: ExplainFacts) -> Iterator[str]:
    yield f"nothing is known of {knowledge.word!r}: no daemon that was asked holds it, and Bedrock has no such deployment"
    if (backlog := knowledge.backlog) is not None and backlog.visible + backlog.delayed:
        yield f"messages in the queue that nobody has received yet: {backlog.visible + backlog.delayed}; it may be among them"
    elif backlog is not None and backlog.in_flight:
        yield f"messages that daemons have received: {backlog.in_flight}; if a daemon was not asked, name it with --daemon"
    elif backlog is not None:
        yield "the queue is empty: it has ended, and its event tells how; or it was never sent, or to another queue"
    for name, trouble in (knowledge.failures or {}).items():
        yield f"the daemon is not ready: {name}: {trouble}"
