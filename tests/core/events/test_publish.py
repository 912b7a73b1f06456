"""Events: the id that never changes, the limits that are never passed, the schema that always fits."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.core.bedrock import Deployment, Status
from slipway.core.events.publish import (
    CUT_MARK,
    Progress,
    Publication,
    Times,
    announce_outcome,
    announce_progress,
    announce_rejection,
    cut,
)
from slipway.core.events.schema import event_schema
from slipway.core.lifecycle.outcomes import Outcome, OutcomeKind, Reason
from slipway.core.requests.models import Deploy

MODEL = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"
ARN = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghijkl"
REQUEST = Deploy(
    identity="i-1",
    request_id="r-1",
    name="bot",
    model_arn=MODEL,
    tags=(("team", "support"),),
    timeout=7200.0,
    tenant="support",
)
TIMES = Times(1_764_000_100.0, 1_764_000_000.0, 1_764_007_200.0)
SOURCE = "urn:slipway:123456789012:us-east-1"
SCHEMA = jsonschema.Draft202012Validator(event_schema(), format_checker=jsonschema.FormatChecker())


def parsed(publication: Publication) -> dict[str, object]:
    event = json.loads(publication.body)
    SCHEMA.validate(event)
    assert len(publication.attributes) <= 10
    assert all(0 < len(value) <= 256 for value in publication.attributes.values())
    assert len(publication.body) < 24 * 1024
    return dict(event)


def a_deployment(status: Status = Status.ACTIVE, created: float = 1_764_000_010.0, failure: str | None = None) -> Deployment:
    return Deployment(ARN, "bot", MODEL, status, status.value, created, 1_764_000_090.5, failure)


def an_outcome(kind: OutcomeKind = OutcomeKind.ACTIVE, failure: str | None = None) -> Outcome:
    return Outcome(kind, None, None, a_deployment(failure=failure))


def test_an_outcome_in_full() -> None:
    event = parsed(announce_outcome(REQUEST, an_outcome(), TIMES, SOURCE))
    assert event == {
        "specversion": "1.0",
        "id": event["id"],
        "source": SOURCE,
        "type": "slipway.deployment.active.v1",
        "subject": "r-1",
        "time": "2025-11-24T16:01:40.000Z",
        "datacontenttype": "application/json",
        "dataschema": "urn:slipway:schema:event:v1#/properties/data",
        "data": {
            "requestId": "r-1",
            "action": "deploy",
            "outcome": "Active",
            "modelDeploymentName": "bot",
            "modelArn": MODEL,
            "adopted": False,
            "times": {
                "receivedAt": "2025-11-24T16:00:00.000Z",
                "secondsSinceReceived": 100.0,
                "deadline": "2025-11-24T18:00:00.000Z",
                "secondsWaited": 10.0,
                "secondsInCreation": 80.5,
            },
            "tenant": "support",
            "tags": [{"key": "team", "value": "support"}],
            "customModelDeploymentArn": ARN,
            "console": "https://us-east-1.console.aws.amazon.com/bedrock/home?region=us-east-1#/custom-models",
            "deploymentStatus": "Active",
            "createdAt": "2025-11-24T16:00:10.000Z",
            "lastUpdatedAt": "2025-11-24T16:01:30.500Z",
        },
    }


def test_the_id_depends_on_what_was_asked_and_how_it_ended_and_on_nothing_else() -> None:
    once = announce_outcome(REQUEST, an_outcome(), TIMES, SOURCE)
    again = announce_outcome(REQUEST, an_outcome(), Times(1_764_009_999.0, 1_764_000_000.0), SOURCE)
    other = announce_outcome(REQUEST, an_outcome(OutcomeKind.TIMED_OUT), TIMES, SOURCE)
    assert once.event_id == again.event_id != other.event_id
    assert once.event_id == "65ed8928-3819-5662-85a0-09ef95baa58b", "pinned: it must not change between versions"


def test_the_attributes_for_filter_policies_leave_room_for_a_trace() -> None:
    failed = Outcome(OutcomeKind.FAILED, Reason.DEPLOYMENT_FAILED, "it failed", an_outcome().deployment)
    attributes = announce_outcome(REQUEST, failed, TIMES, SOURCE).attributes
    assert attributes == {
        "outcome": "Failed",
        "action": "deploy",
        "deploymentName": "bot",
        "requestId": "r-1",
        "tenant": "support",
        "target": "default",
        "account": "123456789012",
        "region": "us-east-1",
        "reason": "DeploymentFailed",
    }
    assert len(attributes) + len({"traceparent"}) <= 10, "SNS delivers raw messages with ten attributes at most"


@pytest.mark.parametrize(
    ("outcome", "phases"),
    [
        (an_outcome(), {"secondsWaited": 10.0, "secondsInCreation": 80.5}),
        (Outcome(OutcomeKind.TIMED_OUT, deployment=a_deployment(Status.CREATING)), {"secondsWaited": 10.0}),
        (Outcome(OutcomeKind.ACTIVE, deployment=a_deployment(created=1_763_000_000.0), adopted=True), {}),
        (Outcome(OutcomeKind.TIMED_OUT), {}),
    ],
    ids=["ended", "in creation", "older than the request", "nothing created"],
)
def test_the_phases_of_a_deploy_are_told_as_far_as_they_are_known(outcome: Outcome, phases: dict[str, float]) -> None:
    times = dict(parsed(announce_outcome(REQUEST, outcome, TIMES, SOURCE))["data"]["times"])  # type: ignore[index]
    assert {key: value for key, value in times.items() if key in {"secondsWaited", "secondsInCreation"}} == phases


def test_a_creation_is_announced_with_its_arn() -> None:
    event = parsed(announce_progress(REQUEST, Progress.CREATING, TIMES, SOURCE, arn=ARN))
    assert event["data"]["customModelDeploymentArn"] == ARN  # type: ignore[index]
    assert event["data"]["console"].startswith("https://us-east-1.console.aws.amazon.com/")  # type: ignore[index]


@pytest.mark.parametrize("progress", list(Progress))
def test_progress_fits_the_schema(progress: Progress) -> None:
    event = parsed(announce_progress(REQUEST, progress, TIMES, SOURCE, Reason.NO_SLOT, "full"))
    assert event["type"] == f"slipway.deployment.{progress.value.lower()}.v1"


@given(st.text(max_size=5000), st.text(max_size=300))
def test_whatever_bedrock_or_a_message_says_the_event_fits(failure: str, request_id: str) -> None:
    parsed(announce_outcome(REQUEST, an_outcome(OutcomeKind.FAILED, failure), TIMES, SOURCE))
    parsed(announce_rejection("m-1", request_id or None, "NotJson", failure, TIMES, SOURCE))


def test_fifty_long_tags_still_fit_ten_to_a_batch() -> None:
    tags = tuple((f"{number:0128}", "v" * 256) for number in range(47))
    request = Deploy(identity="i", request_id="r", name="bot", model_arn=MODEL, tags=tags, timeout=1.0)
    parsed(announce_outcome(request, an_outcome(OutcomeKind.FAILED, "x" * 9999), TIMES, SOURCE))


@given(st.text(), st.integers(20, 200))
def test_a_cut_text_is_short_printable_and_marked(text: str, longest: int) -> None:
    said = cut(text, longest)
    assert len(said) <= longest
    assert said.isprintable()
    assert said.endswith(CUT_MARK) == (len(text) > longest) or text.endswith(CUT_MARK)
