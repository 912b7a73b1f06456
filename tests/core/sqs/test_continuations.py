"""What is handed on under a new message, and that nothing but what Slipway wrote is taken for it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.core.dead_letters import DeadLetter, redriven_message, rejected_copy
from slipway.core.schema.rejection import RejectionCode, RequestRejected
from slipway.core.sqs import continuations
from slipway.core.sqs.continuations import (
    CLOCK_SLACK_SECONDS,
    LONGEST_FAILURE,
    MOST_ATTEMPTS,
    MOST_ATTRIBUTES,
    OLDEST_SECONDS,
    Continuation,
    Decisions,
    Delivery,
)
from slipway.core.sqs.messages import CONTINUATION, AnyAttribute, Attribute, Message, group_of
from tests.support.bodies import GOOD, MESSAGE_ID, NOW, json_values, message


def bearing(text: str) -> Message:
    return message(attributes={CONTINUATION: text})


def continuation_json(**changes: Any) -> str:
    return json.dumps({"origin": "first", "firstReceivedAt": NOW - 3600, "hops": 1} | changes)


def test_a_first_message_is_its_own_origin() -> None:
    first = message(first_received_at=NOW - 60, receive_count=3)
    assert continuations.read_continuation(first) is None
    assert Delivery.of(first).origin == MESSAGE_ID
    assert Delivery.of(first).first_received_at == NOW - 60


def test_the_first_receipt_and_the_first_id_survive_any_number_of_hops() -> None:
    arrived = message(first_received_at=NOW - 60)
    seen = set()
    for hop in range(1, 51):
        outgoing = continuations.write_continuation(Delivery.of(arrived), is_fifo=True)
        seen.add(outgoing.deduplication_id)
        now = NOW + hop * 39_600
        arrived = message(
            outgoing.body,
            attributes=outgoing.attributes,
            message_id=f"hop-{hop}",
            received_at=now,
            first_received_at=now,
        )
        assert continuations.read_continuation(arrived) == Continuation(MESSAGE_ID, NOW - 60, hop, receipt="r")
        assert Delivery.of(arrived).origin == MESSAGE_ID
        assert Delivery.of(arrived).first_received_at == NOW - 60
    assert len(seen) == 50


def test_handed_on_twice_it_is_the_same() -> None:
    once, twice = (
        continuations.write_continuation(Delivery.of(message(receipt=receipt)), is_fifo=True) for receipt in ("r", "r2")
    )
    assert (once.body, once.deduplication_id) == (twice.body, twice.deduplication_id)


@pytest.mark.parametrize("is_fifo", [True, False])
def test_body_and_group_are_kept_and_only_fifo_has_a_deduplication_id(*, is_fifo: bool) -> None:
    outgoing = continuations.write_continuation(Delivery.of(message(group="g")), is_fifo=is_fifo)
    assert (outgoing.body, outgoing.group) == (json.dumps(GOOD), "g")
    assert (outgoing.deduplication_id is not None) == is_fifo


def test_nine_other_attributes_are_kept() -> None:
    others = {f"a{number}": str(number) for number in range(10)}
    outgoing = continuations.write_continuation(
        Delivery.of(message(attributes=others | {CONTINUATION: continuation_json()})), is_fifo=False
    )
    assert len(outgoing.attributes) == MOST_ATTRIBUTES
    assert {CONTINUATION, *list(others)[:9]} == set(outgoing.attributes)
    assert json.loads(str(outgoing.attributes[CONTINUATION]))["hops"] == 2


def test_attributes_that_would_make_it_too_large_stay_behind() -> None:
    given = {"large": "x" * 300_000, "small": "y"}
    assert set(continuations.write_continuation(Delivery.of(message(attributes=given)), is_fifo=False).attributes) == {
        CONTINUATION,
        "small",
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 900,
        continuation_json(origin=""),
        continuation_json(origin=7),
        continuation_json(origin="a b"),
        continuation_json(origin="a\n"),
        continuation_json(origin="x" * 129),
        continuation_json(hops=0),
        continuation_json(hops=1.0),
        continuation_json(hops="1"),
        continuation_json(hops=100_001),
        continuation_json(firstReceivedAt=None),
        continuation_json(firstReceivedAt="0"),
        continuation_json(firstReceivedAt=float("nan")),
        continuation_json(firstReceivedAt=float("-inf")),
        continuation_json(firstReceivedAt=10**900),
        continuation_json(firstReceivedAt=NOW - OLDEST_SECONDS - 1),
        continuation_json(firstReceivedAt=NOW + CLOCK_SLACK_SECONDS + 1),
        continuation_json() + " " * 16_000,
        '{"origin": "first", "hops": 1}',
    ],
)
def test_garbage_is_no_continuation(text: str) -> None:
    assert continuations.read_continuation(bearing(text)) is None
    assert Delivery.of(bearing(text)).origin == MESSAGE_ID


@pytest.mark.parametrize(
    ("claimed", "read"), [(NOW, NOW), (int(NOW), NOW), (NOW + 1, NOW), (NOW - OLDEST_SECONDS, NOW - OLDEST_SECONDS)]
)
def test_a_first_receipt_a_little_ahead_of_the_clock_is_now(claimed: float, read: float) -> None:
    assert Delivery.of(bearing(continuation_json(firstReceivedAt=claimed))).first_received_at == read


@given(st.one_of(st.text(st.characters()), json_values().map(json.dumps)))
def test_no_attribute_makes_reading_or_writing_fail(text: str) -> None:
    arrived = bearing(text)
    assert Delivery.of(arrived).first_received_at <= arrived.received_at
    assert continuations.write_continuation(Delivery.of(arrived), is_fifo=True).deduplication_id


@given(st.sampled_from(["origin", "firstReceivedAt", "hops"]), json_values())
def test_a_continuation_is_within_its_bounds_or_none(key: str, value: Any) -> None:
    found = continuations.read_continuation(bearing(continuation_json(**{key: value})))
    if found is not None:
        assert 1 <= found.hops <= continuations.MOST_HOPS
        assert NOW - OLDEST_SECONDS <= found.first_received_at <= NOW


@pytest.mark.parametrize(
    "decided",
    [
        Decisions(),
        Decisions(attempt=3),
        Decisions(failure="no capacity"),
        Decisions(2, "no\ncapacity"),
        Decisions(failure="wrong", failed_test="no"),
        Decisions(cancelled="delete"),
    ],
)
def test_what_was_decided_is_carried_over_any_number_of_hops(decided: Decisions) -> None:
    arrived = message()
    outgoing = continuations.write_continuation(Delivery.of(arrived), is_fifo=True, new_decisions=decided)
    for hop in range(3):
        arrived = message(outgoing.body, attributes=outgoing.attributes, message_id=f"hop-{hop}")
        assert Delivery.of(arrived).decisions == decided
        outgoing = continuations.write_continuation(Delivery.of(arrived), is_fifo=True)


def test_a_decision_is_another_message_than_a_mere_hand_over() -> None:
    plain, retry = (
        continuations.write_continuation(Delivery.of(message()), is_fifo=True, new_decisions=each)
        for each in (None, Decisions(attempt=2))
    )
    assert plain.deduplication_id != retry.deduplication_id


OWN = "AROASLIPWAY:one"


def from_(sender: str | None, text: str | None = None) -> Message:
    return message(attributes={"x": "y"} | ({CONTINUATION: text} if text is not None else {}), sender=sender)


@pytest.mark.parametrize("sender", ["AIDATEAM", "AROATEAM:monday", "123456789012:bob", "10.0.0.7"])
def test_the_first_sender_is_carried_over_any_number_of_hops_and_sessions(sender: str) -> None:
    arrived = from_(sender)
    for hop in range(3):
        assert Delivery.of(continuations.without_forged_continuation(arrived, OWN, has_rules=True)).first_sender == sender
        outgoing = continuations.write_continuation(Delivery.of(arrived), is_fifo=True)
        arrived = message(outgoing.body, attributes=outgoing.attributes, sender=f"AROASLIPWAY:{hop}")


@pytest.mark.parametrize(
    ("sender", "own", "is_believed"),
    [
        ("AROASLIPWAY:one", OWN, True),
        ("AROASLIPWAY:two", OWN, True),
        ("AROASLIPWAYS:one", OWN, False),
        ("AROAOTHER:one", OWN, False),
        ("AROASLIPWAY", "AROASLIPWAY:one", True),
        (None, OWN, False),
        ("AIDASLIPWAY", "AIDASLIPWAY", True),
        ("AIDASLIPWAY:x", "AIDASLIPWAY", False),
        ("123456789012:eve", "123456789012:slipway", False),
        ("123456789012", "123456789012:slipway", False),
        ("AROAOTHER:one", None, False),
    ],
)
def test_a_continuation_counts_only_if_slipway_has_sent_it(sender: str | None, own: str | None, is_believed: bool) -> None:  # noqa: FBT001  of a table
    arrived = continuations.without_forged_continuation(
        from_(sender, continuation_json(sender="AIDATEAM", attempt=2)), own, has_rules=True
    )
    assert (continuations.read_continuation(arrived) is not None) == is_believed
    assert Delivery.of(arrived).origin == ("first" if is_believed else MESSAGE_ID)
    assert Delivery.of(arrived).first_sender == ("AIDATEAM" if is_believed else sender)
    assert Delivery.of(arrived).decisions.attempt == (2 if is_believed else 1)
    assert arrived.attributes["x"] == "y"


def test_what_is_only_claimed_does_not_go_on_under_slipways_name() -> None:
    """Neither of a stranger, nor where SQS does not say who sent what."""
    for arrived in (
        continuations.without_forged_continuation(
            from_("AROAEVE:x", continuation_json(sender="AIDATEAM")), OWN, has_rules=True
        ),
        continuations.without_forged_continuation(
            from_("AROAEVE:x", continuation_json(sender="AIDATEAM")), OWN, has_rules=False
        ),
        continuations.without_forged_continuation(
            from_("AROAEVE:x", continuation_json(sender="AIDATEAM")), None, has_rules=False
        ),
        continuations.without_forged_continuation(from_(None, continuation_json(sender="AIDATEAM")), OWN, has_rules=False),
        from_(None, continuation_json(sender="AIDATEAM")),
    ):
        handed_on = json.loads(
            str(continuations.write_continuation(Delivery.of(arrived), is_fifo=False).attributes[CONTINUATION])
        )
        assert handed_on.get("sender") == arrived.sender


@pytest.mark.parametrize("own", [OWN, None])
def test_without_rules_a_continuation_counts_but_makes_nobody_the_owner(own: str | None) -> None:
    """Whoever may send may also hand on then: but under its own name."""
    arrived = continuations.without_forged_continuation(
        from_("AROAEVE:x", continuation_json(sender="AIDATEAM", attempt=2)), own, has_rules=False
    )
    assert (Delivery.of(arrived).first_sender, Delivery.of(arrived).decisions.attempt) == ("AROAEVE:x", 2)


@given(json_values())
def test_a_first_sender_is_as_sqs_writes_them_or_whoever_sent_it(claimed: Any) -> None:
    found = Delivery.of(from_("AROASLIPWAY:two", continuation_json(sender=claimed))).first_sender
    assert found is not None
    assert found == "AROASLIPWAY:two" or (found == claimed and 1 <= len(found) <= 128 and found.isprintable())


def test_the_sender_makes_no_other_hand_over_of_it() -> None:
    with_, without = (
        continuations.write_continuation(Delivery.of(from_(sender)), is_fifo=True) for sender in ("AIDATEAM", None)
    )
    assert with_.deduplication_id == without.deduplication_id


@given(json_values(), json_values())
def test_a_decision_that_nobody_wrote_is_none(attempt: Any, failure: Any) -> None:
    decisions = Delivery.of(bearing(continuation_json(attempt=attempt, failure=failure))).decisions
    assert 1 <= decisions.attempt <= MOST_ATTEMPTS
    assert decisions.failure is None or decisions.failure == failure


@pytest.mark.parametrize(
    ("decisions", "said"),
    [
        (Decisions(attempt=2), "attempt 2 starts; the deployment of the attempt before is deleted"),
        (Decisions(attempt=2, failure="no room"), "its last attempt failed; the failed deployment is deleted"),
        (Decisions(cancelled="delete"), "cancelled; its deployment is deleted"),
        (Decisions(attempt=2, cancelled="keep"), "cancelled; its deployment is kept"),
    ],
)
def test_what_was_decided_is_said_in_words(decisions: Decisions, said: str) -> None:
    assert decisions.description == said


def test_attributes_keep_their_data_types_and_values_in_continuations_and_in_dead_letters() -> None:
    typed: dict[str, AnyAttribute] = {
        "retries": Attribute("Number", "3"),
        "blob": Attribute("Binary.png", b"\x00\xff"),
        "said": "so",
    }
    handed_on = continuations.write_continuation(Delivery.of(message(attributes=typed)), is_fifo=False).attributes
    assert {name: handed_on[name] for name in typed} == typed
    buried = rejected_copy(message("{", attributes=typed), RequestRejected(RejectionCode.NOT_JSON, "no"), is_fifo=False)
    assert {name: buried.attributes[name] for name in typed} == typed
    letter = DeadLetter("m", buried.body, "r", 0.0, buried.attributes)
    assert redriven_message(letter, is_fifo=False).attributes == typed


@given(st.text(max_size=300))
def test_any_text_is_a_group_that_sqs_and_sns_take(text: str) -> None:
    group = group_of(text)
    assert re.fullmatch("[!-~]{1,128}", group)
    assert group_of(group) == group
    assert group == text or not re.fullmatch("[!-~]{1,128}", text)


@pytest.mark.parametrize("answer", [{}, {"testAnswer": 7}, {"testAnswer": "a" * (LONGEST_FAILURE + 1)}])
def test_a_failed_smoke_test_of_an_earlier_version_has_the_failure_as_its_text(answer: dict[str, Any]) -> None:
    failed = Decisions.of({"failure": "its smoke test failed: no", "failedTest": True, **answer})
    assert failed == Decisions(failure="its smoke test failed: no", failed_test="its smoke test failed: no")
