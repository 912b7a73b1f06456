"""The explanation of a request for `slipway explain`: why it waits or how it ended, and what a deployment means for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from slipway.core.bedrock import Deployment
from slipway.core.diagnostics.status import Backlog, FinishedRequest, RequestStatus, Wait
from slipway.core.lifecycle.deploy import DeployFacts, decide
from slipway.core.lifecycle.outcomes import Outcome, Reason
from slipway.core.lifecycle.steps import ABSENCES_TO_BELIEVE, Finish, Found
from slipway.core.lifecycle.tags import DeploymentTags
from slipway.core.requests.models import Deploy
from slipway.core.scheduling.eta import Eta
from slipway.core.time_format import format_duration, format_duration_roughly, format_time


@dataclass(frozen=True, slots=True)
class ExistingDeployment:
    """A deployment with its Slipway tags."""

    deployment: Deployment
    slipway_tags: DeploymentTags

    @property
    def request_tag(self) -> str | None:
        """Return the request that created it; None if Slipway did not create it."""
        return self.slipway_tags.request


def predict_outcome(request: Deploy, received: float, existing: ExistingDeployment) -> Outcome | None:
    """Return the outcome that a request, first received then, has at once for an existing deployment; None if it would act.

    None, too, for another request's deployment if only the customization job is known: it may be adopted.
    """
    if not request.model_arn and existing.request_tag not in {None, request.request_id}:
        return None
    step = decide(
        request,
        DeployFacts(
            observation=Found(existing.deployment, existing.slipway_tags), received=received, times_found=ABSENCES_TO_BELIEVE
        ),
    )
    return step.outcome if isinstance(step, Finish) else None


NEXT: Final[Mapping[str, str]] = {
    Reason.NO_SLOT: "it is created when a slot is free and it is its turn; raise the quota or delete unused deployments",
    Reason.IN_CREATION: "Bedrock is creating it; its outcome is published within a sweep after that",
    Reason.MODEL_NOT_ACTIVE: "it is retried, at growing intervals, until the model is Active",
    Reason.THROTTLED: "it is retried, more slowly; no action is needed",
    Reason.NAME_RESERVED: "it is retried until Bedrock releases the name, minutes after its deployment was deleted",
    Reason.PREDECESSOR: "it starts when the request before it has ended",
    Reason.ACCESS_DENIED: "it is retried; fix the daemon's credentials or permissions, and it continues by itself",
    Reason.NO_ANSWER: "it is checked and retried; check the network and the endpoints of the daemon",
    Reason.BUSY: "it is retried when Bedrock's current operation on the deployment has ended",
    Reason.RETRYING: "the decision is carried out one and a half times visibility_timeout after it was made",
    Reason.UPDATING: "Bedrock is updating it to the other model; its outcome is published after that",
    Reason.SMOKE_TEST: "the deployment is invoked; the outcome is published after an answer or several failures",
    Reason.INTERNAL_ERROR: "it is retried a few times, then it fails; the daemon's log has the traceback: report it",
    Reason.DEPLOYMENT_MISSING: "it is looked for until the deadline; it may have been deleted",
}
"""What Slipway does about each wait, and what a person can do. A test compares it with the reasons that are waits."""

_PASSIVE_WAITS: Final = frozenset({Reason.NO_SLOT, Reason.IN_CREATION, Reason.UPDATING, Reason.PREDECESSOR})
"""Waits that end by themselves. After every other wait the same call is retried, and may fail again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainFacts:
    """Everything found about one word: a request's id, or a deployment's name or ARN."""

    word: str
    held: tuple[RequestStatus, ...] = ()
    finished: tuple[FinishedRequest, ...] = ()
    existing: ExistingDeployment | None = None
    backlog: Backlog | None = None
    lines: Mapping[str, Any] | None = None
    """Rate and waiting calls of each operation, from the daemons; None if no daemon could be asked."""
    failures: Mapping[str, str] | None = None
    """Why the daemons are not ready."""
    unanswered: tuple[str, ...] = ()
    """Sources that did not answer, in sentences."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """An explanation: `reason` is a word for programs; `lines` are for people, the most important first."""

    state: str
    reason: str | None
    lines: tuple[str, ...]
    subject: str = ""
    """The request or deployment that it is about, for the headline."""

    @property
    def headline(self) -> str:
        """Return the state, its reason and the subject in one line."""
        reason = f" ({self.reason})" if self.reason else ""
        return f"{self.state}{reason}{': ' if self.subject else ''}{self.subject}"

    @property
    def is_known(self) -> bool:
        """Return whether anything is known of the request."""
        return self.state != "Unknown"


def explain(facts: ExplainFacts) -> Explanation:
    """Return the state of a request, its reason, and what happens next."""
    tail = [f"not asked: {sentence}" for sentence in facts.unanswered]
    if facts.held:
        first = min(facts.held, key=lambda held: held.waits_for == Reason.PREDECESSOR.value)
        rest = (other.request_id for other in facts.held if other is not first)
        others = [f"also in progress for the same deployment: request {request_id}" for request_id in rest]
        lines = _paces_of_target(first.target, facts.lines or {})
        reason = _reason(first, lines)
        return Explanation(first.state, reason, (*_status_lines(first, reason, lines), *others, *tail), _subject_of(first))
    if facts.finished:
        latest = max(facts.finished, key=lambda finished: finished.at)
        known_lines = (*_finished_lines(latest), *_existing_lines(facts.existing), *tail)
        subject = f"{latest.action} {latest.name}".strip()
        return Explanation(
            latest.outcome, latest.reason, known_lines, f"{subject}, request {latest.request_id}".removeprefix(", ")
        )
    if facts.existing is not None:
        known_lines = (*_existing_lines(facts.existing), "no daemon that was asked holds a request for it")
        deployment = facts.existing.deployment
        return Explanation(deployment.status_text, None, (*known_lines, *tail), f"deployment {deployment.name}")
    return Explanation("Unknown", None, (*_unknown_lines(facts), *tail), repr(facts.word))


def _paces_of_target(target: str | None, paces: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the rates of the calls in one target: calls in other targets do not delay the request."""
    return {name: pace for name, pace in paces.items() if pace.get("target") == target}


def _reason(held: RequestStatus, lines: Mapping[str, Any]) -> str | None:
    """Return what delays a request: its wait, the reason of its last retry, or a call that waits for the rate limit."""
    if held.waits_for is not None:
        return held.waits_for
    if held.waited and held.waited[-1].reason not in _PASSIVE_WAITS:
        return held.waited[-1].reason
    return Reason.THROTTLED.value if any(line.get("waiting") and line.get("perSecond") for line in lines.values()) else None


def _status_lines(held: RequestStatus, reason: str | None, lines: Mapping[str, Any]) -> Iterator[str]:
    yield f"reason: {held.why or held.waits_for}" if held.waits_for else "reason: a call to AWS is in progress"
    if held.waits_for is None:
        yield from _rate_lines(lines)
    yield from _eta_lines(held.prospect, "turn" if held.waits_for == Reason.PREDECESSOR else "slot")
    if reason is not None and reason in NEXT:
        yield f"next: {NEXT[reason]}"
    if held.deadline is not None:
        seconds_left = held.deadline - held.now
        when = f"in {format_duration(seconds_left)}" if seconds_left > 0 else "passed"
        yield f"deadline: {format_time(held.deadline)}, {when}; then it ends as TimedOut, and any existing deployment is kept"
    times = f"{held.receive_count} times, first" if held.receive_count > 1 else "once,"
    age = format_duration(held.now - held.received_at)
    yield f"received: {times} at {format_time(held.received_at)}, {age} ago"
    yield f"leased for {format_duration(held.lease_seconds)} more"
    yield from (_wait_line(wait) for wait in held.waited)


def _subject_of(held: RequestStatus) -> str:
    if not held.request_id:
        return f"message {held.message_id}"
    in_target = f" in target {held.target}" if held.target else ""
    return f"{held.action} {held.name}{in_target}, request {held.request_id}"


def _eta_lines(eta: Eta, subject: str) -> Iterator[str]:
    if eta.place is not None:
        forecast = "" if eta.to_slot is None else f"; expected in {format_duration_roughly(eta.to_slot)}"
        yield f"queue position: {eta.place}, for a {subject}{forecast}"
    if eta.to_end is not None:
        yield f"expected end: in {format_duration_roughly(eta.to_end)}, as recent creations took"


def _wait_line(wait: Wait) -> str:
    times = f", {wait.times} times" if wait.times > 1 else ""
    return f"since {format_time(wait.since)}: {wait.reason}{times}: {wait.text}"


def _rate_lines(paces: Mapping[str, Any]) -> Iterator[str]:
    for operation, pace in paces.items():
        if pace.get("waiting"):
            rate = f" at {pace['perSecond']:.2g} calls a second" if pace.get("perSecond") else ""
            yield f"calls of {operation} waiting: {pace['waiting']}{rate}: AWS throttles, or many are made"


def _finished_lines(finished: FinishedRequest) -> Iterator[str]:
    if finished.text:
        yield f"reason: {finished.text}"
    yield f"finished: {format_time(finished.at)}; published as event {finished.event_id}"


def _existing_lines(existing: ExistingDeployment | None) -> Iterator[str]:
    if existing is None:
        return
    deployment = existing.deployment
    origin = f"created for request {existing.request_tag}" if existing.request_tag is not None else "not created by Slipway"
    failure = f": {deployment.failure_message}" if deployment.failure_message else ""
    yield f"{deployment.name} is {deployment.status_text}, {origin}, at {format_time(deployment.created_at)}{failure}"
    yield f"{deployment.arn}, of {deployment.model_arn}"


def _unknown_lines(facts: ExplainFacts) -> Iterator[str]:
    yield "no daemon that was asked has such a request, and Bedrock has no such deployment"
    if (backlog := facts.backlog) is not None and backlog.visible + backlog.delayed:
        yield f"messages in the queue that were not received yet: {backlog.visible + backlog.delayed}; it may be among them"
    elif backlog is not None and backlog.in_flight:
        yield f"messages that daemons have received: {backlog.in_flight}; if a daemon was not asked, name it with --daemon"
    elif backlog is not None:
        yield "the queue is empty: it has ended, and its event tells how; or it was never sent, or to another queue"
    for name, failure in (facts.failures or {}).items():
        yield f"the daemon is not ready: {name}: {failure}"
