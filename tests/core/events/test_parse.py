"""Events read back: what was published, as an archive has it."""

from __future__ import annotations

import json

import pytest

from slipway.core.bedrock import Deployment, Status
from slipway.core.events.parse import NotAnEvent, read_archive, read_event
from slipway.core.events.publish import Progress, Times, announce_outcome, announce_progress, announce_rejection
from slipway.core.lifecycle.outcomes import Outcome, OutcomeKind, Reason
from slipway.core.parsing import parse_request
from slipway.core.requests.models import AnyRequest
from slipway.core.requests.targets import Home, home_only
from slipway.core.sqs.messages import Message
from slipway.core.time_format import format_time, parse_time
from tests.simulator.simulation import MODEL

ARN = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/k3v9x2m7q1zd"
SOURCE = "urn:slipway:123456789012:us-east-1"


def request() -> AnyRequest:
    body = json.dumps({"modelDeploymentName": "bot", "modelArn": MODEL, "requestId": "r-1"})
    return parse_request(Message("m-1", body, "", 1, 0.0, 0.0), home_only(Home("aws", "123456789012", "us-east-1")))


def active() -> str:
    deployment = Deployment(ARN, "bot", MODEL, Status.ACTIVE, "Active", 100.0, 200.0)
    return announce_outcome(
        request(), Outcome(OutcomeKind.ACTIVE, deployment=deployment), Times(300.5, 90.0, 900.0), SOURCE
    ).body


def test_what_was_announced_is_what_is_read() -> None:
    parsed = read_event(active())
    assert parsed is not None
    assert (parsed.at, parsed.request_id, parsed.outcome, parsed.action) == (300.5, "r-1", "Active", "deploy")
    assert (parsed.name, parsed.model_arn, parsed.arn, parsed.is_terminal) == ("bot", MODEL, ARN, True)
    assert parsed.event_id == json.loads(active())["id"]


def test_in_the_envelope_of_sns_it_is_the_same() -> None:
    assert read_event(json.dumps({"Type": "Notification", "Message": active()})) == read_event(active())


def test_bedrocks_own_words_come_first() -> None:
    deployment = Deployment(ARN, "bot", MODEL, Status.FAILED, "Failed", 100.0, 200.0, "rank 512")
    outcome = Outcome(OutcomeKind.FAILED, Reason.DEPLOYMENT_FAILED, "said by Slipway", deployment)
    parsed = read_event(announce_outcome(request(), outcome, Times(300.0, 90.0), SOURCE).body)
    assert parsed is not None
    assert (parsed.reason, parsed.text) == ("DeploymentFailed", "rank 512")


def test_progress_is_no_end() -> None:
    parsed = read_event(announce_progress(request(), Progress.WAITING, Times(1.0, 1.0), SOURCE, Reason.NO_SLOT, "full").body)
    assert parsed is not None
    assert (parsed.outcome, parsed.reason, parsed.is_terminal) == ("Waiting", "NoSlot", False)


def test_a_rejection_has_neither_name_nor_deployment() -> None:
    parsed = read_event(announce_rejection("m-1", None, "NotJson", "no JSON", Times(1.0, 1.0), SOURCE).body)
    assert parsed is not None
    assert (parsed.request_id, parsed.outcome, parsed.name, parsed.arn, parsed.is_terminal) == (
        "m-1",
        "Rejected",
        "",
        None,
        True,
    )


def test_an_archive_has_empty_lines_and_events_of_others() -> None:
    other = json.dumps({"specversion": "1.0", "type": "com.example.thing", "id": "1", "source": "x"})
    assert [parsed.request_id for parsed in read_archive([active(), "", other, "\n", active()])] == ["r-1", "r-1"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nonsense", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "is JSON, but not an object"),
        ('{"Type": "Notification", "Message": "{"}', "Message of the SNS envelope is not JSON"),
        ('{"a": 1}', "is not a CloudEvent"),
        (json.dumps({"specversion": "1.0", "type": "slipway.deployment.active.v1"}), "has the type of a Slipway event"),
        (json.dumps(json.loads(active()) | {"data": 1}), "data is not an object"),
        (json.dumps(json.loads(active()) | {"time": "yesterday"}), "not its form"),
    ],
)
def test_what_is_no_event_is_named_by_its_line(line: str, said: str) -> None:
    with pytest.raises(NotAnEvent, match=rf"^line 2: .*{said}"):
        list(read_archive([active(), line]))


def test_times_are_read_as_they_are_written() -> None:
    assert parse_time(format_time(1_795_464_000.123)) == 1_795_464_000.123
    assert parse_time("2026-11-23T20:00:00") == parse_time("2026-11-23T20:00:00Z") == parse_time("2026-11-23T21:00:00+01:00")
