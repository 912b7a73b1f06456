"""What comes out: outcomes and progress as CloudEvents 1.0.

The id is a UUIDv5 of what was asked and how it ended, so however often a crash makes Slipway announce an outcome again,
it is the same event. Over-long texts are cut with a mark, never dropped: an event always fits in 24 KiB, ten in a batch.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final

from slipway.core.bedrock.deployments import Deployment
from slipway.core.lifecycle.outcomes import Outcome, OutcomeKind, Reason
from slipway.core.requests.models import Cancel, Delete, Deploy, Request, Update
from slipway.core.scheduling.eta import NOTHING_KNOWN, Eta
from slipway.core.sqs.messages import group_of
from slipway.core.time_format import format_time as _iso

LONGEST_TEXT: Final = 2048
LONGEST_ATTRIBUTE: Final = 256
_ESSENTIAL: Final = frozenset(
    {
        "requestId",
        "messageId",
        "action",
        "outcome",
        "reason",
        "modelDeploymentName",
        "customModelDeploymentArn",
        "target",
        "times",
    }
)
CUT_MARK: Final = " … [cut]"
_NAMESPACE: Final = uuid.UUID("8d3a5b7c-6f0e-5c41-9a55-0c1f3f6f7a10")


class Progress(StrEnum):
    """What is announced on the way, where the setting `progress_events` asks for it."""

    ACCEPTED = "Accepted"
    WAITING = "Waiting"
    CREATING = "Creating"
    RETRYING = "Retrying"


@dataclass(frozen=True)
class Publication:
    """One event for SNS. On a FIFO topic `event_id` is the deduplication id, and `group` the message group."""

    event_id: str
    event: Mapping[str, object] = field(repr=False)
    """The CloudEvent."""
    attributes: Mapping[str, str]
    group: str

    @property
    def data(self) -> Mapping[str, object]:
        """The `data` of the event."""
        data = self.event.get("data")
        return data if isinstance(data, Mapping) else {}

    @cached_property
    def body(self) -> str:
        """The event as JSON."""
        return json.dumps(self.event, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Times:
    """When things happened to a request, in seconds since the epoch by AWS's clock."""

    now: float
    received: float
    deadline: float | None = None


def announce_outcome(request: Request, outcome: Outcome, times: Times, source: str) -> Publication:
    """Put a request's outcome into words. The same outcome of the same request always has the same id."""
    return _publication(request, outcome.kind.value, outcome, times, source)


def announce_progress(
    request: Request,
    progress: Progress,
    times: Times,
    source: str,
    reason: Reason | None = None,
    message: str | None = None,
    attempt: int = 1,
    prospect: Eta = NOTHING_KNOWN,
) -> Publication:
    """Put a step on the way into words. Each kind of progress of an attempt has one id, and each reason to wait."""
    return _publication(request, progress.value, _Underway(reason, message, attempt, prospect), times, source)


def announce_rejection(message_id: str, request_id: str | None, code: str, text: str, times: Times, source: str) -> Publication:
    """Put into words why a message could not be understood. `message_id` is that of the message that came first."""
    shown = request_id or message_id
    data = {
        "requestId": shown,
        "messageId": message_id,
        "outcome": OutcomeKind.REJECTED.value,
        "reason": Reason.NOT_UNDERSTOOD.value,
        "code": code,
        "message": cut(text, LONGEST_TEXT),
        "times": _times(times),
    }
    attributes = {"status": OutcomeKind.REJECTED.value, "reason": Reason.NOT_UNDERSTOOD.value, "requestId": shown}
    return _envelope(OutcomeKind.REJECTED.value, [message_id], shown, message_id, data, attributes, times, source)


def announce_failure(message_id: str, text: str, times: Times, source: str) -> Publication:
    """Put into words that a request ends because it cannot be processed, and perhaps not even be read.

    `message_id` is that of the message that came first.
    """
    word, reason = OutcomeKind.FAILED.value, Reason.INTERNAL_ERROR.value
    data = {
        "requestId": message_id,
        "messageId": message_id,
        "outcome": word,
        "reason": reason,
        "message": cut(text, LONGEST_TEXT),
        "times": _times(times),
    }
    attributes = {"status": word, "reason": reason, "requestId": message_id}
    return _envelope(word, [message_id], message_id, message_id, data, attributes, times, source)


def minimal(publication: Publication) -> Publication:
    """Return the same event with nothing in it but what identifies it, for a topic that refuses it as it is."""
    data = {key: value for key, value in publication.data.items() if key in _ESSENTIAL}
    data["requestId"] = cut(str(data["requestId"]), LONGEST_ATTRIBUTE)
    event = {key: value for key, value in publication.event.items() if key != "traceparent"} | {"data": data}
    event["subject"] = cut(str(event["subject"]), LONGEST_ATTRIBUTE)
    kept = {key: value for key, value in publication.attributes.items() if key in {"eventType", "status"}}
    return Publication(publication.event_id, event, kept, publication.event_id)


@dataclass(frozen=True, slots=True)
class _Underway:
    reason: Reason | None
    message: str | None
    attempt: int
    prospect: Eta
    deployment: Deployment | None = None


def _publication(request: Request, word: str, state: Outcome | _Underway, times: Times, source: str) -> Publication:
    deployment = state.deployment
    name = deployment.name if deployment else _name(request)
    data: dict[str, object] = {"requestId": request.request_id, "action": request.action, "outcome": word}
    data |= {"modelDeploymentName": name} if name else _otherwise(request)
    data |= _model(request, deployment)
    data |= _of_outcome(request, state) if isinstance(state, Outcome) else _of_wait(state)
    if isinstance(request, Deploy) and request.retries:
        data["attempt"] = state.attempt
    data["times"] = _times(times)
    told = (("trigger", request.trigger), ("tenant", request.tenant), ("target", request.target_label))
    data |= {key: value for key, value in told if value is not None}
    if isinstance(request, Deploy) and request.tags:
        data["tags"] = [{"key": key, "value": value} for key, value in request.tags]
    if state.reason is not None:
        data["reason"] = state.reason.value
    if state.message:
        data["message"] = cut(state.message, LONGEST_TEXT)
    if deployment is not None:
        data |= _deployment(deployment, exists=word != OutcomeKind.DELETED.value)
    attributes = {
        "status": word,
        "action": request.action,
        "deploymentName": name,
        "requestId": request.request_id,
        "tenant": request.tenant or "",
        "reason": state.reason.value if state.reason else "",
    }
    subject = deployment.arn if deployment else request.name
    return _envelope(word, _identity(request, state, word), subject, request.name, data, attributes, times, source)


def _identity(request: Request, state: Outcome | _Underway, word: str) -> list[str]:
    """Answer what tells an event from all others of its kind: of progress also the attempt, and what is waited for."""
    identity = request.payload_identity
    if isinstance(state, _Underway) and state.attempt > 1:
        identity = [*identity, str(state.attempt)]
    if word == Progress.WAITING.value and state.reason is not None:
        identity = [*identity, state.reason.value]
    return identity


def _name(request: Request) -> str:
    """The deployment's name, where that is what the request says."""
    return "" if request.is_by_arn or isinstance(request, Cancel) else request.name


def _otherwise(request: Request) -> dict[str, object]:
    """What the request is about, where it does not say a name."""
    return {"cancels" if isinstance(request, Cancel) else "customModelDeploymentArn": request.name}


def _model(request: Request, deployment: Deployment | None) -> dict[str, object]:
    """Which model it is about, as far as that is known; and the job that makes it, where that was asked for."""
    asked = request if isinstance(request, Deploy | Update) else None
    model_arn = (asked.model_arn if asked else "") or (deployment.model_arn if deployment else "")
    said: dict[str, object] = {"modelArn": model_arn} if model_arn else {}
    if isinstance(request, Deploy) and request.customization_job is not None:
        said["customizationJob"] = request.customization_job
    return said


def _of_wait(underway: _Underway) -> dict[str, object]:
    """How long it may be, as far as that is known."""
    said = underway.prospect.to_json()
    return {"waiting": said} if said else {}


def _of_outcome(request: Request, outcome: Outcome) -> dict[str, object]:
    smoke = outcome.smoke
    tested = {"smokeTest": {"passed": smoke.passed, "text": cut(smoke.text, LONGEST_TEXT)}} if smoke is not None else {}
    return _particulars(request, outcome) | tested


def _particulars(request: Request, outcome: Outcome) -> dict[str, object]:
    """What is told of one action only."""
    match request:
        case Deploy():
            return {"adopted": outcome.adopted}
        case Update() if outcome.former is not None:
            return {"adopted": outcome.adopted, "formerModelArn": outcome.former}
        case Update():
            return {"adopted": outcome.adopted}
        case Delete() if outcome.kind is OutcomeKind.DELETED:
            return {"alreadyGone": outcome.already_gone}
        case _:
            return {}


def _deployment(deployment: Deployment, *, exists: bool) -> dict[str, object]:
    data: dict[str, object] = {"customModelDeploymentArn": deployment.arn}
    if exists:
        data["status"] = deployment.status_text
    data["createdAt"] = _iso(deployment.created_at)
    if deployment.updated_at is not None:
        data["lastUpdatedAt"] = _iso(deployment.updated_at)
    if deployment.failure_message:
        data["failureMessage"] = cut(deployment.failure_message, LONGEST_TEXT)
    return data


def _envelope(
    word: str,
    identity: list[str],
    subject: str,
    group: str,
    data: Mapping[str, object],
    attributes: Mapping[str, str],
    times: Times,
    source: str,
) -> Publication:
    event_id = str(uuid.uuid5(_NAMESPACE, json.dumps([*identity, word])))
    kind = event_type(word)
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": kind,
        "subject": subject,
        "time": _iso(times.now),
        "datacontenttype": "application/json",
        "data": data,
    }
    kept = {"eventType": kind} | {key: cut(value, LONGEST_ATTRIBUTE) for key, value in attributes.items() if value}
    return Publication(event_id, event, kept, group_of(group))


def event_type(word: str) -> str:
    """Answer the CloudEvents type for an ending or a progress."""
    return f"slipway.deployment.{word.lower()}.v1"


def cut(text: str, longest: int) -> str:
    """Keep a text within so many characters, with a mark where something is missing, and without control characters."""
    clean = text if text.isprintable() else "".join(ch if ch.isprintable() else " " for ch in text)
    return clean if len(clean) <= longest else clean[: longest - len(CUT_MARK)] + CUT_MARK


def _times(times: Times) -> dict[str, object]:
    said: dict[str, object] = {
        "receivedAt": _iso(times.received),
        "secondsSinceReceived": round(max(0.0, times.now - times.received), 3),
    }
    if times.deadline is not None:
        said["deadline"] = _iso(times.deadline)
    return said
