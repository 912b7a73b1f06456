"""Outcomes of a request, the reasons for them and for waits, and the settlement of its message."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from slipway.core.bedrock import Deployment
from slipway.core.sqs.continuations import Decisions


class OutcomeKind(StrEnum):
    """How a request ended. Each is published under one event id."""

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
"""Outcomes that count as a failure."""


class Reason(StrEnum):
    """Why a request waits or failed: one word for programs, beside a sentence for people."""

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


WAITS: Final = tuple(Reason)[tuple(Reason).index(Reason.PREDECESSOR) :]
"""The reasons that are waits; the others are those of outcomes."""


@dataclass(frozen=True, slots=True)
class SmokeTestResult:
    """Result of a smoke test. `text` is the model's answer, or why there is none."""

    passed: bool
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended, with its deployment if known. `message` is a sentence for a person."""

    kind: OutcomeKind
    reason: Reason | None = None
    message: str | None = None
    deployment: Deployment | None = None
    adopted: bool = False
    """The deployment is older than this delivery: an earlier delivery or another request created it."""
    former: str | None = None
    """The model that was served before an update."""
    attempt: int = 1
    """Number of the attempt to create the deployment that ended."""
    smoke: SmokeTestResult | None = None
    """Result of the smoke test; None if none was run."""
    already_gone: bool = False
    """There was nothing to delete."""
    is_of_former_version: bool = False
    """A version without owner tags created or updated the deployment for this request, and may have published this outcome."""

    @property
    def log_message(self) -> str | None:
        """Return a sentence for logs and traces, which hold no answer of a model: `message`, unless it may quote one."""
        if self.message is None or self.smoke is None or self.smoke.passed:
            return self.message
        return "the smoke test failed (its answer is in the event)"


@dataclass(frozen=True, slots=True)
class Done:
    """The outcome is published: delete the message."""


@dataclass(frozen=True, slots=True)
class Release:
    """Not finished here: release the message, visible again after `after` seconds."""

    after: int = 0


@dataclass(frozen=True, slots=True)
class DelayPublication:
    """The outcome cannot be published now: continue later in a new message, which is delayed."""


@dataclass(frozen=True, slots=True)
class Continue:
    """Not finished with this message: send its continuation, then delete it."""

    decisions: Decisions | None = None
    """Decisions that the continuation carries; None for those of this message."""
    after: int = 0
    """Seconds until the continuation can be received."""


@dataclass(frozen=True, slots=True)
class Abandon:
    """The lease is lost, another consumer may have the message: do nothing."""


Settlement = Done | Release | DelayPublication | Continue | Abandon
