"""The choices of a lifecycle: each rule by example, then every combination of facts there is."""

from __future__ import annotations

import itertools

import pytest

from service.core.actions import Deploy
from service.core.calls import CallFailed, Conflicting, Denied, Missing, QuotaFull, Refused, Throttled, Unknown
from service.core.decide import REFUSALS_BELIEVED_IN_DOUBT, Create, Facts, Watch, decide
from service.core.deployments import Created, Deployment, ModelState, Status
from service.core.marks import Marks
from service.core.outcomes import Ending, Outcome, Reason
from service.core.steps import Absent, AskModel, Ended, Look, Pause, Seen

MODEL = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"
OTHER_MODEL = MODEL[:-1] + "m"
ARN = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghijkl"
REQUEST = Deploy(identity="i-1", request_id="r-1", name="bot", model_arn=MODEL, timeout=7200.0)
NOBODYS = Marks()
OURS = Marks(request="r-1")
EARLIER = Marks(request="r-0")


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
    """Seed 31: an earlier create was applied, and nothing was to be seen of it for long."""
    text = "The client request token was used with other parameters."
    told = Facts(is_model_proven=True, in_doubt=True, refusals=REFUSALS_BELIEVED_IN_DOUBT).after_create(
        a_failure(Refused, text)
    )
    step = decide(REQUEST, told.after_look(Absent()).after_model(ModelState.ACTIVE))
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
    step = decide(REQUEST, Facts().after_look(Seen(a_deployment(Status.ACTIVE), NOBODYS)))
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
      for status in Status for model in (MODEL, OTHER_MODEL) for marks in (NOBODYS, OURS)),
]  # fmt: skip


def test_every_combination_of_facts_has_an_answer_that_keeps_the_promises() -> None:
    combinations = itertools.product(
        SIGHTS, ATTEMPTS, [None, *ModelState], (False, True), (0, 1, REFUSALS_BELIEVED_IN_DOUBT), (False, True)
    )
    seen = 0
    for sight, attempt, model, in_doubt, refusals, is_mine in combinations:
        facts = Facts(sight, attempt, model, in_doubt, refusals, 0, is_mine)
        step = decide(REQUEST, facts)
        seen += 1
        if isinstance(step, Create):
            assert not isinstance(sight, Seen), "never create beside what exists"
            assert sight is not None or not in_doubt, "in doubt, never create without a look"
        if isinstance(step, Ended):
            outcome = step.outcome
            if outcome.ending is Ending.ACTIVE:
                assert isinstance(sight, Seen)
                assert sight.deployment.status is Status.ACTIVE
            elif outcome.reason is Reason.DEPLOYMENT_FAILED:
                assert isinstance(sight, Seen)
                assert sight.deployment.status is Status.FAILED
            else:
                assert outcome.reason is Reason.NAME_CONFLICT or isinstance(attempt, Refused | Missing | Conflicting)
            if isinstance(sight, Seen) and sight.marks.request is None and not is_mine:
                assert outcome.reason is Reason.NAME_CONFLICT
    assert seen == len(SIGHTS) * len(ATTEMPTS) * (len(ModelState) + 1) * 2 * 3 * 2
