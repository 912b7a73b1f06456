"""Requests with a callback token or reply address: from Step Functions, SageMaker pipelines, or any sender.

Their messages differ from a plain request only in form. The author of a state machine chooses the body: the task token is
beside the request's keys, or beside an `Input` object with them. SageMaker puts the keys under `arguments`, all values as text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final

from slipway.core.requests.actions import FIELDS_OF
from slipway.core.requests.fields import CALLBACK_TOKEN, REPLY_TO, TASK_TOKEN
from slipway.core.requests.models import DEFAULT_CANCEL_SECONDS, Cancel
from slipway.core.schema.fields import Field, FieldKind, value_problem
from slipway.core.schema.pattern_operators import wildcard
from slipway.core.schema.rejection import NO_REPLY, RejectionCode, ReplyTo, RequestRejected, quote

_STOPPING: Final = "stopping"
_TASK_TOKENS: Final = (TASK_TOKEN.name, TASK_TOKEN.alias)
_INPUTS: Final = ("Input", "input")
_ARGUMENTS: Final = ("arguments", "inputs")
_PIPELINE_KEYS: Final = frozenset({"token", "status", "pipelineExecutionArn", "stepName", *_ARGUMENTS})
_PARSED_KINDS: Final = frozenset(
    {FieldKind.WHOLE, FieldKind.NUMBER, FieldKind.FLAG, FieldKind.LIST, FieldKind.OBJECT, FieldKind.SECONDS}
)
"""Kinds of fields whose value a pipeline can only write as text."""


class PipelineStopping(Exception):
    """Not a request: a pipeline is being stopped and waits for the result of a step that sent a request before."""

    def __init__(self, callback_token: str) -> None:
        self.callback_token = callback_token
        super().__init__("the pipeline is being stopped")

    def cancel(self, origin: str, owner: str) -> Cancel:
        """Return the cancel of the step's request, which deletes its deployment: the stopped pipeline does not use it."""
        name = "of the stopped step"
        return Cancel(
            identity=origin,
            request_id=origin,
            name=name,
            timeout=DEFAULT_CANCEL_SECONDS,
            delete=True,
            step=self.callback_token,
            owner=owner,
        )


def normalize(body: dict[str, object]) -> dict[str, object]:
    """Return a body in the form of a plain request. Raises `PipelineStopping`."""
    token = body.get("token")
    if isinstance(token, str) and value_problem(CALLBACK_TOKEN, token) is None:
        return _of_pipeline(body, token)
    token_key = next((key for key in _TASK_TOKENS if key in body), None)
    if token_key is None:
        return body
    input_object = next((body[key] for key in _INPUTS if set(body) == {token_key, key}), None)
    request = dict(input_object) if isinstance(input_object, Mapping) else {key: body[key] for key in body if key != token_key}
    return request | {TASK_TOKEN.name: body[token_key]}


def _of_pipeline(body: Mapping[str, object], token: str) -> dict[str, object]:
    if str(body.get("status", "")).lower() == _STOPPING:
        raise PipelineStopping(token)
    arguments = next((body[key] for key in _ARGUMENTS if isinstance(body.get(key), Mapping)), None)
    request = arguments if isinstance(arguments, Mapping) else {key: body[key] for key in body if key not in _PIPELINE_KEYS}
    return {str(key): _parse_argument(str(key), value) for key, value in request.items()} | {CALLBACK_TOKEN.name: token}


def _parse_argument(key: str, value: object) -> object:
    """Parse a text if its field is of another kind. An invalid text is returned as it is, for the checks to report."""
    field = _FIELDS_BY_NAME.get(key)
    if field is None or field.kind not in _PARSED_KINDS or not isinstance(value, str):
        return value
    try:
        parsed: object = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return parsed if value_problem(field, parsed) is None else value


_FIELDS_BY_NAME: Final[Mapping[str, Field]] = {each.name: each for each in chain.from_iterable(FIELDS_OF.values())}


def read_reply_target(body: Mapping[str, object]) -> ReplyTo:
    """Return where to send the outcome, also if the rest of the request is invalid: its sender gets the rejection."""
    task, callback, reply_to = (_valid_text(field, body.get(field.name)) for field in (TASK_TOKEN, CALLBACK_TOKEN, REPLY_TO))
    return ReplyTo(task, callback, reply_to) if task or callback or reply_to else NO_REPLY


def _valid_text(field: Field, value: object) -> str | None:
    return value if isinstance(value, str) and value_problem(field, value) is None else None


def permitted_reply_target(reply_target: ReplyTo, allowed: Sequence[str]) -> ReplyTo:
    """Return the reply target without an address that the settings do not allow."""
    is_forbidden = reply_target.reply_to is not None and not any(
        wildcard(pattern)(reply_target.reply_to) for pattern in allowed
    )
    return replace(reply_target, reply_to=None) if is_forbidden else reply_target


def check_reply_target(reply_target: ReplyTo, allowed: Sequence[str], request_id: str) -> None:
    """Raise `RequestRejected` if the settings do not allow the reply address."""
    if (permitted := permitted_reply_target(reply_target, allowed)) != reply_target:
        remedy = "have the setting reply_to allow it, or leave the key out"
        text = f"{REPLY_TO.name} {quote(reply_target.reply_to or '')} is not an allowed reply address; {remedy}"
        raise RequestRejected(RejectionCode.REPLY_NOT_ALLOWED, text, REPLY_TO.name, request_id, permitted)
