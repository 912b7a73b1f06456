"""The contract as AsyncAPI 3.0: well formed, and true of what is really received and published."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from slipway import __version__
from slipway.cli.main import app
from slipway.core.events.publish import Progress, Publication, Times, announce_outcome, announce_progress, announce_rejection
from slipway.core.events.schema import WORDS, asyncapi_document
from slipway.core.lifecycle.outcomes import Outcome, OutcomeKind, Reason
from slipway.core.parsing import parse_request
from slipway.core.schema.rejection import RejectionCode
from slipway.core.sqs.messages import Message
from tests.support.readme import HOME, SAMPLES

SOURCE = "urn:slipway:123456789012:us-east-1"
TIMES = Times(1_795_464_100.0, 1_795_464_000.0, 1_795_471_200.0)


def closed(required: str, optional: str = "", **properties: object) -> dict[str, object]:
    """An object with these keys and no others; what is not given is a text."""
    names = [*required.split(), *optional.split()]
    shapes = {name: properties.get(name, {"type": "string", "minLength": 1}) for name in names}
    return {"type": "object", "required": required.split(), "properties": shapes, "additionalProperties": False}


def each(shape: object) -> dict[str, object]:
    return {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": "^[A-Za-z0-9_.-]+$"},
        "additionalProperties": shape,
    }


def refs(start: str) -> dict[str, object]:
    return {"type": "array", "minItems": 1, "uniqueItems": True, "items": ref(start)}


def ref(start: str) -> dict[str, object]:
    shape = {"$ref": {"type": "string", "pattern": f"^#/{start}/[A-Za-z]+"}}
    return {"type": "object", "required": ["$ref"], "properties": shape, "additionalProperties": False}


REDRIVE = closed("deadLetterQueue", "maxReceiveCount", deadLetterQueue=closed("name"), maxReceiveCount={"type": "integer"})
QUEUE = closed(
    "name fifoQueue", "messageRetentionPeriod redrivePolicy",
    fifoQueue={"type": "boolean"}, messageRetentionPeriod={"type": "integer", "maximum": 1_209_600}, redrivePolicy=REDRIVE,
)  # fmt: skip
ORDERING = closed("type", "contentBasedDeduplication", type={"enum": ["standard", "FIFO"]}, contentBasedDeduplication={})
BINDINGS = {
    "oneOf": [
        closed("sqs", sqs=closed("queue bindingVersion", queue=QUEUE, bindingVersion={"const": "0.2.0"})),
        closed("sns", sns=closed("name bindingVersion", "ordering", ordering=ORDERING, bindingVersion={"const": "0.1.0"})),
    ]
}
VARIABLE = closed("description", "examples", examples={"type": "array", "items": {"type": "string"}})
SERVER = closed("host protocol", "variables", protocol={"enum": ["sqs", "sns"]}, variables=each(VARIABLE))
CHANNEL = closed(
    "address title description servers messages", "bindings",
    address={"type": ["string", "null"]}, servers=refs("servers"), messages=each(ref("components/messages")), bindings=BINDINGS,
)  # fmt: skip
ADDRESS = closed("location description", location={"type": "string", "pattern": r"^\$message\.(payload|header)#/"})
REPLY = closed("address channel messages", address=ADDRESS, channel=ref("channels"), messages=refs("channels"))
OPERATION = closed(
    "action channel summary messages", "reply",
    action={"enum": ["send", "receive"]}, channel=ref("channels"), messages=refs("channels"), reply=REPLY,
)  # fmt: skip
EXAMPLE = closed("name payload", payload={"type": "object"})
MESSAGE = closed(
    "name title summary contentType payload", "headers examples",
    headers=ref("components/schemas"), payload={"type": "object"}, examples={"type": "array", "items": EXAMPLE},
)  # fmt: skip
LICENSE = closed("name url")
STRUCTURE = closed(
    "asyncapi info defaultContentType servers channels operations components",
    asyncapi={"const": "3.0.0"},
    info=closed("title version description license", license=LICENSE),
    servers=each(SERVER),
    channels=each(CHANNEL),
    operations=each(OPERATION),
    components=closed("messages schemas", messages=each(MESSAGE), schemas=each({"type": "object"})),
)
"""What AsyncAPI 3.0 asks of the parts that are used; its own schema of 600 KB says the same of them."""

NEWER_THAN_DRAFT_07 = {
    "$defs", "$anchor", "$dynamicRef", "prefixItems", "unevaluatedProperties", "unevaluatedItems", "dependentRequired",
    "dependentSchemas", "minContains", "maxContains", "$schema",
}  # fmt: skip


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return json.loads(json.dumps(asyncapi_document("1.2.3")))  # type: ignore[no-any-return]


def nodes(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from nodes(inner)


def test_it_has_the_structure_of_asyncapi(document: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(STRUCTURE).validate(document)


def test_every_reference_leads_somewhere_and_every_message_is_used(document: dict[str, Any]) -> None:
    used = set()
    for node in nodes(document):
        if "$ref" in node:
            found: Any = document
            for step in node["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            used.add(node["$ref"])
    assert {f"#/components/messages/{name}" for name in document["components"]["messages"]} <= used
    assert {f"#/components/schemas/{name}" for name in document["components"]["schemas"]} <= used


def test_its_schemas_are_of_the_dialect_that_asyncapi_knows(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft7Validator.check_schema(schema)
    assert not NEWER_THAN_DRAFT_07 & {key for node in nodes(document) for key in node}


def payload(document: dict[str, Any], name: str) -> jsonschema.Draft7Validator:
    message = document["components"]["messages"][name]
    return jsonschema.Draft7Validator(message["payload"] | {"components": document["components"]})


def publications() -> dict[str, Publication]:
    request = parse_request(Message("m-1", (SAMPLES / "full.json").read_text("utf-8"), "", 1, 0.0, 0.0), HOME)
    made = {
        kind.value: announce_outcome(request, Outcome(kind, Reason.NO_SLOT, "why"), TIMES, SOURCE)
        for kind in OutcomeKind
        if kind is not OutcomeKind.REJECTED
    }
    made["Rejected"] = announce_rejection("m-1", None, RejectionCode.INVALID_FIELD, "why", TIMES, SOURCE)
    return made | {step.value: announce_progress(request, step, TIMES, SOURCE) for step in Progress}


@pytest.mark.parametrize("word", WORDS)
def test_each_event_is_a_message_of_its_own(document: dict[str, Any], word: str) -> None:
    said = publications()
    name = word[0].lower() + word[1:]
    payload(document, name).validate(json.loads(said[word].body))
    for other in set(WORDS) - {word}:
        assert not payload(document, name).is_valid(json.loads(said[other].body))
    attributes = jsonschema.Draft7Validator(document["components"]["schemas"]["attributes"])
    attributes.validate(dict(said[word].attributes))
    message = document["components"]["messages"][name]
    assert (message["name"], message["title"]) == (said[word].event["type"], word)


def test_its_examples_are_understood(document: dict[str, Any]) -> None:
    examples = document["components"]["messages"]["request"]["examples"]
    for example in examples:
        payload(document, "request").validate(example["payload"])
        assert parse_request(Message("m", json.dumps(example["payload"]), "", 1, 0.0, 0.0), HOME).action == example["name"]


def test_only_ends_are_replied(document: dict[str, Any]) -> None:
    replied = set(document["channels"]["replies"]["messages"])
    assert replied == {kind.value[0].lower() + kind.value[1:] for kind in OutcomeKind}


def test_the_command_prints_it() -> None:
    result = CliRunner().invoke(app, ["schema", "asyncapi"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == json.loads(json.dumps(asyncapi_document(__version__)))
