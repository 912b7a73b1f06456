"""The table's mechanism: what it finds, in which order, and what it says."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.core.schema.fields import (
    DURATION,
    Field,
    FieldKind,
    closest_match,
    duration_seconds,
    object_schema,
    problems,
    value_problem,
)
from slipway.core.schema.rejection import LONGEST_REASON, LONGEST_SHOWN, RejectionCode, RequestRejected, quote

SIZE = Field(name="size", kind=FieldKind.WHOLE, doc="How big.", remedy="use 1 to 9", least=1, most=9, required=True)
RATIO = Field(name="ratio", kind=FieldKind.NUMBER, doc="How much.", least=0.5, most=2)
COLOR = Field(name="color", kind=FieldKind.TEXT, doc="Which.", remedy="choose one", choices=("red", "blue"))
WORD = Field(name="word", kind=FieldKind.TEXT, doc="A word.", remedy="use a-z", least=2, most=5, letters="a-z", pattern="a.*")
FLAG = Field(name="flag", kind=FieldKind.FLAG, doc="Whether.", remedy="use true or false")
WAIT = Field(name="wait", kind=FieldKind.SECONDS, doc="How long.", least=1, most=3600)
PARTS = Field(name="parts", kind=FieldKind.LIST, doc="What of.", remedy="list them", least=1, most=3, entry=(WORD, FLAG))
TABLE = (SIZE, RATIO, COLOR, WORD, FLAG, WAIT, PARTS)


@pytest.mark.parametrize(
    ("field", "value", "wrong"),
    [
        (SIZE, 1, None),
        (SIZE, 9, None),
        (SIZE, 0, "is the number 0, less than 1"),
        (SIZE, 10, "is the number 10, more than 9"),
        (SIZE, 10**400, "is a very large number, more than 9"),
        (SIZE, 3.0, "is the number 3.0, not a whole number"),
        (SIZE, True, "is the boolean true, not a whole number"),
        (SIZE, "3", 'is the string "3", not a whole number'),
        (SIZE, None, "is null, not a whole number"),
        (RATIO, 1, None),
        (RATIO, 0.5, None),
        (RATIO, 0.49, "is the number 0.49, less than 0.5"),
        (RATIO, float("nan"), "is not a finite number"),
        (RATIO, float("inf"), "is not a finite number"),
        (RATIO, False, "is the boolean false, not a number"),
        (COLOR, "red", None),
        (COLOR, "Red", 'is "Red", not one of red, blue'),
        (WORD, "ab", None),
        (WORD, "", "is empty"),
        (WORD, "a", "has 1 characters, fewer than 2"),
        (WORD, "aaaaaa", "has 6 characters, more than 5"),
        (WORD, "aB", 'is "aB", whose character 2 ("B", U+0042) is not allowed'),
        (WORD, "ba", 'is "ba", which does not have the right form'),
        (WORD, ["ab"], "is a list, not a string"),
        (FLAG, True, None),
        (FLAG, 1, "is the number 1, not true or false"),
        (WAIT, 1, None),
        (WAIT, "PT1H", None),
        (WAIT, "PT1H0.1S", 'is "PT1H0.1S", more than 3600 seconds'),
        (WAIT, 0.5, "is the number 0.5, less than 1 seconds"),
        (WAIT, "1h", None),
        (WAIT, "soon", 'is "soon", not a number of seconds or a duration such as 90m, 2h, 1d or PT90M'),
        (WAIT, "61m", 'is "61m", more than 3600 seconds'),
        (WAIT, True, "is the boolean true, not a number of seconds or a duration such as 90m, 2h, 1d or PT90M"),
        (PARTS, [], "is empty"),
        (PARTS, [1, 2, 3, 4], "has 4 entries, more than 3"),
        (PARTS, {}, "is an object, not a list"),
    ],
)
def test_fault(field: Field, value: object, wrong: str | None) -> None:
    assert value_problem(field, value) == wrong


def test_problems_come_unknown_keys_first_then_in_the_order_of_the_table() -> None:
    given = {"flag": 1, "colour": "red", "size": 99, "parts": [{"word": "ab"}, 7, {"word": "ab"}, {"wrod": "ab"}][:3]}
    assert [(problem.code, problem.field, problem.text) for problem in problems(TABLE, given)] == [
        (RejectionCode.UNKNOWN_KEY, "colour", 'the key "colour" is unknown; did you mean color?'),
        (RejectionCode.INVALID_FIELD, "size", "size is the number 99, more than 9; use 1 to 9"),
        (RejectionCode.INVALID_FIELD, "flag", "flag is the number 1, not true or false; use true or false"),
        (RejectionCode.INVALID_FIELD, "parts[1]", "parts[1] is the number 7, not an object; list them"),
        (RejectionCode.INVALID_FIELD, "parts[2].word", 'parts[2].word is "ab", as in parts[0]; give each word once'),
    ]


def test_problems_inside_a_list_say_where() -> None:
    given = {"size": 1, "parts": [{"word": "ab", "flg": True}]}
    assert [problem.text for problem in problems(TABLE, given)] == [
        'in parts[0], the key "flg" is unknown; did you mean flag?',
    ]


def test_a_missing_field_is_named_with_its_remedy() -> None:
    assert [problem.text for problem in problems(TABLE, {})] == ["size is missing; use 1 to 9"]


def test_problems_are_found_lazily() -> None:
    given = dict.fromkeys(map(str, range(100_000)))
    assert len(list(islice(problems(TABLE, given), 2))) == 2


@pytest.mark.parametrize(
    ("word", "meant"),
    [("colour", "color"), ("COLOR", "color"), ("siez", "size"), ("xyz", None), ("", None), ("c" * 100_000, None)],
)
def test_nearest(word: str, meant: str | None) -> None:
    assert closest_match(word, [field.name for field in TABLE]) == meant


OPTIONS = ["--name-contains", "--model", "--status", "--wait", "--target", "--json", "--query", "--timeout", "--retries"]
VARIABLES = ["SLIPWAY_QUEUE_URL", "SLIPWAY_CONTROL_QUEUE_URL", "SLIPWAY_TIMEOUT", "SLIPWAY_REPLY_TO", "SLIPWAY_HTTP_PORT"]
KEYS = ["modelDeploymentName", "modelArn", "ifExists", "expiresAfter", "timeout"]


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("--name", OPTIONS, "--name-contains"),
        ("--time-out", OPTIONS, "--timeout"),
        ("--timeot", OPTIONS, "--timeout"),
        ("--retry", OPTIONS, "--retries"),
        *((word, OPTIONS, None) for word in ("--id", "--since", "--page", "--quiet", "--sort", "--", "-x")),
        ("SLIPWAY_QUEUE", VARIABLES, "SLIPWAY_QUEUE_URL"),
        ("SLIPWAY_PORT", VARIABLES, "SLIPWAY_HTTP_PORT"),
        ("SLIPWAY_TIMEOUTT", VARIABLES, "SLIPWAY_TIMEOUT"),
        *((word, VARIABLES, None) for word in ("SLIPWAY_FOO", "SLIPWAY_DEBUG", "SLIPWAY_REGION", "SLIPWAY_")),
        ("name", KEYS, "modelDeploymentName"),
        ("model", KEYS, "modelArn"),
        ("model_arn", KEYS, "modelArn"),
        ("expires", KEYS, "expiresAfter"),
        ("ttl", KEYS, None),
        ("help", ["health", "version", "list"], None),
        ("ls", ["list"], "list"),
        ("a", [], None),
        ("timeoutt", ["timeout"], "timeout"),
    ],
)
def test_a_suggestion_makes_sense_or_is_not_made(word: str, known: list[str], meant: str | None) -> None:
    assert closest_match(word, known) == meant


@pytest.mark.parametrize(
    ("value", "length"),
    [
        (90, 90),
        (1.5, 1.5),
        ("PT90M", 5400),
        ("P1D", 86_400),
        ("P1W", 604_800),
        ("P1W1DT1H1M1.25S", 604_800 + 86_400 + 3_661.25),
        ("PT0S", 0),
        ("90m", 5400),
        ("2h", 7_200),
        ("1d", 86_400),
        ("1w1d1h1m1.25s", 604_800 + 86_400 + 3_661.25),
        *((text, None) for text in ("1m1h", "90", "90 m", "90M", "1.5h", "-1h", "h", "1h\n", "\u0661h", "P90m", "1y")),
        *((text, None) for text in ("", "P", "PT", "P1", "P1M", "P1Y", "1D", "P1DT", "pt1m", "PT1,5S", "PT1.S")),
        *((text, None) for text in ("P-1D", "PT\u0661S", "PT1S\n", " PT1S", "PT1M1H", "PT9999999999S")),
        *((other, None) for other in (True, None, (), b"PT1S")),
    ],
)
def test_seconds(value: object, length: float | None) -> None:
    assert duration_seconds(value) == length


@given(st.from_regex(DURATION, fullmatch=True))
def test_whatever_has_the_form_of_a_duration_has_a_length(text: str) -> None:
    assert duration_seconds(text) is not None


@given(st.text(st.characters()))
def test_what_is_shown_is_short_printable_and_tells_its_end(text: str) -> None:
    said = quote(text)
    assert len(said) <= LONGEST_SHOWN
    assert said.isprintable()
    assert said[0] == said[-1] == '"'
    assert not re.search(r'(?<!\\)(?:\\\\)*"', said[1:-1])


def test_a_reason_is_cut() -> None:
    assert len(RequestRejected(RejectionCode.NOT_JSON, "x" * 5000).reason) == LONGEST_REASON


def test_the_schema_of_a_table() -> None:
    schema: Any = object_schema(TABLE)
    assert schema["required"] == ["size"]
    assert schema["additionalProperties"] is False
    assert schema["properties"] == {
        "size": {"description": "How big.", "type": "integer", "minimum": 1, "maximum": 9},
        "ratio": {"description": "How much.", "type": "number", "minimum": 0.5, "maximum": 2},
        "color": {"description": "Which.", "type": "string", "enum": ["red", "blue"]},
        "word": {"description": "A word.", "type": "string", "minLength": 2, "maxLength": 5, "pattern": r"^(?:a.*)$(?!\n)"},
        "flag": {"description": "Whether.", "type": "boolean"},
        "wait": {
            "description": "How long.",
            "anyOf": [
                {"type": "string", "pattern": f"^{DURATION}$(?!\\n)"},
                {"type": "number", "minimum": 1, "maximum": 3600},
            ],
        },
        "parts": {
            "description": "What of.",
            "type": "array",
            "minItems": 1,
            "maxItems": 3,
            "items": {
                "type": "object",
                "properties": {
                    "word": {
                        "description": "A word.",
                        "type": "string",
                        "minLength": 2,
                        "maxLength": 5,
                        "pattern": "^(?:a.*)$(?!\\n)",
                    },
                    "flag": {"description": "Whether.", "type": "boolean"},
                },
                "additionalProperties": False,
            },
        },
    }
