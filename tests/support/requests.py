"""The lives of requests, as far as AWS has a say in them: every answer that there may be to every step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from slipway.core.bedrock import Created, Deployment, ModelState, Status, UpdateDetails, UpdateStatus
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
from slipway.core.lifecycle import delete as removing
from slipway.core.lifecycle import deploy as deploying
from slipway.core.lifecycle import update as updating
from slipway.core.lifecycle.deploy import DeployFacts
from slipway.core.lifecycle.outcomes import SmokeTestResult
from slipway.core.lifecycle.steps import (
    DeleteDeployment,
    DeleteSent,
    Found,
    GetModel,
    NotFound,
    Observe,
    Pause,
    Poll,
    RunSmokeTest,
    SendContinuation,
)
from slipway.core.lifecycle.tags import DeploymentTags, UpdateTag, update_key
from slipway.core.requests.models import Delete, Deploy, IfExists, OnFailure, SmokeTest, Update
from slipway.core.sqs.continuations import DELETE, KEEP, Decisions

MODEL: Final = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"
OTHER: Final = MODEL[:-1] + "m"
ARN: Final = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghijkl"
RECEIVED: Final = 1000.0

Answer = tuple[str, Any]
"""What it is called in the drawing, and the facts that follow from it."""


@dataclass(frozen=True)
class Life:
    """One kind of request, with what it may meet."""

    decide: Callable[[Any, Any], Any]
    requests: tuple[Any, ...]
    answers: Callable[[Any, Any, Any], Iterator[Answer]]
    starts: tuple[Answer, ...]
    direction: str = "LR"


FAILURES: Final[dict[type[CallFailed], tuple[str, CallFailed]]] = {
    kind: (name, kind("Operation", kind.__name__))
    for name, kind in (
        ("quota full", QuotaFull),
        ("throttled", Throttled),
        ("denied", Denied),
        ("no readable answer", UnknownResult),
        ("refused", Refused),
        ("not found", ResourceMissing),
        ("conflict", Conflicting),
    )
}
"""One of each: two would be two answers."""
TROUBLES: Final = tuple(each for kind, each in FAILURES.items() if kind is not QuotaFull)
"""What may come of every call but a create, which alone needs a slot."""


def _deployment(status: Status, model: str = MODEL, update: UpdateDetails | None = None) -> Deployment:
    return Deployment(ARN, "bot", model, status, status.value, 1.0, 2.0, None, update)


OWNER: Final = "team.payload"
OWN: Final = DeploymentTags(request="r-1", received=RECEIVED, owner=OWNER)
COPY: Final = replace(OWN, owner="stranger.payload")
REUSED: Final = replace(OWN, owner="team.other")
ANOTHERS: Final = DeploymentTags(request="r-0", received=RECEIVED - 5)
LATER: Final = DeploymentTags(request="r-2", received=RECEIVED + 5)
NOBODYS: Final = DeploymentTags()
PLAIN: Final = Deploy(identity="i-1", request_id="r-1", name="bot", model_arn=MODEL, timeout=7200.0, owner=OWNER)
_TEST: Final = SmokeTest(prompt="?")


def _shared_answers(step: Any, facts: Any) -> Iterator[Answer]:
    """What may be answered to the steps that several lives have."""
    match step:
        case GetModel():
            for state in ModelState:
                yield f"model {state.value}", facts.after_model(state)
        case RunSmokeTest():
            yield "answers well", facts.after_test(SmokeTestResult(passed=True, text="ready"))
            yield "answers wrongly", facts.after_test(SmokeTestResult(passed=False, text="?"))
        case Pause():
            yield "after a while", facts.after_pause()


def _deploy_answers(step: Any, request: Deploy, facts: DeployFacts) -> Iterator[Answer]:
    match step:
        case deploying.Create():
            yield "taken on", facts.after_create(Created(ARN, 1.0))
            yield from ((name, facts.after_create(failed)) for name, failed in FAILURES.values())
        case Observe():
            yield "absent", facts.after_observation(NotFound())
            yield from ((name, facts.after_observation(seen)) for name, seen in _sights(request, facts))
        case deploying.Watch():
            tags = facts.observation.slipway_tags if isinstance(facts.observation, Found) else DeploymentTags()
            for status in (Status.ACTIVE, Status.FAILED):
                yield status.value, facts.after_watch(_deployment(status), tags)
            if facts.observation is None:
                yield "never shown", facts.after_missing(ARN)
        case deploying.UseNextToken():
            yield "from then on", facts.after_spent_token()
        case DeleteDeployment():
            yield "taken on", facts.after_delete_call(DeleteSent())
            yield from (
                (name, facts.after_delete_call(failed))
                for name, failed in FAILURES.values()
                if not isinstance(failed, QuotaFull)
            )
        case SendContinuation():
            yield "under a new message", DeployFacts(in_doubt=True, received=RECEIVED, decisions=step.decisions)
        case deploying.UpdateExisting():
            yield "it has gone meanwhile", facts.after_pause()
        case _:
            yield from _shared_answers(step, facts)


def _sights(request: Deploy, facts: DeployFacts) -> Iterator[tuple[str, Found]]:
    yield "not Slipway's", Found(_deployment(Status.ACTIVE), NOBODYS)
    for status in (Status.CREATING, Status.ACTIVE, Status.FAILED):
        yield f"own {status.value}", Found(_deployment(status), replace(OWN, attempt=facts.decisions.attempt))
        yield f"another's {status.value}", Found(_deployment(status), ANOTHERS)
        yield f"another sender's copy {status.value}", Found(_deployment(status), COPY)
    yield "this id with another payload", Found(_deployment(Status.ACTIVE), REUSED)
    yield "another's of another model", Found(_deployment(Status.ACTIVE, OTHER), ANOTHERS)
    if request.if_exists in {IfExists.UPDATE, IfExists.REPLACE}:
        yield "a later one's of another model", Found(_deployment(Status.ACTIVE, OTHER), LATER)
    if facts.decisions.attempt > 1:
        yield "own of the attempt before", Found(_deployment(Status.FAILED), OWN)


_FIRST: Final = DeployFacts(received=RECEIVED)
_AGAIN: Final = replace(_FIRST, in_doubt=True)
_DELIVERIES: Final = (("first delivery", _FIRST), ("redelivery", _AGAIN))
DEPLOY: Final = Life(deploying.decide, (PLAIN,), _deploy_answers, _DELIVERIES, "TB")
OPTIONS: Final = {
    **{
        f"`ifExists: {each.value}`": (replace(PLAIN, if_exists=each), _DELIVERIES)
        for each in IfExists
        if each is not PLAIN.if_exists
    },
    "`retries: 1`": (replace(PLAIN, retries=1), _DELIVERIES),
    "`onFailure: delete`": (replace(PLAIN, on_failure=OnFailure.DELETE), _DELIVERIES),
    "`smokeTest`": (replace(PLAIN, smoke_test=_TEST), _DELIVERIES),
    **{
        f"a cancel that says {word}": (PLAIN, (("cancelled", replace(_AGAIN, decisions=Decisions(cancelled=word))),))
        for word in (KEEP, DELETE)
    },
}
"""What a deploy request may say more, and a cancel of it, each with how it begins."""


def optional(name: str) -> Life:
    """Return the life of a deploy request with an option."""
    request, starts = OPTIONS[name]
    return Life(deploying.decide, (request,), _deploy_answers, starts)


def _update_answers(step: Any, request: Update, facts: updating.UpdateFacts) -> Iterator[Answer]:
    match step:
        case Observe():
            yield "absent", facts.after_observation(NotFound())
            for name, seen in _update_sights(request):
                yield name, facts.after_observation(seen)
        case updating.WriteUpdateTag():
            yield "written", facts.after_update_tag()
        case updating.SendUpdate(model_arn=to):
            yield "taken on", facts.after_update(to, DeleteSent())
            yield from (
                (name, facts.after_update(to, failed))
                for name, failed in FAILURES.values()
                if not isinstance(failed, QuotaFull)
            )
        case Poll():
            yield "as before", facts.after_poll(facts.observation.deployment if isinstance(facts.observation, Found) else None)
            yield "no longer under way", facts.after_poll(None)
        case _:
            yield from _shared_answers(step, facts)


def _update_sights(request: Update) -> Iterator[tuple[str, Found]]:
    """What an update may find: `request` is for MODEL, and what served OTHER before is marked so when it has begun."""
    mark = UpdateTag(update_key(request), RECEIVED, OTHER)
    marked = replace(ANOTHERS, update=mark)
    later = replace(ANOTHERS, update=UpdateTag("another", RECEIVED + 5, OTHER))
    active = Status.ACTIVE
    yield "not Slipway's", Found(_deployment(active, OTHER), NOBODYS)
    yield "this id with another payload", Found(_deployment(active, OTHER), replace(ANOTHERS, request=request.request_id))
    yield "Creating", Found(_deployment(Status.CREATING, OTHER), ANOTHERS)
    yield "Failed", Found(_deployment(Status.FAILED, OTHER), ANOTHERS)
    yield "updated for a later request", Found(_deployment(active, OTHER), later)
    yield "being updated for another", Found(_deployment(active, OTHER, UpdateDetails(ARN, UpdateStatus.UPDATING)), ANOTHERS)
    yield "serves another model", Found(_deployment(active, OTHER), ANOTHERS)
    yield "marked and not updated", Found(_deployment(active, OTHER), marked)
    yield "being updated", Found(_deployment(active, OTHER, UpdateDetails(MODEL, UpdateStatus.UPDATING)), marked)
    yield "serves the wanted model", Found(_deployment(active, MODEL, UpdateDetails(MODEL, UpdateStatus.COMPLETED)), marked)
    yield "the update failed", Found(_deployment(active, OTHER, UpdateDetails(MODEL, UpdateStatus.FAILED)), marked)
    yield "the way back failed", Found(_deployment(active, MODEL, UpdateDetails(OTHER, UpdateStatus.FAILED)), marked)


def _delete_answers(step: Any, request: Delete, facts: removing.DeleteFacts) -> Iterator[Answer]:
    match step:
        case Observe():
            yield "absent", facts.after_observation(NotFound(), NOW)
            for name, seen in _delete_sights(request):
                yield name, facts.after_observation(seen, NOW)
        case DeleteDeployment():
            yield "taken on", facts.after_delete(DeleteSent())
            yield from (
                (name, facts.after_delete(failed)) for name, failed in FAILURES.values() if not isinstance(failed, QuotaFull)
            )
        case Pause():
            yield "after a while", facts.after_pause()


def _delete_sights(request: Delete) -> Iterator[tuple[str, Found]]:
    yield "not Slipway's", Found(_deployment(Status.ACTIVE), NOBODYS)
    yield "this id with another payload", Found(_deployment(Status.ACTIVE), replace(ANOTHERS, request=request.request_id))
    yield "asked for later", Found(_deployment(Status.ACTIVE), LATER)
    updated = replace(ANOTHERS, update=UpdateTag("another", RECEIVED + 5, OTHER))
    yield "updated for a later request", Found(_deployment(Status.ACTIVE), updated)
    if request.if_expired:
        yield "its time is over", Found(_deployment(Status.ACTIVE), replace(ANOTHERS, expires=NOW - 1))
        yield "its time is not over", Found(_deployment(Status.ACTIVE), replace(ANOTHERS, expires=NOW + 1))
    else:
        yield "there", Found(_deployment(Status.ACTIVE), ANOTHERS)


NOW: Final = RECEIVED + 60
_UPDATE: Final = Update(identity="i-1", request_id="r-1", name="bot", model_arn=MODEL, timeout=7200.0)
UPDATE: Final = Life(
    updating.decide,
    (
        _UPDATE,
        replace(_UPDATE, rollback=True),
        replace(_UPDATE, smoke_test=_TEST),
        replace(_UPDATE, rollback=True, smoke_test=_TEST),
    ),
    _update_answers,
    (
        ("first delivery", updating.UpdateFacts(received=RECEIVED)),
        ("redelivery", updating.UpdateFacts(received=RECEIVED, in_doubt=True)),
    ),
)
_DELETE: Final = Delete(identity="i-1", request_id="r-1", name="bot", timeout=7200.0)
REMOVE: Final = Life(
    removing.decide,
    (_DELETE, replace(_DELETE, force=True), replace(_DELETE, if_expired=True)),
    _delete_answers,
    (
        ("first delivery", removing.DeleteFacts(received=RECEIVED)),
        ("redelivery", removing.DeleteFacts(received=RECEIVED, in_doubt=True)),
    ),
)
