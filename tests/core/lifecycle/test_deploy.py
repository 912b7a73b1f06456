"""The choices of a lifecycle: each rule by example, then every combination of facts there is."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from slipway.core.bedrock import Created, Deployment, ModelState, Status
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
from slipway.core.lifecycle.deploy import (
    REFUSALS_TO_BELIEVE_IN_DOUBT,
    Create,
    DeployFacts,
    UpdateExisting,
    UseNextToken,
    Watch,
    decide,
    is_name_taken,
)
from slipway.core.lifecycle.outcomes import Outcome, OutcomeKind, Reason, SmokeTestResult
from slipway.core.lifecycle.steps import (
    ABSENCES_TO_BELIEVE,
    DeleteDeployment,
    DeleteSent,
    Finish,
    Found,
    GetModel,
    NotFound,
    Observe,
    Pause,
    RunSmokeTest,
    SendContinuation,
)
from slipway.core.lifecycle.tags import DeploymentTags, SmokeTestTag, UpdateTag, update_key
from slipway.core.parsing import client_token
from slipway.core.requests.models import Deploy, IfExists, OnFailure, SmokeTest
from slipway.core.sqs.continuations import Decisions

MODEL = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"
OTHER_MODEL = MODEL[:-1] + "m"
ARN = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghijkl"
REQUEST = Deploy(identity="i-1", request_id="r-1", name="bot", model_arn=MODEL, timeout=7200.0)
NOBODYS = DeploymentTags()
OURS = DeploymentTags(request="r-1")
EARLIER = DeploymentTags(request="r-0")
RECEIVED = 1000.0
LATER = DeploymentTags(request="r-2", received=RECEIVED + 5)
LOOKED = DeployFacts(times_found=ABSENCES_TO_BELIEVE)
"""It was looked at so often that what is not shown is not there."""


def with_(**changes: object) -> Deploy:
    return replace(REQUEST, **changes)  # type: ignore[arg-type]


def a_deployment(status: Status, model: str = MODEL, failure: str | None = None) -> Deployment:
    return Deployment(ARN, "bot", model, status, status.value, 1.0, 2.0, failure)


def a_failure(kind: type[CallFailed], text: str = "") -> CallFailed:
    return kind("CreateCustomModelDeployment", "SomeException", text)


def step_after(create_result: Created | CallFailed, **more: object) -> object:
    return decide(REQUEST, DeployFacts().after_create(create_result))


def test_a_first_delivery_creates_at_once() -> None:
    assert decide(REQUEST, DeployFacts()) == Create()


def test_a_redelivery_looks_first_and_creates_only_what_is_absent() -> None:
    facts = DeployFacts(in_doubt=True)
    assert decide(REQUEST, facts) == Observe()
    assert decide(REQUEST, facts.after_observation(NotFound())) == Create()


def test_what_was_taken_on_is_watched() -> None:
    assert step_after(Created(ARN, 5.0)) == Watch(ARN, 5.0)


def test_a_full_quota_waits_for_a_slot_again() -> None:
    assert step_after(a_failure(QuotaFull)) == Create()


@pytest.mark.parametrize(
    ("kind", "reason"), [(Throttled, Reason.THROTTLED), (Denied, Reason.ACCESS_DENIED), (UnknownResult, Reason.NO_ANSWER)]
)
def test_trouble_pauses_with_its_reason(kind: type[CallFailed], reason: Reason) -> None:
    step = step_after(a_failure(kind))
    assert isinstance(step, Pause)
    assert step.reason is reason


def test_after_an_answer_that_may_have_applied_it_looks_before_it_creates() -> None:
    facts = DeployFacts().after_create(a_failure(UnknownResult)).after_pause()
    assert decide(REQUEST, facts) == Observe()


@pytest.mark.parametrize("kind", [Refused, ResourceMissing, Conflicting])
def test_a_refusal_looks_then_asks_for_the_model(kind: type[CallFailed]) -> None:
    facts = DeployFacts().after_create(a_failure(kind))
    assert decide(REQUEST, facts) == Observe()
    assert decide(REQUEST, facts.after_observation(NotFound())) == GetModel()


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (ModelState.MISSING, Reason.MODEL_NOT_FOUND),
        (ModelState.FAILED, Reason.MODEL_FAILED),
        (ModelState.ACTIVE, Reason.INVALID_REQUEST),
    ],
)
def test_a_refusal_with_a_model_that_explains_it_is_a_verdict(model: ModelState, reason: Reason) -> None:
    facts = DeployFacts(is_model_proven=True).after_create(a_failure(Refused)).after_observation(NotFound()).after_model(model)
    step = decide(REQUEST, facts)
    assert isinstance(step, Finish)
    assert (step.outcome.kind, step.outcome.reason) == (OutcomeKind.FAILED, reason)


def test_that_its_own_token_is_known_is_never_a_verdict() -> None:
    """An earlier create was applied, and nothing was to be seen of it for long; or what it made is gone."""
    text = "The client request token was used with other parameters."
    told = DeployFacts(is_model_proven=True, in_doubt=True, refusals=REFUSALS_TO_BELIEVE_IN_DOUBT).after_create(
        a_failure(Refused, text)
    )
    assert isinstance(decide(REQUEST, told.after_observation(NotFound()).after_model(ModelState.ACTIVE)), UseNextToken)
    first = DeployFacts().after_create(a_failure(Refused, text)).after_observation(NotFound()).after_model(ModelState.ACTIVE)
    step = decide(REQUEST, first)
    assert isinstance(step, Pause)
    assert step.reason is Reason.NO_ANSWER


def test_a_model_in_creation_is_patience() -> None:
    facts = DeployFacts().after_create(a_failure(Refused)).after_observation(NotFound()).after_model(ModelState.CREATING)
    step = decide(REQUEST, facts)
    assert isinstance(step, Pause)
    assert step.reason is Reason.MODEL_NOT_ACTIVE


@pytest.mark.parametrize("text", ["name already exists", "that name is in use", "name is reserved"])
def test_a_name_that_is_taken_by_nobody_is_patience(text: str) -> None:
    facts = DeployFacts().after_create(a_failure(Refused, text)).after_observation(NotFound()).after_model(ModelState.ACTIVE)
    step = decide(REQUEST, facts)
    assert isinstance(step, Pause)
    assert step.reason is Reason.NAME_RESERVED


def test_in_doubt_one_refusal_is_not_believed() -> None:
    facts = DeployFacts(in_doubt=True)
    for _ in range(REFUSALS_TO_BELIEVE_IN_DOUBT - 1):
        facts = facts.after_create(a_failure(Refused)).after_observation(NotFound()).after_model(ModelState.ACTIVE)
        assert isinstance(decide(REQUEST, facts), Pause)
        facts = facts.after_pause()
    facts = facts.after_create(a_failure(Refused)).after_observation(NotFound()).after_model(ModelState.ACTIVE)
    assert isinstance(decide(REQUEST, facts), Finish)


def test_what_slipway_did_not_make_is_a_conflict() -> None:
    step = decide(REQUEST, LOOKED.after_observation(Found(a_deployment(Status.ACTIVE), NOBODYS)))
    assert isinstance(step, Finish)
    assert (step.outcome.kind, step.outcome.reason) == (OutcomeKind.FAILED, Reason.NAME_CONFLICT)


def test_another_model_under_the_name_is_a_conflict() -> None:
    step = decide(REQUEST, DeployFacts().after_observation(Found(a_deployment(Status.ACTIVE, OTHER_MODEL), OURS)))
    assert isinstance(step, Finish)
    assert step.outcome.reason is Reason.NAME_CONFLICT
    assert OTHER_MODEL in str(step.outcome.message)


def test_ours_and_active_is_adopted() -> None:
    found = a_deployment(Status.ACTIVE)
    assert decide(REQUEST, DeployFacts().after_observation(Found(found, EARLIER))) == Finish(
        Outcome(OutcomeKind.ACTIVE, deployment=found, adopted=True)
    )


def test_a_failed_leftover_of_another_request_says_whose_it_is() -> None:
    step = decide(REQUEST, DeployFacts().after_observation(Found(a_deployment(Status.FAILED, failure="no capacity"), EARLIER)))
    assert isinstance(step, Finish)
    assert "'r-0'" in str(step.outcome.message)
    assert "no capacity" in str(step.outcome.message)


def test_a_status_nobody_knows_is_waited_out() -> None:
    assert decide(REQUEST, DeployFacts().after_observation(Found(a_deployment(Status.UNKNOWN), OURS))) == Watch(ARN, 1.0)


ATTEMPTS = [
    None,
    Created(ARN, 1.0),
    *(
        a_failure(kind, text)
        for kind in (Throttled, QuotaFull, Denied, ResourceMissing, Conflicting, Refused, UnknownResult)
        for text in ("", "already exists")
    ),
]
SIGHTS = [
    None,
    NotFound(),
    *(Found(a_deployment(status, model), slipway_tags)
      for status in Status for model in (MODEL, OTHER_MODEL) for slipway_tags in (NOBODYS, OURS, LATER)),
]  # fmt: skip
REQUESTS = [
    REQUEST,
    *(with_(if_exists=each) for each in (IfExists.UPDATE, IfExists.REPLACE)),
    with_(retries=1, on_failure=OnFailure.DELETE),
]


def ended(step: object) -> tuple[OutcomeKind, Reason | None]:
    assert isinstance(step, Finish)
    return step.outcome.kind, step.outcome.reason


ANOTHERS = Found(a_deployment(Status.ACTIVE, OTHER_MODEL), EARLIER)


def test_what_another_request_made_becomes_what_this_one_says() -> None:
    facts = DeployFacts(received=RECEIVED).after_observation(ANOTHERS)
    assert ended(decide(REQUEST, facts)) == (OutcomeKind.FAILED, Reason.NAME_CONFLICT)
    assert ended(decide(with_(if_exists=IfExists.FAIL), facts)) == (OutcomeKind.FAILED, Reason.ALREADY_EXISTS)
    assert decide(with_(if_exists=IfExists.UPDATE), facts) == UpdateExisting()
    assert decide(with_(if_exists=IfExists.REPLACE), facts) == DeleteDeployment(ARN)


@pytest.mark.parametrize("if_exists", list(IfExists))
def test_what_nobody_of_slipway_made_is_never_touched(if_exists: IfExists) -> None:
    facts = replace(LOOKED, received=RECEIVED).after_observation(Found(a_deployment(Status.ACTIVE), NOBODYS))
    assert ended(decide(with_(if_exists=if_exists), facts)) == (OutcomeKind.FAILED, Reason.NAME_CONFLICT)


def test_tags_that_are_not_shown_are_looked_at_again_before_they_are_missed() -> None:
    facts, times_found = DeployFacts(received=RECEIVED), 0
    while isinstance(decide(REQUEST, facts := facts.after_observation(Found(a_deployment(Status.ACTIVE), NOBODYS))), Pause):
        times_found += 1
        facts = facts.after_pause()
    assert times_found == ABSENCES_TO_BELIEVE - 1
    shown = decide(
        REQUEST,
        DeployFacts()
        .after_observation(Found(a_deployment(Status.ACTIVE), NOBODYS))
        .after_observation(Found(a_deployment(Status.ACTIVE), OURS)),
    )
    assert ended(shown) == (OutcomeKind.ACTIVE, None)


MINE = with_(owner="team.payload", retries=1, on_failure=OnFailure.DELETE, if_exists=IfExists.REPLACE)


@pytest.mark.parametrize("owner", ["stranger.payload", None])
@pytest.mark.parametrize(
    "decisions", [Decisions(), Decisions(2), Decisions(failure="it failed"), Decisions(cancelled="delete")]
)
@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("model", [MODEL, OTHER_MODEL])
def test_what_is_not_proved_to_be_its_own_is_never_changed_under_the_same_id(
    owner: str | None, decisions: Decisions, status: Status, model: str
) -> None:
    facts = DeployFacts(in_doubt=True, received=RECEIVED, decisions=decisions)
    step = decide(MINE, facts.after_observation(Found(a_deployment(status, model), replace(OURS, owner=owner))))
    assert not isinstance(step, DeleteDeployment | SendContinuation | UpdateExisting | Create)


def test_the_same_id_with_another_payload_is_refused_with_a_reason() -> None:
    for owner in ("team.other", "stranger.other"):
        step = decide(MINE, DeployFacts().after_observation(Found(a_deployment(Status.ACTIVE), replace(OURS, owner=owner))))
        assert ended(step) == (OutcomeKind.REJECTED, Reason.NOT_UNDERSTOOD)
        assert isinstance(step, Finish)
        assert "requestId 'r-1' was used by a request with another payload" in str(step.outcome.message)


def test_a_create_that_is_answered_with_what_is_never_shown_is_made_with_the_next_token() -> None:
    facts, times_found = DeployFacts().after_create(Created(ARN, 5.0)).after_missing(ARN), 0
    while not isinstance(step := decide(REQUEST, facts), UseNextToken):
        times_found += isinstance(step, Observe)
        facts = facts.after_observation(NotFound()) if isinstance(step, Observe) else facts.after_pause()
    assert times_found == ABSENCES_TO_BELIEVE
    facts = facts.after_spent_token()
    assert (decide(REQUEST, facts), facts.spent_tokens) == (Create(), 1)
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
@pytest.mark.parametrize("kind", [Refused, ResourceMissing, Conflicting])
@pytest.mark.parametrize(
    ("model", "reason"), [(ModelState.MISSING, Reason.MODEL_NOT_FOUND), (ModelState.FAILED, Reason.MODEL_FAILED)]
)
def test_a_fact_that_was_asked_for_outranks_the_text_of_an_error(
    text: str, kind: type[CallFailed], model: ModelState, reason: Reason
) -> None:
    facts = DeployFacts().after_create(a_failure(kind, text)).after_observation(NotFound()).after_model(model)
    assert ended(decide(REQUEST, facts)) == (OutcomeKind.FAILED, reason)


@pytest.mark.parametrize("text", SPELLINGS)
def test_what_is_not_found_is_not_a_name_that_is_taken(text: str) -> None:
    assert is_name_taken(a_failure(Refused, text)) == (text in SPELLINGS[5:])
    assert not is_name_taken(a_failure(ResourceMissing, text))
    assert is_name_taken(a_failure(Conflicting, text))


@pytest.mark.parametrize("if_exists", [IfExists.UPDATE, IfExists.REPLACE])
def test_what_was_asked_for_later_is_kept(if_exists: IfExists) -> None:
    later = DeploymentTags(request="r-2", received=RECEIVED + 5)
    updated = DeploymentTags(request="r-0", received=RECEIVED - 5, update=UpdateTag("another", RECEIVED + 5, MODEL))
    for slipway_tags in (later, updated):
        facts = DeployFacts(received=RECEIVED).after_observation(Found(a_deployment(Status.ACTIVE, OTHER_MODEL), slipway_tags))
        assert ended(decide(with_(if_exists=if_exists), facts)) == (OutcomeKind.FAILED, Reason.SUPERSEDED)


@pytest.mark.parametrize("if_exists", list(IfExists))
def test_a_successor_adopts_what_its_predecessor_made(if_exists: IfExists) -> None:
    facts = DeployFacts(in_doubt=True, received=RECEIVED).after_observation(Found(a_deployment(Status.ACTIVE), OURS))
    assert ended(decide(with_(if_exists=if_exists), facts)) == (OutcomeKind.ACTIVE, None)


def test_a_replacement_waits_until_the_old_one_is_gone_and_creates() -> None:
    request = with_(if_exists=IfExists.REPLACE)
    facts = DeployFacts(received=RECEIVED).after_observation(ANOTHERS).after_delete_call(DeleteSent())
    assert decide(request, facts) == Observe()
    assert isinstance(decide(request, facts.after_observation(ANOTHERS)), Pause)
    assert decide(request, facts.after_observation(ANOTHERS).after_pause()) == Observe()
    gone = facts.after_observation(NotFound())
    assert decide(request, gone) == Create()
    assert decide(request, gone.after_create(Created(ARN, 5.0))) == Watch(ARN, 5.0)
    busy = DeployFacts(received=RECEIVED).after_observation(ANOTHERS).after_delete_call(a_failure(Conflicting))
    assert isinstance(decide(request, busy), Pause)


def test_a_failure_is_handed_on_before_it_is_tried_again_and_the_leftover_goes_first() -> None:
    request = with_(retries=1)
    failed = Found(a_deployment(Status.FAILED, failure="no capacity"), OURS)
    step = decide(request, DeployFacts(received=RECEIVED).after_observation(failed))
    assert isinstance(step, SendContinuation)
    assert step.decisions == Decisions(attempt=2)
    assert step.outcome_at_deadline.reason is Reason.DEPLOYMENT_FAILED
    second = DeployFacts(in_doubt=True, received=RECEIVED, decisions=Decisions(attempt=2))
    assert decide(request, second) == Observe()
    assert decide(request, second.after_observation(failed)) == DeleteDeployment(ARN)
    again = Found(a_deployment(Status.FAILED), replace(OURS, attempt=2))
    step = decide(request, second.after_observation(again))
    assert ended(step) == (OutcomeKind.FAILED, Reason.DEPLOYMENT_FAILED)
    assert isinstance(step, Finish)
    assert step.outcome.attempt == 2
    first = DeployFacts(in_doubt=True, received=RECEIVED)
    assert ended(decide(request, first.after_observation(again))) == ended(step), "an owner of the older message says the same"


def test_what_failed_is_deleted_only_after_that_was_handed_on() -> None:
    request = with_(on_failure=OnFailure.DELETE)
    failed = Found(a_deployment(Status.FAILED, failure="no capacity"), OURS)
    step = decide(request, DeployFacts(received=RECEIVED).after_observation(failed))
    assert isinstance(step, SendContinuation)
    assert step.decisions == Decisions(failure="no capacity")
    facts = DeployFacts(in_doubt=True, received=RECEIVED, decisions=step.decisions)
    assert decide(request, facts) == Observe()
    assert decide(request, facts.after_observation(failed)) == DeleteDeployment(ARN)
    assert ended(decide(request, facts.after_observation(NotFound()))) == (OutcomeKind.FAILED, Reason.DEPLOYMENT_FAILED)
    assert ended(decide(request, facts.after_observation(ANOTHERS))) == (OutcomeKind.FAILED, Reason.DEPLOYMENT_FAILED)


@pytest.mark.parametrize("request_", [with_(retries=3), with_(on_failure=OnFailure.DELETE), with_(if_exists=IfExists.UPDATE)])
def test_what_another_request_left_over_is_not_ours_to_delete(request_: Deploy) -> None:
    facts = DeployFacts(received=RECEIVED).after_observation(Found(a_deployment(Status.FAILED), EARLIER))
    assert ended(decide(request_, facts)) == (OutcomeKind.FAILED, Reason.DEPLOYMENT_FAILED)


def test_a_cancelled_request_makes_nothing_and_keeps_or_deletes_what_it_has_made() -> None:
    mine, theirs = Found(a_deployment(Status.CREATING), OURS), Found(a_deployment(Status.ACTIVE), EARLIER)
    for cancelled, step in (("keep", None), ("delete", DeleteDeployment(ARN))):
        facts = DeployFacts(in_doubt=True, received=RECEIVED, decisions=Decisions(cancelled=cancelled))
        assert decide(REQUEST, facts) == Observe()
        assert ended(decide(REQUEST, facts.after_observation(NotFound()))) == (OutcomeKind.CANCELLED, None)
        assert ended(decide(REQUEST, facts.after_observation(theirs))) == (OutcomeKind.CANCELLED, None)
        if step is None:
            assert ended(decide(REQUEST, facts.after_observation(mine))) == (OutcomeKind.CANCELLED, None)
        else:
            assert decide(REQUEST, facts.after_observation(mine)) == step


TESTED = with_(smoke_test=SmokeTest(prompt="?", expect="ready"))
GOOD, BAD = SmokeTestResult(passed=True, text="ready"), SmokeTestResult(passed=False, text="…")


def test_what_is_active_is_tested_before_that_is_said() -> None:
    facts = DeployFacts().after_observation(Found(a_deployment(Status.ACTIVE), OURS))
    assert decide(TESTED, facts) == RunSmokeTest(ARN)
    step = decide(TESTED, facts.after_test(GOOD))
    assert isinstance(step, Finish)
    assert (step.outcome.kind, step.outcome.smoke) == (OutcomeKind.ACTIVE, GOOD)
    assert ended(decide(TESTED, facts.after_test(BAD))) == (OutcomeKind.FAILED, Reason.SMOKE_TEST_FAILED)


def test_a_successor_believes_what_was_written_down() -> None:
    slipway_tags = replace(OURS, smoke=SmokeTestTag(update_key(TESTED), BAD))
    facts = DeployFacts(in_doubt=True).after_observation(Found(a_deployment(Status.ACTIVE), slipway_tags))
    assert ended(decide(TESTED, facts)) == (OutcomeKind.FAILED, Reason.SMOKE_TEST_FAILED)
    others = replace(OURS, smoke=SmokeTestTag("another", BAD))
    doubtful = DeployFacts(in_doubt=True).after_observation(Found(a_deployment(Status.ACTIVE), others))
    assert isinstance(decide(TESTED, doubtful), Pause), "what was written may be shown late"
    assert decide(TESTED, replace(doubtful, times_found=ABSENCES_TO_BELIEVE)) == RunSmokeTest(ARN)


def test_a_test_that_is_no_gate_is_only_told() -> None:
    request = with_(smoke_test=SmokeTest(prompt="?", gate=False))
    step = decide(request, DeployFacts().after_observation(Found(a_deployment(Status.ACTIVE), OURS)).after_test(BAD))
    assert isinstance(step, Finish)
    assert (step.outcome.kind, step.outcome.smoke) == (OutcomeKind.ACTIVE, BAD)


def test_a_test_that_fails_is_a_failure_as_any_other() -> None:
    seen = Found(a_deployment(Status.ACTIVE), OURS)
    step = decide(replace(TESTED, retries=1), DeployFacts().after_observation(seen).after_test(BAD))
    assert isinstance(step, SendContinuation)
    assert step.decisions == Decisions(attempt=2)
    second = DeployFacts(in_doubt=True, decisions=step.decisions).after_observation(seen)
    assert decide(replace(TESTED, retries=1), second) == DeleteDeployment(ARN), "Active as it is: its attempt has failed"


def test_a_test_that_failed_is_told_as_such_also_when_what_it_failed_on_is_gone() -> None:
    request = replace(TESTED, on_failure=OnFailure.DELETE)
    step = decide(request, DeployFacts().after_observation(Found(a_deployment(Status.ACTIVE), OURS)).after_test(BAD))
    assert isinstance(step, SendContinuation)
    assert step.decisions.failed_test == BAD.text
    last = decide(request, DeployFacts(in_doubt=True, decisions=step.decisions).after_observation(NotFound()))
    assert isinstance(last, Finish)
    assert ended(last) == (OutcomeKind.FAILED, Reason.SMOKE_TEST_FAILED), "Bedrock has never said that it failed"
    assert last.outcome.smoke == BAD


def check_touching(request: Deploy, facts: DeployFacts, step: object) -> None:
    observation, decisions = facts.observation, facts.decisions
    if isinstance(step, DeleteDeployment | UpdateExisting):
        assert isinstance(observation, Found), "never touch anything without a look"
        slipway_tags = observation.slipway_tags
        assert slipway_tags.request is not None, "what Slipway did not make is never touched"
        if slipway_tags.request != request.request_id:
            assert request.if_exists in {IfExists.REPLACE, IfExists.UPDATE}
            assert not slipway_tags.is_later_than(RECEIVED)
        elif observation.deployment.model_arn == MODEL:
            assert slipway_tags.attempt < decisions.attempt or decisions.failure, "never what this attempt has made"
    if isinstance(step, SendContinuation):
        assert isinstance(observation, Found)
        assert observation.deployment.status is Status.FAILED
        assert facts.created_by_this_delivery or observation.slipway_tags.request == request.request_id
        assert decisions.failure is None
    if isinstance(step, Create):
        assert not isinstance(observation, Found), "never create beside what exists"
        assert observation is not None or not facts.in_doubt, "in doubt, never create without a look"


def check_end(facts: DeployFacts, step: object) -> None:
    observation, decisions = facts.observation, facts.decisions
    if isinstance(step, Finish):
        outcome = step.outcome
        if outcome.kind is OutcomeKind.ACTIVE:
            assert isinstance(observation, Found)
            assert observation.deployment.status is Status.ACTIVE
        elif outcome.reason is Reason.DEPLOYMENT_FAILED and decisions.failure is None:
            assert isinstance(observation, Found)
            assert observation.deployment.status is Status.FAILED
        elif decisions.failure is not None:
            assert decisions.failure in str(outcome.message)
        else:
            named = {Reason.NAME_CONFLICT, Reason.ALREADY_EXISTS, Reason.SUPERSEDED}
            assert outcome.reason in named or isinstance(facts.create_result, Refused | ResourceMissing | Conflicting)
        if (
            isinstance(observation, Found)
            and observation.slipway_tags.request is None
            and not facts.created_by_this_delivery
            and decisions.failure is None
        ):
            assert outcome.reason is Reason.NAME_CONFLICT


def test_every_combination_of_facts_has_an_answer_that_keeps_the_promises() -> None:
    combinations = itertools.product(
        REQUESTS,
        SIGHTS,
        ATTEMPTS,
        [None, *ModelState],
        (False, True),
        (0, REFUSALS_TO_BELIEVE_IN_DOUBT),
        (False, True),
        (Decisions(), Decisions(attempt=2), Decisions(failure="it failed")),
        (None, DeleteSent(), a_failure(Conflicting)),
    )
    seen = 0
    for (
        request,
        observation,
        create_result,
        model,
        in_doubt,
        refusals,
        created_by_this_delivery,
        decisions,
        delete_result,
    ) in combinations:
        facts = DeployFacts(
            observation,
            create_result,
            model,
            in_doubt,
            refusals,
            0,
            created_by_this_delivery,
            created_by_this_delivery,
            RECEIVED,
            decisions,
            delete_result,
            times_found=ABSENCES_TO_BELIEVE,
        )
        step = decide(request, facts)
        seen += 1
        check_touching(request, facts, step)
        check_end(facts, step)
    assert seen == len(REQUESTS) * len(SIGHTS) * len(ATTEMPTS) * (len(ModelState) + 1) * 2 * 2 * 2 * 3 * 3
