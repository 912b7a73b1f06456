"""What EventBridge's own event-ruler says about patterns and events, case by case."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slipway.core.rules.event_pattern import MOST_COMBINATIONS, Pattern
from slipway.core.rules.triggers import WrongTriggers, read_triggers
from slipway.core.schema.pattern_operators import WrongPattern

KELVIN = "\N{KELVIN SIGN}"
LONG_S = "\N{LATIN SMALL LETTER LONG S}"
EVERY_TEXT = [{"prefix": ""}, {"suffix": ""}, {"wildcard": ""}, {"prefix": {"equals-ignore-case": ""}}]
EVERY_TEXT += [{"suffix": {"equals-ignore-case": ""}}, {"wildcard": "*"}]
ARRAYS: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    # A key is absent only if no element has it.
    ({"a": {"b": [{"exists": False}]}}, {"a": [{"b": 1}, {"c": 1}]}, False),
    ({"a": {"b": [{"exists": False}]}}, {"a": [{"c": 1}, {"b": 1}]}, False),
    ({"a": {"b": [{"exists": False}]}}, {"a": [{"c": 1}, {"d": 1}]}, True),
    ({"a": {"b": [{"exists": False}]}}, {"a": []}, True),
    ({"a": {"b": [{"exists": False}]}}, {"a": 5}, True),
    ({"a": {"b": [{"exists": False}]}}, {}, True),
    ({"a": {"b": [{"exists": False}]}}, {"a": [{"b": []}, {"b": {"c": 1}}]}, True),
    ({"a": {"b": [{"exists": False}]}}, {"a": [[{"c": 1}], [{"b": None}]]}, False),
    ({"a": {"b": [{"exists": False}, 1]}}, {"a": [{"b": 1}, {"c": 1}]}, True),
    ({"a": {"b": [{"exists": False}, 2]}}, {"a": [{"b": 1}, {"c": 1}]}, False),
    ({"a": {"b": {"c": [{"exists": False}]}}}, {"a": [{"b": [{"c": 1}]}, {"b": [{"d": 1}]}]}, False),
    ({"a": {"b": {"c": [{"exists": False}]}}}, {"a": [{"b": [{"e": 1}]}, {"b": [{"d": 1}]}]}, True),
    # An element that another key has settled is the only one that counts from then on, in the order of the paths.
    ({"a": {"b": [{"exists": False}], "a": ["x"]}}, {"a": [{"a": "x"}, {"b": 1}]}, True),
    ({"a": {"b": [{"exists": False}], "a": ["x"]}}, {"a": [{"a": "x", "b": 1}, {"c": 1}]}, False),
    ({"a": {"b": [{"exists": False}], "a": ["x"]}}, {"a": [{"a": "x", "b": 1}, {"a": "x"}]}, True),
    ({"a": {"b": [{"exists": False}], "c": ["x"]}}, {"a": [{"c": "x"}, {"b": 1}]}, False),
    ({"a": {"b": [{"exists": False}], "c": ["x"]}}, {"a": [{"c": "x"}, {"d": 1}]}, True),
    ({"a": {"x": {"y": [1]}, "z": [{"exists": False}]}}, {"a": [{"x": [{"y": 1}]}, {"z": 1}]}, True),
    ({"a": {"x": {"y": [1]}, "b": [{"exists": False}]}}, {"a": [{"x": [{"y": 1}]}, {"b": 1}]}, False),
    # One and the same element has all that is said, also of nested arrays, and across $or.
    ({"a": {"b": [1], "c": [2]}}, {"a": [{"b": 1}, {"c": 2}]}, False),
    ({"a": {"b": [1], "c": [2]}}, {"a": [{"b": 3}, {"b": 1, "c": 2}]}, True),
    ({"a": {"b": {"x": [1]}, "c": {"x": [2]}}}, {"a": [{"b": {"x": 1}}, {"c": {"x": 2}}]}, False),
    ({"a": {"b": {"x": [1], "y": [2]}}}, {"a": [{"b": [{"x": 1}, {"y": 2}]}, {"b": [{"x": 1, "y": 2}]}]}, True),
    ({"a": {"b": {"x": [1], "y": [2]}}}, {"a": [{"b": [{"x": 1}, {"y": 2}]}, {"b": [{"x": 1}, {"y": 2}]}]}, False),
    ({"a": {"c": [2]}, "$or": [{"a": {"b": [1]}}, {"a": {"b": [7]}}]}, {"a": [{"b": 1}, {"c": 2}]}, False),
    ({"a": {"c": [2]}, "$or": [{"a": {"b": [1]}}, {"a": {"b": [7]}}]}, {"a": [{"b": 7, "c": 2}]}, True),
    ({"a": {"c": [2], "$or": [{"b": [1]}, {"d": [7]}]}}, {"a": [{"c": 2}, {"d": 7}]}, False),
    ({"a": [1], "$or": [{"a": {"b": [1]}}, {"c": [1]}]}, {"a": [1, {"b": 1}]}, True),
    # An array matches if any element does, at any depth; an empty one is not there.
    ({"a": [1]}, {"a": [[2], [[1]]]}, True),
    ({"a": [{"anything-but": 1}]}, {"a": [1, 2]}, True),
    ({"a": [{"anything-but": 1}]}, {"a": [1]}, False),
    ({"a": [{"anything-but": 1}]}, {"a": []}, False),
    ({"a": [{"exists": True}]}, {"a": [[], [{}]]}, False),
    ({"a": [{"exists": True}]}, {"a": [None]}, True),
]
VALUES: list[tuple[object, object, bool]] = [
    *((entry, "any text", True) for entry in EVERY_TEXT),
    *((entry, "", True) for entry in EVERY_TEXT),
    *((entry, value, False) for entry in EVERY_TEXT for value in (5, None, True)),
    ({"equals-ignore-case": ""}, "", True),
    ({"equals-ignore-case": ""}, "a", False),
    ("", "", True),
    ("", None, False),
    # Upper and lower case, one character for one character.
    ({"equals-ignore-case": "STRASSE"}, "straße", False),
    ({"equals-ignore-case": "straße"}, "STRASSE", False),
    ({"equals-ignore-case": "straße"}, "STRAßE", True),
    ({"equals-ignore-case": "Straße"}, "stra\N{LATIN CAPITAL LETTER SHARP S}e", False),
    ({"prefix": {"equals-ignore-case": "k"}}, f"{KELVIN}elvin", False),
    ({"suffix": {"equals-ignore-case": "K"}}, KELVIN, False),
    ({"equals-ignore-case": "k"}, KELVIN, False),
    ({"equals-ignore-case": "K"}, "k", True),
    ({"equals-ignore-case": "s"}, LONG_S, False),
    ({"equals-ignore-case": "ÉTÉ"}, "été", True),
    ({"equals-ignore-case": "ЖУК"}, "жук", True),
    ({"equals-ignore-case": "ﬁ"}, "fi", False),
    ({"equals-ignore-case": "i"}, "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}", False),
    ({"equals-ignore-case": "e\N{COMBINING ACUTE ACCENT}"}, "é", False),
    ({"prefix": {"equals-ignore-case": "AB"}}, "abC", True),
    ({"prefix": {"equals-ignore-case": "AB"}}, "a", False),
    ({"suffix": {"equals-ignore-case": ".PNG"}}, "x.png", True),
    ({"suffix": {"equals-ignore-case": ".PNG"}}, "png", False),
    ({"anything-but": {"equals-ignore-case": "STRASSE"}}, "straße", True),
    ({"anything-but": {"equals-ignore-case": ["k", "x"]}}, KELVIN, True),
    ({"anything-but": {"equals-ignore-case": ["k", "x"]}}, "X", False),
    # anything-but.
    ({"anything-but": ["a", "b"]}, "c", True),
    ({"anything-but": ["a", "b"]}, "b", False),
    ({"anything-but": ["a"]}, 5, True),
    ({"anything-but": ["a"]}, None, True),
    ({"anything-but": ["a"]}, False, True),
    ({"anything-but": [5]}, "5", True),
    ({"anything-but": [5]}, 5.0, False),
    ({"anything-but": ""}, "", False),
    ({"anything-but": ""}, "x", True),
    ({"anything-but": {"prefix": ["a", "b"]}}, "bx", False),
    ({"anything-but": {"suffix": ["a", "b"]}}, "bx", True),
    ({"anything-but": {"wildcard": ["*a*", "b*"]}}, "xax", False),
    ({"anything-but": {"wildcard": "*a*"}}, "xbx", True),
    # Wildcards.
    ({"wildcard": "a*c"}, "abc", True),
    ({"wildcard": "a*c"}, "ac", True),
    ({"wildcard": "a*b*a"}, "aba", True),
    ({"wildcard": "a*a"}, "a", False),
    ({"wildcard": "a\\*c"}, "a*c", True),
    ({"wildcard": "a\\*c"}, "abc", False),
    ({"wildcard": "a\\**c"}, "a*bc", True),
    ({"wildcard": "a\\\\*"}, "a\\b", True),
    ({"wildcard": "a?c"}, "abc", False),
    ({"wildcard": "*"}, 5, False),
    # Numbers are compared by value within EventBridge's range, and are not texts.
    (5, 5.0, True),
    (5, "5", False),
    ("5", 5, False),
    (0, -0.0, True),
    (-0.0, 0, True),
    (300, 3.0e2, True),
    (1, True, False),
    (True, 1, False),
    (0, False, False),
    (None, None, True),
    (None, "null", False),
    (None, 0, False),
    (123456789012, 123456789012, True),
    (123456789012, 123456789012.0, False),
    (0.1234567, 0.1234567, True),
    ({"numeric": ["=", 0]}, -0.0, True),
    ({"numeric": [">", 0, "<=", 5]}, 5, True),
    ({"numeric": [">", 0, "<=", 5]}, 0, False),
    ({"numeric": [">=", 0, "<", 5]}, 0, True),
    ({"numeric": [">=", 0, "<", 5]}, 5, False),
    ({"numeric": ["<=", 5000000000]}, 5000000000, True),
    ({"numeric": [">", 0]}, 5000000001, False),
    ({"numeric": [">", 0]}, 123456789012, False),
    ({"numeric": [">", 0]}, float("inf"), False),
    ({"numeric": [">", 0]}, float("nan"), False),
    ({"numeric": ["<", 1]}, 0.1234567, False),
    ({"numeric": ["<", 1]}, 0.123456, True),
    ({"numeric": [">", 0]}, "5", False),
    ({"numeric": [">", 0]}, True, False),
    # Addresses.
    ({"cidr": "10.0.0.0/24"}, "10.0.0.255", True),
    ({"cidr": "10.0.0.7/24"}, "10.0.0.1", True),
    ({"cidr": "10.0.0.0/24"}, "10.0.1.0", False),
    ({"cidr": "10.0.0.0/0"}, "255.255.255.255", True),
    ({"cidr": "10.0.0.0/24"}, "2001:db8::1", False),
    ({"cidr": "2001:db8::/32"}, "2001:DB8::1", True),
    ({"cidr": "10.0.0.0/24"}, "10.0.0", False),
    ({"cidr": "10.0.0.0/24"}, 10, False),
    ("10.0.0.1", "10.0.0.1", True),
    ("2001:db8::1", "2001:0db8:0:0:0:0:0:1", True),
    ("2001:db8::1", "2001:db8::2", False),
]
REFUSED: list[tuple[object, str]] = [
    ({"anything-but": {"prefix": ""}}, "prefix in anything-but is an empty text"),
    ({"anything-but": {"suffix": ""}}, "suffix in anything-but is an empty text"),
    ({"anything-but": {"prefix": ["a", ""]}}, "prefix in anything-but is an empty text"),
    ({"anything-but": {"prefix": {"equals-ignore-case": "a"}}}, "prefix in anything-but is .*, not a text"),
    ({"anything-but": {"wildcard": [5]}}, "wildcard in anything-but is .*, not a text"),
    ({"anything-but": {"anything-but": "a"}}, "anything-but needs one of"),
    ({"anything-but": None}, "mixes kinds of values"),
    ({"anything-but": [None]}, "mixes kinds of values"),
    ({"anything-but": [True]}, "mixes kinds of values"),
    ({"anything-but": [6e9]}, "not a number from -5000000000"),
    ({"anything-but": float("nan")}, "not a number from -5000000000"),
    ({"prefix": None}, "not a text"),
    ({"prefix": ["a"]}, "not a text"),
    ({"prefix": {"wildcard": "a"}}, "not a text"),
    ({"equals-ignore-case": ["a"]}, "not a text"),
    ({"wildcard": "a**b"}, "two stars"),
    ({"wildcard": "**"}, "two stars"),
    ({"wildcard": "a***"}, "two stars"),
    ({"wildcard": "a\\"}, "a backslash may only escape"),
    ({"wildcard": "\\n"}, "a backslash may only escape"),
    ({"numeric": ["<", 10, ">", 0]}, "only as > or >= and then"),
    ({"numeric": ["=", 5, "<", 10]}, "only as > or >= and then"),
    ({"numeric": [">", 5, "=", 10]}, "only as > or >= and then"),
    ({"numeric": [">", 5, ">", 10]}, "only as > or >= and then"),
    ({"numeric": ["<", 5, "<", 10]}, "only as > or >= and then"),
    ({"numeric": [">", 10, "<", 5]}, "is not a range"),
    ({"numeric": [">", 5, "<", 5]}, "is not a range"),
    ({"numeric": [">=", 5, "<=", 5]}, "is not a range"),
    ({"numeric": [">", 5000000000]}, "is not a range"),
    ({"numeric": ["<", -5000000000]}, "is not a range"),
    ({"numeric": [">", float("nan")]}, "numeric compares by"),
    ({"numeric": [">", float("-inf")]}, "numeric compares by"),
    ({"numeric": [">", 0.1234567]}, "at most 6 decimals"),
    ({"numeric": [">", "0"]}, "numeric compares by"),
    ({"numeric": [">", True]}, "numeric compares by"),
    ({"numeric": []}, "numeric takes one or two comparisons"),
    ({"numeric": [">", 0, "<", 5, "<", 6]}, "numeric takes one or two comparisons"),
    ({"numeric": ">0"}, "numeric takes one or two comparisons"),
    ({"cidr": "10.0.0.1"}, "a single address needs no cidr"),
    ({"cidr": "2001:db8::1"}, "a single address needs no cidr"),
    ({"cidr": "10.0.0.1/32"}, "a single address needs no cidr"),
    ({"cidr": "10.0.0.1/"}, "not a range of addresses"),
    ({"cidr": "10.0.0.0/33"}, "not a range of addresses"),
    ({"cidr": "10.0.0.0/-1"}, "not a range of addresses"),
    ({"cidr": "10.0.0.0/255.255.255.0"}, "not a range of addresses"),
    ({"cidr": "10.0.0.0/8/8"}, "not a range of addresses"),
    ({"cidr": "example.com/8"}, "not a range of addresses"),
    ({"cidr": 10}, "not a range of addresses"),
    (float("nan"), "not a number of JSON"),
    (float("inf"), "not a number of JSON"),
    ({"exists": 1}, "exists is not true or false"),
    ({"exists": True, "prefix": "a"}, "exists is not true or false"),
    ({}, "one operator, not 0"),
]


@pytest.mark.parametrize(("pattern", "event", "is_match"), ARRAYS, ids=json.dumps)
def test_arrays(pattern: dict[str, Any], event: dict[str, Any], *, is_match: bool) -> None:
    assert Pattern(pattern).matches(event) is is_match


@pytest.mark.parametrize(("entry", "value", "is_match"), VALUES, ids=ascii)
def test_values(entry: object, value: object, *, is_match: bool) -> None:
    assert Pattern({"a": {"b": [entry]}}).matches({"a": {"b": value}}) is is_match


@pytest.mark.parametrize(("entry", "said"), REFUSED, ids=ascii)
def test_entries_that_are_refused(entry: object, said: str) -> None:
    with pytest.raises(WrongPattern, match=said):
        Pattern({"a": [entry]})


@pytest.mark.parametrize(
    "pattern",
    [
        {"source": ["a"], "$or": [{"source": ["b"]}, {"x": ["c"]}]},
        {"$or": [{"source": ["b"]}, {"x": ["c"]}], "source": ["a"]},
        {"$or": [{"x": [1], "$or": [{"x": [2]}, {"y": [3]}]}, {"z": [1]}]},
        {"detail": {"a": [1]}, "$or": [{"detail": {"b": [1]}}, {"detail": {"a": [1]}}]},
    ],
    ids=json.dumps,
)
def test_a_path_again_inside_of_or_is_refused(pattern: dict[str, Any]) -> None:
    with pytest.raises(WrongPattern, match="is given twice"):
        Pattern(pattern)


def test_a_path_in_several_alternatives_is_one_path_in_each() -> None:
    pattern = Pattern({"$or": [{"a": [1]}, {"a": [{"prefix": "x"}]}, {"a": [2], "b": [3]}]})
    assert [pattern.matches(event) for event in ({"a": 1}, {"a": "xy"}, {"a": 2}, {"a": 2, "b": 3})] == [
        True,
        True,
        False,
        True,
    ]


@pytest.mark.parametrize("name", ["numeric", "prefix", "exists", "<", "regex"])
def test_names_that_are_reserved_inside_of_or_are_refused(name: str) -> None:
    with pytest.raises(WrongPattern, match="is reserved"):
        Pattern({"$or": [{name: ["x"]}, {"b": ["y"]}]})
    assert Pattern({name: ["x"]}).matches({name: "x"})


def test_no_more_combinations_than_eventbridge_takes() -> None:
    pattern: dict[str, Any] = {}
    for number in range(3):
        pattern[f"k{number}"] = {"$or": [{f"a{each}": [1]} for each in range(10)]}
    assert Pattern(pattern).matches({"k0": {"a9": 1}, "k1": {"a0": 1}, "k2": {"a5": 1}})
    pattern["more"] = {"$or": [{"a": [1]}, {"b": [1]}]}
    with pytest.raises(WrongPattern, match=f"more than {MOST_COMBINATIONS} combinations"):
        Pattern(pattern)


def test_large_arrays_take_linear_time() -> None:
    many = [{"b": 1, "c": [{"d": 1}] * 3} for _ in range(5_000)]
    pattern = {"a": {"b": [2], "c": {"d": [{"exists": False}]}, "z": [{"exists": False}]}}
    assert not Pattern(pattern).matches({"a": many})


@pytest.mark.parametrize(
    ("pattern", "key"),
    [
        ('{"detail": {"jobStatus": ["Completed"]}, "detail": {"jobName": [{"prefix": "nova-"}]}}', "detail"),
        ('{"$or": [{"a": [1]}, {"b": [1]}], "$or": [{"c": [1]}, {"d": [1]}]}', r"\$or"),
        ('{"detail": {"jobStatus": ["Completed"], "jobStatus": ["Failed"]}}', "jobStatus"),
        ('{"a": [{"prefix": "a", "prefix": "b"}]}', "prefix"),
        ('{"$or": [{"a": [1], "a": [2]}, {"b": [1]}]}', "a"),
        ('{"source": ["a"], "detail-type": ["b"], "source": ["c"]}', "source"),
    ],
)
def test_a_key_twice_in_a_pattern_is_refused_by_its_name(pattern: str, key: str) -> None:
    with pytest.raises(WrongTriggers, match=f'rule "r": pattern: the key "{key}" is given twice'):
        read_triggers({"trigger": [{"name": "r", "pattern": pattern, "request": "{detail}"}]})


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400"])
def test_what_is_no_number_is_refused_in_a_pattern(number: str) -> None:
    with pytest.raises(WrongTriggers, match="pattern: "):
        read_triggers({"trigger": [{"name": "r", "pattern": f'{{"a": [{number}]}}', "request": "{detail}"}]})
