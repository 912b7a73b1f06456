"""The choices of a lifecycle: each rule by example, then every combination of facts there is."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from slipway.core.bedrock.deployments import Created, Deployment, ModelState, Status
from slipway.core.bedrock.errors import CallFailed, Conflicting, Denied, Missing, QuotaFull, Refused, Throttled, Unknown
from slipway.core.lifecycle.deploy import (
    REFUSALS_BELIEVED_IN_DOUBT,
    Create,
    Facts,
    UpdateExisting,
    Void,
    Watch,
    decide,
    is_name_taken,
)
from slipway.core.lifecycle.outcomes import Ending, Outcome, Reason, Verdict
from slipway.core.lifecycle.steps import (
    ABSENCES_BELIEVED,
    Absent,
    AskModel,
    Ended,
    HandOn,
    Look,
    Pause,
    Remove,
    Seen,
    Sent,
    TryOut,
)
from slipway.core.lifecycle.tags import Marks, SmokeMark, UpdateMark, update_key
from slipway.core.parsing.parse import client_token
from slipway.core.requests.models import Deploy, IfExists, OnFailure, SmokeTest
from slipway.core.sqs.continuations import Carried

MODEL = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"
OTHER_MODEL = MODEL[:-1] + "m"
ARN = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghijkl"
REQUEST = Deploy(identity="i-1", request_id="r-1", name="bot", model_arn=MODEL, timeout=7200.0)
NOBODYS = Marks()
OURS = Marks(request="r-1")
EARLIER = Marks(request="r-0")
RECEIVED = 1000.0
LATER = Marks(request="r-2", received=RECEIVED + 5)
LOOKED = Facts(looks=ABSENCES_BELIEVED)
"""It was looked at so often that what is not shown is not there."""


def with_(**changes: object) -> Deploy:
    return replace(REQUEST, **changes)  # type: ignore[arg-type]


def a_deployment(status: Status, model: str = MODEL, failure: str | None = None) -> Deployment:
    return Deployment(ARN, "bot", model, status, status.value, 1.0, 2.0, failure)


def a_failure(kind: type[CallFailed], text: str = "") -> CallFailed:
    return kind("CreateCustomModelDeployment", "SomeException", text)


def step_after(attempt: Created | CallFailed, **more: object) -> object:
    return decide(REQUEST, Facts().after_create(attempt))


def test_a_first_delivery_creates_at_once() -> None:
    assert decide(REQUEST, Facts()) == Create()


def test_a_redelivery_looks_first_and_creates_only_what_is_absent() -> None:
    facts = Facts(in_doubt=True)
    assert decide(REQUEST, facts) == Look()
    assert decide(REQUEST, facts.after_look(Absent())) == Create()


def test_what_was_taken_on_is_watched() -> None:
    assert step_after(Created(ARN, 5.0)) == Watch(ARN, 5.0)


def test_a_full_quota_waits_for_a_slot_again() -> None:
    assert step_after(a_failure(QuotaFull)) == Create()


@pytest.mark.parametrize(
    ("kind", "reason"), [(Throttled, Reason.THROTTLED), (Denied, Reason.ACCESS_DENIED), (Unknown, Reason.NO_ANSWER)]
)
def test_trouble_pauses_with_its_reason(kind: type[CallFailed], reason: Reason) -> None:
    step = step_after(a_failure(kind))
    assert isinstance(step, Pause)
    assert step.reason is reason


def test_after_an_answer_that_may_have_applied_it_looks_before_it_creates() -> None:
    facts = Facts().after_create(a_failure(Unknown)).after_pause()
    assert decide(REQUEST, facts) == Look()


@pytest.mark.parametrize("kind", [Refused, Missing, Conflicting])
def test_a_refusal_looks_then_asks_for_the_model(kind: type[CallFailed]) -> None:
    facts = Facts().after_create(a_failure(kind))
    assert decide(REQUEST, facts) == Look()
    assert decide(REQUEST, facts.after_look(Absent())) == AskModel()


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (ModelState.MISSING, Reason.MODEL_NOT_FOUND),
        (ModelState.FAILED, Reason.MODEL_FAILED),
        (ModelState.ACTIVE, Reason.INVALID_REQUEST),
    ],
)
def test_a_refusal_with_a_model_that_explains_it_is_a_verdict(model: ModelState, reason: Reason) -> None:
    facts = Facts(is_model_proven=True).after_create(a_failure(Refused)).after_look(Absent()).after_model(model)
    step = decide(REQUEST, facts)
    assert isinstance(step, Ended)
    assert (step.outcome.ending, step.outcome.reason) == (Ending.FAILED, reason)


def test_that_its_own_token_is_known_is_never_a_verdict() -> None:
    """An earlier create was applied, and nothing was to be seen of it for long; or what it made is gone."""
    text = "The client request token was used with other parameters."
    told = Facts(is_model_proven=True, in_doubt=True, refusals=REFUSALS_BELIEVED_IN_DOUBT).after_create(
        a_failure(Refused, text)
    )
    assert isinstance(decide(REQUEST, told.after_look(Absent()).after_model(ModelState.ACTIVE)), Void)
    first = Facts().after_create(a_failure(Refused, text)).after_look(Absent()).after_model(ModelState.ACTIVE)
    step = decide(REQUEST, first)
    assert isinstance(step, Pause)
    assert step.reason is Reason.NO_ANSWER


def test_a_model_in_creation_is_patience() -> None:
    facts = Facts().after_create(a_failure(Refused)).after_look(Absent()).after_model(ModelState.CREATING)
    step = decide(REQUEST, facts)
    assert isinstance(step, Pause)
    assert step.reason is Reason.MODEL_NOT_ACTIVE


@pytest.mark.parametrize("text", ["name already exists", "that name is in use", "name is reserved"])
def test_a_name_that_is_taken_by_nobody_is_patience(text: str) -> None:
    facts = Facts().after_create(a_failure(Refused, text)).after_look(Absent()).after_model(ModelState.ACTIVE)
    step = decide(REQUEST, facts)
    assert isinstance(step, Pause)
    assert step.reason is Reason.NAME_RESERVED


def test_in_doubt_one_refusal_is_not_believed() -> None:
    facts = Facts(in_doubt=True)
    for _ in range(REFUSALS_BELIEVED_IN_DOUBT - 1):
        facts = facts.after_create(a_failure(Refused)).after_look(Absent()).after_model(ModelState.ACTIVE)
        assert isinstance(decide(REQUEST, facts), Pause)
        facts = facts.after_pause()
    facts = facts.after_create(a_failure(Refused)).after_look(Absent()).after_model(ModelState.ACTIVE)
    assert isinstance(decide(REQUEST, facts), Ended)


def test_what_slipway_did_not_make_is_a_conflict() -> None:
    step = decide(REQUEST, LOOKED.after_look(Seen(a_deployment(Status.ACTIVE), NOBODYS)))
    assert isinstance(step, Ended)
    assert (step.outcome.ending, step.outcome.reason) == (Ending.FAILED, Reason.NAME_CONFLICT)


def test_another_model_under_the_name_is_a_conflict() -> None:
    step = decide(REQUEST, Facts().after_look(Seen(a_deployment(Status.ACTIVE, OTHER_MODEL), OURS)))
    assert isinstance(step, Ended)
    assert step.outcome.reason is Reason.NAME_CONFLICT
    assert OTHER_MODEL in str(step.outcome.message)


def test_ours_and_active_is_adopted() -> None:
    found = a_deployment(Status.ACTIVE)
    assert decide(REQUEST, Facts().after_look(Seen(found, EARLIER))) == Ended(
        Outcome(Ending.ACTIVE, deployment=found, adopted=True)
    )


def test_a_failed_leftover_of_another_request_says_whose_it_is() -> None:
    step = decide(REQUEST, Facts().after_look(Seen(a_deployment(Status.FAILED, failure="no capacity"), EARLIER)))
    assert isinstance(step, Ended)
    assert "'r-0'" in str(step.outcome.message)
    assert "no capacity" in str(step.outcome.message)


def test_a_status_nobody_knows_is_waited_out() -> None:
    assert decide(REQUEST, Facts().after_look(Seen(a_deployment(Status.UNKNOWN), OURS))) == Watch(ARN, 1.0)


ATTEMPTS = [
    None,
    Created(ARN, 1.0),
    *(
        a_failure(kind, text)
        for kind in (Throttled, QuotaFull, Denied, Missing, Conflicting, Refused, Unknown)
        for text in ("", "already exists")
    ),
]
SIGHTS = [
    None,
    Absent(),
    *(Seen(a_deployment(status, model), marks)
      for status in Status for model in (MODEL, OTHER_MODEL) for marks in (NOBODYS, OURS, LATER)),
]  # fmt: skip
REQUESTS = [
    REQUEST,
    *(with_(if_exists=each) for each in (IfExists.UPDATE, IfExists.REPLACE)),
    with_(retries=1, on_failure=OnFailure.DELETE),
]


def ended(step: object) -> tuple[Ending, Reason | None]:
    assert isinstance(step, Ended)
    return step.outcome.ending, step.outcome.reason


ANOTHERS = Seen(a_deployment(Status.ACTIVE, OTHER_MODEL), EARLIER)


def test_what_another_request_made_becomes_what_this_one_says() -> None:
    facts = Facts(received=RECEIVED).after_look(ANOTHERS)
    assert ended(decide(REQUEST, facts)) == (Ending.FAILED, Reason.NAME_CONFLICT)
    assert ended(decide(with_(if_exists=IfExists.FAIL), facts)) == (Ending.FAILED, Reason.ALREADY_EXISTS)
    assert decide(with_(if_exists=IfExists.UPDATE), facts) == UpdateExisting()
    assert decide(with_(if_exists=IfExists.REPLACE), facts) == Remove(ARN)


@pytest.mark.parametrize("if_exists", list(IfExists))
def test_what_nobody_of_slipway_made_is_never_touched(if_exists: IfExists) -> None:
    facts = replace(LOOKED, received=RECEIVED).after_look(Seen(a_deployment(Status.ACTIVE), NOBODYS))
    assert ended(decide(with_(if_exists=if_exists), facts)) == (Ending.FAILED, Reason.NAME_CONFLICT)


def test_tags_that_are_not_shown_are_looked_at_again_before_they_are_missed() -> None:
    facts, looks = Facts(received=RECEIVED), 0
    while isinstance(decide(REQUEST, facts := facts.after_look(Seen(a_deployment(Status.ACTIVE), NOBODYS))), Pause):
        looks += 1
        facts = facts.after_pause()
    assert looks == ABSENCES_BELIEVED - 1
    shown = decide(
        REQUEST,
        Facts().after_look(Seen(a_deployment(Status.ACTIVE), NOBODYS)).after_look(Seen(a_deployment(Status.ACTIVE), OURS)),
    )
    assert ended(shown) == (Ending.ACTIVE, None)


MINE = with_(owner="team.payload", retries=1, on_failure=OnFailure.DELETE, if_exists=IfExists.REPLACE)


@pytest.mark.parametrize("owner", ["stranger.payload", None])
@pytest.mark.parametrize("carried", [Carried(), Carried(2), Carried(failure="it failed"), Carried(cancelled="delete")])
@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("model", [MODEL, OTHER_MODEL])
def test_what_is_not_proved_to_be_its_own_is_never_changed_under_the_same_id(
    owner: str | None, carried: Carried, status: Status, model: str
) -> None:
    facts = Facts(in_doubt=True, received=RECEIVED, carried=carried)
    step = decide(MINE, facts.after_look(Seen(a_deployment(status, model), replace(OURS, owner=owner))))
    assert not isinstance(step, Remove | HandOn | UpdateExisting | Create)


def test_the_same_id_with_another_payload_is_refused_with_a_reason() -> None:
    for owner in ("team.other", "stranger.other"):
        step = decide(MINE, Facts().after_look(Seen(a_deployment(Status.ACTIVE), replace(OURS, owner=owner))))
        assert ended(step) == (Ending.REJECTED, Reason.NOT_UNDERSTOOD)
        assert isinstance(step, Ended)
        assert "requestId 'r-1' was used for another request" in str(step.outcome.message)


def test_a_create_that_is_answered_with_what_is_never_shown_is_made_with_the_next_token() -> None:
    facts, looks = Facts().after_create(Created(ARN, 5.0)).after_missing(ARN), 0
    while not isinstance(step := decide(REQUEST, facts), Void):
        looks += isinstance(step, Look)
        facts = facts.after_look(Absent()) if isinstance(step, Look) else facts.after_pause()
    assert looks == ABSENCES_BELIEVED
    facts = facts.after_void()
    assert (decide(REQUEST, facts), facts.voids) == (Create(), 1)
    assert client_token(REQUEST, 0, 1) not in {client_token(REQUEST), client_token(REQUEST, 1)}


SPELLINGS = (
    "Could not find the custom model",
    "The specified custom model does not exist.",
    "model not found",
    "The custom model doesn't exist or is not in use.",
    "No such model; the ARN may be reserved.",
    "The resource already exists",
    "name is in use",
    "the name is reserved",
    "Duplicate deployment",
)


@pytest.mark.parametrize("text", SPELLINGS)
@pytest.mark.parametrize("kind", [Refused, Missing, Conflicting])
@pytest.mark.parametrize(
    ("model", "reason"), [(ModelState.MISSING, Reason.MODEL_NOT_FOUND), (ModelState.FAILED, Reason.MODEL_FAILED)]
)
def test_a_fact_that_was_asked_for_outranks_the_text_of_an_error(
    text: str, kind: type[CallFailed], model: ModelState, reason: Reason
) -> None:
    facts = Facts().after_create(a_failure(kind, text)).after_look(Absent()).after_model(model)
    assert ended(decide(REQUEST, facts)) == (Ending.FAILED, reason)


@pytest.mark.parametrize("text", SPELLINGS)
def test_what_is_not_found_is_not_a_name_that_is_taken(text: str) -> None:
    assert is_name_taken(a_failure(Refused, text)) == (text in SPELLINGS[5:])
    assert not is_name_taken(a_failure(Missing, text))
    assert is_name_taken(a_failure(Conflicting, text))


@pytest.mark.parametrize("if_exists", [IfExists.UPDATE, IfExists.REPLACE])
def test_what_was_asked_for_later_is_kept(if_exists: IfExists) -> None:
    later = Marks(request="r-2", received=RECEIVED + 5)
    updated = Marks(request="r-0", received=RECEIVED - 5, update=UpdateMark("another", RECEIVED + 5, MODEL))
    for marks in (later, updated):
        facts = Facts(received=RECEIVED).after_look(Seen(a_deployment(Status.ACTIVE, OTHER_MODEL), marks))
        assert ended(decide(with_(if_exists=if_exists), facts)) == (Ending.FAILED, Reason.SUPERSEDED)


@pytest.mark.parametrize("if_exists", list(IfExists))
def test_a_successor_adopts_what_its_predecessor_made(if_exists: IfExists) -> None:
    facts = Facts(in_doubt=True, received=RECEIVED).after_look(Seen(a_deployment(Status.ACTIVE), OURS))
    assert ended(decide(with_(if_exists=if_exists), facts)) == (Ending.ACTIVE, None)


def test_a_replacement_waits_until_the_old_one_is_gone_and_creates() -> None:
    request = with_(if_exists=IfExists.REPLACE)
    facts = Facts(received=RECEIVED).after_look(ANOTHERS).after_removal(Sent())
    assert decide(request, facts) == Look()
    assert isinstance(decide(request, facts.after_look(ANOTHERS)), Pause)
    assert decide(request, facts.after_look(ANOTHERS).after_pause()) == Look()
    gone = facts.after_look(Absent())
    assert decide(request, gone) == Create()
    assert decide(request, gone.after_create(Created(ARN, 5.0))) == Watch(ARN, 5.0)
    busy = Facts(received=RECEIVED).after_look(ANOTHERS).after_removal(a_failure(Conflicting))
    assert isinstance(decide(request, busy), Pause)


def test_a_failure_is_handed_on_before_it_is_tried_again_and_the_leftover_goes_first() -> None:
    request = with_(retries=1)
    failed = Seen(a_deployment(Status.FAILED, failure="no capacity"), OURS)
    step = decide(request, Facts(received=RECEIVED).after_look(failed))
    assert isinstance(step, HandOn)
    assert step.decided == Carried(attempt=2)
    assert step.otherwise.reason is Reason.DEPLOYMENT_FAILED
    second = Facts(in_doubt=True, received=RECEIVED, carried=Carried(attempt=2))
    assert decide(request, second) == Look()
    assert decide(request, second.after_look(failed)) == Remove(ARN)
    again = Seen(a_deployment(Status.FAILED), replace(OURS, attempt=2))
    step = decide(request, second.after_look(again))
    assert ended(step) == (Ending.FAILED, Reason.DEPLOYMENT_FAILED)
    assert isinstance(step, Ended)
    assert step.outcome.attempt == 2
    first = Facts(in_doubt=True, received=RECEIVED)
    assert ended(decide(request, first.after_look(again))) == ended(step), "an owner of the older message says the same"


def test_what_failed_is_deleted_only_after_that_was_handed_on() -> None:
    request = with_(on_failure=OnFailure.DELETE)
    failed = Seen(a_deployment(Status.FAILED, failure="no capacity"), OURS)
    step = decide(request, Facts(received=RECEIVED).after_look(failed))
    assert isinstance(step, HandOn)
    assert step.decided == Carried(failure="no capacity")
    facts = Facts(in_doubt=True, received=RECEIVED, carried=step.decided)
    assert decide(request, facts) == Look()
    assert decide(request, facts.after_look(failed)) == Remove(ARN)
    assert ended(decide(request, facts.after_look(Absent()))) == (Ending.FAILED, Reason.DEPLOYMENT_FAILED)
    assert ended(decide(request, facts.after_look(ANOTHERS))) == (Ending.FAILED, Reason.DEPLOYMENT_FAILED)


@pytest.mark.parametrize("request_", [with_(retries=3), with_(on_failure=OnFailure.DELETE), with_(if_exists=IfExists.UPDATE)])
def test_what_another_request_left_over_is_not_ours_to_delete(request_: Deploy) -> None:
    facts = Facts(received=RECEIVED).after_look(Seen(a_deployment(Status.FAILED), EARLIER))
    assert ended(decide(request_, facts)) == (Ending.FAILED, Reason.DEPLOYMENT_FAILED)


def test_a_cancelled_request_makes_nothing_and_keeps_or_deletes_what_it_has_made() -> None:
    mine, theirs = Seen(a_deployment(Status.CREATING), OURS), Seen(a_deployment(Status.ACTIVE), EARLIER)
    for cancelled, step in (("keep", None), ("delete", Remove(ARN))):
        facts = Facts(in_doubt=True, received=RECEIVED, carried=Carried(cancelled=cancelled))
        assert decide(REQUEST, facts) == Look()
        assert ended(decide(REQUEST, facts.after_look(Absent()))) == (Ending.CANCELLED, None)
        assert ended(decide(REQUEST, facts.after_look(theirs))) == (Ending.CANCELLED, None)
        if step is None:
            assert ended(decide(REQUEST, facts.after_look(mine))) == (Ending.CANCELLED, None)
        else:
            assert decide(REQUEST, facts.after_look(mine)) == step


TESTED = with_(smoke_test=SmokeTest(prompt="?", expect="ready"))
GOOD, BAD = Verdict(passed=True, text="ready"), Verdict(passed=False, text="…")


def test_what_is_active_is_tested_before_that_is_said() -> None:
    facts = Facts().after_look(Seen(a_deployment(Status.ACTIVE), OURS))
    assert decide(TESTED, facts) == TryOut(ARN)
    step = decide(TESTED, facts.after_test(GOOD))
    assert isinstance(step, Ended)
    assert (step.outcome.ending, step.outcome.smoke) == (Ending.ACTIVE, GOOD)
    assert ended(decide(TESTED, facts.after_test(BAD))) == (Ending.FAILED, Reason.SMOKE_TEST_FAILED)


def test_a_successor_believes_what_was_written_down() -> None:
    marks = replace(OURS, smoke=SmokeMark(update_key(TESTED), BAD))
    facts = Facts(in_doubt=True).after_look(Seen(a_deployment(Status.ACTIVE), marks))
    assert ended(decide(TESTED, facts)) == (Ending.FAILED, Reason.SMOKE_TEST_FAILED)
    others = replace(OURS, smoke=SmokeMark("another", BAD))
    doubtful = Facts(in_doubt=True).after_look(Seen(a_deployment(Status.ACTIVE), others))
    assert isinstance(decide(TESTED, doubtful), Pause), "what was written may be shown late"
    assert decide(TESTED, replace(doubtful, looks=ABSENCES_BELIEVED)) == TryOut(ARN)


def test_a_test_that_is_no_gate_is_only_told() -> None:
    request = with_(smoke_test=SmokeTest(prompt="?", gate=False))
    step = decide(request, Facts().after_look(Seen(a_deployment(Status.ACTIVE), OURS)).after_test(BAD))
    assert isinstance(step, Ended)
    assert (step.outcome.ending, step.outcome.smoke) == (Ending.ACTIVE, BAD)


def test_a_test_that_fails_is_a_failure_as_any_other() -> None:
    seen = Seen(a_deployment(Status.ACTIVE), OURS)
    step = decide(replace(TESTED, retries=1), Facts().after_look(seen).after_test(BAD))
    assert isinstance(step, HandOn)
    assert step.decided == Carried(attempt=2)
    second = Facts(in_doubt=True, carried=step.decided).after_look(seen)
    assert decide(replace(TESTED, retries=1), second) == Remove(ARN), "Active as it is: its attempt has failed"


def test_a_test_that_failed_is_told_as_such_also_when_what_it_failed_on_is_gone() -> None:
    request = replace(TESTED, on_failure=OnFailure.DELETE)
    step = decide(request, Facts().after_look(Seen(a_deployment(Status.ACTIVE), OURS)).after_test(BAD))
    assert isinstance(step, HandOn)
    assert step.decided.has_failed_test
    last = decide(request, Facts(in_doubt=True, carried=step.decided).after_look(Absent()))
    assert isinstance(last, Ended)
    assert ended(last) == (Ending.FAILED, Reason.SMOKE_TEST_FAILED), "Bedrock has never said that it failed"
    assert last.outcome.smoke == BAD


def check_touching(request: Deploy, facts: Facts, step: object) -> None:
    sight, carried = facts.sight, facts.carried
    if isinstance(step, Remove | UpdateExisting):
        assert isinstance(sight, Seen), "never touch anything without a look"
        marks = sight.marks
        assert marks.request is not None, "what Slipway did not make is never touched"
        if marks.request != request.request_id:
            assert request.if_exists in {IfExists.REPLACE, IfExists.UPDATE}
            assert not marks.is_later_than(RECEIVED)
        elif sight.deployment.model_arn == MODEL:
            assert marks.attempt < carried.attempt or carried.failure, "never what this attempt has made"
    if isinstance(step, HandOn):
        assert isinstance(sight, Seen)
        assert sight.deployment.status is Status.FAILED
        assert facts.is_mine or sight.marks.request == request.request_id
        assert carried.failure is None
    if isinstance(step, Create):
        assert not isinstance(sight, Seen), "never create beside what exists"
        assert sight is not None or not facts.in_doubt, "in doubt, never create without a look"


def check_end(facts: Facts, step: object) -> None:
    sight, carried = facts.sight, facts.carried
    if isinstance(step, Ended):
        outcome = step.outcome
        if outcome.ending is Ending.ACTIVE:
            assert isinstance(sight, Seen)
            assert sight.deployment.status is Status.ACTIVE
        elif outcome.reason is Reason.DEPLOYMENT_FAILED and carried.failure is None:
            assert isinstance(sight, Seen)
            assert sight.deployment.status is Status.FAILED
        elif carried.failure is not None:
            assert carried.failure in str(outcome.message)
        else:
            named = {Reason.NAME_CONFLICT, Reason.ALREADY_EXISTS, Reason.SUPERSEDED}
            assert outcome.reason in named or isinstance(facts.attempt, Refused | Missing | Conflicting)
        if isinstance(sight, Seen) and sight.marks.request is None and not facts.is_mine and carried.failure is None:
            assert outcome.reason is Reason.NAME_CONFLICT


def test_every_combination_of_facts_has_an_answer_that_keeps_the_promises() -> None:
    combinations = itertools.product(
        REQUESTS,
        SIGHTS,
        ATTEMPTS,
        [None, *ModelState],
        (False, True),
        (0, REFUSALS_BELIEVED_IN_DOUBT),
        (False, True),
        (Carried(), Carried(attempt=2), Carried(failure="it failed")),
        (None, Sent(), a_failure(Conflicting)),
    )
    seen = 0
    for request, sight, attempt, model, in_doubt, refusals, is_mine, carried, removal in combinations:
        facts = Facts(
            sight, attempt, model, in_doubt, refusals, 0, is_mine, is_mine, RECEIVED, carried, removal, looks=ABSENCES_BELIEVED
        )
        step = decide(request, facts)
        seen += 1
        check_touching(request, facts, step)
        check_end(facts, step)
    assert seen == len(REQUESTS) * len(SIGHTS) * len(ATTEMPTS) * (len(ModelState) + 1) * 2 * 2 * 2 * 3 * 3
