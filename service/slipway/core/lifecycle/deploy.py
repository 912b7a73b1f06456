"""Every choice in the life of a deploy request: one pure function from what is known to the next step.

    first delivery ─────────────────────────▶ Create ──applied──▶ Watch ──ended──┐
                                              ▲  ▲ │                             │
    redelivery ──▶ Look ──absent──────────────┘  │ ├─ QuotaFull ──▶ Create, when there is a slot
                   ▲  │                          │ ├─ Throttled, Denied ──▶ Pause ──▶ Create
                   │  │                          │ ├─ no readable answer ──▶ Pause ──▶ Look
                   └──┼──────────────────────────┼─┴─ Refused, Missing, Conflicting ──▶ Look, then AskModel
                      │                          │                                       │
                      │                        Pause ◀── model Creating, name reserved ──┤
                      ▼                                                                  ▼
                    exists                                                  Ended: the service's verdict
                      ├─ no tags, at so many looks ──────▶ Ended: Failed, NameConflict
                      ├─ this id, another payload ───────▶ Ended: Rejected, RequestIdReused
                      ├─ a copy by another sender ───────▶ as our own, but never changed; a smoke test's verdict is handed on
                      ├─ another request's ──┬─ fail ────▶ Ended: Failed, AlreadyExists
                      │                      ├─ replace ─▶ Remove ──▶ Look, until it is absent
                      │                      ├─ update ──▶ UpdateExisting, where the model is another
                      │                      └─ adopt ───▶ Ended: Failed, NameConflict, where the model is another
                      ├─ of an attempt before ──▶ Remove ──▶ Look, until it is absent
                      ├─ Creating ──▶ Watch
                      ├─ Active ────▶ Ended: Active; after the smoke TryOut, where there is one, which may have Failed
                      └─ Failed ────▶ Ended: Failed; or HandOn, to try again or to delete it

Rules:
1. `Active` and `Failed` come from Bedrock's own words. Nothing absent, throttled, denied or unreadable is an outcome.
2. After an answer that may have been applied, look before acting again; and while in doubt, one refusal is not believed.
3. What Slipway did not make is never touched; what another request made, only as this one says, and never if that one
   was asked for later. The owner alone cleans up and tries again: the same `requestId` proves nothing.
4. What a deployment that goes away would have told a successor is handed on in a message before it goes.
5. Nobody else compares a status.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final, assert_never

from slipway.core.bedrock.deployments import Created, Deployment, ModelState, Status
from slipway.core.bedrock.errors import CallFailed, Conflicting, QuotaFull, Refused, ResourceMissing
from slipway.core.lifecycle.outcomes import Outcome, OutcomeKind, Reason, SmokeTestResult
from slipway.core.lifecycle.smoke_test import recorded_result
from slipway.core.lifecycle.steps import (
    ABSENCES_TO_BELIEVE,
    DeleteDeployment,
    DeleteSent,
    Finish,
    Found,
    GetModel,
    NotFound,
    Observation,
    Observe,
    Pause,
    RunSmokeTest,
    SendContinuation,
    reason_for,
    reused,
)
from slipway.core.lifecycle.tags import DeploymentTags
from slipway.core.requests.models import Deploy, IfExists, OnFailure, SmokeTest
from slipway.core.requests.ownership import correlation, is_reused, is_same_payload
from slipway.core.sqs.continuations import KEEP, LONGEST_FAILURE, NO_DECISIONS, Decisions

REFUSALS_TO_BELIEVE_IN_DOUBT: Final = 4
"""While an earlier create may still be applied or listed late, its name can be refused to us by our own deployment."""

_TEST_FAILED: Final = "it is Active, and its smoke test failed: "
_NOT_FOUND = re.compile(
    r"(not|n't|no longer|nor|never) (\w+ ){0,2}(exist|find|found|locate)|non-?existent|no such",
    re.IGNORECASE,
)
_NAME_TAKEN = re.compile(r"already|\bexists\b|in use|reserved|conflict|duplicate|taken", re.IGNORECASE)
TOKEN_KNOWN = re.compile(r"request ?token|idempoten", re.IGNORECASE)
_MODEL_EARLY = re.compile(r"not (yet )?(active|ready|available)|still being|in progress|(is|being) creat", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Create:
    """Wait for a slot, then create."""


@dataclass(frozen=True, slots=True)
class Void:
    """Bedrock remembers the create's token for a deployment that is gone: from now on create with the next token."""


@dataclass(frozen=True, slots=True)
class UpdateExisting:
    """Let what has the name serve the model that was asked for."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Wait until the watcher sees the deployment end."""

    arn: str
    created_at: float


Step = (
    Observe
    | GetModel
    | Create
    | Void
    | Watch
    | RunSmokeTest
    | DeleteDeployment
    | UpdateExisting
    | SendContinuation
    | Pause
    | Finish
)


def decide(request: Deploy, facts: DeployFacts) -> Step:
    """Say what is next for a deploy request. Total: every combination of facts has exactly one answer."""
    match facts.observation:
        case Found() as seen:
            step = _on_existing(request, facts, seen)
            return _as_of_former_version(step) if _is_of_former_version(request, facts, seen.marks) else step
        case NotFound() if facts.decisions.is_over:
            return _given_up(facts)
        case None if facts.decisions.is_over or facts.delete_result is not None:
            return _on_removal(facts.delete_result)
    if facts.lost is not None:
        return _on_lost(facts, facts.lost)
    match facts.attempt:
        case Created(arn=arn, at=at):
            return Watch(arn, at)
        case None | QuotaFull():
            return Observe() if facts.in_doubt and facts.observation is None else Create()
        case Refused() | ResourceMissing() | Conflicting() as failed:
            return _on_refusal(request, facts, failed)
        case CallFailed() as failed:
            return Pause(reason_for(failed), str(failed))
    assert_never(facts.attempt)


def _is_of_former_version(request: Deploy, facts: DeployFacts, marks: DeploymentTags) -> bool:
    return facts.is_receipt_proved and marks.is_of_former_version(request.request_id, facts.received)


def _as_of_former_version(step: Step) -> Step:
    match step:
        case Finish(outcome=outcome):
            return Finish(replace(outcome, is_of_former_version=True))
        case SendContinuation(decided=decided, otherwise=otherwise):
            return SendContinuation(decided, replace(otherwise, is_of_former_version=True))
        case _:
            return step


class _Relation(Enum):
    """What a request is to a deployment that has the name."""

    OWNER = auto()
    COPY = auto()
    """The same payload under the same id, from another sender; or of a version that wrote no owner. It changes nothing."""
    REUSE = auto()
    """The same id with another payload."""
    OTHER = auto()


def _relation(request: Deploy, facts: DeployFacts, marks: DeploymentTags) -> _Relation:
    if facts.created_by_this_delivery:
        return _Relation.OWNER
    if marks.request != request.request_id:
        return _Relation.OTHER
    if (marks.owner or "") == request.owner or _is_of_former_version(request, facts, marks):
        return _Relation.OWNER
    if marks.owner is None or is_same_payload(marks.owner, request.owner):
        return _Relation.COPY
    return _Relation.REUSE


def _on_existing(request: Deploy, facts: DeployFacts, seen: Found) -> Step:
    deployment, marks = seen.deployment, seen.marks
    is_model_right = request.model_arn in {"", deployment.model_arn}  # not known yet, where its job has not ended
    relation = _relation(request, facts, marks)
    is_own = facts.created_by_this_delivery or (relation is _Relation.OWNER and is_model_right)
    if not facts.created_by_this_delivery and marks.request is None and facts.looks < ABSENCES_TO_BELIEVE:
        return Pause(Reason.DEPLOYMENT_MISSING, f"{deployment.name!r} shows no tags; it may have been made a moment ago")
    if facts.decisions.is_over:
        return _clean_up(
            facts,
            deployment,
            is_what_failed=is_own and not facts.created_by_this_delivery and marks.attempt <= facts.decisions.attempt,
        )
    if not facts.created_by_this_delivery and (step := _on_found(request, facts, seen, relation, is_own=is_own)):
        return step
    adopted = not facts.created_by_this_delivery
    attempt = max(facts.decisions.attempt, marks.attempt)
    match deployment.status:
        case Status.CREATING | Status.UNKNOWN:
            return Watch(deployment.arn, deployment.created_at)
        case Status.ACTIVE:
            active = Outcome(OutcomeKind.ACTIVE, deployment=deployment, adopted=adopted, attempt=attempt)
            return _on_active(request, facts, seen, active, is_own=is_own)
        case Status.FAILED:
            text = deployment.failure_message or "Bedrock gave no failure message"
            if not is_own:
                text = f"{deployment.name!r} is left over, Failed, from request {marks.request!r}; delete it first: {text}"
            failed = Outcome(OutcomeKind.FAILED, Reason.DEPLOYMENT_FAILED, text, deployment, adopted, attempt=attempt)
            return _on_failure(request, failed) if is_own else Finish(failed)
    assert_never(deployment.status)


def _on_found(request: Deploy, facts: DeployFacts, seen: Found, relation: _Relation, *, is_own: bool) -> Step | None:
    """Say what is next when what has the name was there before this delivery; None where it is awaited and announced."""
    deployment, marks = seen.deployment, seen.marks
    if marks.request is None:
        return _conflict(deployment, f"{deployment.name!r} exists and was not made by Slipway; use another name")
    by = marks.update.by if marks.update is not None else ""
    is_update_reused = relation is _Relation.OTHER and is_reused(by, correlation(request.request_id, request.owner))
    if relation is _Relation.REUSE or is_update_reused:
        return Finish(reused(request.request_id, deployment))
    if is_own:
        return _remove(facts, deployment) if marks.attempt < facts.decisions.attempt else None
    return _on_anothers(request, facts, seen, is_copy=relation is _Relation.COPY)


def _on_active(request: Deploy, facts: DeployFacts, seen: Found, active: Outcome, *, is_own: bool) -> Step:
    """Say what is next when the deployment is Active: that is the end, unless it is to be tested first."""
    if request.smoke_test is None:
        return Finish(active)
    if not is_own:
        return _on_adopted(request, request.smoke_test, facts, active)
    is_former = _is_of_former_version(request, facts, seen.marks)
    smoke_result = facts.smoke_result or recorded_result(seen.marks, request, is_former=is_former)
    if smoke_result is None:
        if facts.in_doubt and not facts.created_by_this_delivery and facts.looks < ABSENCES_TO_BELIEVE:
            return Pause(Reason.SMOKE_TEST, "the verdict of an earlier smoke test may not be shown yet")
        return RunSmokeTest(seen.deployment.arn)
    outcome = _judged(request.smoke_test, active, smoke_result)
    return Finish(outcome) if outcome.kind is OutcomeKind.ACTIVE else _on_failure(request, outcome)


def _on_adopted(request: Deploy, test: SmokeTest, facts: DeployFacts, active: Outcome) -> Step:
    """Say what is next when another request's deployment is Active, and is to be tested. The verdict is not written on it."""
    if facts.decisions.tested is not None:
        return Finish(_judged(test, active, SmokeTestResult(*facts.decisions.tested)))
    if facts.smoke_result is None:
        return RunSmokeTest(active.deployment.arn if active.deployment else request.name, is_written=False)
    smoke_result = replace(facts.smoke_result, text=facts.smoke_result.text[:LONGEST_FAILURE])
    return SendContinuation(
        replace(facts.decisions, tested=(smoke_result.passed, smoke_result.text)), _judged(test, active, smoke_result)
    )


def _judged(test: SmokeTest, active: Outcome, smoke_result: SmokeTestResult) -> Outcome:
    if smoke_result.passed or not test.gate:
        return replace(active, smoke=smoke_result)
    text = f"{_TEST_FAILED}{smoke_result.text}"
    return replace(active, kind=OutcomeKind.FAILED, reason=Reason.SMOKE_TEST_FAILED, message=text, smoke=smoke_result)


def _on_anothers(request: Deploy, facts: DeployFacts, seen: Found, *, is_copy: bool) -> Step | None:
    """Say what is next when another request made what has the name; None where it is as good as our own."""
    deployment = seen.deployment
    is_same = request.model_arn in {"", deployment.model_arn} if is_copy else deployment.model_arn == request.model_arn
    if is_copy:
        text = f"{deployment.name!r} was made for this request, and has another model now, {deployment.model_arn}"
        return None if is_same else _conflict(deployment, text)
    if request.if_exists is IfExists.FAIL:
        text = f"{deployment.name!r} exists, made for request {seen.marks.request!r}; use another name or delete it"
        return Finish(Outcome(OutcomeKind.FAILED, Reason.ALREADY_EXISTS, text, deployment))
    is_leftover = deployment.status is Status.FAILED
    does_change = request.if_exists is IfExists.REPLACE or (request.if_exists is IfExists.UPDATE and not is_same)
    if does_change and seen.marks.is_later_than(facts.received):
        text = f"{deployment.name!r} was made or updated for a request that came after this one; it is kept"
        return Finish(Outcome(OutcomeKind.FAILED, Reason.SUPERSEDED, text, deployment))
    if request.if_exists is IfExists.REPLACE:
        return _remove(facts, deployment)
    if request.if_exists is IfExists.UPDATE and not is_same and not is_leftover:
        return UpdateExisting()
    if not is_same:
        text = f"{deployment.name!r} exists with another model, {deployment.model_arn}; use another name or delete it"
        return _conflict(deployment, text)
    return None


def _on_failure(request: Deploy, failed: Outcome) -> Step:
    """Say what is next when the request's own deployment has failed."""
    if failed.attempt <= request.retries:
        return SendContinuation(Decisions(failed.attempt + 1), failed)
    if request.on_failure is OnFailure.DELETE:
        text = (failed.message or "")[:LONGEST_FAILURE]
        return SendContinuation(Decisions(failed.attempt, text, failed.reason is Reason.SMOKE_TEST_FAILED), failed)
    return Finish(failed)


def _clean_up(facts: DeployFacts, deployment: Deployment, *, is_what_failed: bool) -> Step:
    """Nothing is to be made any more: say what becomes of what there is."""
    if facts.decisions.cancelled == KEEP:
        return Finish(Outcome(OutcomeKind.CANCELLED, deployment=deployment if is_what_failed else None))
    return _remove(facts, deployment) if is_what_failed else _given_up(facts)


def _given_up(facts: DeployFacts) -> Finish:
    """Nothing is left of the last attempt, or what has the name now is not of it."""
    if facts.decisions.cancelled is not None:
        return Finish(Outcome(OutcomeKind.CANCELLED, message="nothing of it is left"))
    failure, attempt = facts.decisions.failure or "", facts.decisions.attempt
    text = f"{failure}; what had failed is deleted"
    if facts.decisions.has_failed_test:
        smoke = SmokeTestResult(passed=False, text=failure.removeprefix(_TEST_FAILED))
        return Finish(Outcome(OutcomeKind.FAILED, Reason.SMOKE_TEST_FAILED, text, attempt=attempt, smoke=smoke))
    return Finish(Outcome(OutcomeKind.FAILED, Reason.DEPLOYMENT_FAILED, text, attempt=attempt))


def _on_lost(facts: DeployFacts, arn: str) -> Step:
    """Say what is next when a create was answered with a deployment that has never been shown since."""
    if facts.observation is None:
        return Observe()
    if facts.misses < ABSENCES_TO_BELIEVE:
        return Pause(Reason.DEPLOYMENT_MISSING, f"{arn} was created, and is not found; it may be shown late")
    return Void()


def _remove(facts: DeployFacts, deployment: Deployment) -> Step:
    match facts.delete_result:
        case DeleteSent():
            return Pause(Reason.BUSY, f"{deployment.arn} is being deleted")
        case Refused() as refused:
            return Pause(Reason.BUSY, f"{deployment.arn} cannot be deleted yet: {refused}")
        case _:
            return DeleteDeployment(deployment.arn)


def _on_removal(delete_result: DeleteSent | CallFailed | None) -> Step:
    match delete_result:
        case None | DeleteSent() | Refused() | ResourceMissing():
            return Observe()
        case Conflicting() as failed:
            return Pause(Reason.BUSY, f"what is to make way is being created or updated: {failed}")
        case failed:
            return Pause(reason_for(failed), str(failed))


def _conflict(deployment: Deployment, text: str) -> Finish:
    return Finish(Outcome(OutcomeKind.FAILED, Reason.NAME_CONFLICT, text, deployment))


def is_early(model: ModelState, failed: CallFailed) -> bool:
    """Whether a refusal is because the model is not Active yet. Where nobody may look at the model, its words tell."""
    return model is ModelState.CREATING or (model is ModelState.UNKNOWN and _MODEL_EARLY.search(failed.text) is not None)


def is_name_taken(failed: CallFailed) -> bool:
    """Return whether a refused create says that the name is taken: by its code, else by its text.

    AWS documents no text. "does not exist" and "Could not find" are about the model, as is whatever comes as not found.
    """
    if isinstance(failed, Conflicting):
        return True
    return (
        not isinstance(failed, ResourceMissing) and bool(_NAME_TAKEN.search(failed.text)) and not _NOT_FOUND.search(failed.text)
    )


def _on_refusal(request: Deploy, facts: DeployFacts, failed: CallFailed) -> Step:
    """Say what is next when the create was refused. What Get says of the name and of the model outranks the error's text."""
    if facts.observation is None:
        return Observe()
    if facts.model is None:
        return GetModel()
    text = str(failed)
    is_model_unusable = facts.model in {ModelState.MISSING, ModelState.FAILED}
    if is_early(facts.model, failed):
        return Pause(Reason.MODEL_NOT_ACTIVE, f"{request.model_arn} is not Active yet: {text}")
    if TOKEN_KNOWN.search(failed.text):
        if facts.refusals >= REFUSALS_TO_BELIEVE_IN_DOUBT:
            return Void()
        return Pause(Reason.NO_ANSWER, f"an earlier create with its token was taken on, and is not to be seen yet: {text}")
    if not is_model_unusable and is_name_taken(failed):
        return Pause(Reason.NAME_RESERVED, text)
    if facts.in_doubt and facts.refusals < REFUSALS_TO_BELIEVE_IN_DOUBT:
        return Pause(Reason.NO_ANSWER, f"in doubt, so not believed yet: {text}")
    if facts.model is ModelState.ACTIVE and not facts.is_model_proven:
        return Pause(Reason.MODEL_NOT_ACTIVE, f"{request.model_arn} may have become Active just now: {text}")
    return Finish(Outcome(OutcomeKind.FAILED, *_verdict(request, facts.model, text)))


def _verdict(request: Deploy, model: ModelState, text: str) -> tuple[Reason, str]:
    match model:
        case ModelState.MISSING:
            return Reason.MODEL_NOT_FOUND, f"modelArn {request.model_arn} does not exist"
        case ModelState.FAILED:
            return Reason.MODEL_FAILED, f"the model {request.model_arn} itself has Failed"
        case _:
            return Reason.INVALID_REQUEST, text


@dataclass(frozen=True, slots=True)
class DeployFacts:
    """All that is known of one request here and now. Each `after_…` answers the facts that follow from an answer."""

    observation: Observation = None
    """What the last look showed; None when it has not been looked, or the look is stale."""
    attempt: Created | CallFailed | None = None
    model: ModelState | None = None
    in_doubt: bool = False
    """Something may exist that we have not seen: a redelivery, or an answer that may have been applied."""
    refusals: int = 0
    failures: int = 0
    """Waits in a row without progress: what backs off."""
    is_model_proven: bool = False
    """The model was Active before the last create: a refusal is not because it was not."""
    created_by_this_delivery: bool = False
    """This delivery made the deployment itself."""
    received: float = math.inf
    """When the request was first received, in seconds since the epoch."""
    decisions: Decisions = NO_DECISIONS
    delete_result: DeleteSent | CallFailed | None = None
    """The answer to the delete of what is to make way."""
    smoke_result: SmokeTestResult | None = None
    """What came of the smoke test."""
    looks: int = 0
    """Looks in a row that showed a deployment, as far as they are counted: a tag that is not shown is believed to be absent
    after `ABSENCES_TO_BELIEVE`, like a deployment."""
    lost: str | None = None
    """The ARN that a create was answered with, and that neither List nor Get has shown since."""
    misses: int = 0
    """Looks, by that ARN and by the name, that did not show it."""
    voids: int = 0
    """How many tokens Bedrock remembered for a deployment that is gone."""
    is_receipt_proved: bool = False
    """`received` is SQS's own word, or Slipway's: no other sender can have chosen it."""

    def after_create(self, attempt: Created | CallFailed) -> DeployFacts:
        """What is known after a create. Every look is stale now, unless nothing can have come of the create."""
        unknown = isinstance(attempt, CallFailed) and attempt.may_have_applied
        refused = isinstance(attempt, Refused | ResourceMissing | Conflicting)
        trouble = isinstance(attempt, CallFailed) and not isinstance(attempt, QuotaFull)
        return replace(
            self,
            observation=None,
            attempt=attempt,
            delete_result=None,
            model=None,
            in_doubt=self.in_doubt or unknown,
            refusals=self.refusals + refused,
            failures=self.failures + 1 if trouble else 0,
            created_by_this_delivery=isinstance(attempt, Created),
        )

    def after_observation(self, observation: Found | NotFound) -> DeployFacts:
        """What is known after Get (and, where it found something, its tags)."""
        if isinstance(observation, NotFound):
            misses = min(self.misses + 1, ABSENCES_TO_BELIEVE) if self.lost is not None else 0
            return replace(self, observation=observation, delete_result=None, looks=0, misses=misses)
        return replace(self, observation=observation, lost=None, looks=min(self.looks + 1, ABSENCES_TO_BELIEVE))

    def after_listing(self) -> DeployFacts:
        """Return what is known when the list shows a deployment of the request's name: it is to be looked at."""
        return replace(self, observation=None, in_doubt=True)

    def after_missing(self, arn: str) -> DeployFacts:
        """What is known when a create was answered, and Get does not show what it is said to have made."""
        return replace(self, observation=None, attempt=None, created_by_this_delivery=False, in_doubt=True, lost=arn, misses=0)

    def after_void(self) -> DeployFacts:
        """The token is spent: the next create is made with another."""
        return replace(self, attempt=None, model=None, in_doubt=True, lost=None, refusals=0, voids=self.voids + 1)

    def after_delete_call(self, delete_result: DeleteSent | CallFailed) -> DeployFacts:
        """What is known after a delete: every look is stale now."""
        return replace(
            self, observation=None, attempt=None, delete_result=delete_result, in_doubt=True, failures=self.failures + 1
        )

    def after_test(self, smoke_result: SmokeTestResult) -> DeployFacts:
        """What is known after the smoke test."""
        return replace(self, smoke_result=smoke_result)

    def after_watch(self, deployment: Deployment, marks: DeploymentTags) -> DeployFacts:
        """What is known when the watcher says that the creation has ended."""
        # Nobody can have tested it before it was Active: that no verdict is shown is no lag.
        return replace(self, observation=Found(deployment, marks), failures=0, looks=ABSENCES_TO_BELIEVE)

    def after_model(self, model: ModelState) -> DeployFacts:
        """What is known after GetCustomModel."""
        return replace(self, model=model)

    def after_pause(self) -> DeployFacts:
        """Time has passed: look and try afresh, remembering how often."""
        proven = self.is_model_proven or self.model is ModelState.ACTIVE
        failures = self.failures + (self.attempt is None and self.delete_result is None)  # those were counted when they failed
        return replace(
            self, observation=None, attempt=None, delete_result=None, model=None, is_model_proven=proven, failures=failures
        )

    def after_failure(self) -> DeployFacts:
        """A look itself failed: nothing new is known, but it has been tried."""
        return replace(self, failures=self.failures + 1)
