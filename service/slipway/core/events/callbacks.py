"""What is said to whoever waits for the answer, within the limits of each: pure functions of the event."""

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
"""Every ending is in one of the two: a task or a step has succeeded, or it has failed."""

_PARAMETERS: Final = ("customModelDeploymentArn", "modelDeploymentName", "modelArn", "outcome", "requestId")


@dataclass(frozen=True, slots=True)
class TaskSucceeded:
    """For Step Functions. `output` is JSON: the data of the event."""

    token: str = field(repr=False)
    output: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """For Step Functions: `error` is what a state machine catches, `cause` is for people."""

    token: str = field(repr=False)
    error: str
    cause: str


@dataclass(frozen=True, slots=True)
class StepSucceeded:
    """For a SageMaker pipeline. `once` makes the call the same however often it is made."""

    token: str = field(repr=False)
    once: str
    parameters: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class StepFailed:
    """For a SageMaker pipeline."""

    token: str = field(repr=False)
    once: str
    reason: str


@dataclass(frozen=True, slots=True)
class EventCopy:
    """The event itself, to a queue's URL or a topic's ARN."""

    to: str
    publication: Publication


Callback = TaskSucceeded | TaskFailed | StepSucceeded | StepFailed | EventCopy


def callbacks_for(reply_target: ReplyTo, publication: Publication) -> tuple[Callback, ...]:
    """Answer what is to be said to whom. The same event always says the same."""
    if reply_target == NO_REPLY:
        return ()
    data = publication.data
    is_good = OutcomeKind(str(data["outcome"])) in GOOD
    said: list[Callback] = []
    if reply_target.task_token is not None:
        said.append(_to_task(reply_target.task_token, data, is_good=is_good))
    if reply_target.callback_token is not None:
        said.append(_to_pipeline(reply_target.callback_token, publication.event_id, data, is_good=is_good))
    if reply_target.reply_to is not None:
        said.append(EventCopy(reply_target.reply_to, publication))
    return tuple(said)


def callbacks_for_stop(callback_token: str) -> StepFailed:
    """Answer what a pipeline is told that is being stopped: at once, whatever there is yet to do about what it asked for."""
    reason = "Stopping: the pipeline is being stopped; what the step asked for is cancelled, unless it has ended"
    return StepFailed(callback_token, _once(f"stopping {callback_token}"), reason)


def _to_task(token: str, data: Mapping[str, object], *, is_good: bool) -> Callback:
    if is_good:
        return TaskSucceeded(token, json.dumps(data, separators=(",", ":")))
    return TaskFailed(token, cut(_word(data), LONGEST_ERROR), cut(_sentence(data), LONGEST_CAUSE))


def _to_pipeline(token: str, event_id: str, data: Mapping[str, object], *, is_good: bool) -> Callback:
    if is_good:
        known = tuple((key, cut(str(data[key]), LONGEST_PARAMETER)) for key in _PARAMETERS if key in data)
        return StepSucceeded(token, _once(event_id), known)
    return StepFailed(token, _once(event_id), cut(f"{_word(data)}: {_sentence(data)}", LONGEST_FAILURE_REASON))


def _word(data: Mapping[str, object]) -> str:
    return str(data.get("reason") or data["outcome"])


def _sentence(data: Mapping[str, object]) -> str:
    return str(data.get("message") or data.get("failureMessage") or data["outcome"])


def _once(text: str) -> str:
    """SageMaker wants 32 to 128 characters."""
    return hashlib.sha256(text.encode()).hexdigest()
