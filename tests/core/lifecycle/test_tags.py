"""What is written on a deployment is read again; what a person has spoilt is as if it were not there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.core.lifecycle.outcomes import SmokeTestResult
from slipway.core.lifecycle.tags import DeploymentTags, SmokeTestTag, UpdateTag, update_key, wanted_tags
from slipway.core.requests.fields import OWN_PREFIX, OWN_TAGS
from slipway.core.requests.models import DEPLOY, Deploy
from slipway.core.schema.fields import value_problem

MODEL = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"
REQUEST = Deploy(identity="i-1", request_id="r-1", name="bot", model_arn=MODEL, timeout=7200.0)
TAG_VALUE = next(field for field in DEPLOY if field.name == "tags").entry[1]


@given(st.integers(0, 4_000_000_000_000).map(lambda milliseconds: milliseconds / 1000))
def test_what_is_written_is_read_again(received: float) -> None:
    tags = wanted_tags(REQUEST, received)
    assert all(key.startswith(OWN_PREFIX) and value_problem(TAG_VALUE, value) is None for key, value in tags)
    assert len(tags) <= OWN_TAGS
    slipway_tags = DeploymentTags.of(dict(tags))
    assert slipway_tags.request == "r-1"
    assert slipway_tags.received == pytest.approx(received, abs=0.0006)
    assert not slipway_tags.is_later_than(received)
    assert slipway_tags.is_later_than(received - 1)


@given(
    st.integers(0, 4_000_000_000_000).map(lambda milliseconds: milliseconds / 1000),
    st.booleans(),
    st.sampled_from([MODEL, None]),
)
def test_an_updates_mark_is_read_again(received: float, had_failed_update: bool, former: str | None) -> None:  # noqa: FBT001  drawn
    mark = UpdateTag(update_key(REQUEST), received, former, had_failed_update)
    assert all(value_problem(TAG_VALUE, value) is None for value in mark.tags.values())
    read = DeploymentTags.of(mark.tags).update
    assert read is not None
    assert (read.key, read.former, read.had_failed_update) == (mark.key, former, had_failed_update)
    assert read.received == pytest.approx(received, abs=0.0006)


def test_a_former_model_that_no_tag_can_hold_is_not_known() -> None:
    read = UpdateTag.of(UpdateTag("key", 1.0, "x" * 257).tags)
    assert read == UpdateTag("key", 1.0, None)


@pytest.mark.parametrize("text", ["", "key", "key yesterday", "  "])
def test_a_mark_that_was_spoilt_is_none(text: str) -> None:
    assert DeploymentTags.of({"slipway:update": text}).update is None


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-41T00:00:00Z"])
def test_a_time_that_cannot_be_read_is_none(text: str) -> None:
    slipway_tags = DeploymentTags.of({"slipway:request": "r-1", "slipway:received": text})
    assert slipway_tags == DeploymentTags(request="r-1", received=None)
    assert not slipway_tags.is_later_than(0.0)


def test_without_slipways_tag_it_is_nobodys() -> None:
    assert DeploymentTags.of({"team": "support"}).request is None


@given(st.booleans(), st.text())
def test_a_smoke_tests_mark_is_read_again(passed: bool, text: str) -> None:  # noqa: FBT001  drawn
    mark = SmokeTestTag(update_key(REQUEST), SmokeTestResult(passed, text))
    assert all(value_problem(TAG_VALUE, value) is None for value in mark.tags.values())
    read = DeploymentTags.of(mark.tags).smoke
    assert read is not None
    assert (read.key, read.smoke_result.passed) == (mark.key, passed)


@pytest.mark.parametrize("text", ["", "key", "key perhaps", "  "])
def test_a_smoke_mark_that_was_spoilt_is_none(text: str) -> None:
    assert DeploymentTags.of({"slipway:smoke": text}).smoke is None
