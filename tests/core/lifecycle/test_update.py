"""The choices of an update: each rule by example, then every combination of facts there is."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from slipway.core.bedrock import Deployment, ModelState, Status, UpdateDetails, UpdateStatus
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
from slipway.core.lifecycle.outcomes import OutcomeKind, Reason, SmokeTestResult
from slipway.core.lifecycle.steps import (
    ABSENCES_TO_BELIEVE,
    DeleteSent,
    Finish,
    Found,
    GetModel,
    NotFound,
    Observe,
    Pause,
    Poll,
    RunSmokeTest,
)
from slipway.core.lifecycle.tags import DeploymentTags, SmokeTestTag, UpdateTag, update_key
from slipway.core.lifecycle.update import (
    REFUSALS_TO_BELIEVE,
    UNSEEN_TO_BELIEVE,
    SendUpdate,
    UpdateFacts,
    WriteUpdateTag,
    decide,
)
from slipway.core.requests.models import SmokeTest, Update

FORMER = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"
WANTED = FORMER[:-1] + "m"
THIRD = FORMER[:-1] + "n"
ARN = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghijkl"
RECEIVED = 1000.0
REQUEST = Update(identity="i-1", request_id="r-1", name="bot", model_arn=WANTED, timeout=7200.0)
ROLLING = replace(REQUEST, rollback=True)
FORCED = replace(REQUEST, force=True)
FACTS = UpdateFacts(RECEIVED)
KEY = update_key(REQUEST)
OURS = DeploymentTags(request="r-0", received=RECEIVED - 500)
MARK = UpdateTag(KEY, RECEIVED, FORMER)
MARKED = replace(OURS, update=MARK)
MARKED_AGAIN = replace(OURS, update=replace(MARK, had_failed_update=True))
EARLIER = replace(OURS, update=UpdateTag("another", RECEIVED - 10, THIRD))
LATER = replace(OURS, update=UpdateTag("another", RECEIVED + 10, THIRD))


def details(model: str, status: UpdateStatus) -> UpdateDetails:
    return UpdateDetails(model, status)


def a_deployment(model: str = FORMER, update: UpdateDetails | None = None, status: Status = Status.ACTIVE) -> Deployment:
    return Deployment(ARN, "bot", model, status, status.value, 1.0, 2.0, None, update)


def a_failure(kind: type[CallFailed]) -> CallFailed:
    return kind("UpdateCustomModelDeployment", "SomeException", "why")


def ended(step: object) -> tuple[OutcomeKind, Reason | None]:
    assert isinstance(step, Finish)
    return step.outcome.kind, step.outcome.reason


UPDATING = details(WANTED, UpdateStatus.UPDATING)
FAILED = details(WANTED, UpdateStatus.FAILED)


def test_it_looks_marks_looks_updates_and_polls_until_the_wanted_model_is_served() -> None:
    assert decide(REQUEST, FACTS) == Observe()
    facts = FACTS.after_observation(Found(a_deployment(), OURS))
    assert decide(REQUEST, facts) == WriteUpdateTag(ARN, MARK)
    facts = facts.after_update_tag()
    assert decide(REQUEST, facts) == Observe()
    facts = facts.after_observation(Found(a_deployment(), MARKED))
    assert decide(REQUEST, facts) == SendUpdate(ARN, WANTED)
    facts = facts.after_update(WANTED, DeleteSent())
    assert decide(REQUEST, facts) == Observe()
    facts = facts.after_observation(Found(a_deployment(update=UPDATING), MARKED))
    assert isinstance(decide(REQUEST, facts), Poll)
    facts = facts.after_poll(a_deployment(update=UPDATING))
    assert isinstance(decide(REQUEST, facts), Poll)
    facts = facts.after_poll(a_deployment(WANTED, details(WANTED, UpdateStatus.COMPLETED)))
    assert decide(REQUEST, facts) == Observe(), "at everything, tags too: somebody may have come between"
    facts = facts.after_observation(Found(a_deployment(WANTED, details(WANTED, UpdateStatus.COMPLETED)), MARKED))
    step = decide(REQUEST, facts)
    assert ended(step) == (OutcomeKind.UPDATED, None)
    assert isinstance(step, Finish)
    assert (step.outcome.former, step.outcome.adopted) == (FORMER, False)


def test_what_serves_the_wanted_model_already_is_updated_without_a_call() -> None:
    step = decide(REQUEST, FACTS.after_observation(Found(a_deployment(WANTED), OURS)))
    assert ended(step) == (OutcomeKind.UPDATED, None)
    assert isinstance(step, Finish)
    assert step.outcome.adopted


def test_a_successor_goes_on_from_the_mark() -> None:
    in_doubt = replace(FACTS, in_doubt=True)
    assert decide(REQUEST, in_doubt.after_observation(Found(a_deployment(), MARKED))) == SendUpdate(ARN, WANTED)
    assert isinstance(decide(REQUEST, in_doubt.after_observation(Found(a_deployment(update=UPDATING), MARKED))), Poll)
    failed = in_doubt.after_observation(Found(a_deployment(update=FAILED), MARKED))
    assert ended(decide(REQUEST, failed)) == (OutcomeKind.FAILED, Reason.UPDATE_FAILED)


def test_a_failed_update_is_told_from_one_that_was_rolled_back() -> None:
    facts = FACTS.after_observation(Found(a_deployment(update=FAILED), MARKED))
    assert ended(decide(REQUEST, facts)) == (OutcomeKind.FAILED, Reason.UPDATE_FAILED)
    step = decide(ROLLING, replace(facts, observation=Found(a_deployment(update=FAILED), MARKED)))
    assert ended(step) == (OutcomeKind.ROLLED_BACK, Reason.UPDATE_FAILED)
    assert isinstance(step, Finish)
    assert step.outcome.former == FORMER
    assert WANTED in str(step.outcome.message)
    assert FORMER in str(step.outcome.message)


def test_details_left_over_from_an_earlier_update_are_not_believed() -> None:
    stale = a_deployment(update=FAILED)
    facts = FACTS.after_observation(Found(stale, OURS))
    assert decide(REQUEST, facts) == WriteUpdateTag(ARN, replace(MARK, had_failed_update=True))
    facts = facts.after_update_tag().after_observation(Found(stale, MARKED_AGAIN))
    assert decide(REQUEST, facts) == SendUpdate(ARN, WANTED)
    facts = facts.after_update(WANTED, DeleteSent()).after_observation(Found(stale, MARKED_AGAIN))
    assert isinstance(decide(REQUEST, facts), Pause), "still those of before"
    begun = facts.after_pause().after_observation(Found(a_deployment(update=UPDATING), MARKED_AGAIN))
    over = begun.after_poll(stale).after_observation(Found(stale, MARKED_AGAIN))
    assert ended(decide(REQUEST, over)) == (OutcomeKind.FAILED, Reason.UPDATE_FAILED)


def test_an_update_that_fails_before_it_is_seen_under_way_is_believed_at_last() -> None:
    facts = FACTS.after_observation(Found(a_deployment(update=FAILED), MARKED_AGAIN))
    sent = 0
    while not isinstance(step := decide(REQUEST, facts), Finish):
        sent += isinstance(step, SendUpdate)
        facts = facts.after_update(WANTED, DeleteSent()) if isinstance(step, SendUpdate) else facts.after_pause()
        facts = facts.after_observation(Found(a_deployment(update=FAILED), MARKED_AGAIN))
    assert ended(step) == (OutcomeKind.FAILED, Reason.UPDATE_FAILED)
    assert sent == 2


def test_details_of_other_models_say_nothing() -> None:
    for status in (UpdateStatus.COMPLETED, UpdateStatus.FAILED):
        facts = FACTS.after_observation(Found(a_deployment(update=details(THIRD, status)), MARKED))
        assert decide(REQUEST, facts) == SendUpdate(ARN, WANTED)


def test_an_update_that_does_not_show_is_sent_again_after_a_while() -> None:
    facts = FACTS.after_observation(Found(a_deployment(), MARKED)).after_update(WANTED, DeleteSent())
    for _ in range(UNSEEN_TO_BELIEVE):
        facts = facts.after_observation(Found(a_deployment(), MARKED))
        assert isinstance(decide(REQUEST, facts), Pause)
        facts = facts.after_pause()
    assert decide(REQUEST, facts.after_observation(Found(a_deployment(), MARKED))) == SendUpdate(ARN, WANTED)


def test_a_failure_that_shows_just_after_it_was_sent_again_is_of_the_time_before() -> None:
    late = Found(a_deployment(update=FAILED), MARKED)
    facts = FACTS.after_observation(Found(a_deployment(), MARKED)).after_update(WANTED, DeleteSent())
    for _ in range(UNSEEN_TO_BELIEVE):
        facts = facts.after_pause()
    facts = facts.after_observation(Found(a_deployment(), MARKED)).after_update(WANTED, DeleteSent())
    assert isinstance(decide(REQUEST, facts.after_observation(late)), Pause)
    begun = facts.after_observation(Found(a_deployment(update=details(WANTED, UpdateStatus.UPDATING)), MARKED))
    assert ended(decide(REQUEST, begun.after_pause().after_observation(late))) == (OutcomeKind.FAILED, Reason.UPDATE_FAILED)
    for _ in range(UNSEEN_TO_BELIEVE):
        facts = facts.after_pause()
    assert ended(decide(REQUEST, facts.after_observation(late))) == (OutcomeKind.FAILED, Reason.UPDATE_FAILED)


def test_of_two_updates_the_later_one_wins() -> None:
    assert ended(decide(REQUEST, FACTS.after_observation(Found(a_deployment(), LATER)))) == (
        OutcomeKind.FAILED,
        Reason.SUPERSEDED,
    )
    assert isinstance(decide(REQUEST, FACTS.after_observation(Found(a_deployment(), EARLIER))), WriteUpdateTag)


def test_an_update_for_somebody_else_is_waited_for() -> None:
    step = decide(REQUEST, FACTS.after_observation(Found(a_deployment(update=details(THIRD, UpdateStatus.UPDATING)), EARLIER)))
    assert isinstance(step, Pause)
    assert step.reason is Reason.BUSY


@pytest.mark.parametrize("status", [Status.CREATING, Status.UNKNOWN])
def test_what_is_not_active_yet_is_waited_for(status: Status) -> None:
    step = decide(REQUEST, FACTS.after_observation(Found(a_deployment(status=status), OURS)))
    assert isinstance(step, Pause)
    assert step.reason is Reason.BUSY


def test_what_is_failed_is_not_updated() -> None:
    step = decide(REQUEST, FACTS.after_observation(Found(a_deployment(status=Status.FAILED), OURS)))
    assert ended(step) == (OutcomeKind.FAILED, Reason.DEPLOYMENT_FAILED)


def test_what_is_not_there_is_looked_for_a_while() -> None:
    facts = FACTS
    for _ in range(ABSENCES_TO_BELIEVE - 1):
        facts = facts.after_observation(NotFound())
        assert isinstance(decide(REQUEST, facts), Pause)
        facts = facts.after_pause()
    assert ended(decide(REQUEST, facts.after_observation(NotFound()))) == (OutcomeKind.FAILED, Reason.DEPLOYMENT_NOT_FOUND)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (ModelState.MISSING, Reason.MODEL_NOT_FOUND),
        (ModelState.FAILED, Reason.MODEL_FAILED),
        (ModelState.ACTIVE, None),
        (ModelState.CREATING, None),
    ],
)
def test_a_refusal_asks_for_the_model(model: ModelState, reason: Reason | None) -> None:
    facts = FACTS.after_observation(Found(a_deployment(), MARKED)).after_update(WANTED, a_failure(Refused))
    assert decide(REQUEST, facts) == Observe()
    facts = facts.after_observation(Found(a_deployment(), MARKED))
    assert decide(REQUEST, facts) == GetModel(WANTED)
    step = decide(REQUEST, facts.after_model(model))
    if reason is None:
        assert isinstance(step, Pause)
    else:
        assert ended(step) == (OutcomeKind.FAILED, reason)


def test_a_refusal_is_believed_when_it_is_repeated() -> None:
    facts = FACTS.after_observation(Found(a_deployment(), MARKED))
    for refusals in range(REFUSALS_TO_BELIEVE):
        assert decide(REQUEST, facts) == SendUpdate(ARN, WANTED)
        facts = facts.after_update(WANTED, a_failure(Refused)).after_observation(Found(a_deployment(), MARKED))
        step = decide(REQUEST, facts.after_model(ModelState.ACTIVE))
        assert isinstance(step, Finish) == (refusals == REFUSALS_TO_BELIEVE - 1)
        facts = facts.after_pause().after_observation(Found(a_deployment(), MARKED))


def test_a_model_that_nobody_may_look_at_is_not_ready_as_long_as_bedrock_says_so() -> None:
    early = Refused("UpdateCustomModelDeployment", "ValidationException", "The model is not ready")
    facts = FACTS.after_observation(Found(a_deployment(), MARKED))
    for _ in range(3 * REFUSALS_TO_BELIEVE):
        facts = (
            facts.after_update(WANTED, early).after_observation(Found(a_deployment(), MARKED)).after_model(ModelState.UNKNOWN)
        )
        step = decide(REQUEST, facts)
        assert isinstance(step, Pause)
        assert step.reason is Reason.MODEL_NOT_ACTIVE
        facts = facts.after_pause().after_observation(Found(a_deployment(), MARKED))


def test_what_is_refused_as_long_as_the_model_is_in_creation_is_no_verdict() -> None:
    facts = FACTS.after_observation(Found(a_deployment(), MARKED))
    for model in [ModelState.CREATING] * REFUSALS_TO_BELIEVE + [ModelState.ACTIVE]:
        facts = (
            facts.after_update(WANTED, a_failure(Refused)).after_observation(Found(a_deployment(), MARKED)).after_model(model)
        )
        assert isinstance(decide(REQUEST, facts), Pause), "it may have become Active just now"
        facts = facts.after_pause().after_observation(Found(a_deployment(), MARKED))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Conflicting, Reason.BUSY),
        (Throttled, Reason.THROTTLED),
        (Denied, Reason.ACCESS_DENIED),
        (UnknownResult, Reason.NO_ANSWER),
    ],
)
def test_trouble_pauses_with_its_reason_and_looks_again(kind: type[CallFailed], reason: Reason) -> None:
    facts = FACTS.after_observation(Found(a_deployment(), MARKED)).after_update(WANTED, a_failure(kind))
    step = decide(REQUEST, facts)
    assert isinstance(step, Pause)
    assert step.reason is reason
    assert decide(REQUEST, facts.after_pause()) == Observe()


def test_what_slipway_did_not_make_is_updated_only_when_request_and_settings_say_so() -> None:
    theirs = Found(a_deployment(), DeploymentTags())
    assert isinstance(decide(REQUEST, FACTS.after_observation(theirs)), Pause), "tags may be shown late"
    looked = replace(FACTS, times_found=ABSENCES_TO_BELIEVE)
    assert ended(decide(REQUEST, looked.after_observation(theirs))) == (OutcomeKind.FAILED, Reason.NOT_OURS)
    assert ended(decide(FORCED, looked.after_observation(theirs))) == (OutcomeKind.FAILED, Reason.FORCE_NOT_ALLOWED)
    assert isinstance(decide(FORCED, replace(looked, may_force=True).after_observation(theirs)), WriteUpdateTag)


def test_a_mark_that_is_not_shown_yet_is_looked_at_again_after_pauses_before_it_is_written_again() -> None:
    facts = FACTS.after_observation(Found(a_deployment(), OURS))
    assert isinstance(decide(REQUEST, facts), WriteUpdateTag)
    facts, pauses = facts.after_update_tag(), 0
    while not isinstance(step := decide(REQUEST, facts), WriteUpdateTag):
        pauses += isinstance(step, Pause)
        facts = facts.after_observation(Found(a_deployment(), OURS)) if isinstance(step, Observe) else facts.after_pause()
    assert pauses == ABSENCES_TO_BELIEVE - 1


TESTED = replace(ROLLING, smoke_test=SmokeTest(prompt="?"))
TESTED_KEY = update_key(TESTED)
GOOD, BAD = SmokeTestResult(passed=True, text="ready"), SmokeTestResult(passed=False, text="…")
SERVED = a_deployment(WANTED, details(WANTED, UpdateStatus.COMPLETED))


def test_what_is_served_is_tested_before_that_is_said() -> None:
    facts = FACTS.after_observation(Found(SERVED, MARKED))
    assert decide(TESTED, facts) == RunSmokeTest(ARN)
    tested = facts.after_test(GOOD)
    assert decide(TESTED, tested) == Observe()
    assert ended(decide(TESTED, tested.after_observation(Found(SERVED, MARKED)))) == (OutcomeKind.UPDATED, None)
    assert ended(decide(REQUEST, facts)) == (OutcomeKind.UPDATED, None)


def test_a_test_that_fails_returns_to_the_former_model() -> None:
    facts = FACTS.after_observation(Found(SERVED, MARKED)).after_test(BAD).after_observation(Found(SERVED, MARKED))
    assert decide(TESTED, facts) == SendUpdate(ARN, FORMER)
    facts = facts.after_update(FORMER, DeleteSent())
    back = details(FORMER, UpdateStatus.UPDATING)
    assert isinstance(decide(TESTED, facts.after_observation(Found(a_deployment(WANTED, back), MARKED))), Poll)
    over = facts.after_observation(Found(a_deployment(FORMER, details(FORMER, UpdateStatus.COMPLETED)), MARKED))
    step = decide(TESTED, over)
    assert ended(step) == (OutcomeKind.ROLLED_BACK, Reason.SMOKE_TEST_FAILED)
    assert isinstance(step, Finish)
    assert (step.outcome.smoke, step.outcome.former) == (BAD, FORMER)


def test_a_successor_of_a_rollback_knows_that_it_is_one() -> None:
    slipway_tags = replace(MARKED, smoke=SmokeTestTag(TESTED_KEY, BAD))
    in_doubt = replace(FACTS, in_doubt=True)
    assert decide(TESTED, in_doubt.after_observation(Found(SERVED, slipway_tags))) == SendUpdate(ARN, FORMER)
    back = a_deployment(FORMER, details(FORMER, UpdateStatus.COMPLETED))
    assert ended(decide(TESTED, in_doubt.after_observation(Found(back, slipway_tags)))) == (
        OutcomeKind.ROLLED_BACK,
        Reason.SMOKE_TEST_FAILED,
    )


def test_a_rollback_that_fails_is_said() -> None:
    facts = replace(FACTS, smoke_result=BAD, sent_to=FORMER, has_begun=True)
    there = a_deployment(WANTED, details(FORMER, UpdateStatus.FAILED))
    assert ended(decide(TESTED, facts.after_observation(Found(there, MARKED)))) == (OutcomeKind.FAILED, Reason.ROLLBACK_FAILED)


def test_without_rollback_a_test_that_fails_is_a_failure_and_without_a_gate_none() -> None:
    facts = replace(FACTS, smoke_result=BAD).after_observation(Found(SERVED, MARKED))
    assert ended(decide(replace(TESTED, rollback=False), facts)) == (OutcomeKind.FAILED, Reason.SMOKE_TEST_FAILED)
    ungated = replace(TESTED, smoke_test=SmokeTest(prompt="?", gate=False))
    step = decide(ungated, facts)
    assert ended(step) == (OutcomeKind.UPDATED, None)
    assert isinstance(step, Finish)
    assert step.outcome.smoke == BAD


def test_where_nobody_knows_what_was_served_before_nothing_is_returned_to() -> None:
    facts = replace(FACTS, smoke_result=BAD).after_observation(Found(SERVED, OURS))
    assert ended(decide(TESTED, facts)) == (OutcomeKind.FAILED, Reason.SMOKE_TEST_FAILED)


MODELS = (FORMER, WANTED, THIRD)
SIGHTS = [
    None,
    NotFound(),
    *(
        Found(a_deployment(model, update, status), slipway_tags)
        for model in MODELS
        for update in (None, *(details(about, status) for about in MODELS for status in UpdateStatus))
        for status in Status
        for slipway_tags in (DeploymentTags(), OURS, MARKED, MARKED_AGAIN, EARLIER, LATER)
    ),
]
ATTEMPTS = [
    None,
    DeleteSent(),
    *(a_failure(kind) for kind in (Throttled, QuotaFull, Denied, ResourceMissing, Conflicting, Refused, UnknownResult)),
]


def test_every_combination_of_facts_has_an_answer_that_keeps_the_promises() -> None:
    flags = (False, True)
    seen = 0
    for request, observation, attempt, sent_to, may_force, begun, model, counts in itertools.product(
        (REQUEST, ROLLING, FORCED), SIGHTS, ATTEMPTS, (None, WANTED), flags, flags, (None, ModelState.ACTIVE), (0, 9)
    ):
        facts = replace(
            UpdateFacts(
                RECEIVED, may_force=may_force, observation=observation, attempt=attempt, sent_to=sent_to, has_begun=begun
            ),
            model=model,
            absences=counts,
            refusals=counts,
        )
        step = decide(request, facts)
        seen += 1
        if isinstance(step, SendUpdate | WriteUpdateTag):
            assert isinstance(observation, Found), "never touch anything without a look"
            assert observation.slipway_tags.request is not None or (request.force and may_force)
            assert observation.deployment.status is Status.ACTIVE
            assert observation.slipway_tags.update is None or not observation.slipway_tags.update.is_later_than(RECEIVED)
            assert observation.deployment.update is None or observation.deployment.update.status is not UpdateStatus.UPDATING
        if isinstance(step, SendUpdate):
            assert isinstance(observation, Found)
            assert observation.slipway_tags.update is not None, "a successor knows what there was"
            assert observation.slipway_tags.update.key == KEY
            assert step.model_arn == WANTED
        if isinstance(step, Finish):
            outcome = step.outcome
            there = outcome.deployment
            if outcome.kind is OutcomeKind.UPDATED:
                assert there is not None
                assert (there.model_arn, there.status) == (WANTED, Status.ACTIVE)
            elif outcome.reason is Reason.UPDATE_FAILED:
                assert there is not None
                assert there.update == FAILED, "only Bedrock says so, and of this model"
                assert (outcome.kind is OutcomeKind.ROLLED_BACK) == (request.rollback and there.model_arn == FORMER)
    assert seen == 3 * len(SIGHTS) * len(ATTEMPTS) * 2 * 2 * 2 * 2 * 2
