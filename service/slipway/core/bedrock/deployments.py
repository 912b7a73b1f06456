"""What Bedrock says exists now."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """The status of a deployment. What AWS may add one day is `UNKNOWN`, and means: wait."""

    CREATING = "Creating"
    ACTIVE = "Active"
    FAILED = "Failed"
    UNKNOWN = "Unknown"

    @classmethod
    def of(cls, text: str) -> Status:
        """Read AWS's word in any case: its prose writes CREATING where its API says Creating."""
        return _BY_WORD.get(text.lower(), cls.UNKNOWN)

    @property
    def is_terminal(self) -> bool:
        """Bedrock has said how the creation ended."""
        return self in _ENDS


_BY_WORD = {status.value.lower(): status for status in (Status.CREATING, Status.ACTIVE, Status.FAILED)}
_ENDS = frozenset({Status.ACTIVE, Status.FAILED})


class UpdateStatus(StrEnum):
    """How far an update is. What AWS may add one day is `UNKNOWN`, and means: wait."""

    UPDATING = "Updating"
    COMPLETED = "UpdateCompleted"
    FAILED = "UpdateFailed"
    UNKNOWN = "Unknown"

    @classmethod
    def of(cls, text: str) -> UpdateStatus:
        """Read AWS's word in any case."""
        return _UPDATE_BY_WORD.get(text.lower(), cls.UNKNOWN)


_UPDATE_BY_WORD = {
    status.value.lower(): status for status in (UpdateStatus.UPDATING, UpdateStatus.COMPLETED, UpdateStatus.FAILED)
}


@dataclass(frozen=True, slots=True)
class UpdateDetails:
    """What Get says of the latest update, which may be long over: of which model, and how far."""

    model_arn: str
    status: UpdateStatus


@dataclass(frozen=True, slots=True)
class Deployment:
    """A custom model deployment as Get or List told it. Times are seconds since the epoch, by AWS's clock."""

    arn: str
    name: str
    model_arn: str
    status: Status
    status_text: str
    """AWS's own word; differs from `status` only where that is `UNKNOWN`."""
    created_at: float
    updated_at: float | None = None
    failure_message: str | None = None
    update: UpdateDetails | None = None
    """Get tells it, List does not."""


@dataclass(frozen=True, slots=True)
class Created:
    """Bedrock took the creation on. `at` is when, by AWS's clock."""

    arn: str
    at: float


@dataclass(frozen=True, slots=True)
class Page:
    """One page of ListCustomModelDeployments."""

    deployments: tuple[Deployment, ...]
    next_token: str | None


class ModelState(StrEnum):
    """What GetCustomModel says of a model. It must be Active before it can be deployed."""

    CREATING = "Creating"
    ACTIVE = "Active"
    FAILED = "Failed"
    MISSING = "Missing"
    UNKNOWN = "Unknown"
