"""Patterns match as EventBridge does: its documented examples, then properties of every operator."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.core.rules.event_pattern import Pattern
from slipway.core.schema.pattern_operators import WrongPattern

EVENT: dict[str, Any] = {
    "version": "0",
    "id": "ddddd4-aaaa-7777-4444-345dd43cc333",
    "detail-type": "EC2 Instance State-change Notification",
    "source": "aws.ec2",
    "account": "012345679012",
    "time": "2017-10-02T16:24:49Z",
    "region": "us-east-1",
    "resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-000000aaaaaa00000", "arn:other"],
    "detail": {
        "c-count": 5,
        "d-count": 3,
        "x-limit": 301.8,
        "source-ip": "10.0.0.33",
        "instance-id": "i-000000aaaaaa00000",
        "state": "running",
        "path": "/var/lib/a*b\\c.PNG",
        "nothing": None,
        "is-spot": False,
        "empty": "",
        "none-of-it": [],
        "disks": [{"kind": "ssd", "size": 10}, {"kind": "tape", "size": 900}],
    },
}
STATE = {"detail": {"state": ["running"]}}


def of_detail(**leaf: Any) -> dict[str, Any]:
    return {"detail": {name.replace("_", "-"): entries for name, entries in leaf.items()}}


@pytest.mark.parametrize(
    "pattern",
    [
        {"detail-type": ["EC2 Instance State-change Notification"], "detail": {"state": ["initializing", "running"]}},
        {"resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-000000aaaaaa00000"]},
        {"time": [{"prefix": "2017-10-02"}]},
        {"region": [{"prefix": {"equals-ignore-case": "US-"}}]},
        {"source": [{"suffix": "ec2"}]},
        of_detail(path=[{"suffix": {"equals-ignore-case": ".png"}}]),
        {"source": [{"equals-ignore-case": "AWS.EC2"}]},
        {"source": [{"wildcard": "aws.*2"}]},
        {"source": [{"wildcard": "*"}]},
        of_detail(path=[{"wildcard": "/var/*/a\\*b\\\\*.PNG"}]),
        of_detail(state=[{"anything-but": "initializing"}]),
        of_detail(state=[{"anything-but": ["stopped", "overloaded"]}]),
        of_detail(x_limit=[{"anything-but": [100, 200, 300]}]),
        of_detail(state=[{"anything-but": {"prefix": "init"}}]),
        of_detail(state=[{"anything-but": {"suffix": "ped"}}]),
        of_detail(state=[{"anything-but": {"equals-ignore-case": ["STOPPED", "Pending"]}}]),
        of_detail(path=[{"anything-but": {"wildcard": "*/bin/*"}}]),
        of_detail(c_count=[{"anything-but": "running"}]),
        of_detail(c_count=[{"numeric": [">", 0, "<=", 5]}]),
        of_detail(d_count=[{"numeric": ["<", 10]}]),
        of_detail(x_limit=[{"numeric": ["=", 3.018e2]}]),
        of_detail(source_ip=[{"cidr": "10.0.0.0/24"}]),
        of_detail(c_count=[{"exists": True}]),
        of_detail(e_count=[{"exists": False}]),
        of_detail(e_count=[{"exists": False}, "or a text"]),
        of_detail(disks=[{"exists": False}]),
        of_detail(none_of_it=[{"exists": False}]),
        {"detail": {"absent": {"deeper": [{"exists": False}]}}},
        of_detail(nothing=[None]),
        of_detail(is_spot=[False]),
        of_detail(empty=[""]),
        of_detail(c_count=[5.0]),
        of_detail(disks={"kind": ["tape"], "size": [{"numeric": [">", 100]}]}),
        {"$or": [{"source": ["aws.s3"]}, {"region": ["us-east-1"]}], "detail": {"state": ["running"]}},
        {"detail": {"$or": [{"c-count": [1]}, {"d-count": [3], "$or": [{"state": ["x"]}, {"x-limit": [301.8]}]}]}},
    ],
    ids=json.dumps,
)
def test_what_matches(pattern: dict[str, Any]) -> None:
    assert Pattern(pattern).matches(EVENT)


@pytest.mark.parametrize(
    "pattern",
    [
        {"source": ["AWS.EC2"]},
        {"source": ["aws.ec2"], "account": ["999999999999"]},
        {"source": [{"prefix": "ec2"}]},
        of_detail(c_count=[{"prefix": "5"}]),
        of_detail(c_count=["5"]),
        of_detail(is_spot=[0]),
        of_detail(c_count=[True]),
        of_detail(nothing=["null"]),
        {"source": [{"wildcard": "aws*s3"}]},
        {"source": [{"wildcard": "aws.ec2*2"}]},
        of_detail(state=[{"anything-but": "running"}]),
        of_detail(state=[{"anything-but": {"equals-ignore-case": "RUNNING"}}]),
        of_detail(absent=[{"anything-but": "running"}]),
        of_detail(c_count=[{"numeric": [">", 5]}]),
        of_detail(state=[{"numeric": [">", 0]}]),
        of_detail(is_spot=[{"numeric": ["=", 0]}]),
        of_detail(source_ip=[{"cidr": "10.0.1.0/24"}]),
        of_detail(state=[{"cidr": "10.0.0.0/8"}]),
        of_detail(source_ip=[{"cidr": "::/0"}]),
        of_detail(state=[{"exists": False}]),
        of_detail(disks=[{"exists": True}]),
        of_detail(disks={"kind": ["ssd"], "size": [900]}),
        {"$or": [{"source": ["aws.s3"]}, {"region": ["eu-west-1"]}]},
        {"$or": [{"source": ["aws.ec2"]}, {"region": ["eu-west-1"]}], "detail": {"state": ["stopped"]}},
        {"detail": {"state": {"deeper": ["running"]}}},
    ],
    ids=json.dumps,
)
def test_what_does_not_match(pattern: dict[str, Any]) -> None:
    assert not Pattern(pattern).matches(EVENT)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ([], "is not an object with at least one key"),
        ({"detail": {}}, "detail: is not an object"),
        ({"source": "aws.ec2"}, 'source: is "aws.ec2", not a list of allowed values'),
        ({"source": []}, "source: is .*, not a list"),
        ({"source": [["a"]]}, "source: has a list within the list"),
        ({"source": [{"begins-with": "a"}]}, 'source: "begins-with" is not an operator; use one of prefix, suffix'),
        ({"source": [{"prefix": "a", "suffix": "b"}]}, "source: an entry has one operator, not 2"),
        ({"source": [{"prefix": 5}]}, 'source: prefix is "5", not a text'),
        ({"source": [{"wildcard": "a**b"}]}, "two stars in a row"),
        ({"source": [{"wildcard": "a\\b"}]}, "a backslash may only escape"),
        ({"source": [{"anything-but": ["a", 5]}]}, "anything-but mixes kinds of values"),
        ({"source": [{"anything-but": []}]}, "anything-but is an empty list"),
        ({"source": [{"anything-but": {"numeric": ["<", 5]}}]}, "anything-but needs one of prefix, suffix"),
        ({"source": [{"numeric": ["<"]}]}, "numeric takes one or two comparisons"),
        ({"source": [{"numeric": ["~", 5]}]}, "numeric compares by <"),
        ({"source": [{"numeric": [["<"], 5]}]}, "numeric compares by <"),
        ({"source": [{"numeric": ["<", 6e9]}]}, "from -5000000000 to 5000000000"),
        ({"source": [{"cidr": "10.0.0.0/99"}]}, 'cidr is "10.0.0.0/99", not a range of addresses'),
        ({"source": [{"exists": "yes"}]}, "exists is not true or false"),
        ({"$or": [{"source": ["a"]}]}, r"\$or: is not a list of at least two patterns"),
        ({"$or": [{"source": ["a"]}, {"source": "b"}]}, r"\$or\[1\].source: is"),
    ],
    ids=str,
)
def test_a_wrong_pattern_is_refused_with_its_place(pattern: object, said: str) -> None:
    with pytest.raises(WrongPattern, match=said):
        Pattern(pattern)


def test_a_pattern_without_end_is_refused() -> None:
    deep: dict[str, Any] = {"leaf": ["x"]}
    for _ in range(100):
        deep = {"a": deep}
    with pytest.raises(WrongPattern, match="nested deeper than 64"):
        Pattern(deep)


def test_a_hostile_text_comes_to_an_end() -> None:
    assert not Pattern({"a": [{"wildcard": "*a*a*a*a*a*a*a*b"}]}).matches({"a": "a" * 250_000})


TEXTS = st.text(st.sampled_from("aAb*\\.é"), max_size=12)


@given(TEXTS, TEXTS)
def test_operators_on_texts_are_what_python_says(value: str, other: str) -> None:
    def says(entry: object) -> bool:
        return Pattern({"key": [entry]}).matches({"key": value})

    assert says(other) == (value == other)
    assert says({"equals-ignore-case": other}) == (value.casefold() == other.casefold())
    assert says({"anything-but": other}) == (value != other)
    if other:
        assert says({"prefix": other}) == value.startswith(other)
        assert says({"suffix": other}) == value.endswith(other)
        assert says({"anything-but": {"prefix": other}}) != says({"prefix": other})


@given(st.lists(st.text(st.sampled_from("ab*\\"), max_size=3), min_size=1, max_size=4), st.lists(TEXTS, min_size=4, max_size=4))
def test_a_wildcard_matches_whatever_stands_for_its_stars(pieces: list[str], fillings: list[str]) -> None:
    middles = [pieces[0], *(piece for piece in pieces[1:-1] if piece), *pieces[1:][-1:]]
    escaped = ["".join("\\" + each if each in "*\\" else each for each in piece) for piece in middles]
    value = middles[0] + "".join(filling + piece for filling, piece in zip(fillings, middles[1:], strict=False))
    assert Pattern({"key": [{"wildcard": "*".join(escaped) or "*"}]}).matches({"key": value})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from("abc"), JSON, max_size=3), st.sampled_from("abc"))
def test_there_or_not_there_and_never_both(event: dict[str, Any], key: str) -> None:
    is_there, is_absent = (Pattern({key: [{"exists": wanted}]}).matches(event) for wanted in (True, False))
    assert is_there != is_absent


@given(st.dictionaries(st.sampled_from("abc"), JSON, max_size=3), JSON)
def test_every_event_is_matched_or_not_and_every_leaf_finds_itself(event: dict[str, Any], value: object) -> None:
    assert Pattern({"a": ["x"], "b": {"c": [1]}}).matches(event) in {True, False}
    if not isinstance(value, dict | list):
        assert Pattern({"key": [value]}).matches({"key": value})
        assert Pattern({"key": [value]}).matches({"key": [[], [value], {"x": 1}]})
