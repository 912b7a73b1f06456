"""What can be asked for: one frozen value for each action, fully validated."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import ClassVar, Final

from slipway.core.requests.targets import DEFAULT
from slipway.core.schema.rejection import NO_REPLY, ReplyTo

DEFAULT_MAX_TOKENS: Final = 64
DEFAULT_CANCEL_SECONDS: Final = 600.0
"""A cancel that names no timeout of its own is not tried for longer: what it is about has ended, most likely."""


class IfExists(StrEnum):
    """What becomes of a deployment of Slipway's that has the name already."""

    ADOPT = "adopt"
    UPDATE = "update"
    REPLACE = "replace"
    FAIL = "fail"


class OnFailure(StrEnum):
    """What becomes of a deployment that has failed."""

    KEEP = "keep"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeTest:
    """One question to a deployment that has become Active."""

    prompt: str
    max_tokens: int = DEFAULT_MAX_TOKENS
    expect: str | None = None
    """What the answer must contain, in any case of letters; any answer will do where there is none."""
    gate: bool = True
    """Whether a test that fails is a failure of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What every request has.

    `identity` is what makes two messages the same request: `clientRequestToken`, else `requestId`, else the id of the
    message that brought it first. `request_id` is what events and tags show. `timeout` is in seconds, from the first
    receipt.
    """

    action: ClassVar[str]

    identity: str
    request_id: str
    """`requestId`, else the identity; always fit to be a tag's value as it is."""
    name: str
    """The deployment's name; its ARN, where a request names what exists already by that."""
    timeout: float
    priority: int = 0
    tenant: str | None = None
    reply_target: ReplyTo = NO_REPLY
    target: str = DEFAULT
    """The name of the account and Region that it is about."""
    trigger: str | None = None
    """The rule that made the request of an upstream event."""
    rule: str | None = None
    """The rule that permits it, where there are permissions."""
    owner: str = ""
    """Proves ownership of what the request makes: see `ownership.owner_of`. Empty only where no message brought it."""

    @property
    def is_by_arn(self) -> bool:
        """Whether `name` is an ARN."""
        return self.name.startswith("arn:")

    @property
    def payload_identity(self) -> list[str]:
        """What tells this request from all others: the same for ever, and what event ids are made of."""
        return [self.identity, self.action, self.name, *self.elsewhere]

    @property
    def elsewhere(self) -> list[str]:
        """The owner; and the target, unless it is the default: what is asked of that stays the same when others are added."""
        owner = [f"owner {self.owner}"] if self.owner else []
        return [*owner, f"target {self.target_label}"] if self.target_label else owner

    @property
    def payload_identity_without_owner(self) -> list[str]:
        """Return the essence as a version made it that knew no owners."""
        return replace(self, owner="").payload_identity

    @property
    def target_label(self) -> str | None:
        """The target's name as it is shown: None for the default, which nobody has to know of who has no other."""
        return None if self.target == DEFAULT else self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy(Request):
    """A deployment that somebody wants."""

    action = "deploy"

    model_arn: str
    """Empty as long as only the customization job is known that makes the model."""
    customization_job: str | None = None
    """ARN or name; what was asked for instead of a model."""
    description: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    """The requester's own tags; Slipway's are added by `slipway_tags.wanted_tags`."""
    if_exists: IfExists = IfExists.ADOPT
    on_failure: OnFailure = OnFailure.KEEP
    retries: int = 0
    """How many attempts more are made when one has failed."""
    smoke_test: SmokeTest | None = None
    expires_after: float | None = None
    """Seconds from the first receipt, after which the deployment is deleted."""

    @property
    def payload_identity(self) -> list[str]:
        """With the model: one name may be asked for with two."""
        return [self.identity, self.action, self.name, self.requested_model, *self.elsewhere]

    @property
    def requested_model(self) -> str:
        """What was asked for, the model or the job that makes it: the same whether its model is known yet or not."""
        return self.customization_job or self.model_arn

    @property
    def needs_model_status(self) -> bool:
        """Whether the model may well be on its way still: better to ask for it before than to have a create refused."""
        return self.customization_job is not None or self.trigger is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete(Request):
    """A deployment that somebody wants no more."""

    action = "delete"

    force: bool = False
    """Also if Slipway did not make it, where the settings allow that."""
    if_expired: bool = False
    """Only if the time is over that its tag says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Update(Request):
    """Another model that somebody wants an existing deployment to serve."""

    action = "update"

    model_arn: str
    rollback: bool = False
    """If it fails, the former model is what is to be served."""
    smoke_test: SmokeTest | None = None
    force: bool = False
    """Also if Slipway did not make it, where the settings allow that."""

    @property
    def payload_identity(self) -> list[str]:
        """With the model: one deployment may be told to serve two."""
        return [self.identity, self.action, self.name, self.model_arn, *self.elsewhere]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel(Request):
    """A request that somebody wants no more. `name` is its id."""

    action = "cancel"

    delete: bool = False
    """Whether the deployment that it has made goes too."""
    step: str | None = field(default=None, repr=False)
    """The token of a pipeline's step that is being stopped: then it is about what carries that, whatever its id is."""

    def is_about(self, request: Request) -> bool:
        """Whether this is what is to be cancelled. Whether its sender may, `permissions.may_cancel` says."""
        if isinstance(request, Cancel):
            return False
        return request.request_id == self.name if self.step is None else request.reply_target.callback_token == self.step


AnyRequest = Deploy | Update | Delete | Cancel
