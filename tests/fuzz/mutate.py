"""Making bad input of good: JSON pulled about as a tree, and any text as a text. A function of the generator it is given."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Sequence
from typing import Any

from tests.support.bodies import eventbridge, sns

LONGEST = 60_000
"""What grows beyond is not pulled about any more: the corpus itself holds the giants."""

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 7, 0.5, -0.0, 1e308, 2**63, -(2**63), 10**29, 10**31, "", " ", "a", "\x00", "\n", "\u2028",
    "\ufeff", "\ud800", "\udfff", "é", "\u0661", "a" * 63, "a" * 64, "a" * 300, "a_b", "a--b", "-a", "a-", "../..", "PT90M",
    "P1W", "PT0S", "PT604801S", "PT0.0000000001S", "p1d", "1e3", "null", "{}", "[]", "deploy", "update", "Notification",
    "aws.bedrock", "aws", "slipway:request", "AWS:x", [], {}, [[]], [None], [{}], {"": ""}, {"key": "team", "value": "support"},
)  # fmt: skip
TEXTS: tuple[str, ...] = (
    "\x00", "\x1b[2J", "\n", "\r", "\t", "\u2028", "\ufeff", "\ud800", "\udc00", "\\", '"', "'", "{", "}", "[", "]", ",", ":",
    "//", "\\u0000", "\\ud800", "\\udc00\\ud800", "\\u", "NaN", "Infinity", "-", "1e999", "9" * 40, "0x1", "\u0661", "true",
    "null", "\U0001f600", " " * 100, "[" * 70, '{"a":' * 70, "é" * 50, "=", "[[", "]]", "{{", "$.", '"""', "# ",
    "2026-11-23T10:00:00Z", "%s", "${jndi:x}",
    "{detail", "{id}", "anything-but", "wildcard", "*" * 30, "cidr", "numeric", "exists", "$or",
)  # fmt: skip


def text(rng: random.Random, given: str, others: Sequence[str]) -> str:
    """Pull a text about, in one to four places."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 4))):
        begin = rng.randint(0, len(given))
        end = min(len(given), begin + int(rng.expovariate(1 / 6)))
        match rng.randrange(6):
            case 0:
                given = given[:begin] + rng.choice(TEXTS) + given[end:]
            case 1:
                given = given[:begin] + given[end:]
            case 2:
                given = given[:begin] + given[begin:end] * rng.choice((2, 3, 50)) + given[end:]
            case 3:
                given = given[:begin] + chr(rng.choice((rng.randrange(128), rng.randrange(0x110000)))) + given[begin + 1 :]
            case 4:
                given = given[:begin]
            case _:
                other = rng.choice(others)
                at = rng.randint(0, len(other))
                given = given[:begin] + other[at : at + rng.randint(0, 200)] + given[end:]
        given = given[:LONGEST]
    return given


def tree(rng: random.Random, given: Any, keys: Sequence[str]) -> Any:
    """Pull a JSON value about, in one to three places; what was given stays as it is."""
    made = copy.deepcopy(given)
    for _ in range(rng.choice((1, 1, 2, 3))):
        made = _once(rng, made, keys)
    return made


def json_text(rng: random.Random, given: str, others: Sequence[str], keys: Sequence[str]) -> str:
    """Pull JSON about, as a tree where it reads as one and luck will have it, else as a text."""
    if rng.random() < 0.65:
        try:
            value = json.loads(given)
            if len(given) < LONGEST:
                made = json.dumps(tree(rng, value, keys), ensure_ascii=rng.random() < 0.5)
                return made if rng.random() < 0.8 else text(rng, made, others)
        except (ValueError, RecursionError):
            pass
    return text(rng, given, others)


def _once(rng: random.Random, value: Any, keys: Sequence[str]) -> Any:
    match value:
        case dict() if value and rng.random() < 0.9:
            return _in_object(rng, value, keys)
        case list() if value and rng.random() < 0.8:
            place = rng.randrange(len(value))
            match rng.randrange(4):
                case 0:
                    value.append(copy.deepcopy(value[place]))
                case 1:
                    del value[place]
                case 2:
                    value *= rng.choice((2, 10, 60))
                case _:
                    value[place] = _once(rng, value[place], keys)
            return value
        case str() if rng.random() < 0.6:
            return text(rng, value, TEXTS)
        case int() | float() if not isinstance(value, bool) and rng.random() < 0.6:
            return rng.choice((value + 1, value - 1, -value, value * 10, value / 3, str(value), float(value)))
        case _:
            return _wrapped(rng, value) if rng.random() < 0.25 else copy.deepcopy(rng.choice(VALUES))


def _in_object(rng: random.Random, value: dict[str, Any], keys: Sequence[str]) -> Any:
    key = rng.choice(list(value))
    match rng.randrange(8):
        case 0:
            del value[key]
        case 1:
            value[rng.choice(keys)] = copy.deepcopy(rng.choice(VALUES))
        case 2:
            value[text(rng, key, keys)] = value.pop(key)
        case 3:
            return _wrapped(rng, value)
        case 4:
            value[key] = copy.deepcopy(rng.choice(VALUES))
        case _:
            value[key] = _once(rng, value[key], keys)
    return value


def _wrapped(rng: random.Random, value: Any) -> Any:
    """Put into an envelope, a list, or a text."""
    match rng.randrange(5):
        case 0:
            return sns(json.dumps(value))
        case 1:
            return eventbridge(value, rng.choice(("com.example", "aws.bedrock", "aws", "")))
        case 2:
            return [value]
        case 3:
            return json.dumps(value)
        case _:
            return {rng.choice(("detail", "Message", "a")): value}
