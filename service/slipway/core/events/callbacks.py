"""Callbacks of an outcome: results for Step Functions and SageMaker, and copies of the event, within the limits of each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from slipway.core.events.publish import Publication, cut
from slipway.core.lifecycle.outcomes import UNSUCCESSFUL, OutcomeKind
from slipway.core.schema.rejection import NO_REPLY, ReplyTo

LONGEST_ERROR: Final = 256
LONGEST_CAUSE: Final = 32_768
LONGEST_FAILURE_REASON: Final = 256
LONGEST_PARAMETER: Final = 1024

GOOD: Final = frozenset({OutcomeKind.ACTIVE, OutcomeKind.UPDATED, OutcomeKind.DELETED, OutcomeKind.CANCEL_TAKEN})
BAD: Final = UNSUCCESSFUL | {OutcomeKind.CANCELLED}
"""Every outcome is in one of the two sets: the task or step succeeded, or it failed."""

_PARAMETERS: Final = ("customModelDeploymentArn", "modelDeploymentName", "modelArn", "outcome", "requestId")


@dataclass(frozen=True, slots=True)
class TaskSucceeded:
    """Success of a Step Functions task. `output` is the JSON of the event's data."""

    token: str = field(repr=False)
    output: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """Failure of a Step Functions task. A state machine catches `error`; `cause` is for people."""

    token: str = field(repr=False)
    error: str
    cause: str


@dataclass(frozen=True, slots=True)
class StepSucceeded:
    """Success of a SageMaker pipeline step. With the same `idempotency_token` the call is safe to repeat."""

    token: str = field(repr=False)
    idempotency_token: str
    parameters: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class StepFailed:
    """Failure of a SageMaker pipeline step."""

    token: str = field(repr=False)
    idempotency_token: str
    reason: str


@dataclass(frozen=True, slots=True)
class EventCopy:
    """A copy of the event for a queue's URL or a topic's ARN."""

    address: str
    publication: Publication


Callback = TaskSucceeded | TaskFailed | StepSucceeded | StepFailed | EventCopy


def callbacks_for(reply_target: ReplyTo, publication: Publication) -> tuple[Callback, ...]:
    """Return the callbacks for an event: always the same for the same event."""
    if reply_target == NO_REPLY:
        return ()
    data = publication.data
    is_good = OutcomeKind(str(data["outcome"])) in GOOD
    callbacks: list[Callback] = []
    if reply_target.task_token is not None:
        callbacks.append(_to_task(reply_target.task_token, data, is_good=is_good))
    if reply_target.callback_token is not None:
        callbacks.append(_to_pipeline(reply_target.callback_token, publication.event_id, data, is_good=is_good))
    if reply_target.reply_to is not None:
        callbacks.append(EventCopy(reply_target.reply_to, publication))
    return tuple(callbacks)


def callbacks_for_stop(callback_token: str) -> StepFailed:
    """Return the callback for a pipeline that is being stopped. It is sent at once, before the step's request has ended."""
    reason = "Stopping: the pipeline is being stopped; the step's request is cancelled, unless it has ended"
    return StepFailed(callback_token, _idempotency_token(f"stopping {callback_token}"), reason)


def _to_task(token: str, data: Mapping[str, object], *, is_good: bool) -> Callback:
    if is_good:
        return TaskSucceeded(token, json.dumps(data, separators=(",", ":")))
    return TaskFailed(token, cut(_error_name(data), LONGEST_ERROR), cut(_error_text(data), LONGEST_CAUSE))


def _to_pipeline(token: str, event_id: str, data: Mapping[str, object], *, is_good: bool) -> Callback:
    if is_good:
        parameters = tuple((key, cut(str(data[key]), LONGEST_PARAMETER)) for key in _PARAMETERS if key in data)
        return StepSucceeded(token, _idempotency_token(event_id), parameters)
    return StepFailed(
        token, _idempotency_token(event_id), cut(f"{_error_name(data)}: {_error_text(data)}", LONGEST_FAILURE_REASON)
    )


def _error_name(data: Mapping[str, object]) -> str:
    return str(data.get("reason") or data["outcome"])


def _error_text(data: Mapping[str, object]) -> str:
    return str(data.get("message") or data.get("failureMessage") or data["outcome"])


def _idempotency_token(text: str) -> str:
    """Return a token of the 32 to 128 characters that SageMaker requires."""
    return hashlib.sha256(text.encode()).hexdigest()
