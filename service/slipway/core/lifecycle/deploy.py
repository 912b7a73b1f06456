"""Every decision in the life of a deploy request: one pure function from the known facts to the next step.

    first delivery ─────────────────────────▶ Create ──accepted──▶ Watch ──ended──┐
                                              ▲  ▲ │                              │
    redelivery ──▶ Observe ──not found────────┘  │ ├─ QuotaFull ──▶ Create, when a slot is free
                   ▲  │                          │ ├─ Throttled, Denied ──▶ Pause ──▶ Create
                   │  │                          │ ├─ UnknownResult ──▶ Pause ──▶ Observe
                   └──┼──────────────────────────┼─┴─ Refused, ResourceMissing, Conflicting ──▶ Observe, then GetModel
                      │                          │                                        │
                      │                        Pause ◀── model Creating, name reserved ───┤
                      ▼                                                                   ▼
                    found                                                 Finish: Failed, with the service's error
                      ├─ no tags, in several observations ─▶ Finish: Failed, NameConflict
                      ├─ same requestId, other payload ────▶ Finish: Rejected, RequestIdReused
                      ├─ same request, another sender ─────▶ adopted, never changed; its test result is in a continuation
                      ├─ another request's ──┬─ fail ────▶ Finish: Failed, AlreadyExists
                      │                      ├─ replace ─▶ DeleteDeployment ──▶ Observe, until it is not found
                      │                      ├─ update ──▶ UpdateExisting, if the model differs
                      │                      └─ adopt ───▶ Finish: Failed, NameConflict, if the model differs
                      ├─ of an earlier attempt ──▶ DeleteDeployment ──▶ Observe, until it is not found
                      ├─ Creating ──▶ Watch
                      ├─ Active ────▶ Finish: Active; before it RunSmokeTest, if requested, which may end in Failed
                      └─ Failed ────▶ Finish: Failed; or SendContinuation, to retry or to delete it

The diagram omits: requests that create nothing more, because they were cancelled or their last attempt failed, and only
delete; a deployment that a create returned and no later call shows (UseNextToken); `Superseded`, if `replace` or `update` finds
the deployment of a later request; and the continuation that stores the test result of an adopted deployment.

Rules:
1. `Active` is an outcome only after Bedrock reported it. `Failed` is one only after Bedrock reported a failure or refused
   the request repeatedly, or for a conflict, an unusable model or a failed smoke test. An absent deployment, a throttled or
   denied call and an unreadable response are never an outcome.
2. After a call that may have been applied, observe before acting again. While in doubt, do not believe a single refusal.
3. A deployment that Slipway did not create is never changed. One that another request created is changed only as `ifExists`
   says, and never if that request is later. Only the owner deletes or retries a failed deployment. An equal `requestId` is not
   proof of ownership.
4. Before a deployment is deleted, a continuation stores what a later consumer would have read from it.
5. No other module compares a deployment's status.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final, assert_never

from slipway.core.bedrock import Created, Deployment, ModelState, Status
from slipway.core.call_errors import CallFailed, Conflicting, QuotaFull, Refused, ResourceMissing
from slipway.core.lifecycle.outcomes import Outcome, OutcomeKind, Reason, SmokeTestResult
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
    recorded_result,
    reused,
)
from slipway.core.lifecycle.tags import DeploymentTags
from slipway.core.requests.models import Deploy, IfExists, OnFailure, SmokeTest
from slipway.core.requests.ownership import correlation, is_reused, is_same_payload
from slipway.core.sqs.continuations import KEEP, LONGEST_FAILURE, NO_DECISIONS, Decisions

REFUSALS_TO_BELIEVE_IN_DOUBT: Final = 4
"""Refusals in a row. An earlier create of this request, applied or listed late, may be what the name conflicts with."""

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
class UseNextToken:
    """Use the next client token for creates: Bedrock still answers this one with a deployment that no longer exists."""


@dataclass(frozen=True, slots=True)
class UpdateExisting:
    """Update the deployment that has the name to the requested model."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Wait until the watcher sees that the creation has ended. `created_at` is in seconds since the epoch."""

    arn: str
    created_at: float


Step = (
    Observe
    | GetModel
    | Create
    | UseNextToken
    | Watch
    | RunSmokeTest
    | DeleteDeployment
    | UpdateExisting
    | SendContinuation
    | Pause
    | Finish
)


def decide(request: Deploy, facts: DeployFacts) -> Step:
    """Return the next step of a deploy request. Total: every combination of facts has exactly one step."""
    match facts.observation:
        case Found() as found:
            step = _on_existing(request, facts, found)
            return _with_former_version(step) if _is_of_former_version(request, facts, found.slipway_tags) else step
        case NotFound() if facts.decisions.is_over:
            return _finish_given_up(facts)
        case None if facts.decisions.is_over or facts.delete_result is not None:
            return _on_delete_result(facts.delete_result)
    if facts.lost_arn is not None:
        return _on_lost(facts, facts.lost_arn)
    match facts.create_result:
        case Created(arn=arn, at=at):
            return Watch(arn, at)
        case None | QuotaFull():
            return Observe() if facts.in_doubt and facts.observation is None else Create()
        case Refused() | ResourceMissing() | Conflicting() as failed:
            return _on_refusal(request, facts, failed)
        case CallFailed() as failed:
            return Pause(reason_for(failed), str(failed))
    assert_never(facts.create_result)


def _is_of_former_version(request: Deploy, facts: DeployFacts, tags: DeploymentTags) -> bool:
    return facts.is_receipt_proven and tags.is_of_former_version(request.request_id, facts.received)


def _with_former_version(step: Step) -> Step:
    match step:
        case Finish(outcome=outcome):
            return Finish(replace(outcome, is_of_former_version=True))
        case SendContinuation(decisions=decisions, outcome_at_deadline=outcome):
            return SendContinuation(decisions, replace(outcome, is_of_former_version=True))
        case _:
            return step


class _Relation(Enum):
    """How a request is related to the deployment that has the name."""

    OWNER = auto()
    COPY = auto()
    """Same payload and `requestId`, another sender; or created by a version that wrote no owner tag. It changes nothing."""
    REUSE = auto()
    """Same `requestId`, another payload."""
    OTHER = auto()
    """Another request created the deployment."""


def _relation(request: Deploy, facts: DeployFacts, tags: DeploymentTags) -> _Relation:
    if facts.created_by_this_delivery:
        return _Relation.OWNER
    if tags.request != request.request_id:
        return _Relation.OTHER
    if (tags.owner or "") == request.owner or _is_of_former_version(request, facts, tags):
        return _Relation.OWNER
    if tags.owner is None or is_same_payload(tags.owner, request.owner):
        return _Relation.COPY
    return _Relation.REUSE


def _on_existing(request: Deploy, facts: DeployFacts, found: Found) -> Step:
    deployment, tags = found.deployment, found.slipway_tags
    is_model_right = request.model_arn in {"", deployment.model_arn}  # not known yet, where its job has not ended
    relation = _relation(request, facts, tags)
    is_own = facts.created_by_this_delivery or (relation is _Relation.OWNER and is_model_right)
    if not facts.created_by_this_delivery and tags.request is None and facts.times_found < ABSENCES_TO_BELIEVE:
        return Pause(Reason.DEPLOYMENT_MISSING, f"{deployment.name!r} shows no tags; it may have just been created")
    if facts.decisions.is_over:
        return _clean_up(
            facts,
            deployment,
            is_what_failed=is_own and not facts.created_by_this_delivery and tags.attempt <= facts.decisions.attempt,
        )
    if not facts.created_by_this_delivery and (step := _on_earlier_deployment(request, facts, found, relation, is_own=is_own)):
        return step
    adopted = not facts.created_by_this_delivery
    attempt = max(facts.decisions.attempt, tags.attempt)
    match deployment.status:
        case Status.CREATING | Status.UNKNOWN:
            return Watch(deployment.arn, deployment.created_at)
        case Status.ACTIVE:
            active = Outcome(OutcomeKind.ACTIVE, deployment=deployment, adopted=adopted, attempt=attempt)
            return _on_active(request, facts, found, active, is_own=is_own)
        case Status.FAILED:
            text = deployment.failure_message or "Bedrock gave no failure message"
            if not is_own:
                text = f"{deployment.name!r} is a Failed deployment of request {tags.request!r}; delete it first: {text}"
            failed = Outcome(OutcomeKind.FAILED, Reason.DEPLOYMENT_FAILED, text, deployment, adopted, attempt=attempt)
            return _on_failure(request, failed) if is_own else Finish(failed)
    assert_never(deployment.status)


def _on_earlier_deployment(
    request: Deploy, facts: DeployFacts, found: Found, relation: _Relation, *, is_own: bool
) -> Step | None:
    """Return the next step if this delivery did not create it; None if the request waits for it and reports its status."""
    deployment, tags = found.deployment, found.slipway_tags
    if tags.request is None:
        return _name_conflict(deployment, f"{deployment.name!r} exists and was not created by Slipway; use another name")
    by = tags.update.by if tags.update is not None else ""
    is_update_reused = relation is _Relation.OTHER and is_reused(by, correlation(request.request_id, request.owner))
    if relation is _Relation.REUSE or is_update_reused:
        return Finish(reused(request.request_id, deployment))
    if is_own:
        return _delete(facts, deployment) if tags.attempt < facts.decisions.attempt else None
    return _on_other_request(request, facts, found, is_copy=relation is _Relation.COPY)


def _on_active(request: Deploy, facts: DeployFacts, found: Found, active: Outcome, *, is_own: bool) -> Step:
    """Return the next step if the deployment is Active: finish, or run the smoke test first."""
    if request.smoke_test is None:
        return Finish(active)
    if not is_own:
        return _on_adopted(request, request.smoke_test, facts, active)
    is_former_version = _is_of_former_version(request, facts, found.slipway_tags)
    smoke_result = facts.smoke_result or recorded_result(found.slipway_tags, request, is_former_version=is_former_version)
    if smoke_result is None:
        if facts.in_doubt and not facts.created_by_this_delivery and facts.times_found < ABSENCES_TO_BELIEVE:
            return Pause(Reason.SMOKE_TEST, "the tag with the result of an earlier smoke test may not be shown yet")
        return RunSmokeTest(found.deployment.arn)
    outcome = _with_smoke_result(request.smoke_test, active, smoke_result)
    return Finish(outcome) if outcome.kind is OutcomeKind.ACTIVE else _on_failure(request, outcome)


def _on_adopted(request: Deploy, test: SmokeTest, facts: DeployFacts, active: Outcome) -> Step:
    """Return the next step if an adopted deployment is Active and must be tested. No tag records the result."""
    if facts.decisions.tested is not None:
        return Finish(_with_smoke_result(test, active, SmokeTestResult(*facts.decisions.tested)))
    if facts.smoke_result is None:
        return RunSmokeTest(active.deployment.arn if active.deployment else request.name, is_written=False)
    smoke_result = replace(facts.smoke_result, text=facts.smoke_result.text[:LONGEST_FAILURE])
    return SendContinuation(
        replace(facts.decisions, tested=(smoke_result.passed, smoke_result.text)),
        _with_smoke_result(test, active, smoke_result),
    )


def _with_smoke_result(test: SmokeTest, active: Outcome, smoke_result: SmokeTestResult) -> Outcome:
    if smoke_result.passed or not test.gate:
        return replace(active, smoke=smoke_result)
    text = f"the deployment is Active, and its smoke test failed: {smoke_result.text}"
    return replace(active, kind=OutcomeKind.FAILED, reason=Reason.SMOKE_TEST_FAILED, message=text, smoke=smoke_result)


def _on_other_request(request: Deploy, facts: DeployFacts, found: Found, *, is_copy: bool) -> Step | None:
    """Return the next step if another request created the deployment; None if the request adopts it."""
    deployment = found.deployment
    is_same = request.model_arn in {"", deployment.model_arn} if is_copy else deployment.model_arn == request.model_arn
    if is_copy:
        text = (
            f"{deployment.name!r} was created for this request and now has another model, {deployment.model_arn};"
            " use another name or delete it"
        )
        return None if is_same else _name_conflict(deployment, text)
    if request.if_exists is IfExists.FAIL:
        remedy = "use another name, or set ifExists (--if-exists) to adopt, update or replace"
        text = f"{deployment.name!r} exists, created for request {found.slipway_tags.request!r}; {remedy}"
        return Finish(Outcome(OutcomeKind.FAILED, Reason.ALREADY_EXISTS, text, deployment))
    is_leftover = deployment.status is Status.FAILED
    does_change = request.if_exists is IfExists.REPLACE or (request.if_exists is IfExists.UPDATE and not is_same)
    if does_change and found.slipway_tags.is_later_than(facts.received):
        text = f"{deployment.name!r} was created or updated for a later request; it was not changed"
        return Finish(Outcome(OutcomeKind.FAILED, Reason.SUPERSEDED, text, deployment))
    if request.if_exists is IfExists.REPLACE:
        return _delete(facts, deployment)
    if request.if_exists is IfExists.UPDATE and not is_same and not is_leftover:
        return UpdateExisting()
    if not is_same:
        remedy = "use another name, or set ifExists (--if-exists) to update or replace"
        text = f"{deployment.name!r} exists with another model, {deployment.model_arn}; {remedy}"
        return _name_conflict(deployment, text)
    return None


def _on_failure(request: Deploy, failed: Outcome) -> Step:
    """Return the next step if the request's own deployment has failed."""
    if failed.attempt <= request.retries:
        return SendContinuation(Decisions(failed.attempt + 1), failed)
    if request.on_failure is OnFailure.DELETE:
        failed_test = failed.smoke.text[:LONGEST_FAILURE] if failed.smoke and not failed.smoke.passed else None
        return SendContinuation(Decisions(failed.attempt, (failed.message or "")[:LONGEST_FAILURE], failed_test), failed)
    return Finish(failed)


def _clean_up(facts: DeployFacts, deployment: Deployment, *, is_what_failed: bool) -> Step:
    """Return the next step if the request no longer creates anything and a deployment exists."""
    if facts.decisions.cancelled == KEEP:
        return Finish(Outcome(OutcomeKind.CANCELLED, deployment=deployment if is_what_failed else None))
    return _delete(facts, deployment) if is_what_failed else _finish_given_up(facts)


def _finish_given_up(facts: DeployFacts) -> Finish:
    """Return the outcome of a request that creates nothing more and whose last deployment is gone."""
    decisions = facts.decisions
    if decisions.cancelled is not None:
        return Finish(Outcome(OutcomeKind.CANCELLED, message="no deployment of this request exists"))
    text = f"{decisions.failure or ''}; the failed deployment was deleted"
    if decisions.failed_test is not None:
        smoke = SmokeTestResult(passed=False, text=decisions.failed_test)
        return Finish(Outcome(OutcomeKind.FAILED, Reason.SMOKE_TEST_FAILED, text, attempt=decisions.attempt, smoke=smoke))
    return Finish(Outcome(OutcomeKind.FAILED, Reason.DEPLOYMENT_FAILED, text, attempt=decisions.attempt))


def _on_lost(facts: DeployFacts, arn: str) -> Step:
    """Return the next step if a create returned an ARN that no later call has shown."""
    if facts.observation is None:
        return Observe()
    if facts.misses < ABSENCES_TO_BELIEVE:
        return Pause(Reason.DEPLOYMENT_MISSING, f"{arn} was created and is not found; Bedrock may show it late")
    return UseNextToken()


def _delete(facts: DeployFacts, deployment: Deployment) -> Step:
    match facts.delete_result:
        case DeleteSent():
            return Pause(Reason.BUSY, f"{deployment.arn} is being deleted")
        case Refused() as refused:
            return Pause(Reason.BUSY, f"{deployment.arn} cannot be deleted yet: {refused}")
        case _:
            return DeleteDeployment(deployment.arn)


def _on_delete_result(delete_result: DeleteSent | CallFailed | None) -> Step:
    match delete_result:
        case None | DeleteSent() | Refused() | ResourceMissing():
            return Observe()
        case Conflicting() as failed:
            return Pause(Reason.BUSY, f"the deployment to delete is being created or updated: {failed}")
        case failed:
            return Pause(reason_for(failed), str(failed))


def _name_conflict(deployment: Deployment, text: str) -> Finish:
    return Finish(Outcome(OutcomeKind.FAILED, Reason.NAME_CONFLICT, text, deployment))


def is_early(model: ModelState, failed: CallFailed) -> bool:
    """Return whether a refusal is because the model is not Active yet: by the model's state, else by the error's text."""
    return model is ModelState.CREATING or (model is ModelState.UNKNOWN and _MODEL_EARLY.search(failed.text) is not None)


def is_name_taken(failed: CallFailed) -> bool:
    """Return whether a create was refused because its name is taken: by the error's code, else by its text.

    AWS documents no text. "does not exist", "Could not find" and every not-found error are about the model.
    """
    if isinstance(failed, Conflicting):
        return True
    return (
        not isinstance(failed, ResourceMissing) and bool(_NAME_TAKEN.search(failed.text)) and not _NOT_FOUND.search(failed.text)
    )


def _on_refusal(request: Deploy, facts: DeployFacts, failed: CallFailed) -> Step:
    """Return the next step after a refused create. What Get returns for name and model outranks the error's text."""
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
            return UseNextToken()
        return Pause(
            Reason.NO_ANSWER, f"an earlier create with this token was accepted, and its deployment is not shown yet: {text}"
        )
    if not is_model_unusable and is_name_taken(failed):
        return Pause(Reason.NAME_RESERVED, text)
    if facts.in_doubt and facts.refusals < REFUSALS_TO_BELIEVE_IN_DOUBT:
        return Pause(
            Reason.NO_ANSWER, f"the create was refused, but an earlier one may have been applied; checking again: {text}"
        )
    if facts.model is ModelState.ACTIVE and not facts.is_model_proven:
        return Pause(Reason.MODEL_NOT_ACTIVE, f"{request.model_arn} may have become Active just now: {text}")
    return Finish(Outcome(OutcomeKind.FAILED, *_verdict(request, facts.model, text)))


def _verdict(request: Deploy, model: ModelState, text: str) -> tuple[Reason, str]:
    match model:
        case ModelState.MISSING:
            return Reason.MODEL_NOT_FOUND, f"modelArn {request.model_arn} does not exist"
        case ModelState.FAILED:
            return Reason.MODEL_FAILED, f"the model {request.model_arn} has status Failed"
        case _:
            return Reason.INVALID_REQUEST, text


@dataclass(frozen=True, slots=True)
class DeployFacts:
    """Everything known of one deploy request. Each `after_…` method returns the facts that follow from one result."""

    observation: Observation = None
    """The last observation; None if there was none, or it is stale."""
    create_result: Created | CallFailed | None = None
    model: ModelState | None = None
    in_doubt: bool = False
    """A deployment may exist that was not observed: this is a redelivery, or a create may have been applied."""
    refusals: int = 0
    failures: int = 0
    """Waits in a row without progress: the exponent of the backoff."""
    is_model_proven: bool = False
    """The model was Active before the last create: its state does not explain a refusal."""
    created_by_this_delivery: bool = False
    """This delivery created the deployment."""
    received: float = math.inf
    """When the request was first received, in seconds since the epoch."""
    decisions: Decisions = NO_DECISIONS
    delete_result: DeleteSent | CallFailed | None = None
    """The result of deleting the deployment that must make room for the new one."""
    smoke_result: SmokeTestResult | None = None
    times_found: int = 0
    """Consecutive observations that found a deployment, at most `ABSENCES_TO_BELIEVE`. A missing tag counts as absent only
    after that many."""
    lost_arn: str | None = None
    """The ARN that a create returned and that neither List nor Get has shown since."""
    misses: int = 0
    """Observations, by that ARN and by the name, that did not show it."""
    spent_tokens: int = 0
    """Number of client tokens that Bedrock answers with a deployment that no longer exists."""
    is_receipt_proven: bool = False
    """`received` comes from SQS or from Slipway: no other sender can have chosen it."""

    def after_create(self, create_result: Created | CallFailed) -> DeployFacts:
        """Return the facts after a create call. It makes every observation stale."""
        is_unknown = isinstance(create_result, CallFailed) and create_result.may_have_applied
        is_refused = isinstance(create_result, Refused | ResourceMissing | Conflicting)
        is_failure = isinstance(create_result, CallFailed) and not isinstance(create_result, QuotaFull)
        return replace(
            self,
            observation=None,
            create_result=create_result,
            delete_result=None,
            model=None,
            in_doubt=self.in_doubt or is_unknown,
            refusals=self.refusals + is_refused,
            failures=self.failures + 1 if is_failure else 0,
            created_by_this_delivery=isinstance(create_result, Created),
        )

    def after_observation(self, observation: Found | NotFound) -> DeployFacts:
        """Return the facts after Get and, if it found a deployment, ListTags."""
        if isinstance(observation, NotFound):
            misses = min(self.misses + 1, ABSENCES_TO_BELIEVE) if self.lost_arn is not None else 0
            return replace(self, observation=observation, delete_result=None, times_found=0, misses=misses)
        return replace(self, observation=observation, lost_arn=None, times_found=min(self.times_found + 1, ABSENCES_TO_BELIEVE))

    def after_listing(self) -> DeployFacts:
        """Return the facts after List showed a deployment with the request's name: it must be observed."""
        return replace(self, observation=None, in_doubt=True)

    def after_missing(self, arn: str) -> DeployFacts:
        """Return the facts if Get does not find the ARN that a create returned."""
        return replace(
            self, observation=None, create_result=None, created_by_this_delivery=False, in_doubt=True, lost_arn=arn, misses=0
        )

    def after_spent_token(self) -> DeployFacts:
        """Return the facts after a client token was given up: the next create uses the next one."""
        return replace(
            self, create_result=None, model=None, in_doubt=True, lost_arn=None, refusals=0, spent_tokens=self.spent_tokens + 1
        )

    def after_delete_call(self, delete_result: DeleteSent | CallFailed) -> DeployFacts:
        """Return the facts after a delete call. It makes every observation stale."""
        return replace(
            self, observation=None, create_result=None, delete_result=delete_result, in_doubt=True, failures=self.failures + 1
        )

    def after_test(self, smoke_result: SmokeTestResult) -> DeployFacts:
        """Return the facts after the smoke test."""
        return replace(self, smoke_result=smoke_result)

    def after_watch(self, deployment: Deployment, tags: DeploymentTags) -> DeployFacts:
        """Return the facts after the watcher saw that the creation ended."""
        # No smoke test can have run before the deployment was Active: an absent result is not a late one.
        return replace(self, observation=Found(deployment, tags), failures=0, times_found=ABSENCES_TO_BELIEVE)

    def after_model(self, model: ModelState) -> DeployFacts:
        """Return the facts after GetCustomModel."""
        return replace(self, model=model)

    def after_pause(self) -> DeployFacts:
        """Return the facts after a pause: observe and act again. The counts stay."""
        is_model_proven = self.is_model_proven or self.model is ModelState.ACTIVE
        # The failure of a create or delete was counted when it failed.
        failures = self.failures + (self.create_result is None and self.delete_result is None)
        return replace(
            self,
            observation=None,
            create_result=None,
            delete_result=None,
            model=None,
            is_model_proven=is_model_proven,
            failures=failures,
        )

    def after_failure(self) -> DeployFacts:
        """Return the facts after an observation failed."""
        return replace(self, failures=self.failures + 1)
