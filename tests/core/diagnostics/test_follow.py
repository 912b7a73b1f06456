"""Following a request from outside: an end is said only when it is one, by whoever knows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from slipway.core.bedrock import Deployment, Status, UpdateDetails, UpdateStatus
from slipway.core.diagnostics.explain import ExistingDeployment
from slipway.core.diagnostics.follow import (
    QUIET_SECONDS,
    UNAVAILABLE,
    StatusChange,
    StatusSnapshot,
    Ticket,
    is_change,
    status_change,
)
from slipway.core.diagnostics.status import FinishedRequest, RequestStatus, Wait
from slipway.core.events.parse import ParsedEvent
from slipway.core.lifecycle.tags import DeploymentTags
from slipway.core.requests.models import Cancel, Delete, Deploy, IfExists, SmokeTest, Update
from slipway.core.scheduling.eta import Eta
from tests.simulator.simulation import MODEL, OTHER_MODEL

ARN = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/k3v9x2m7q1zd"
SAID: Any = {"identity": "r-1", "request_id": "r-1", "name": "bot", "timeout": 60.0}
TICKET = Ticket(Deploy(**SAID, model_arn=MODEL), "m-1", 100.0)


def existing(status: Status, tag: str | None = "r-1", model: str = MODEL) -> ExistingDeployment:
    failure = "rank 512" if status is Status.FAILED else None
    return ExistingDeployment(Deployment(ARN, "bot", model, status, status.value, 100.0, None, failure), DeploymentTags(tag))


def held(waits_for: str | None, why: str = "") -> RequestStatus:
    return RequestStatus(
        message_id="m-1", receive_count=1, received_at=1.0, now=2.0, lease_seconds=9.0, waits_for=waits_for, why=why
    )


def test_the_event_goes_before_everything() -> None:
    event = ParsedEvent(event_id="e", at=1.0, request_id="r-1", outcome="TimedOut", reason="NoSlot", text="full")
    seen = status_change(TICKET, StatusSnapshot(event=event, held=held("NoSlot"), existing=existing(Status.ACTIVE)))
    assert seen == StatusChange("TimedOut", "NoSlot", "full", None, is_terminal=True, source="event")


def test_a_daemon_knows_how_it_ended_and_why_it_waits() -> None:
    finished = FinishedRequest(
        request_id="r-1", message_id="m", outcome="Failed", event_id="e", at=2.0, reason="NameConflict", text="x"
    )
    assert status_change(TICKET, StatusSnapshot(finished=finished, held=held(None))) == StatusChange(
        "Failed", "NameConflict", "x", is_terminal=True, source="daemon"
    )
    states = [status_change(TICKET, StatusSnapshot(held=held(reason))).state for reason in ("InCreation", "NoSlot", None)]
    assert states == ["Creating", "Waiting", "Working"]


def test_a_daemon_says_how_long_it_may_be_yet() -> None:
    waiting = replace(held("NoSlot", "full"), prospect=Eta(3, 250.0, 850.0))
    seen = status_change(TICKET, StatusSnapshot(held=waiting))
    assert (seen.place, seen.prospect, seen.in_creation_for) == (3, Eta(3, 250.0, 850.0), None)
    creating = replace(held("InCreation"), waited=(Wait("NoSlot", "full", -9.0, 1), Wait("InCreation", "", -5.0, 1)))
    assert status_change(TICKET, StatusSnapshot(held=creating)).in_creation_for == 7.0


@pytest.mark.parametrize(
    ("now", "is_new"),
    [
        (Eta(3, 240.0, 840.0), False),
        (Eta(3, 200.0, 800.0), False),
        (Eta(3, 100.0, 700.0), True),
        (Eta(3, 290.0, 1200.0), True),
        (Eta(2, 240.0, 840.0), True),
        (Eta(3, None, 840.0), True),
    ],
)
def test_that_time_passes_is_no_news(now: Eta, is_new: bool) -> None:  # noqa: FBT001  a table's column
    last = StatusChange("Waiting", "NoSlot", "full", prospect=Eta(3, 250.0, 850.0), source="daemon")
    assert is_change(replace(last, prospect=now), last, 10.0) is is_new
    assert is_change(replace(last, prospect=now, text="still full"), last, 10.0)
    assert is_change(last, None, 0.0)


def test_a_deployment_with_its_own_tag_ends_it() -> None:
    active = status_change(TICKET, StatusSnapshot(existing=existing(Status.ACTIVE)))
    assert (active.state, active.arn, active.is_terminal, active.source) == ("Active", ARN, True, "Bedrock")
    failed = status_change(TICKET, StatusSnapshot(existing=existing(Status.FAILED)))
    assert (failed.state, failed.reason, failed.text, failed.is_terminal) == ("Failed", "DeploymentFailed", "rank 512", True)
    creating = status_change(TICKET, StatusSnapshot(existing=existing(Status.CREATING)))
    assert (creating.state, creating.is_terminal) == ("Creating", False)


@pytest.mark.parametrize(
    ("there", "outcome", "reason"),
    [
        (existing(Status.ACTIVE, "r-0"), "Active", None),
        (existing(Status.ACTIVE, None), "Failed", "NameConflict"),
        (existing(Status.ACTIVE, "r-0", OTHER_MODEL), "Failed", "NameConflict"),
        (existing(Status.FAILED, "r-0"), "Failed", "DeploymentFailed"),
        (existing(Status.CREATING, "r-0"), UNAVAILABLE, None),
        (existing(Status.CREATING), UNAVAILABLE, None),
        (None, UNAVAILABLE, None),
    ],
)
def test_what_is_another_requests_ends_it_only_when_the_queue_has_long_been_empty(
    there: ExistingDeployment | None, outcome: str, reason: str | None
) -> None:
    assert not status_change(TICKET, StatusSnapshot(existing=there, quiet_seconds=QUIET_SECONDS - 1)).is_terminal
    end = status_change(TICKET, StatusSnapshot(existing=there, quiet_seconds=QUIET_SECONDS))
    assert (end.state, end.reason, end.is_terminal) == (outcome, reason, True)


def test_a_deletion_has_ended_when_what_was_there_is_gone() -> None:
    ticket = Ticket(Delete(**SAID), "m-1", 100.0)
    assert not status_change(ticket, StatusSnapshot(existing=existing(Status.ACTIVE, "r-0"))).is_terminal
    assert not status_change(ticket, StatusSnapshot()).is_terminal, "it may be made yet, by a request before this one"
    for gone in (StatusSnapshot(was_otherwise=True), StatusSnapshot(quiet_seconds=QUIET_SECONDS)):
        assert (status_change(ticket, gone).state, status_change(ticket, gone).is_terminal) == ("Deleted", True)
    kept = status_change(ticket, StatusSnapshot(existing=existing(Status.ACTIVE, None), quiet_seconds=QUIET_SECONDS))
    assert (kept.state, kept.is_terminal) == (UNAVAILABLE, True)


def test_what_is_to_be_replaced_or_tried_again_is_no_end() -> None:
    replacing = Ticket(Deploy(**SAID, model_arn=MODEL, if_exists=IfExists.REPLACE), "m-1", 100.0)
    assert (
        status_change(replacing, StatusSnapshot(existing=existing(Status.ACTIVE, "r-0"), quiet_seconds=QUIET_SECONDS)).state
        == UNAVAILABLE
    )
    patient = Ticket(Deploy(**SAID, model_arn=MODEL, retries=1), "m-1", 100.0)
    assert not status_change(patient, StatusSnapshot(existing=existing(Status.FAILED))).is_terminal


def test_where_bedrock_cannot_be_asked_nothing_is_taken_to_be_so() -> None:
    ticket = Ticket(Delete(**SAID, target="elsewhere"), "m-1", 100.0)
    assert not status_change(ticket, StatusSnapshot(is_looked_at=False, was_otherwise=True)).is_terminal
    assert status_change(ticket, StatusSnapshot(is_looked_at=False, quiet_seconds=QUIET_SECONDS)).state == UNAVAILABLE
    assert status_change(ticket, StatusSnapshot(quiet_seconds=QUIET_SECONDS)).state == "Deleted"
    cancel = Ticket(Cancel(**SAID), "m-1", 100.0)
    assert status_change(cancel, StatusSnapshot(is_looked_at=False, quiet_seconds=QUIET_SECONDS)).state == UNAVAILABLE


def test_an_update_has_ended_when_the_wanted_model_is_served() -> None:
    ticket = Ticket(Update(**SAID, model_arn=OTHER_MODEL), "m-1", 100.0)
    served, updating = existing(Status.ACTIVE, "r-0", OTHER_MODEL), UpdateDetails(OTHER_MODEL, UpdateStatus.UPDATING)
    unfinished = replace(served, deployment=replace(served.deployment, update=updating))
    assert not status_change(ticket, StatusSnapshot(existing=served)).is_terminal, "it may have been so before"
    assert not status_change(ticket, StatusSnapshot(existing=unfinished, was_otherwise=True)).is_terminal
    assert not status_change(ticket, StatusSnapshot(existing=existing(Status.ACTIVE, "r-0"), was_otherwise=True)).is_terminal
    for glimpse in (
        StatusSnapshot(existing=served, was_otherwise=True),
        StatusSnapshot(existing=served, quiet_seconds=QUIET_SECONDS),
    ):
        assert (status_change(ticket, glimpse).state, status_change(ticket, glimpse).is_terminal) == ("Updated", True)
    tested = replace(ticket, request=Update(**SAID, model_arn=OTHER_MODEL, smoke_test=SmokeTest(prompt="hello")))
    assert not status_change(tested, StatusSnapshot(existing=served, was_otherwise=True)).is_terminal, (
        "how its test went is not known yet"
    )


def test_of_a_job_whose_model_is_not_known_only_its_own_deployment_is_the_end() -> None:
    ticket = Ticket(Deploy(**SAID, model_arn="", customization_job="job"), "m-1", 100.0)
    assert status_change(ticket, StatusSnapshot(existing=existing(Status.ACTIVE))).state == "Active"
    assert (
        status_change(ticket, StatusSnapshot(existing=existing(Status.ACTIVE, "r-0"), quiet_seconds=QUIET_SECONDS)).state
        == UNAVAILABLE
    )
    foreign = status_change(ticket, StatusSnapshot(existing=existing(Status.ACTIVE, None), quiet_seconds=QUIET_SECONDS))
    assert foreign.reason == "NameConflict"


def test_before_anybody_has_it_the_queue_is_what_is_said() -> None:
    assert "not received yet; messages in the queue: 3" in str(status_change(TICKET, StatusSnapshot(waiting=3)).text)
    assert not status_change(TICKET, StatusSnapshot(waiting=3)).is_terminal
