"""Published events: outcomes and progress as CloudEvents 1.0.

The id is a UUIDv5 of the request and its outcome, so an outcome that is published again after a crash is the same event. Long
texts are cut with a mark, never dropped: an event always fits in 24 KiB, ten in a batch.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final

from slipway.core.bedrock import Deployment, Status
from slipway.core.lifecycle.outcomes import Outcome, OutcomeKind, Reason
from slipway.core.requests.models import Cancel, Delete, Deploy, Request, Update
from slipway.core.scheduling.eta import NOTHING_KNOWN, Eta
from slipway.core.sqs.messages import group_of
from slipway.core.time_format import format_time

LONGEST_TEXT: Final = 2048
LONGEST_ATTRIBUTE: Final = 256
SCHEMA_ID: Final = "urn:slipway:schema:event:v1"
"""The `$id` of the JSON Schema of events."""
DATA_SCHEMA: Final = f"{SCHEMA_ID}#/properties/data"
_CONSOLES: Final = {
    "aws": "console.aws.amazon.com",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-cn": "console.amazonaws.cn",
}
"""Domains of the AWS console, by partition."""
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
    """Progress of a request, published if the setting `progress_events` is on."""

    ACCEPTED = "Accepted"
    WAITING = "Waiting"
    CREATING = "Creating"
    RETRYING = "Retrying"


@dataclass(frozen=True)
class Publication:
    """One event, ready for SNS. On a FIFO topic `event_id` is the deduplication id and `group` the message group."""

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
    """Times of a request, in seconds since the epoch by AWS's clock."""

    now: float
    received: float
    deadline: float | None = None


def announce_outcome(request: Request, outcome: Outcome, times: Times, source: str) -> Publication:
    """Return the event of an outcome. The same outcome of the same request always has the same event id."""
    return _publication(request, outcome.kind.value, outcome, times, source)


def announce_progress(  # noqa: PLR0913  one for each fact of the event
    request: Request,
    progress: Progress,
    times: Times,
    source: str,
    reason: Reason | None = None,
    message: str | None = None,
    attempt: int = 1,
    prospect: Eta = NOTHING_KNOWN,
    arn: str | None = None,
) -> Publication:
    """Return the event of a progress. Each progress of an attempt, and each reason to wait, has one event id.

    `arn` is that of the deployment, if it is known.
    """
    return _publication(request, progress.value, _Wait(reason, message, attempt, prospect, arn), times, source)


def announce_rejection(message_id: str, request_id: str | None, code: str, text: str, times: Times, source: str) -> Publication:
    """Return the event of a rejected message. `message_id` is the id of the request's first message."""
    shown_id = request_id or message_id
    data = {
        "requestId": shown_id,
        "messageId": message_id,
        "outcome": OutcomeKind.REJECTED.value,
        "reason": Reason.NOT_UNDERSTOOD.value,
        "code": code,
        "message": cut(text, LONGEST_TEXT),
        "times": _times_data(times),
    }
    attributes = {"outcome": OutcomeKind.REJECTED.value, "reason": Reason.NOT_UNDERSTOOD.value, "requestId": shown_id}
    return _envelope(OutcomeKind.REJECTED.value, [message_id], message_id, data, attributes, times, source)


def announce_failure(message_id: str, text: str, times: Times, source: str) -> Publication:
    """Return the event of a request that ends because it cannot be processed, and perhaps not even be read.

    `message_id` is the id of the request's first message.
    """
    word, reason = OutcomeKind.FAILED.value, Reason.INTERNAL_ERROR.value
    data = {
        "requestId": message_id,
        "messageId": message_id,
        "outcome": word,
        "reason": reason,
        "message": cut(text, LONGEST_TEXT),
        "times": _times_data(times),
    }
    attributes = {"outcome": word, "reason": reason, "requestId": message_id}
    return _envelope(word, [message_id], message_id, data, attributes, times, source)


def minimal(publication: Publication) -> Publication:
    """Return the same event reduced to what identifies it, for a topic that refuses the whole event."""
    data = {key: value for key, value in publication.data.items() if key in _ESSENTIAL}
    data["requestId"] = cut(str(data["requestId"]), LONGEST_ATTRIBUTE)
    event = {key: value for key, value in publication.event.items() if key != "traceparent"} | {"data": data}
    event["subject"] = cut(str(event["subject"]), LONGEST_ATTRIBUTE)
    attributes = {key: value for key, value in publication.attributes.items() if key in {"outcome", "account", "region"}}
    return Publication(publication.event_id, event, attributes, publication.event_id)


@dataclass(frozen=True, slots=True)
class _Wait:
    reason: Reason | None
    message: str | None
    attempt: int
    prospect: Eta
    arn: str | None
    deployment: Deployment | None = None


def _publication(request: Request, word: str, state: Outcome | _Wait, times: Times, source: str) -> Publication:
    deployment = state.deployment
    name = deployment.name if deployment else _name(request)
    data: dict[str, object] = {"requestId": request.request_id, "action": request.action, "outcome": word}
    data |= {"modelDeploymentName": name} if name else _subject_data(request)
    data |= _model_data(request, deployment)
    data |= _outcome_data(request, state) if isinstance(state, Outcome) else _wait_data(state)
    if isinstance(request, Deploy) and request.retries:
        data["attempt"] = state.attempt
    data["times"] = _times_data(times) | (_phases(request, deployment, times) if deployment else {})
    options = (("trigger", request.trigger), ("tenant", request.tenant), ("target", request.target_label))
    data |= {key: value for key, value in options if value is not None}
    if isinstance(request, Deploy) and request.tags:
        data["tags"] = [{"key": key, "value": value} for key, value in request.tags]
    if state.reason is not None:
        data["reason"] = state.reason.value
    if state.message:
        data["message"] = cut(state.message, LONGEST_TEXT)
    if deployment is not None:
        data |= _deployment_data(deployment, exists=word != OutcomeKind.DELETED.value)
    elif isinstance(state, _Wait) and state.arn is not None:
        data |= _links(state.arn)
    attributes = {
        "outcome": word,
        "action": request.action,
        "deploymentName": name,
        "requestId": request.request_id,
        "tenant": request.tenant or "",
        "target": request.target,
        "reason": state.reason.value if state.reason else "",
    }
    return _envelope(word, _identity(request, state, word), request.name, data, attributes, times, source)


def _identity(request: Request, state: Outcome | _Wait, word: str) -> list[str]:
    """Return what the event id is derived from: the request; for progress also the attempt and the reason to wait."""
    identity = request.payload_identity
    if isinstance(state, _Wait) and state.attempt > 1:
        identity = [*identity, str(state.attempt)]
    if word == Progress.WAITING.value and state.reason is not None:
        identity = [*identity, state.reason.value]
    return identity


def _name(request: Request) -> str:
    """Return the deployment's name, if the request has it."""
    return "" if request.is_by_arn or isinstance(request, Cancel) else request.name


def _subject_data(request: Request) -> dict[str, object]:
    """Return the subject of a request without a deployment name: the request to cancel, or an ARN."""
    return {"cancels" if isinstance(request, Cancel) else "customModelDeploymentArn": request.name}


def _model_data(request: Request, deployment: Deployment | None) -> dict[str, object]:
    """Return the model, if it is known, and the customization job, if the request names one."""
    models = request if isinstance(request, Deploy | Update) else None
    model_arn = (models.model_arn if models else "") or (deployment.model_arn if deployment else "")
    data: dict[str, object] = {"modelArn": model_arn} if model_arn else {}
    if isinstance(request, Deploy) and request.customization_job is not None:
        data["customizationJob"] = request.customization_job
    return data


def _wait_data(wait: _Wait) -> dict[str, object]:
    """Return the estimates of a wait, if there are any."""
    estimates = wait.prospect.to_json()
    return {"waiting": estimates} if estimates else {}


def _outcome_data(request: Request, outcome: Outcome) -> dict[str, object]:
    smoke = outcome.smoke
    smoke_data = {"smokeTest": {"passed": smoke.passed, "text": cut(smoke.text, LONGEST_TEXT)}} if smoke is not None else {}
    return _action_data(request, outcome) | smoke_data


def _action_data(request: Request, outcome: Outcome) -> dict[str, object]:
    """Return the data that only one action has."""
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


def _deployment_data(deployment: Deployment, *, exists: bool) -> dict[str, object]:
    data: dict[str, object] = {"customModelDeploymentArn": deployment.arn}
    if exists:
        data |= _links(deployment.arn)
        data["deploymentStatus"] = deployment.status_text
    data["createdAt"] = format_time(deployment.created_at)
    if deployment.updated_at is not None:
        data["lastUpdatedAt"] = format_time(deployment.updated_at)
    if deployment.failure_message:
        data["failureMessage"] = cut(deployment.failure_message, LONGEST_TEXT)
    return data


def _links(arn: str) -> dict[str, object]:
    """Return the ARN of a deployment, and the address of its Region's custom models in the console."""
    data: dict[str, object] = {"customModelDeploymentArn": arn}
    _, partition, _, region, *_ = [*arn.split(":"), "", "", "", ""]
    if region and (console := _CONSOLES.get(partition)):
        data["console"] = f"https://{region}.{console}/bedrock/home?region={region}#/custom-models"
    return data


def _phases(request: Request, deployment: Deployment, times: Times) -> dict[str, object]:
    """Return how long a deploy waited until its deployment was created, and how long Bedrock took.

    Empty if the deployment is older than the request. Bedrock rounds its times to whole seconds at most.
    """
    waited = deployment.created_at - times.received
    if not isinstance(request, Deploy) or waited < -1.0:
        return {}
    data: dict[str, object] = {"secondsWaited": round(max(0.0, waited), 3)}
    has_ended = deployment.status in {Status.ACTIVE, Status.FAILED}
    if has_ended and deployment.updated_at is not None and deployment.update is None:
        data["secondsInCreation"] = round(max(0.0, deployment.updated_at - deployment.created_at), 3)
    return data


def _envelope(
    word: str,
    identity: list[str],
    group: str,
    data: Mapping[str, object],
    attributes: Mapping[str, str],
    times: Times,
    source: str,
) -> Publication:
    event_id = str(uuid.uuid5(_NAMESPACE, json.dumps([*identity, word])))
    event_type_name = event_type(word)
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": event_type_name,
        "subject": str(data["requestId"]),
        "time": format_time(times.now),
        "datacontenttype": "application/json",
        "dataschema": DATA_SCHEMA,
        "data": data,
    }
    _, _, account, region, *_ = [*source.split(":"), "", "", "", ""]
    filterable = {**attributes, "account": account, "region": region}
    kept_attributes = {key: cut(value, LONGEST_ATTRIBUTE) for key, value in filterable.items() if value}
    return Publication(event_id, event, kept_attributes, group_of(group))


def event_type(word: str) -> str:
    """Return the CloudEvents type of an outcome or a progress."""
    return f"slipway.deployment.{word.lower()}.v1"


def cut(text: str, longest: int) -> str:
    """Return a text without control characters, cut to `longest` characters with a mark at the cut."""
    clean = text if text.isprintable() else "".join(ch if ch.isprintable() else " " for ch in text)
    return clean if len(clean) <= longest else clean[: longest - len(CUT_MARK)] + CUT_MARK


def _times_data(times: Times) -> dict[str, object]:
    data: dict[str, object] = {
        "receivedAt": format_time(times.received),
        "secondsSinceReceived": round(max(0.0, times.now - times.received), 3),
    }
    if times.deadline is not None:
        data["deadline"] = format_time(times.deadline)
    return data
