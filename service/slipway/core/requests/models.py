"""The four requests: for each action one frozen, fully validated value, and the table of its fields.

The checks of a request and its JSON Schema are derived from the tables. Bedrock's keys are those of boto3's `create_…`,
`update_…` and `delete_custom_model_deployment`. Fields that several actions share are in `fields`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import ClassVar, Final

from slipway.core.requests.fields import (
    ACTION,
    CANCELS,
    DEFAULT_MAX_TOKENS,
    FORCE,
    IDENTIFIER,
    JOB,
    LONGEST_LIFE_SECONDS,
    MODEL,
    NAME,
    PRIORITY,
    REPLY_FIELDS,
    REQUEST_ID,
    SMOKE_TEST,
    TAGS,
    TARGET,
    TENANT,
    TIMEOUT,
    TOKEN,
)
from slipway.core.requests.targets import DEFAULT
from slipway.core.schema.fields import DRAFT, Field, FieldKind, object_schema
from slipway.core.schema.rejection import NO_REPLY, ReplyTo

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
    pipeline_step_token: str | None = field(default=None, repr=False)
    """Callback token of the pipeline step that is being stopped. The request with this token is cancelled; `name` is ignored.
    """

    def is_about(self, request: Request) -> bool:
        """Return whether this cancels the request. Whether the sender may do that: see `permissions.may_cancel`."""
        if isinstance(request, Cancel):
            return False
        return (
            request.request_id == self.name
            if self.pipeline_step_token is None
            else request.reply_target.callback_token == self.pipeline_step_token
        )


AnyRequest = Deploy | Update | Delete | Cancel


def _only(action: str, *, required: bool = True) -> Field:
    """Return the field `action` for the table of one action."""
    return replace(ACTION, choices=(action,), examples=(action,), required=required)


DEPLOY: Final = (
    _only("deploy", required=False),
    NAME,
    MODEL,
    JOB,
    Field(
        name="description",
        kind=FieldKind.TEXT,
        least=1,
        most=2048,
        letters=r"^\x00-\x08\n-\x1f\x7f-\x9f\u2028\u2029",
        doc="Description on one line, shown by Bedrock. Of control characters only the tab is allowed.",
        remedy="use 1 to 2048 characters on one line, or leave the key out",
        examples=("nightly fine-tune",),
    ),
    TAGS,
    Field(
        name="ifExists",
        kind=FieldKind.TEXT,
        choices=tuple(IfExists),
        doc="What to do if Slipway created a deployment of this name before: adopt it if it has this model (the default), "
        "update it to this model, replace it, or fail.",
        remedy="use adopt, update, replace or fail, or leave the key out",
        examples=("update",),
    ),
    Field(
        name="onFailure",
        kind=FieldKind.TEXT,
        choices=tuple(OnFailure),
        doc="What to do with a failed deployment after the last attempt: keep (the default) or delete.",
        remedy="use keep or delete, or leave the key out",
        examples=("delete",),
    ),
    Field(
        name="retries",
        kind=FieldKind.WHOLE,
        least=0,
        most=10,
        doc="Number of further attempts after a failed one; the failed deployment is deleted first. The default is 0.",
        remedy="use a whole number from 0 to 10, or leave the key out",
        examples=(2,),
    ),
    SMOKE_TEST,
    Field(
        name="expiresAfter",
        kind=FieldKind.SECONDS,
        least=1,
        most=LONGEST_LIFE_SECONDS,
        doc="Lifetime of the deployment, from the request's first receipt; then it is deleted. 1 second to 366 days.",
        remedy="use 1 second to 366 days, like P7D or PT12H, or leave the key out",
        examples=("P7D",),
    ),
    TOKEN,
    REQUEST_ID,
    TIMEOUT,
    PRIORITY,
    TENANT,
    *REPLY_FIELDS,
    TARGET,
)
UPDATE: Final = (
    _only("update"),
    IDENTIFIER,
    MODEL,
    Field(
        name="rollback",
        kind=FieldKind.FLAG,
        doc="Return to the former model if the update or its smoke test fails, and end as RolledBack. The default is false.",
        remedy="use true or false, or leave the key out",
        examples=(True,),
    ),
    SMOKE_TEST,
    FORCE,
    REQUEST_ID,
    TIMEOUT,
    TENANT,
    *REPLY_FIELDS,
    TARGET,
)
DELETE: Final = (
    _only("delete"),
    IDENTIFIER,
    FORCE,
    Field(
        name="ifExpired",
        kind=FieldKind.FLAG,
        doc="Delete only if the time in the tag slipway:expires has passed; set by Slipway itself. The default is false.",
        remedy="use true or false, or leave the key out",
        examples=(False,),
    ),
    REQUEST_ID,
    TIMEOUT,
    TENANT,
    *REPLY_FIELDS,
    TARGET,
)
CANCEL: Final = (
    _only("cancel"),
    CANCELS,
    Field(
        name="deployment",
        kind=FieldKind.TEXT,
        choices=("keep", "delete"),
        doc="What to do with the deployment that the cancelled request started: keep (the default) or delete.",
        remedy="use keep or delete, or leave the key out",
        examples=("delete",),
    ),
    REQUEST_ID,
    TIMEOUT,
    TENANT,
    *REPLY_FIELDS,
)
FIELDS_OF: Final = {"deploy": DEPLOY, "update": UPDATE, "delete": DELETE, "cancel": CANCEL}
"""One row for each of `ACTIONS`."""


def request_schema() -> dict[str, object]:
    """Return the JSON Schema of a request without envelopes. It accepts every request that Slipway accepts."""
    head: dict[str, object] = {
        "$schema": DRAFT,
        "title": "Slipway request",
        "description": "The keyword arguments of boto3's custom model deployment calls, and Slipway's optional keys.",
        "examples": [{field.name: field.examples[0] for field in fields if field is not JOB} for fields in FIELDS_OF.values()],
    }
    shapes = [{"title": action} | object_schema(fields) for action, fields in FIELDS_OF.items()]
    return head | {"oneOf": shapes}
