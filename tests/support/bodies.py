"""Requests to test with: one that is good, and hypothesis strategies that follow the table of fields."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from slipway.core.requests.fields import DEPLOYMENT_ARN, IDENTIFIER, JOB, MODEL, TARGET
from slipway.core.requests.models import DEPLOY, FIELDS_OF
from slipway.core.requests.targets import DEFAULT, Home, Target, Targets, home_only
from slipway.core.schema.fields import Field, FieldKind
from slipway.core.sqs.messages import AnyAttribute, Message

HOME = home_only(Home("aws", "123456789012", "us-east-1"))
TARGETS: Targets = {**HOME, "research": Target("research", Home("aws", "210987654321", "us-west-2"))}
"""Those that the samples name."""
ARN = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"
GOOD: dict[str, Any] = {"modelDeploymentName": "support-bot-v42", "modelArn": ARN}
MESSAGE_ID = "5fea7756-0ea4-451a-a703-a558b933e274"
NOW = 1_795_000_000.0
_NAME = next(field for field in DEPLOY if field.name == "modelDeploymentName")


def message(body: object = GOOD, *, attributes: Mapping[str, AnyAttribute] | None = None, **other: Any) -> Message:
    """A first delivery of a body: a text as it is, anything else as JSON."""
    text = body if isinstance(body, str) else json.dumps(body)
    given: dict[str, Any] = {
        "message_id": MESSAGE_ID,
        "receipt": "r",
        "receive_count": 1,
        "received_at": NOW,
        "first_received_at": NOW,
    }
    return Message(content=text, attributes=attributes or {}, **(given | other))


def sns(text: str) -> dict[str, object]:
    """The envelope in which SNS delivers a text to SQS."""
    return {"Type": "Notification", "MessageId": "m", "TopicArn": "t", "Message": text, "MessageAttributes": {}}


def eventbridge(detail: object, source: str = "com.example.training") -> dict[str, object]:
    """The envelope of an EventBridge event."""
    return {"version": "0", "id": "i", "detail-type": "Model Trained", "source": source, "detail": detail}


def values(field: Field) -> st.SearchStrategy[Any]:  # noqa: PLR0911  one for each kind
    """Whatever one field may hold."""
    least, most = int(field.least or 0), int(field.most or 0)
    if field.choices or field is TARGET:
        return st.sampled_from(field.choices or (DEFAULT,))
    if field is MODEL or field is JOB:
        return st.from_regex(field.pattern or "", fullmatch=True).map(_at_home)
    if field is IDENTIFIER:
        return st.one_of(values(_NAME), st.from_regex(DEPLOYMENT_ARN, fullmatch=True).map(_at_home))
    match field.kind:
        case FieldKind.TEXT if field.pattern:
            return st.from_regex(field.pattern, fullmatch=True).filter(lambda text: least <= len(text) <= most)
        case FieldKind.TEXT:
            texts = st.from_regex(f"[{field.letters}]{{{least},{min(most, 80)}}}", fullmatch=True)
            return texts.filter(lambda text: not text.lower().startswith(field.reserved))
        case FieldKind.WHOLE:
            return st.integers(least, most)
        case FieldKind.SECONDS:
            return st.one_of(st.integers(least, most), st.floats(least, most), durations())
        case FieldKind.OBJECT:
            required = {each.name: values(each) for each in field.entry if each.required}
            return st.fixed_dictionaries(
                required, optional={each.name: values(each) for each in field.entry if not each.required}
            )
        case FieldKind.LIST:
            first = field.entry[0].name
            return st.lists(entries(field), max_size=min(most, 8), unique_by=lambda entry: entry[first])
        case _:
            return st.booleans()


def entries(field: Field) -> st.SearchStrategy[dict[str, Any]]:
    """Whatever one object of a list may be."""
    return st.fixed_dictionaries({each.name: values(each) for each in field.entry})


def durations() -> st.SearchStrategy[str]:
    """ISO 8601 durations from a second to a week."""
    days, hours = st.integers(0, 5).map("P{}DT".format), st.integers(0, 23).map("{}H".format)
    clock = st.tuples(days, hours, st.integers(0, 59).map("{}M".format), st.integers(1, 59).map("{}S".format))
    return st.one_of(clock.map("".join), st.sampled_from(["P1W", "P7D", "PT90M", "PT1S", "PT1.5S", "PT604800S"]))


def requests(action: str | None = None) -> st.SearchStrategy[dict[str, Any]]:
    """Whatever a request may be, or a request for one action."""
    if action is None:
        return st.one_of(*(requests(each) for each in FIELDS_OF))
    fields = FIELDS_OF[action]
    required = {field.name: values(field) for field in fields if field.required}
    optional = {field.name: values(field) for field in fields if not field.required and field is not JOB}
    by_model = st.fixed_dictionaries(required, optional=optional)
    if JOB not in fields:
        return by_model
    others = {name: strategy for name, strategy in required.items() if name != MODEL.name}
    return by_model | st.fixed_dictionaries(others | {JOB.name: values(JOB)}, optional=optional)


def json_values() -> st.SearchStrategy[Any]:
    """Whatever JSON can hold, and Python's readers and writers of JSON let pass beside it."""
    scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters()))
    return st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


def _at_home(arn: str) -> str:
    if not arn.startswith("arn:"):
        return arn
    tail = re.sub(r"^arn:[^:]*:bedrock:[^:]*:[^:]*:", "", arn)
    return f"arn:aws:bedrock:us-east-1:123456789012:{tail}"
