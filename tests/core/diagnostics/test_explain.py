"""Explanations: the true reason, what will happen next, and what nobody could say."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from slipway.core.bedrock import Deployment, Status
from slipway.core.diagnostics.explain import NEXT, ExistingDeployment, ExplainFacts, explain
from slipway.core.diagnostics.status import Backlog, FinishedRequest, RequestStatus, Wait
from slipway.core.lifecycle.outcomes import Reason
from slipway.core.lifecycle.tags import DeploymentTags
from slipway.core.scheduling.eta import Eta
from tests.simulator.simulation import MODEL
from tests.support.readme import ROOT

WAITING = re.compile(r"(?:Pause|Poll|waiting_for)\(\s*(?:Reason|outcomes)\.(\w+)")
WAITS = {
    Reason[name] for path in (ROOT / "service" / "slipway").rglob("*.py") for name in WAITING.findall(path.read_text("utf-8"))
}
"""The reasons that the code waits for, as it says itself; and those that a call which failed may be waited out for."""
WAITS |= {Reason.NO_SLOT, Reason.THROTTLED, Reason.ACCESS_DENIED, Reason.NO_ANSWER, Reason.DEPLOYMENT_MISSING}
HELD = RequestStatus(
    message_id="m-1",
    receive_count=2,
    received_at=100.0,
    now=160.0,
    lease_seconds=80.0,
    request_id="r-1",
    action="deploy",
    name="bot",
    model_arn=MODEL,
    deadline=7300.0,
)
THERE = ExistingDeployment(
    Deployment("arn:x", "bot", MODEL, Status.FAILED, "Failed", 100.0, None, "rank 512"), DeploymentTags("r-0")
)


def lines(**known: object) -> str:
    return "\n".join(explain(ExplainFacts(word="r-1", **known)).lines)  # type: ignore[arg-type]


@pytest.mark.parametrize("reason", sorted(WAITS))
def test_every_wait_says_why_and_what_is_next(reason: Reason) -> None:
    assert reason in NEXT, "say in `explaining.NEXT` what is done about it"
    held = replace(HELD, waits_for=reason.value, why="the reason why", prospect=Eta(3, 60.0, 660.0))
    explanation = explain(ExplainFacts(word="r-1", held=(held,)))
    assert (explanation.reason, explanation.is_known) == (reason.value, True)
    assert explanation.headline == f"{explanation.state} ({reason.value}): deploy {held.name}, request r-1"
    assert explanation.headline not in explanation.lines, "it is said once"
    said = "\n".join(explanation.lines)
    for part in (
        "the reason why",
        NEXT[reason],
        "queue position: 3",
        "expected in about 1 min",
        "expected end: in about 11 min",
        "in 1 h 59 min; then it ends as TimedOut",
        "received: 2 times, first at",
        "leased for 1 min 20 s",
    ):
        assert part in said


def test_the_waits_are_found_in_the_code() -> None:
    assert {Reason.IN_CREATION, Reason.PREDECESSOR, Reason.MODEL_NOT_ACTIVE, Reason.NAME_RESERVED} <= WAITS
    assert Reason.NAME_CONFLICT not in WAITS


def test_while_it_is_tried_again_the_reason_is_what_was_in_the_way() -> None:
    held = replace(HELD, waited=(Wait("Throttled", "Rate exceeded", 120.0, 4),))
    explanation = explain(ExplainFacts(word="r-1", held=(held,)))
    assert (explanation.state, explanation.reason) == ("Working", "Throttled")
    assert "Throttled, 4 times: Rate exceeded" in "\n".join(explanation.lines)
    after_a_slot = replace(HELD, waited=(Wait("NoSlot", "full", 120.0, 1),))
    assert explain(ExplainFacts(word="r-1", held=(after_a_slot,))).reason is None


def test_a_call_that_waits_for_its_turn_is_throttled() -> None:
    line = {"CreateCustomModelDeployment": {"perSecond": 0.5, "waiting": 7}, "List": {"perSecond": None, "waiting": 0}}
    explanation = explain(ExplainFacts(word="r-1", held=(HELD,), lines=line))
    assert explanation.reason == "Throttled"
    assert "calls of CreateCustomModelDeployment waiting: 7 at 0.5 calls a second" in "\n".join(explanation.lines)


@pytest.mark.parametrize(("target", "reason"), [(None, None), ("eu", "Throttled"), ("us", None)])
def test_calls_that_wait_in_another_target_delay_nothing(target: str | None, reason: str | None) -> None:
    rates = {"List in eu": {"perSecond": 0.5, "waiting": 7, "target": "eu"}}
    assert explain(ExplainFacts(word="r-1", held=(replace(HELD, target=target),), lines=rates)).reason == reason


def test_of_several_for_one_name_the_one_that_is_worked_on_comes_first() -> None:
    waiting = replace(HELD, request_id="r-2", waits_for=Reason.PREDECESSOR.value)
    working = replace(HELD, waits_for=Reason.IN_CREATION.value)
    explanation = explain(ExplainFacts(word="bot", held=(waiting, working)))
    assert explanation.reason == "InCreation"
    assert "also in progress for the same deployment: request r-2" in "\n".join(explanation.lines)


def test_how_it_ended_goes_with_what_is_there_now() -> None:
    finished = FinishedRequest(
        request_id="r-1", message_id="m", outcome="Failed", event_id="e-1", at=900.0, reason="NameConflict", text="of another"
    )
    explanation = explain(
        ExplainFacts(word="r-1", finished=(replace(finished, at=1.0, outcome="Active"), finished), existing=THERE)
    )
    assert (explanation.state, explanation.reason) == ("Failed", "NameConflict")
    said = "\n".join(explanation.lines)
    assert "of another" in said
    assert "event e-1" in said
    assert "created for request r-0" in said
    assert "rank 512" in said


def test_what_only_bedrock_knows_is_said_as_that() -> None:
    explanation = explain(ExplainFacts(word="bot", existing=replace(THERE, slipway_tags=DeploymentTags())))
    assert explanation.state == "Failed"
    assert "not created by Slipway" in "\n".join(explanation.lines)


@pytest.mark.parametrize(
    ("backlog", "said"),
    [
        (Backlog(2, 0, 1), "messages in the queue that were not received yet: 3"),
        (Backlog(0, 4, 0), "messages that daemons have received: 4"),
        (Backlog(0, 0, 0), "the queue is empty: it has ended"),
    ],
)
def test_of_what_is_unknown_it_says_where_it_may_be(backlog: Backlog, said: str) -> None:
    assert not explain(ExplainFacts(word="r-1", backlog=backlog)).is_known
    assert said in lines(backlog=backlog)


def test_who_did_not_answer_and_what_is_wrong_with_the_daemon_is_said() -> None:
    said = lines(unanswered=("no daemon answers at x",), failures={"queue": "AccessDenied"})
    assert "not asked: no daemon answers at x" in said
    assert "the daemon is not ready: queue: AccessDenied" in said
