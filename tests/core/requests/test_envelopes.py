"""From text to the innermost object: what is opened, what is refused, and that no text does worse than be refused."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slipway.core.requests.envelopes import DEEPEST_NESTING, LARGEST_BODY_BYTES, LONGEST_NUMBER, MOST_ENVELOPES, unwrap
from slipway.core.schema.rejection import RequestRejected
from tests.support.bodies import GOOD, eventbridge, json_values, sns


def wrap(body: object, *, in_sns: bool) -> object:
    return sns(json.dumps(body)) if in_sns else eventbridge(body)


@given(st.lists(st.booleans(), max_size=MOST_ENVELOPES))
def test_up_to_five_envelopes_are_opened(kinds: list[bool]) -> None:
    body: object = GOOD
    for in_sns in kinds:
        body = wrap(body, in_sns=in_sns)
    assert unwrap(json.dumps(body)) == GOOD


@given(st.lists(st.booleans(), min_size=MOST_ENVELOPES + 1, max_size=MOST_ENVELOPES + 3))
def test_more_envelopes_are_refused(kinds: list[bool]) -> None:
    body: object = GOOD
    for in_sns in kinds:
        body = wrap(body, in_sns=in_sns)
    with pytest.raises(RequestRejected) as refused:
        unwrap(json.dumps(body))
    assert refused.value.code == "TooDeep"


def test_what_only_resembles_an_envelope_is_the_request_itself() -> None:
    for body in ({"Type": "Notification"}, {"Type": "Other", "Message": "{}"}, {"detail": {}, "source": "s"}):
        assert unwrap(json.dumps(body)) == body


@pytest.mark.parametrize("source", ["aws", "aws.bedrock", "aws.sagemaker"])
def test_events_of_aws_are_refused(source: str) -> None:
    with pytest.raises(
        RequestRejected, match="is an event of AWS itself, not a request; set SLIPWAY_TRIGGERS to a file"
    ) as refused:
        unwrap(json.dumps(eventbridge(GOOD, source)))
    assert refused.value.code == "UnsupportedEvent"


def test_a_source_that_only_begins_like_aws_is_ones_own() -> None:
    assert unwrap(json.dumps(eventbridge(GOOD, "awsome.training"))) == GOOD


def test_a_body_may_have_just_the_most_bytes() -> None:
    assert unwrap("{" + " " * (LARGEST_BODY_BYTES - 2) + "}") == {}
    with pytest.raises(RequestRejected, match="the body has 262145 bytes"):
        unwrap("{" + " " * (LARGEST_BODY_BYTES - 1) + "}")
    with pytest.raises(RequestRejected, match="the body has 262145 bytes"):
        unwrap('{"a":"' + "é" * (LARGEST_BODY_BYTES // 2 - 4) + 'b"}')


def nested(depth: int) -> str:
    return '{"a":' * (depth // 2) + "[" * (depth - depth // 2) + "]" * (depth - depth // 2) + "}" * (depth // 2)


def test_a_body_may_be_just_so_deep() -> None:
    assert unwrap(nested(DEEPEST_NESTING))
    with pytest.raises(RequestRejected, match="nested deeper than 64"):
        unwrap(nested(DEEPEST_NESTING + 1))


@pytest.mark.parametrize("text", ["[" * 500, '\\"[' * 500, "\\\\[{" * 500, '"' + "{" * 500])
def test_brackets_in_a_string_are_no_depth(text: str) -> None:
    assert unwrap(json.dumps({"a": text})) == {"a": text}


def test_wide_is_not_deep() -> None:
    wide: Any = {"a": [[{}]] * 1000}
    assert unwrap(json.dumps(wide)) == wide


def test_a_number_may_be_just_so_long() -> None:
    assert unwrap('{"a":' + "9" * LONGEST_NUMBER + "}")
    with pytest.raises(RequestRejected, match="a number has 31 characters"):
        unwrap('{"a":' + "9" * (LONGEST_NUMBER + 1) + "}")


def test_pairs_of_surrogates_are_characters() -> None:
    assert unwrap('{"a": "\\ud83d\\ude80"}') == {"a": "\U0001f680"}
    assert unwrap('{"a": "\\\\ud83d"}') == {"a": "\\ud83d"}


def test_a_byte_order_mark_is_named() -> None:
    with pytest.raises(RequestRejected, match=r"^the body begins with a byte order mark \(U\+FEFF\); send UTF-8 without one$"):
        unwrap("\ufeff{}")


def test_a_key_given_twice_is_named() -> None:
    with pytest.raises(RequestRejected) as refused:
        unwrap('{"a": 1, "b": 2, "a": 1}')
    assert (refused.value.code, refused.value.field) == ("DuplicateKey", "a")


NEARLY_JSON = st.lists(
    st.sampled_from([*'"\\{}[]:, \n1-.a', "\\u", "d8", "00", "e9", "NaN"]),
).map("".join)
NEARLY_UTF8 = st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape"))


@settings(max_examples=500)
@given(st.one_of(st.text(st.characters()), NEARLY_JSON, NEARLY_UTF8))
@example('{"a":"\\')
@example('["' + "\\" * 999)
def test_any_text_is_an_object_or_refused(text: str) -> None:
    with contextlib.suppress(RequestRejected):
        assert isinstance(unwrap(text), dict)


def is_plain(value: Any) -> bool:
    match value:
        case str():
            return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
        case float():
            return math.isfinite(value)
        case int():
            return len(str(value)) <= LONGEST_NUMBER
        case list():
            return all(map(is_plain, value))
        case dict():
            return all(is_plain(key) and is_plain(inner) for key, inner in value.items())
        case _:
            return True


@settings(max_examples=500)
@given(value=json_values(), ascii_only=st.booleans())
def test_a_plain_object_is_read_as_json_reads_it_and_any_other_refused(value: Any, *, ascii_only: bool) -> None:
    text = json.dumps({"a": value}, ensure_ascii=ascii_only)
    if is_plain(value):
        assert unwrap(text) == {"a": value}
    else:
        with pytest.raises(RequestRejected):
            unwrap(text)
