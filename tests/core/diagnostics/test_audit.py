"""The audit: each finding, and what each combination of sources can and cannot know."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from slipway.core.bedrock import Deployment, Status
from slipway.core.diagnostics.audit import Evidence, FindingKind, audit
from slipway.core.diagnostics.explain import ExistingDeployment
from slipway.core.diagnostics.status import Backlog, FinishedRequest, RequestStatus
from slipway.core.events.parse import ParsedEvent
from slipway.core.lifecycle.tags import DeploymentTags
from tests.simulator.simulation import MODEL

OTHER = MODEL[:-1] + "m"
QUIET = Backlog(0, 0, 0)
BEFORE, MADE, AFTER = 50.0, 100.0, 200.0


def existing(name: str, status: Status = Status.ACTIVE, tag: str | None = "r-1", model: str = MODEL) -> ExistingDeployment:
    failure = "rank 512" if status is Status.FAILED else None
    arn = f"arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/{name}"
    return ExistingDeployment(Deployment(arn, name, model, status, status.value, MADE, None, failure), DeploymentTags(tag))


def published(request_id: str, outcome: str = "Active", at: float = AFTER, **more: Any) -> ParsedEvent:
    return ParsedEvent(event_id="e", at=at, request_id=request_id, outcome=outcome, **more)


def held(request_id: str, name: str = "bot", model: str = MODEL) -> RequestStatus:
    return RequestStatus(
        message_id=f"m-{request_id}",
        receive_count=1,
        received_at=90.0,
        now=AFTER,
        lease_seconds=60.0,
        request_id=request_id,
        action="deploy",
        name=name,
        model_arn=model,
    )


def found(*existing: ExistingDeployment, backlog: Backlog = QUIET, **more: Any) -> list[tuple[FindingKind, str]]:
    report = audit(Evidence(existing=existing, backlog=backlog, **more))
    return [(finding.kind, finding.name) for finding in report.findings]


def unknown(*existing: ExistingDeployment, backlog: Backlog = QUIET, **more: Any) -> str:
    return "\n".join(audit(Evidence(existing=existing, backlog=backlog, **more)).unknown)


def test_bedrock_alone_shows_leftovers_and_twins_and_says_that_orphans_are_not_known() -> None:
    several = (existing("a", Status.FAILED), existing("b", tag="r-2"), existing("c", tag="r-2"))
    assert found(*several) == [(FindingKind.LEFTOVER, "a"), (FindingKind.TWIN, "c")]
    assert "--daemon" in unknown(*several)
    assert "--events" in unknown(*several)


def test_what_others_made_is_nobodys_business() -> None:
    others = existing("a", Status.FAILED, tag=None), existing("b", Status.CREATING, tag=None)
    assert found(*others, held=[], events=[published("x", at=BEFORE)]) == []


def test_daemons_show_who_holds_what_is_in_creation() -> None:
    one = existing("bot", Status.CREATING)
    assert found(one, held=[held("r-1")]) == []
    assert found(one, held=[held("r-2", "other")]) == [(FindingKind.ORPHAN, "bot")]


def test_daemons_alone_do_not_know_what_was_announced_long_ago() -> None:
    one = existing("bot", Status.ACTIVE)
    assert found(one, held=[]) == []
    assert "orphans among 1 that have ended" in unknown(one, held=[])


def test_what_a_daemon_has_just_finished_is_no_orphan() -> None:
    finished = FinishedRequest(request_id="r-1", message_id="m", outcome="TimedOut", event_id="e", at=AFTER)
    assert found(existing("bot", Status.CREATING), held=[], finished=[finished]) == []


def test_events_show_what_was_never_announced() -> None:
    events = [published("r-0", at=BEFORE), published("r-1")]
    assert found(existing("a"), existing("b", tag="r-2"), events=events) == [(FindingKind.ORPHAN, "b")]
    assert unknown(existing("a"), existing("b", tag="r-2"), events=events) == ""


def test_progress_is_no_announcement_of_an_end() -> None:
    assert found(existing("bot"), events=[published("r-1", "Creating", at=BEFORE)]) == [(FindingKind.ORPHAN, "bot")]


def test_adopted_under_another_request_is_announced_by_its_arn() -> None:
    one = existing("bot")
    assert found(one, events=[published("r-0", at=BEFORE), published("r-2", arn=one.deployment.arn)]) == []


def test_what_is_older_than_the_archive_is_not_judged() -> None:
    events = [published("r-2", at=AFTER)]
    assert found(existing("bot"), events=events) == []
    assert "made before the first archived event" in unknown(existing("bot"), events=events)


def test_what_may_still_be_in_the_queue_is_no_orphan_yet() -> None:
    events = [published("r-0", at=BEFORE)]
    for backlog in (Backlog(1, 0, 0), Backlog(0, 1, 0), Backlog(0, 0, 1)):
        assert found(existing("bot"), backlog=backlog, events=events) == []
        assert "1 more in the queue" in unknown(existing("bot"), backlog=backlog, events=events)
    assert found(existing("bot"), backlog=Backlog(0, 1, 0), events=events, held=[held("r-9", "other")]) == [
        (FindingKind.ORPHAN, "bot")
    ]


def test_timed_out_and_active_since_is_late() -> None:
    events = [published("r-1", "TimedOut")]
    assert found(existing("bot"), events=events) == [(FindingKind.LATE, "bot")]
    assert found(existing("bot", Status.CREATING), events=events) == []
    assert found(existing("bot"), events=[*events, published("r-1", "Active", at=AFTER + 1)]) == []


def test_a_held_request_whose_name_is_taken_is_a_conflict_as_the_daemon_will_decide_it() -> None:
    waiting = [held("r-2")]
    assert found(existing("bot", tag=None), held=waiting) == [(FindingKind.CONFLICT, "bot")]
    assert found(existing("bot", model=OTHER), held=waiting) == [(FindingKind.CONFLICT, "bot")]
    assert found(existing("bot", Status.FAILED), held=waiting) == [(FindingKind.LEFTOVER, "bot"), (FindingKind.CONFLICT, "bot")]
    assert found(existing("bot"), held=waiting) == [], "adopted"
    assert found(existing("bot", Status.FAILED, tag="r-2"), held=waiting) == [(FindingKind.LEFTOVER, "bot")], "its own end"
    assert found(existing("other", tag=None), held=waiting) == []


def test_what_a_request_will_replace_does_not_block_it() -> None:
    there = existing("bot", model=OTHER)
    assert found(there, held=[replace(held("r-2"), if_exists="replace")]) == []
    assert found(existing("bot"), held=[replace(held("r-2"), if_exists="fail")]) == [(FindingKind.CONFLICT, "bot")]


def test_a_conflict_that_ended_a_request_is_found_while_what_holds_the_name_is_there() -> None:
    there = existing("bot", tag=None)
    events = [published("r-2", "Failed", reason="NameConflict", arn=there.deployment.arn)]
    assert found(there, events=events) == [(FindingKind.CONFLICT, "bot")]
    assert found(there, events=events, held=[held("r-2")]) == [(FindingKind.CONFLICT, "bot")], "once"
    assert found(events=events) == []


def test_every_finding_says_what_is_so_and_what_to_do() -> None:
    taken = existing("taken", tag=None)
    report = audit(
        Evidence(
            existing=[existing("a", Status.FAILED), existing("b"), existing("c", tag="r-3"), existing("d", tag="r-4"), taken],
            backlog=QUIET,
            held=[held("r-9", "taken")],
            events=[published("r-0", at=BEFORE), published("r-1"), published("r-4", "TimedOut")],
        )
    )
    assert {finding.kind for finding in report.findings} == set(FindingKind)
    for finding in report.findings:
        assert finding.arn.endswith(finding.name)
        assert finding.text
        assert finding.remedy
        assert str(finding.request_id) in finding.text or finding.kind is FindingKind.LATE


def test_an_outcome_under_the_same_request_id_hides_no_orphan_of_another_sender() -> None:
    made = existing("bot")
    theirs = existing("theirs").deployment.arn
    for copy in (published("r-1", "Rejected", reason="RequestIdReused"), published("r-1", arn=theirs)):
        assert found(made, events=[published("r-0", at=BEFORE), copy]) == [(FindingKind.ORPHAN, "bot")]
    for own in (published("r-1", arn=made.deployment.arn), published("r-1", "TimedOut")):
        assert found(made, events=[published("r-0", at=BEFORE), own])[:1] != [(FindingKind.ORPHAN, "bot")]


def test_deployments_of_two_senders_under_one_request_id_are_no_twins() -> None:
    first, second = (
        replace(existing(name), slipway_tags=DeploymentTags("r-1", owner=owner)) for name, owner in (("a", "s.p"), ("b", "t.p"))
    )
    assert found(first, second) == []
    assert found(first, replace(second, slipway_tags=first.slipway_tags)) == [(FindingKind.TWIN, "b")]
