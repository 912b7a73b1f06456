"""The fields of a request, key by key. Which action takes which field: see `models`.

Bedrock's keys are those of boto3's `create_…`, `update_…` and `delete_custom_model_deployment`, with botocore's limits and
patterns. Four patterns are rewritten to match in linear time; a test compares them with botocore's.
"""

from __future__ import annotations

from typing import Final

from slipway.core.schema.fields import Field, FieldKind

DEFAULT_MAX_TOKENS: Final = 64
OWN_PREFIX: Final = "slipway:"
OWN_TAGS: Final = 8
"""Number of a deployment's tags that are reserved for Slipway."""
MOST_TAGS: Final = 50
"""Per resource, as the service enforces it; its API model allows 200."""
LONGEST_TIMEOUT_SECONDS: Final = 7 * 86_400
LONGEST_LIFE_SECONDS: Final = 366 * 86_400

_TAG_LETTERS: Final = r"A-Za-z0-9 _.:/=+@\-"
_PLAIN: Final = r"[A-Za-z0-9_.:/=+@\-]+(?: +[A-Za-z0-9_.:/=+@\-]+)*"
"""Tag letters, without spaces at the ends: AWS and its consoles may trim them."""
_TAG_WORDS: Final = "letters, digits, spaces and _.:/=+@-"

_ARN_PART: Final = r"[a-z0-9\-]{1,63}"
MODEL_ARN: Final = (
    r"arn:(aws|aws-us-gov|aws-cn|aws-iso|aws-iso-b):bedrock:([a-z0-9\-]{1,20}):([0-9]{12}):custom-model/"
    rf"(?:imported|{_ARN_PART}\.[a-z0-9\-]{{2,126}}(?:\.{_ARN_PART}){{0,2}}(?::{_ARN_PART}){{0,2}})/[a-z0-9]{{12}}"
)
"""Groups: partition, Region, account."""
JOB_ARN: Final = (
    r"arn:(aws(?:-[a-z0-9\-]+)?):bedrock:([a-z0-9\-]{1,20}):([0-9]{12}):model-customization-job/"
    rf"{_ARN_PART}\.[a-z0-9\-]{{2,126}}(?:\.{_ARN_PART}){{0,2}}(?::{_ARN_PART}){{0,2}}/[a-z0-9]{{12}}"
)
"""Groups: partition, Region, account."""

DEPLOYMENT_ARN: Final = (
    r"arn:(aws|aws-us-gov|aws-cn|aws-iso|aws-iso-b):bedrock:([a-z0-9\-]{1,20}):([0-9]{12}):custom-model-deployment/[a-z0-9]{12}"
)
"""Groups: partition, Region, account."""
_NAME: Final = r"(?:[0-9a-zA-Z][_\-]?){1,63}"

ACTIONS: Final = ("deploy", "update", "delete", "cancel")

ACTION = Field(
    name="action",
    kind=FieldKind.TEXT,
    choices=ACTIONS,
    doc="The action. The default is deploy.",
    remedy=f"use one of {', '.join(ACTIONS)}, or leave the key out to deploy",
    examples=("deploy",),
)
NAME = Field(
    name="modelDeploymentName",
    kind=FieldKind.TEXT,
    required=True,
    least=1,
    most=63,
    letters=r"0-9a-zA-Z_\-",
    pattern=r"(?:[0-9a-zA-Z][_\-]?)+",
    doc="Name of the deployment, unique in its account and Region.",
    remedy="use 1 to 63 letters and digits, with single - or _ after any of them",
    examples=("support-bot-v42",),
)
MODEL = Field(
    name="modelArn",
    kind=FieldKind.TEXT,
    required=True,
    instead="customizationJob",
    least=20,
    most=1011,
    letters=r"a-z0-9:/.\-",
    pattern=MODEL_ARN,
    doc="The ARN of the custom model, in the account and Region of the target.",
    remedy="give the ARN of a custom model, like arn:aws:bedrock:REGION:ACCOUNT:custom-model/BASE-MODEL/ID",
    examples=("arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl",),
)
JOB = Field(
    name="customizationJob",
    kind=FieldKind.TEXT,
    least=1,
    most=1011,
    letters=r"A-Za-z0-9:/.+\-",
    pattern=rf"{JOB_ARN}|[a-zA-Z0-9][a-zA-Z0-9+.\-]*",
    doc="Instead of modelArn: ARN or name of the Bedrock customization job that creates the model. Slipway waits for the job "
    "and for its model.",
    remedy="give the ARN or the name of a model customization job, or leave the key out and give modelArn",
    examples=("arn:aws:bedrock:us-east-1:123456789012:model-customization-job/amazon.nova-lite-v1:0:300k/abcdefghijkl",),
)
IDENTIFIER = Field(
    name="customModelDeploymentIdentifier",
    kind=FieldKind.TEXT,
    required=True,
    least=1,
    most=93,
    letters=r"0-9a-zA-Z_:/\-",
    pattern=f"(?:{_NAME}|{DEPLOYMENT_ARN})",
    doc="Name or ARN of the deployment.",
    remedy="give a deployment's name, or its ARN like arn:aws:bedrock:REGION:ACCOUNT:custom-model-deployment/ID",
    examples=("support-bot-v42",),
)
TOKEN = Field(
    name="clientRequestToken",
    kind=FieldKind.TEXT,
    least=1,
    most=256,
    letters=r"a-zA-Z0-9\-",
    pattern=r"[a-zA-Z0-9](?:[a-zA-Z0-9\-]*[a-zA-Z0-9])?",
    doc="Idempotency token: messages with the same token are the same request. Bedrock gets a token derived from it.",
    remedy="use 1 to 256 letters, digits and inner hyphens, or leave the key out",
    examples=("7b1f4c1e-0a53-4c39-9f3c-1d8f6f2f8a11",),
)
REQUEST_ID = Field(
    name="requestId",
    kind=FieldKind.TEXT,
    least=1,
    most=128,
    letters=_TAG_LETTERS,
    pattern=_PLAIN,
    doc="The sender's own id of this request, shown in events and in the deployment's tag slipway:request.",
    remedy=f"use 1 to 128 {_TAG_WORDS}, with no space at either end, or leave the key out",
    examples=("train-2026-11-23-42",),
)
TAG: Final = (
    Field(
        name="key",
        kind=FieldKind.TEXT,
        required=True,
        least=1,
        most=128,
        letters=_TAG_LETTERS,
        reserved=("aws:", OWN_PREFIX),
        doc="The tag's key, distinct from the others. Prefixes aws: and slipway: are reserved.",
        remedy=f"use 1 to 128 {_TAG_WORDS}, without the prefixes aws: and slipway:",
        examples=("team",),
    ),
    Field(
        name="value",
        kind=FieldKind.TEXT,
        required=True,
        least=0,
        most=256,
        letters=_TAG_LETTERS,
        doc="The tag's value; it may be empty.",
        remedy=f"use at most 256 {_TAG_WORDS}",
        examples=("support",),
    ),
)
TAGS = Field(
    name="tags",
    kind=FieldKind.LIST,
    entry=TAG,
    most=MOST_TAGS - OWN_TAGS,
    doc=f"Tags of the deployment, objects with key and value. Of Bedrock's {MOST_TAGS}, {OWN_TAGS} are reserved for Slipway.",
    remedy=f'give a list of at most {MOST_TAGS - OWN_TAGS} objects like {{"key": "team", "value": "support"}}',
    examples=([{"key": "team", "value": "support"}],),
)
TIMEOUT = Field(
    name="timeout",
    kind=FieldKind.SECONDS,
    least=1,
    most=LONGEST_TIMEOUT_SECONDS,
    doc="Longest time for the request, from its first receipt: seconds, a duration like 90m, 2h or 1d, or one of ISO 8601 "
    "without years and months. 1 second to 7 days; the default is Slipway's setting timeout.",
    remedy="use 1 second to 7 days, like 90m, 1d, PT90M or 5400",
    examples=("90m", "PT90M", 5400),
)
PRIORITY = Field(
    name="priority",
    kind=FieldKind.WHOLE,
    least=-100,
    most=100,
    doc="Priority for creation slots: the higher number goes first. The default is 0.",
    remedy="use a whole number from -100 to 100",
    examples=(0,),
)
FORCE = Field(
    name="force",
    kind=FieldKind.FLAG,
    doc="Apply also to a deployment that Slipway did not create; needs the setting allow_force too. The default is false.",
    remedy="use true or false, or leave the key out",
    examples=(False,),
)
TENANT = Field(
    name="tenant",
    kind=FieldKind.TEXT,
    least=1,
    most=64,
    letters=_TAG_LETTERS,
    pattern=_PLAIN,
    doc="Tenant used for fair scheduling: waiting requests take creation slots in turn by tenant.",
    remedy=f"use 1 to 64 {_TAG_WORDS}, with no space at either end, or leave the key out",
    examples=("support",),
)
TARGET = Field(
    name="target",
    kind=FieldKind.TEXT,
    least=1,
    most=32,
    letters=r"0-9A-Za-z_\-",
    pattern=r"[0-9A-Za-z][0-9A-Za-z_\-]*",
    doc="Name of the target, an account and Region in Slipway's settings. The default is default.",
    remedy="use the name of a target in Slipway's settings, or leave the key out",
    examples=("default",),
)

TASK_TOKEN = Field(
    name="taskToken",
    alias="TaskToken",
    kind=FieldKind.TEXT,
    least=1,
    most=2048,
    letters=r"!-~",
    doc="Token of a Step Functions task that waits for the outcome. TaskToken, as in its documentation, is the same.",
    remedy="give the token of a task as Step Functions made it, or leave the key out",
    examples=("AQCEAAAAKgAAAAMAAAAAAAAAAeSampleTaskToken",),
)
CALLBACK_TOKEN = Field(
    name="callbackToken",
    kind=FieldKind.TEXT,
    least=10,
    most=10,
    letters="a-zA-Z0-9",
    doc="Token of a SageMaker pipeline's callback step that waits for the outcome. The step's own message needs no change.",
    remedy="give the 10 letters and digits that the pipeline made, or leave the key out",
    examples=("Qk3vX9aZ1b",),
)
REPLY_TO = Field(
    name="replyTo",
    kind=FieldKind.TEXT,
    least=1,
    most=1024,
    letters=r"!-~",
    pattern=r"arn:aws[a-z\-]*:sns:[a-z0-9\-]+:[0-9]{12}:[A-Za-z0-9_\-]{1,256}(?:\.fifo)?|"
    r"https?://[A-Za-z0-9.:\-]+/[0-9]{12}/[A-Za-z0-9_\-]{1,80}(?:\.fifo)?",
    doc="URL of a queue or ARN of a topic that also receives the event; the setting reply_to must allow it.",
    remedy="give the URL of an SQS queue or the ARN of an SNS topic, or leave the key out",
    examples=("arn:aws:sns:us-east-1:123456789012:team-answers",),
)
REPLY_FIELDS: Final = (TASK_TOKEN, CALLBACK_TOKEN, REPLY_TO)
"""Where the outcome is sent besides the topic, for every action."""


_LINES: Final = r"^\x00-\x08\x0b-\x1f\x7f-\x9f"
_NOT_BLANK: Final = rf"[{_LINES}]*[^\s\u200b\ufeff\x00-\x1f\x7f-\x9f][{_LINES}]*"
"""Bedrock refuses a message that is only white space."""
SMOKE_TEST = Field(
    name="smokeTest",
    kind=FieldKind.OBJECT,
    entry=(
        Field(
            name="prompt",
            kind=FieldKind.TEXT,
            required=True,
            least=1,
            most=2048,
            letters=_LINES,
            doc="The prompt to the model.",
            pattern=_NOT_BLANK,
            remedy="give a prompt of 1 to 2048 characters, not only spaces",
            examples=("Reply with the word ready.",),
        ),
        Field(
            name="expect",
            kind=FieldKind.TEXT,
            least=1,
            most=256,
            letters=_LINES,
            doc="Text that the answer must contain, ignoring case. Without it any answer that is not blank passes.",
            pattern=_NOT_BLANK,
            remedy="give 1 to 256 characters, not only spaces, or leave the key out",
            examples=("ready",),
        ),
        Field(
            name="maxTokens",
            kind=FieldKind.WHOLE,
            least=1,
            most=1024,
            doc=f"Longest answer, in tokens. The default is {DEFAULT_MAX_TOKENS}.",
            remedy="use a whole number from 1 to 1024, or leave the key out",
            examples=(16,),
        ),
        Field(
            name="gate",
            kind=FieldKind.FLAG,
            doc="Whether a failed test fails the request (the default), or is only reported in the event.",
            remedy="use true or false, or leave the key out",
            examples=(True,),
        ),
    ),
    doc="One prompt to the deployment, sent with Converse before the request succeeds.",
    remedy='give an object like {"prompt": "Reply with the word ready.", "expect": "ready"}, or leave the key out',
    examples=({"prompt": "Reply with the word ready.", "expect": "ready"},),
)
CANCELS: Final = Field(
    name="cancels",
    kind=FieldKind.TEXT,
    required=True,
    least=1,
    most=256,
    letters=_TAG_LETTERS,
    pattern=_PLAIN,
    doc="Id of the request to cancel, as its events show it.",
    remedy="give the requestId that the request's events show",
    examples=("train-2026-11-23-42",),
)
