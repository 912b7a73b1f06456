"""The four requests: one frozen, fully validated value for each action."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import ClassVar, Final

from slipway.core.requests.targets import DEFAULT
from slipway.core.schema.rejection import NO_REPLY, ReplyTo

DEFAULT_MAX_TOKENS: Final = 64
DEFAULT_CANCEL_SECONDS: Final = 600.0
"""Longest time for a cancel without a timeout of its own: after it the request to cancel has most likely ended."""


class IfExists(StrEnum):
    """What to do with an existing deployment that Slipway created under the requested name."""

    ADOPT = "adopt"
    UPDATE = "update"
    REPLACE = "replace"
    FAIL = "fail"


class OnFailure(StrEnum):
    """What to do with a failed deployment."""

    KEEP = "keep"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeTest:
    """One prompt to a deployment that has become Active."""

    prompt: str
    max_tokens: int = DEFAULT_MAX_TOKENS
    expect: str | None = None
    """Text that the answer must contain, ignoring case; None accepts any answer that is not blank."""
    gate: bool = True
    """Whether a failed test fails the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Attributes of every request.

    Two messages with the same `identity` are the same request: it is `clientRequestToken`, else `requestId`, else the id of
    the first message. Events and tags show `request_id`. `timeout` is in seconds from the first receipt.
    """

    action: ClassVar[str]

    identity: str
    request_id: str
    """`requestId`, else the identity with only characters that a tag's value may have."""
    name: str
    """The deployment's name; its ARN if an update or delete names it by ARN; the id of the request to cancel."""
    timeout: float
    priority: int = 0
    tenant: str | None = None
    reply_target: ReplyTo = NO_REPLY
    target: str = DEFAULT
    """Name of the target: an account and Region."""
    trigger: str | None = None
    """Name of the trigger that made this request from an upstream event."""
    rule: str | None = None
    """Name of the permission rule that permits it, if there are permission rules."""
    owner: str = ""
    """Proof of ownership of the deployment that the request creates: see `ownership.owner_of`. Empty only without a message."""

    @property
    def is_by_arn(self) -> bool:
        """Return whether `name` is an ARN."""
        return self.name.startswith("arn:")

    @property
    def payload_identity(self) -> list[str]:
        """Return what distinguishes this request from all others, permanently: event ids are derived from it."""
        return [self.identity, self.action, self.name, *self.identity_scope]

    @property
    def identity_scope(self) -> list[str]:
        """Return the owner and, unless it is the default, the target: ids in the default target predate other targets."""
        scope = [f"owner {self.owner}"] if self.owner else []
        return [*scope, f"target {self.target_label}"] if self.target_label else scope

    @property
    def payload_identity_without_owner(self) -> list[str]:
        """Return the payload identity as a version without owner tags derived it."""
        return replace(self, owner="").payload_identity

    @property
    def target_label(self) -> str | None:
        """Return the target's name for events and logs: None for the default target."""
        return None if self.target == DEFAULT else self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy(Request):
    """Create a deployment."""

    action = "deploy"

    model_arn: str
    """Empty until the customization job has created the model."""
    customization_job: str | None = None
    """ARN or name of the customization job, if the request names that instead of a model."""
    description: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    """The request's own tags; `tags.wanted_tags` adds Slipway's."""
    if_exists: IfExists = IfExists.ADOPT
    on_failure: OnFailure = OnFailure.KEEP
    retries: int = 0
    """Further attempts after a failed one."""
    smoke_test: SmokeTest | None = None
    expires_after: float | None = None
    """Seconds from the first receipt, after which the deployment is deleted."""

    @property
    def payload_identity(self) -> list[str]:
        """Return the identity with the model: one name may be requested with two models."""
        return [self.identity, self.action, self.name, self.requested_model, *self.identity_scope]

    @property
    def requested_model(self) -> str:
        """Return the requested job, else the requested model: the same before and after the job's model is known."""
        return self.customization_job or self.model_arn

    @property
    def needs_model_status(self) -> bool:
        """Return whether the model may not be Active yet, so that GetCustomModel before the create avoids a refusal."""
        return self.customization_job is not None or self.trigger is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete(Request):
    """Delete a deployment."""

    action = "delete"

    force: bool = False
    """Also delete a deployment that Slipway did not create, if the settings allow it."""
    if_expired: bool = False
    """Delete it only if the time in its expiry tag has passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Update(Request):
    """Update an existing deployment to another model."""

    action = "update"

    model_arn: str
    rollback: bool = False
    """Return to the former model if the update or its smoke test fails."""
    smoke_test: SmokeTest | None = None
    force: bool = False
    """Also update a deployment that Slipway did not create, if the settings allow it."""

    @property
    def payload_identity(self) -> list[str]:
        """Return the identity with the model: one deployment may be updated to two models."""
        return [self.identity, self.action, self.name, self.model_arn, *self.identity_scope]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel(Request):
    """Cancel another request. `name` is the id of that request."""

    action = "cancel"

    delete: bool = False
    """Also delete the deployment that the other request created."""
    step: str | None = field(default=None, repr=False)
    """The callback token of a pipeline step that is being stopped: the request with this token is cancelled, whatever its
    id."""

    def is_about(self, request: Request) -> bool:
        """Return whether this cancels the request. Whether the sender may do that: see `permissions.may_cancel`."""
        if isinstance(request, Cancel):
            return False
        return request.request_id == self.name if self.step is None else request.reply_target.callback_token == self.step


AnyRequest = Deploy | Update | Delete | Cancel
