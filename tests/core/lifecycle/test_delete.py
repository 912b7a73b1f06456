"""The choices of a delete: each rule by example, then every combination of facts there is."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from slipway.core.bedrock import Deployment, Status
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
from slipway.core.lifecycle.delete import REFUSALS_TO_BELIEVE, DeleteFacts, decide
from slipway.core.lifecycle.outcomes import OutcomeKind, Reason
from slipway.core.lifecycle.steps import (
    ABSENCES_TO_BELIEVE,
    DeleteDeployment,
    DeleteSent,
    Finish,
    Found,
    NotFound,
    Observe,
    Pause,
)
from slipway.core.lifecycle.tags import DeploymentTags, UpdateTag
from slipway.core.requests.models import Delete

MODEL = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"
ARN = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghijkl"
RECEIVED = 1000.0
REQUEST = Delete(identity="i-1", request_id="r-1", name="bot", timeout=7200.0)
FORCED = replace(REQUEST, force=True)
FACTS = DeleteFacts(RECEIVED)
OURS = DeploymentTags(request="r-0", received=RECEIVED - 500)
LATER = DeploymentTags(request="r-2", received=RECEIVED + 500)
UPDATED_LATER = replace(OURS, update=UpdateTag("another", RECEIVED + 500, None))
NOBODYS = DeploymentTags()


def a_deployment(status: Status = Status.ACTIVE) -> Deployment:
    return Deployment(ARN, "bot", MODEL, status, status.value, 1.0, 2.0)


def a_failure(kind: type[CallFailed]) -> CallFailed:
    return kind("DeleteCustomModelDeployment", "SomeException", "why")


OURS_ACTIVE = Found(a_deployment(), OURS)


def ended(step: object) -> tuple[OutcomeKind, Reason | None, bool]:
    assert isinstance(step, Finish)
    return step.outcome.kind, step.outcome.reason, step.outcome.already_gone


def test_it_looks_deletes_by_arn_and_looks_until_it_is_gone() -> None:
    assert decide(REQUEST, FACTS) == Observe()
    facts = FACTS.after_observation(OURS_ACTIVE)
    assert decide(REQUEST, facts) == DeleteDeployment(ARN)
    facts = facts.after_delete(DeleteSent())
    assert decide(REQUEST, facts) == Observe()
    still = facts.after_observation(OURS_ACTIVE)
    assert isinstance(decide(REQUEST, still), Pause)
    assert decide(REQUEST, still.after_pause()) == Observe()
    assert ended(decide(REQUEST, facts.after_observation(NotFound()))) == (OutcomeKind.DELETED, None, False)


def test_what_was_never_there_is_looked_for_a_while_and_is_already_gone() -> None:
    facts = FACTS
    for _ in range(ABSENCES_TO_BELIEVE - 1):
        facts = facts.after_observation(NotFound())
        assert isinstance(decide(REQUEST, facts), Pause)
        facts = facts.after_pause()
    assert ended(decide(REQUEST, facts.after_observation(NotFound()))) == (OutcomeKind.DELETED, None, True)


def test_what_somebody_else_deletes_after_the_look_is_already_gone_at_once() -> None:
    facts = FACTS.after_observation(OURS_ACTIVE).after_delete(a_failure(ResourceMissing)).after_observation(NotFound())
    assert ended(decide(REQUEST, facts)) == (OutcomeKind.DELETED, None, True)


def test_after_an_answer_that_may_have_applied_absence_is_our_own_doing() -> None:
    facts = FACTS.after_observation(OURS_ACTIVE).after_delete(a_failure(UnknownResult))
    assert isinstance(decide(REQUEST, facts), Pause)
    assert ended(decide(REQUEST, facts.after_pause().after_observation(NotFound()))) == (OutcomeKind.DELETED, None, False)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Conflicting, Reason.BUSY),
        (Throttled, Reason.THROTTLED),
        (Denied, Reason.ACCESS_DENIED),
        (UnknownResult, Reason.NO_ANSWER),
    ],
)
def test_trouble_pauses_with_its_reason_and_is_tried_again(kind: type[CallFailed], reason: Reason) -> None:
    facts = FACTS.after_observation(OURS_ACTIVE).after_delete(a_failure(kind))
    step = decide(REQUEST, facts)
    assert isinstance(step, Pause)
    assert step.reason is reason
    again = facts.after_pause()
    assert decide(REQUEST, again) == Observe()
    assert decide(REQUEST, again.after_observation(OURS_ACTIVE)) == DeleteDeployment(ARN)


def test_a_refusal_is_believed_when_it_is_repeated_and_nothing_is_in_creation() -> None:
    facts = FACTS.after_observation(OURS_ACTIVE)
    for _ in range(REFUSALS_TO_BELIEVE - 1):
        facts = facts.after_delete(a_failure(Refused)).after_observation(OURS_ACTIVE)
        assert isinstance(decide(REQUEST, facts), Pause)
        facts = facts.after_pause().after_observation(OURS_ACTIVE)
    facts = facts.after_delete(a_failure(Refused))
    assert ended(decide(REQUEST, facts.after_observation(OURS_ACTIVE)))[:2] == (OutcomeKind.FAILED, Reason.INVALID_REQUEST)
    assert isinstance(decide(REQUEST, facts.after_observation(Found(a_deployment(Status.CREATING), OURS))), Pause)


def test_what_slipway_did_not_make_is_deleted_only_when_request_and_settings_say_so() -> None:
    theirs = Found(a_deployment(), NOBODYS)
    assert isinstance(decide(REQUEST, FACTS.after_observation(theirs)), Pause), "tags may be shown late"
    looked = replace(FACTS, times_found=ABSENCES_TO_BELIEVE)
    assert ended(decide(REQUEST, looked.after_observation(theirs)))[1] is Reason.NOT_OURS
    assert ended(decide(FORCED, looked.after_observation(theirs)))[1] is Reason.FORCE_NOT_ALLOWED
    allowed = replace(looked, may_force=True)
    assert ended(decide(REQUEST, allowed.after_observation(theirs)))[1] is Reason.NOT_OURS
    assert decide(FORCED, allowed.after_observation(theirs)) == DeleteDeployment(ARN)


def test_a_redelivery_leaves_alone_what_was_asked_for_after_it_was() -> None:
    later = Found(a_deployment(), LATER)
    assert decide(REQUEST, FACTS.after_observation(later)) == DeleteDeployment(ARN), "a first delivery means what it finds"
    in_doubt = replace(FACTS, in_doubt=True)
    assert ended(decide(REQUEST, in_doubt.after_observation(later))) == (OutcomeKind.DELETED, None, True)
    assert decide(REQUEST, in_doubt.after_observation(OURS_ACTIVE)) == DeleteDeployment(ARN)


def test_what_was_updated_for_a_later_request_is_kept_and_not_said_to_be_gone() -> None:
    in_doubt = replace(FACTS, in_doubt=True).after_observation(Found(a_deployment(), UPDATED_LATER))
    assert ended(decide(REQUEST, in_doubt)) == (OutcomeKind.FAILED, Reason.SUPERSEDED, False)
    assert decide(REQUEST, replace(in_doubt, in_doubt=False)) == DeleteDeployment(ARN)


def test_what_has_not_expired_is_kept_where_that_was_asked() -> None:
    request = replace(REQUEST, if_expired=True)
    for expires in (None, 2000.0):
        seen = Found(a_deployment(), replace(OURS, expires=expires))
        assert ended(decide(request, FACTS.after_observation(seen, now=1999.0)))[:2] == (OutcomeKind.FAILED, Reason.NOT_EXPIRED)
    seen = Found(a_deployment(), replace(OURS, expires=2000.0))
    facts = FACTS.after_observation(seen, now=2000.0)
    assert decide(request, facts) == DeleteDeployment(ARN)
    gone = facts.after_delete(DeleteSent()).after_observation(NotFound(), now=2001.0)
    assert ended(decide(request, gone)) == (OutcomeKind.DELETED, Reason.EXPIRED, False)


SIGHTS = [
    None,
    NotFound(),
    *(Found(a_deployment(status), slipway_tags) for status in Status for slipway_tags in (NOBODYS, OURS, LATER, UPDATED_LATER)),
]
ATTEMPTS = [
    None,
    DeleteSent(),
    *(a_failure(kind) for kind in (Throttled, QuotaFull, Denied, ResourceMissing, Conflicting, Refused, UnknownResult)),
]


def test_every_combination_of_facts_has_an_answer_that_keeps_the_promises() -> None:
    flags = (False, True)
    combinations = itertools.product(
        (REQUEST, FORCED), SIGHTS, ATTEMPTS, (None, a_deployment()), flags, flags, flags, (0, 1, ABSENCES_TO_BELIEVE), (0, 9)
    )
    seen = 0
    for request, observation, attempt, target, in_doubt, may_force, is_sent, absences, refusals in combinations:
        facts = DeleteFacts(RECEIVED, in_doubt, may_force, target, observation, attempt, is_sent, absences, refusals)
        step = decide(request, facts)
        seen += 1
        if isinstance(step, DeleteDeployment):
            assert isinstance(observation, Found), "never delete without a look"
            assert observation.slipway_tags.request is not None or (request.force and may_force)
            assert not in_doubt or is_sent or not observation.slipway_tags.is_later_than(RECEIVED)
        if isinstance(step, Finish) and step.outcome.kind is OutcomeKind.DELETED:
            gone = isinstance(observation, NotFound)
            assert gone or (isinstance(observation, Found) and observation.slipway_tags.is_made_after(RECEIVED) and in_doubt)
            assert step.outcome.already_gone is not (gone and is_sent)
    assert seen == 2 * len(SIGHTS) * len(ATTEMPTS) * 2 * 8 * 3 * 2
