"""Envelopes and callback tokens: read the JSON object of a request out of a message body, in linear time for any text.

A body is a JSON object, bare or in up to five envelopes (an SNS notification, a custom EventBridge event). Nothing is repaired
or guessed. Rejected, each with a reason: more than 256 KiB of UTF-8, a byte order mark, nesting deeper than 64, a duplicate
key, NaN and Infinity, numbers that no field can hold, and lone surrogates, raw or escaped. JSON allows no raw control character
in a string; the request's fields reject an escaped one, except a tab in a description. Other content of an envelope is ignored.
Only the `source` of an event may be given twice, as in a sample event of the SageMaker guide; the first counts.

A request with a callback token or a reply address comes from Step Functions, SageMaker pipelines, or any sender, and differs
from a plain request only in form. The author of a state machine chooses the body: the task token is beside the request's keys,
or beside an `Input` object with them. SageMaker puts the keys under `arguments`, all values as text.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, chain
from typing import Final, Never

from slipway.core.requests.fields import CALLBACK_TOKEN, REPLY_TO, TASK_TOKEN
from slipway.core.requests.models import DEFAULT_CANCEL_SECONDS, FIELDS_OF, Cancel
from slipway.core.schema.fields import Field, FieldKind, value_problem
from slipway.core.schema.pattern_operators import wildcard
from slipway.core.schema.rejection import LONGEST_SHOWN, NO_REPLY, RejectionCode, ReplyTo, RequestRejected, quote

LARGEST_BODY_BYTES: Final = 256 * 1024
DEEPEST_NESTING: Final = 64
MOST_ENVELOPES: Final = 5
LONGEST_NUMBER: Final = 30
"""Characters. Parsing a longer number takes more than linear time, and no field accepts one."""

# A string, closed or open at the end of the text, or text without brackets. Possessive: it never backtracks.
_NO_BRACKET = re.compile(r'"(?:[^"\\]++|\\.?)*+"?|[^"\[\]{}]++', re.DOTALL)
_STEPS: Final = {"[": 1, "{": 1, "]": -1, "}": -1}
_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SNS_NOTICES: Final = ("SubscriptionConfirmation", "UnsubscribeConfirmation")


def is_event(given: Mapping[str, object]) -> bool:
    """Return whether an object is an EventBridge event."""
    return "detail-type" in given and isinstance(given.get("source"), str)


def unwrap(body: str, *, keep_event: bool = False) -> dict[str, object]:
    """Return the innermost object of a body; with `keep_event`, the unchanged EventBridge event in it, if there is one.

    Raises RequestRejected, and nothing else, for any other text.
    """
    _refuse_size(body)
    given = _object_in(body, "the body")
    for _ in range(MOST_ENVELOPES):
        inner = None if keep_event and is_event(given) else _unwrap_one(given)
        if inner is None:
            return given
        given = inner
    if not (keep_event and is_event(given)) and _unwrap_one(given) is not None:
        reason = f"the body is in more than {MOST_ENVELOPES} envelopes; send it over fewer SNS and EventBridge hops"
        raise RequestRejected(RejectionCode.TOO_DEEP, reason)
    return given


def _unwrap_one(given: dict[str, object]) -> dict[str, object] | None:
    """Return the object in an envelope; None if the given object is not an envelope."""
    if given.get("Type") == "Notification" and "Message" in given:
        message = given["Message"]
        if not isinstance(message, str):
            reason = "Message of the SNS envelope is not a string; let SNS wrap it, or send the request bare"
            raise RequestRejected(RejectionCode.INVALID_ENVELOPE, reason, "Message")
        return _object_in(message, "Message of the SNS envelope")
    if given.get("Type") in _SNS_NOTICES and "Token" in given:
        reason = f"Type {given['Type']} is a notice of SNS, not a request; confirm the subscription with its SubscribeURL"
        raise RequestRejected(RejectionCode.UNSUPPORTED_EVENT, reason, "Type")
    return _event_detail(given) if "detail-type" in given else None


def _event_detail(event: dict[str, object]) -> dict[str, object]:
    source, detail = event.get("source"), event.get("detail")
    if not isinstance(source, str):
        reason = "source of the EventBridge event is missing or not a string; send it through EventBridge, or bare"
        raise RequestRejected(RejectionCode.INVALID_ENVELOPE, reason, "source")
    if source == "aws" or source.startswith("aws."):
        kind = quote(str(event["detail-type"])[:LONGEST_SHOWN])
        reason = (
            f"source {quote(source)} (detail-type {kind}) is an event of AWS itself, not a request; "
            "set SLIPWAY_TRIGGERS to a file of triggers, or give the rule an input transformer that makes it a request"
        )
        raise RequestRejected(RejectionCode.UNSUPPORTED_EVENT, reason, "source")
    if not isinstance(detail, dict):
        reason = "detail of the EventBridge event is missing or not an object; put the request there as an object"
        raise RequestRejected(RejectionCode.INVALID_ENVELOPE, reason, "detail")
    return detail


def _refuse_size(body: str) -> None:
    try:
        size = len(body.encode()) if len(body) <= LARGEST_BODY_BYTES else len(body)
    except UnicodeEncodeError as error:
        lone = body[error.start]
        raise _surrogate_in(lone) from None
    if size > LARGEST_BODY_BYTES:
        reason = f"the body has {size} bytes or more, over {LARGEST_BODY_BYTES}; send only the keys of a request"
        raise RequestRejected(RejectionCode.TOO_LARGE, reason)


def _object_in(text: str, place: str) -> dict[str, object]:
    if not text.strip():
        raise RequestRejected(RejectionCode.NOT_JSON, f"{place} is empty; send a request as a JSON object")
    if text[0] == "\ufeff":
        reason = f"{place} begins with a byte order mark (U+FEFF); send UTF-8 without one"
        raise RequestRejected(RejectionCode.NOT_JSON, reason)
    _refuse_depth(text, place)
    try:
        value = strict_json(text)
    except json.JSONDecodeError as error:
        position = f"{error.msg.removesuffix(' at')}, line {error.lineno}, column {error.colno}"
        reason = f"{place} is not JSON ({position}); send a request as a JSON object in UTF-8"
        raise RequestRejected(RejectionCode.NOT_JSON, reason) from None
    except RecursionError:  # only if the caller has used nearly the whole stack
        raise _too_deep(place) from None
    if not isinstance(value, dict):
        reason = f"{place} is JSON, but not an object; send one object with modelDeploymentName and modelArn"
        raise RequestRejected(RejectionCode.NOT_AN_OBJECT, reason)
    if _SURROGATE_ESCAPE.search(text) and (lone := _SURROGATE.search(json.dumps(value, ensure_ascii=False))):
        raise _surrogate_in(lone[0])
    return value


def strict_json(text: str) -> object:
    """Return the value of a JSON text without duplicate keys and with finite numbers only.

    Raises `RequestRejected` for those, `json.JSONDecodeError`, and `RecursionError` for too deep nesting.
    """
    value: object = _DECODER.decode(text)
    return value


def _refuse_depth(text: str, place: str) -> None:
    """Reject deep nesting before parsing: the parser's own limit differs between versions and callers."""
    if text.count("[") + text.count("{") <= DEEPEST_NESTING:
        return
    depths = accumulate(_STEPS[bracket] for bracket in _NO_BRACKET.sub("", text))
    if max(depths, default=0) > DEEPEST_NESTING:
        raise _too_deep(place)


def _too_deep(place: str) -> RequestRejected:
    reason = f"{place} is nested deeper than {DEEPEST_NESTING}; send the request as a flat object"
    return RequestRejected(RejectionCode.TOO_DEEP, reason)


def _surrogate_in(lone: str) -> RequestRejected:
    reason = f"the body has half a character (lone surrogate U+{ord(lone):04X}); send whole characters in UTF-8"
    return RequestRejected(RejectionCode.INVALID_TEXT, reason)


def _object_of_pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    parsed = dict(pairs)
    if len(parsed) < len(pairs) and not _repeats_source(pairs, parsed):
        seen: set[str] = set()
        duplicate = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        reason = f"the key {quote(duplicate)} is given twice in one object; give it once"
        raise RequestRejected(RejectionCode.DUPLICATE_KEY, reason, quote(duplicate)[1:-1])
    return parsed


def _repeats_source(pairs: list[tuple[str, object]], parsed: dict[str, object]) -> bool:
    """Set the first `source` of an event in which only that key is repeated, and return whether it is such an event."""
    sources = [value for key, value in pairs if key == "source"]
    if not isinstance(parsed.get("detail-type"), str) or len(pairs) - len(sources) != len(parsed) - 1:
        return False
    parsed["source"] = sources[0]
    return True


def _reject_constant(word: str) -> Never:
    reason = f"{word} is not a JSON number; give a finite number, or leave the key out"
    raise RequestRejected(RejectionCode.INVALID_NUMBER, reason)


def _parse_whole(digits: str) -> int:
    return int(_checked_length(digits))


def _parse_fraction(digits: str) -> float:
    number = float(_checked_length(digits))
    if math.isinf(number):
        reason = f"the number {digits} is too large; give a number that the field accepts"
        raise RequestRejected(RejectionCode.INVALID_NUMBER, reason)
    return number


def _checked_length(digits: str) -> str:
    if len(digits) > LONGEST_NUMBER:
        reason = f"a number has {len(digits)} characters ({digits[:12]}…); use at most {LONGEST_NUMBER}"
        raise RequestRejected(RejectionCode.INVALID_NUMBER, reason)
    return digits


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object_of_pairs, parse_int=_parse_whole, parse_float=_parse_fraction, parse_constant=_reject_constant
)


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
            pipeline_step_token=self.callback_token,
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
