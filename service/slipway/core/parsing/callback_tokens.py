"""How those ask who wait for the answer.

Their messages differ from a plain request in form only. A state machine's author chooses the body, so a token may stand
beside the keys of the request, or beside the `Input` that holds them; SageMaker puts them under `arguments`, as texts.
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
_PIPELINES_OWN: Final = frozenset({"token", "status", "pipelineExecutionArn", "stepName", *_ARGUMENTS})
_UNWRITTEN: Final = frozenset(
    {FieldKind.WHOLE, FieldKind.NUMBER, FieldKind.FLAG, FieldKind.LIST, FieldKind.OBJECT, FieldKind.SECONDS}
)
"""What a pipeline, whose arguments are texts, cannot write as it is."""


class PipelineStopping(Exception):
    """Not a request: a pipeline is being stopped, and waits for one word about a step that it asked for before."""

    def __init__(self, callback_token: str) -> None:
        self.callback_token = callback_token
        super().__init__("the pipeline is being stopped")

    def cancel(self, origin: str, owner: str) -> Cancel:
        """Answer what that means for what the step asked for: nobody will use the deployment, so it goes too."""
        whose = "of the stopped step"
        return Cancel(
            identity=origin,
            request_id=origin,
            name=whose,
            timeout=DEFAULT_CANCEL_SECONDS,
            delete=True,
            step=self.callback_token,
            owner=owner,
        )


def plain(given: dict[str, object]) -> dict[str, object]:
    """Answer the request in the form that all requests have. Raises `PipelineStopping`."""
    token = given.get("token")
    if isinstance(token, str) and value_problem(CALLBACK_TOKEN, token) is None:
        return _of_pipeline(given, token)
    name = next((each for each in _TASK_TOKENS if each in given), None)
    if name is None:
        return given
    inner = next((given[each] for each in _INPUTS if set(given) == {name, each}), None)
    others = dict(inner) if isinstance(inner, Mapping) else {key: given[key] for key in given if key != name}
    return others | {TASK_TOKEN.name: given[name]}


def _of_pipeline(given: Mapping[str, object], token: str) -> dict[str, object]:
    if str(given.get("status", "")).lower() == _STOPPING:
        raise PipelineStopping(token)
    arguments = next((given[each] for each in _ARGUMENTS if isinstance(given.get(each), Mapping)), None)
    asked = arguments if isinstance(arguments, Mapping) else {key: given[key] for key in given if key not in _PIPELINES_OWN}
    return {str(key): _written(str(key), value) for key, value in asked.items()} | {CALLBACK_TOKEN.name: token}


def _written(key: str, value: object) -> object:
    """Read a text where the request wants anything else; what does not read as that stays for the check to name."""
    known = _BY_NAME.get(key)
    if known is None or known.kind not in _UNWRITTEN or not isinstance(value, str):
        return value
    try:
        read: object = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return read if value_problem(known, read) is None else value


_BY_NAME: Final[Mapping[str, Field]] = {each.name: each for each in chain.from_iterable(FIELDS_OF.values())}


def read_reply_target(given: Mapping[str, object]) -> ReplyTo:
    """Answer who asked, also where the rest of the request is wrong: whoever can be told, is told."""
    task, callback, reply_to = (_sound(each, given.get(each.name)) for each in (TASK_TOKEN, CALLBACK_TOKEN, REPLY_TO))
    return ReplyTo(task, callback, reply_to) if task or callback or reply_to else NO_REPLY


def _sound(asked: Field, value: object) -> str | None:
    return value if isinstance(value, str) and value_problem(asked, value) is None else None


def permitted_reply_target(reply_target: ReplyTo, allowed: Sequence[str]) -> ReplyTo:
    """Answer the asker without a place that the settings do not allow."""
    is_stranger = reply_target.reply_to is not None and not any(wildcard(each)(reply_target.reply_to) for each in allowed)
    return replace(reply_target, reply_to=None) if is_stranger else reply_target


def check_reply_target(reply_target: ReplyTo, allowed: Sequence[str], request_id: str) -> None:
    """Raise `RequestRejected` where the answer is wanted in a place that the settings do not allow."""
    if (told := permitted_reply_target(reply_target, allowed)) != reply_target:
        remedy = "let the setting reply_to allow it, or leave the key out"
        text = f"{REPLY_TO.name} {quote(reply_target.reply_to or '')} is not among the places that may be answered; {remedy}"
        raise RequestRejected(RejectionCode.REPLY_NOT_ALLOWED, text, REPLY_TO.name, request_id, told)
