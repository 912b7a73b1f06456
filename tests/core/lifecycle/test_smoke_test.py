"""What an answer to a smoke test means, and what the lack of one."""

from __future__ import annotations

import pytest

from slipway.core.call_errors import (
    CallFailed,
    Conflicting,
    Denied,
    QuotaFull,
    Refused,
    ResourceMissing,
    Throttled,
    UnknownResult,
)
from slipway.core.lifecycle.outcomes import Reason, SmokeTestResult
from slipway.core.lifecycle.smoke_test import LONGEST_ANSWER, REFUSALS_TO_BELIEVE, judge
from slipway.core.lifecycle.steps import Pause
from slipway.core.requests.models import SmokeTest

TEST = SmokeTest(prompt="Reply with the word ready.", expect="ready")


def a_failure(kind: type[CallFailed]) -> CallFailed:
    return kind("Converse", "SomeException", "why")


@pytest.mark.parametrize(
    ("expect", "answer", "passed"),
    [
        ("ready", "I am READY.", True),
        ("ready", "…", False),
        ("ready", "", False),
        (None, "anything", True),
        (None, " \n", False),
        ("a.c", "abc", False),
        ("Straße", "STRASSE", True),
    ],
)
def test_the_answer_contains_what_was_expected_or_not(expect: str | None, answer: str, *, passed: bool) -> None:
    assert judge(SmokeTest(prompt="?", expect=expect), answer, 0) == SmokeTestResult(passed, answer)


def test_a_long_answer_is_cut() -> None:
    smoke_result = judge(SmokeTest(prompt="?"), "x" * 9999, 0)
    assert isinstance(smoke_result, SmokeTestResult)
    assert len(smoke_result.text) == LONGEST_ANSWER


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Refused, Reason.SMOKE_TEST),
        (ResourceMissing, Reason.SMOKE_TEST),
        (Conflicting, Reason.SMOKE_TEST),
        (Throttled, Reason.THROTTLED),
        (Denied, Reason.ACCESS_DENIED),
        (UnknownResult, Reason.NO_ANSWER),
        (QuotaFull, Reason.NO_ANSWER),
    ],
)
def test_no_answer_is_waited_for_and_only_a_refusal_is_believed_at_last(kind: type[CallFailed], reason: Reason) -> None:
    step = judge(TEST, a_failure(kind), 1)
    assert isinstance(step, Pause)
    assert step.reason is reason
    last = judge(TEST, a_failure(kind), REFUSALS_TO_BELIEVE)
    assert isinstance(last, SmokeTestResult) == (kind in {Refused, ResourceMissing})
    assert not isinstance(last, SmokeTestResult) or not last.passed
