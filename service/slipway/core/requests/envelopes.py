"""From the text of a body to the request in it: strictly, in linear time, whatever the text is.

A body is JSON: an object, bare or in up to five envelopes (an SNS notification, an EventBridge event of one's own).
Nothing is mended or guessed. These are refused, with a sentence each: more than 256 KiB of UTF-8, a byte order mark,
nesting deeper than 64, a key given twice, NaN and Infinity, numbers that no field could hold, and lone surrogates, raw
or escaped, anywhere. A control character may not stand raw in a string (JSON's own rule); where it is escaped, the
request's fields refuse it, all but a tab in a description. What envelopes hold beside the request is not looked at.
Only the `source` of an event may be given twice; the first counts. A sample event in the guide of SageMaker is like that.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from itertools import accumulate
from typing import Final, Never

from slipway.core.schema.rejection import LONGEST_SHOWN, RejectionCode, RequestRejected, quote

LARGEST_BODY_BYTES: Final = 256 * 1024
DEEPEST_NESTING: Final = 64
MOST_ENVELOPES: Final = 5
LONGEST_NUMBER: Final = 30
"""Characters. Longer numbers cost more than linear time to read, and no field takes one."""

# A string, closed or left open at the end of the text, or what is no bracket. Possessive: no text makes it backtrack.
_NO_BRACKET = re.compile(r'"(?:[^"\\]++|\\.?)*+"?|[^"\[\]{}]++', re.DOTALL)
_STEPS: Final = {"[": 1, "{": 1, "]": -1, "}": -1}
_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SNS_NOTICES: Final = ("SubscriptionConfirmation", "UnsubscribeConfirmation")


def is_event(given: Mapping[str, object]) -> bool:
    """Whether this is an event of EventBridge."""
    return "detail-type" in given and isinstance(given.get("source"), str)


def unwrap(body: str, *, keep_event: bool = False) -> dict[str, object]:
    """Answer the innermost object of a body; with `keep_event`, the event in it where there is one, as it came.

    Raises RequestRejected, and nothing else, for whatever else it is.
    """
    _refuse_size(body)
    given = _object_in(body, "the body")
    for _ in range(MOST_ENVELOPES):
        inner = None if keep_event and is_event(given) else _opened(given)
        if inner is None:
            return given
        given = inner
    if not (keep_event and is_event(given)) and _opened(given) is not None:
        reason = f"the body is in more than {MOST_ENVELOPES} envelopes; send it over fewer SNS and EventBridge hops"
        raise RequestRejected(RejectionCode.TOO_DEEP, reason)
    return given


def _opened(given: dict[str, object]) -> dict[str, object] | None:
    """Answer what an envelope holds; None when this is no envelope."""
    if given.get("Type") == "Notification" and "Message" in given:
        message = given["Message"]
        if not isinstance(message, str):
            reason = "Message of the SNS envelope is not a string; let SNS wrap it, or send the request bare"
            raise RequestRejected(RejectionCode.INVALID_ENVELOPE, reason, "Message")
        return _object_in(message, "Message of the SNS envelope")
    if given.get("Type") in _SNS_NOTICES and "Token" in given:
        reason = f"Type {given['Type']} is a notice of SNS, not a request; open its SubscribeURL, then requests arrive"
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
            "name a file of triggers (SLIPWAY_TRIGGERS), or give the rule an input transformer that makes a request of it"
        )
        raise RequestRejected(RejectionCode.UNSUPPORTED_EVENT, reason, "source")
    if not isinstance(detail, dict):
        reason = "detail of the EventBridge event is missing or not an object; put the request there, as an object"
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
        found = f"{error.msg.removesuffix(' at')}, line {error.lineno}, column {error.colno}"
        reason = f"{place} is not JSON ({found}); send a request as a JSON object in UTF-8"
        raise RequestRejected(RejectionCode.NOT_JSON, reason) from None
    except RecursionError:  # only when the caller itself has used up nearly all of the stack
        raise _too_deep(place) from None
    if not isinstance(value, dict):
        reason = f"{place} is JSON, but not an object; send one object with modelDeploymentName and modelArn"
        raise RequestRejected(RejectionCode.NOT_AN_OBJECT, reason)
    if _SURROGATE_ESCAPE.search(text) and (lone := _SURROGATE.search(json.dumps(value, ensure_ascii=False))):
        raise _surrogate_in(lone[0])
    return value


def strict_json(text: str) -> object:
    """Return what a text of JSON says, in which no object has a key twice and every number is finite.

    Raises `RequestRejected` for these, `json.JSONDecodeError`, and `RecursionError` for what is nested too deep.
    """
    value: object = _DECODER.decode(text)
    return value


def _refuse_depth(text: str, place: str) -> None:
    """Refuse before parsing what would take the parser deep: its own limit differs between versions and callers."""
    if text.count("[") + text.count("{") <= DEEPEST_NESTING:
        return
    depths = accumulate(_STEPS[bracket] for bracket in _NO_BRACKET.sub("", text))
    if max(depths, default=0) > DEEPEST_NESTING:
        raise _too_deep(place)


def _too_deep(place: str) -> RequestRejected:
    reason = f"{place} is nested deeper than {DEEPEST_NESTING}; send a flat object, as requests are"
    return RequestRejected(RejectionCode.TOO_DEEP, reason)


def _surrogate_in(lone: str) -> RequestRejected:
    reason = f"the body has half a character in it (lone surrogate U+{ord(lone):04X}); send whole characters in UTF-8"
    return RequestRejected(RejectionCode.INVALID_TEXT, reason)


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) < len(pairs) and not _repeats_source(pairs, made):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        reason = f"the key {quote(twice)} is given twice in one object; give it once"
        raise RequestRejected(RejectionCode.DUPLICATE_KEY, reason, quote(twice)[1:-1])
    return made


def _repeats_source(pairs: list[tuple[str, object]], made: dict[str, object]) -> bool:
    """Give an event whose `source`, and nothing else, is repeated the first of them, and return whether it is one."""
    sources = [value for key, value in pairs if key == "source"]
    if not isinstance(made.get("detail-type"), str) or len(pairs) - len(sources) != len(made) - 1:
        return False
    made["source"] = sources[0]
    return True


def _constant(word: str) -> Never:
    reason = f"{word} is not a JSON number; give a finite number, or leave the key out"
    raise RequestRejected(RejectionCode.INVALID_NUMBER, reason)


def _whole(digits: str) -> int:
    return int(_short(digits))


def _fraction(digits: str) -> float:
    number = float(_short(digits))
    if math.isinf(number):
        reason = f"the number {digits} is too large; give a number that a field takes"
        raise RequestRejected(RejectionCode.INVALID_NUMBER, reason)
    return number


def _short(digits: str) -> str:
    if len(digits) > LONGEST_NUMBER:
        reason = f"a number has {len(digits)} characters ({digits[:12]}…); no field takes more than {LONGEST_NUMBER}"
        raise RequestRejected(RejectionCode.INVALID_NUMBER, reason)
    return digits


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_int=_whole, parse_float=_fraction, parse_constant=_constant)
