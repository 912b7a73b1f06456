"""The fields of each action: one table per action, from which the checks of a request and its JSON Schema are derived.

Bedrock's keys are those of boto3's `create_…`, `update_…` and `delete_custom_model_deployment`. Fields that several actions
share are in `fields`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from slipway.core.requests.fields import (
    ACTION,
    CANCELS,
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
from slipway.core.requests.models import IfExists, OnFailure
from slipway.core.schema.fields import DRAFT, Field, FieldKind, object_schema


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
