"""How a request ends, why one waits, and what becomes of its message."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from slipway.core.bedrock.deployments import Deployment
from slipway.core.sqs.continuations import Decisions


class OutcomeKind(StrEnum):
    """How a request ended. Each is announced once, under one event id."""

    ACTIVE = "Active"
    FAILED = "Failed"
    UPDATED = "Updated"
    ROLLED_BACK = "RolledBack"
    DELETED = "Deleted"
    CANCELLED = "Cancelled"
    CANCEL_TAKEN = "CancelTaken"
    TIMED_OUT = "TimedOut"
    REJECTED = "Rejected"


UNSUCCESSFUL: Final = frozenset({OutcomeKind.FAILED, OutcomeKind.ROLLED_BACK, OutcomeKind.TIMED_OUT, OutcomeKind.REJECTED})
"""It ended other than anybody wanted."""


class Reason(StrEnum):
    """Why a request waits, or ended other than well: one word for programs, beside a sentence for people."""

    DEPLOYMENT_FAILED = "DeploymentFailed"
    NAME_CONFLICT = "NameConflict"
    ALREADY_EXISTS = "AlreadyExists"
    MODEL_NOT_FOUND = "ModelNotFound"
    MODEL_FAILED = "ModelFailed"
    SMOKE_TEST_FAILED = "SmokeTestFailed"
    UPDATE_FAILED = "UpdateFailed"
    ROLLBACK_FAILED = "RollbackFailed"
    SUPERSEDED = "Superseded"
    DEPLOYMENT_NOT_FOUND = "DeploymentNotFound"
    EXPIRED = "Expired"
    NOT_EXPIRED = "NotExpired"
    NOTHING_TO_CANCEL = "NothingToCancel"
    NOT_OURS = "NotOurs"
    FORCE_NOT_ALLOWED = "ForceNotAllowed"
    INVALID_REQUEST = "InvalidRequest"
    NOT_ALLOWED = "NotAllowed"
    NOT_UNDERSTOOD = "NotUnderstood"
    INTERNAL_ERROR = "InternalError"

    PREDECESSOR = "PredecessorRunning"
    NO_SLOT = "NoSlot"
    MODEL_NOT_ACTIVE = "ModelNotActive"
    NAME_RESERVED = "NameReserved"
    THROTTLED = "Throttled"
    ACCESS_DENIED = "AccessDenied"
    NO_ANSWER = "NoAnswer"
    IN_CREATION = "InCreation"
    UPDATING = "Updating"
    SMOKE_TEST = "SmokeTest"
    BUSY = "Busy"
    RETRYING = "Retrying"
    DEPLOYMENT_MISSING = "DeploymentMissing"


@dataclass(frozen=True, slots=True)
class SmokeTestResult:
    """What came of a smoke test. `text` is the model's answer, or why there is none."""

    passed: bool
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended, with what is known of its deployment. `message` is a sentence for a person."""

    kind: OutcomeKind
    reason: Reason | None = None
    message: str | None = None
    deployment: Deployment | None = None
    adopted: bool = False
    """The deployment existed before this delivery looked: made by an earlier delivery, or by another request."""
    former: str | None = None
    """The model that was served before an update."""
    attempt: int = 1
    """Which attempt to make a deployment this is the end of."""
    smoke: SmokeTestResult | None = None
    """What came of the smoke test."""
    already_gone: bool = False
    """There was nothing to delete."""
    is_of_former_version: bool = False
    """A version that knew no owners made or updated the deployment for this request, and may have announced it already."""

    @property
    def log_message(self) -> str | None:
        """`message` without the model's answer: log lines hold nothing that a model was asked or has said."""
        if self.message is None or self.smoke is None or not self.smoke.text:
            return self.message
        return self.message.replace(self.smoke.text, "(its answer is in the event)")


@dataclass(frozen=True, slots=True)
class Done:
    """The outcome is published: delete the message."""


@dataclass(frozen=True, slots=True)
class Release:
    """Not finished here: give the message back, visible again after so many seconds."""

    after: int = 0


@dataclass(frozen=True, slots=True)
class Postpone:
    """Its outcome cannot be published now: continue later, without a place being kept for it meanwhile."""


@dataclass(frozen=True, slots=True)
class Continue:
    """Not finished under this message: send its continuation, then delete it."""

    decisions: Decisions | None = None
    """What it is to carry, beside where the request began; None for what it carried before."""
    after: int = 0
    """Seconds until the continuation can be received."""


@dataclass(frozen=True, slots=True)
class Abandon:
    """The lease is lost, somebody else has the message: touch nothing."""


Settlement = Done | Release | Postpone | Continue | Abandon
