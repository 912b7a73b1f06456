"""What each action may be asked with: one table per action, from which a request's checks and its JSON Schema come.

Bedrock's keys are those of boto3's `create_…`, `update_…` and `delete_custom_model_deployment`. Each field is in
`request_fields`; what stands here alone is of one action.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from slipway.core.requests.fields import (
    ACTION,
    ASKING,
    CANCELS,
    FORCE,
    IDENTIFIER,
    JOB,
    LONGEST_LIFE_SECONDS,
    MODEL,
    NAME,
    PRIORITY,
    REQUEST_ID,
    SMOKE_TEST,
    TAGS,
    TARGET,
    TENANT,
    TIMEOUT,
    TOKEN,
)
from slipway.core.requests.models import IfExists, OnFailure
from slipway.core.schema.fields import Field, FieldKind
from slipway.core.schema.json_schema import DRAFT, object_schema


def _only(action: str, *, required: bool = True) -> Field:
    """Answer the field `action` of the table of one action."""
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
        doc="A line for people, shown by Bedrock. No control characters but the tab: Bedrock takes no line breaks.",
        remedy="use 1 to 2048 characters on one line, or leave the key out",
        examples=("nightly fine-tune",),
    ),
    TAGS,
    Field(
        name="ifExists",
        kind=FieldKind.TEXT,
        choices=tuple(IfExists),
        doc="When Slipway made a deployment of this name already: adopt it if it has this model (the default), update it to "
        "this model, replace it, or fail.",
        remedy="use adopt, update, replace or fail, or leave the key out",
        examples=("update",),
    ),
    Field(
        name="onFailure",
        kind=FieldKind.TEXT,
        choices=tuple(OnFailure),
        doc="What becomes of a deployment that has failed, after the last attempt: keep (the default) or delete.",
        remedy="use keep or delete, or leave the key out",
        examples=("delete",),
    ),
    Field(
        name="retries",
        kind=FieldKind.WHOLE,
        least=0,
        most=10,
        doc="How many attempts more are made when one has failed; what it left is deleted first. The default is 0.",
        remedy="use a whole number from 0 to 10, or leave the key out",
        examples=(2,),
    ),
    SMOKE_TEST,
    Field(
        name="expiresAfter",
        kind=FieldKind.SECONDS,
        least=1,
        most=LONGEST_LIFE_SECONDS,
        doc="How long the deployment is wanted, from the request's first receipt; then it is deleted. 1 second to 366 days.",
        remedy="use 1 second to 366 days, like P7D or PT12H, or leave the key out",
        examples=("P7D",),
    ),
    TOKEN,
    REQUEST_ID,
    TIMEOUT,
    PRIORITY,
    TENANT,
    *ASKING,
    TARGET,
)
UPDATE: Final = (
    _only("update"),
    IDENTIFIER,
    MODEL,
    Field(
        name="rollback",
        kind=FieldKind.FLAG,
        doc="Whether the former model is to be served again, and that announced as RolledBack, if the update fails.",
        remedy="use true or false, or leave the key out",
        examples=(True,),
    ),
    SMOKE_TEST,
    FORCE,
    REQUEST_ID,
    TIMEOUT,
    TENANT,
    *ASKING,
    TARGET,
)
DELETE: Final = (
    _only("delete"),
    IDENTIFIER,
    FORCE,
    Field(
        name="ifExpired",
        kind=FieldKind.FLAG,
        doc="Only if the time in its tag slipway:expires has passed: what Slipway itself asks for. The default is false.",
        remedy="use true or false, or leave the key out",
        examples=(False,),
    ),
    REQUEST_ID,
    TIMEOUT,
    TENANT,
    *ASKING,
    TARGET,
)
CANCEL: Final = (
    _only("cancel"),
    CANCELS,
    Field(
        name="deployment",
        kind=FieldKind.TEXT,
        choices=("keep", "delete"),
        doc="What becomes of the deployment that a deploy request has begun: keep (the default) or delete.",
        remedy="use keep or delete, or leave the key out",
        examples=("delete",),
    ),
    REQUEST_ID,
    TIMEOUT,
    TENANT,
    *ASKING,
)
FIELDS_OF: Final = {"deploy": DEPLOY, "update": UPDATE, "delete": DELETE, "cancel": CANCEL}
"""One row for each of `ACTIONS`."""


def request_schema() -> dict[str, object]:
    """Answer the JSON Schema of a request, bare of envelopes: whatever Slipway understands, it accepts."""
    head: dict[str, object] = {
        "$schema": DRAFT,
        "title": "Slipway request",
        "description": "The keyword arguments of boto3's calls about custom model deployments, and Slipway's optional ones.",
        "examples": [{field.name: field.examples[0] for field in fields if field is not JOB} for fields in FIELDS_OF.values()],
    }
    shapes = [{"title": action} | object_schema(fields) for action, fields in FIELDS_OF.items()]
    return head | {"oneOf": shapes}
