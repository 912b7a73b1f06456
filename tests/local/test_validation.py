"""Every constraint of botocore's service model is held, at every place that an operation's input has."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from botocore.session import get_session

MODEL = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"
DEPLOYMENT = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghijkl"
FOUNDATION = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0"
TIME = "2026-01-02T03:04:05Z"
TAGS = [{"key": "a", "value": "b"}]
PAGED = {"maxResults": "5", "nextToken": "a", "sortBy": "CreationTime", "sortOrder": "Ascending"}

GOOD: dict[str, dict[str, Any]] = {
    "CreateCustomModelDeployment": {
        "modelDeploymentName": "bot", "modelArn": MODEL, "description": "d", "tags": TAGS, "clientRequestToken": "t",
    },
    "ListCustomModelDeployments": PAGED | {
        "createdBefore": TIME, "createdAfter": TIME, "nameContains": "a", "statusEquals": "Active", "modelArnEquals": MODEL,
    },
    "GetCustomModelDeployment": {"customModelDeploymentIdentifier": DEPLOYMENT},
    "DeleteCustomModelDeployment": {"customModelDeploymentIdentifier": DEPLOYMENT},
    "ListTagsForResource": {"resourceARN": DEPLOYMENT},
    "TagResource": {"resourceARN": DEPLOYMENT, "tags": TAGS},
    "UntagResource": {"resourceARN": DEPLOYMENT, "tagKeys": ["a"]},
    "CreateCustomModel": {
        "modelName": "m", "modelSourceConfig": {"s3DataSource": {"s3Uri": "s3://bucket/model"}}, "modelTags": TAGS,
        "modelKmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/" + "a" * 36, "roleArn": "arn:aws:iam::123456789012:role/r",
        "clientRequestToken": "t",
    },
    "ListCustomModels": PAGED | {
        "creationTimeBefore": TIME, "creationTimeAfter": TIME, "nameContains": "a", "baseModelArnEquals": FOUNDATION,
        "foundationModelArnEquals": FOUNDATION, "isOwned": "true", "modelStatus": "Active",
    },
    "GetCustomModel": {"modelIdentifier": "m"},
    "GetModelCustomizationJob": {"jobIdentifier": "job"},
    "Converse": {
        "modelId": DEPLOYMENT, "messages": [{"role": "user", "content": [{"text": "hello"}]}],
        "inferenceConfig": {"maxTokens": 1, "temperature": 0.5, "topP": 0.5, "stopSequences": ["s"]},
    },
}  # fmt: skip
"""For each operation an input with a value at every place that has a constraint, as it is written on the wire."""


def shape_of(operation: str) -> Any:
    return model_of(operation).input_shape


@cache
def model_of(operation: str) -> Any:
    service = "bedrock-runtime" if operation == "Converse" else "bedrock"
    return get_session().get_service_model(service).operation_model(operation)


def wrong_values(shape: Any) -> Iterator[Any]:
    """Yield values that break one constraint of the shape each."""
    limits = shape.metadata
    if shape.type_name == "string":
        if limits.get("min", 0) > 0:
            yield "a" * (limits["min"] - 1)
        if "max" in limits:
            yield "a" * (limits["max"] + 1)
        if limits.get("pattern", ".*") != ".*":
            yield " \u00e9"
        if "enum" in limits:
            yield "NoSuchWord"
    elif shape.type_name in {"integer", "long", "float"}:
        yield from ([limits["min"] - 1] if "min" in limits else [])
        yield from ([limits["max"] + 1] if "max" in limits else [])
    elif shape.type_name == "list":
        yield from ([[]] if limits.get("min", 0) > 0 else [])
        if "max" in limits:
            yield [None] * (limits["max"] + 1)
    elif shape.type_name in {"boolean", "timestamp"} and shape.serialization.get("location") == "querystring":
        yield "neither"


def mutants(shape: Any, value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield the place and the wrong value of every mutant; the value `...` is the member left out."""
    for wrong in wrong_values(shape):
        if isinstance(wrong, list) and wrong:
            yield at, [copy.deepcopy(value[0])] * len(wrong)
        else:
            yield at, wrong
    if shape.type_name == "structure" and not getattr(shape, "is_document_type", False):
        for name, member in shape.members.items():
            if name in value:
                is_path = member.serialization.get("location") == "uri"
                found = mutants(member, value[name], (*at, name))
                yield from (each for each in found if not (is_path and each[1] == ""))  # another path
                if name in shape.required_members and not is_path:
                    yield (*at, name), ...
    elif shape.type_name == "list" and value:
        yield from mutants(shape.member, value[0], (*at, 0))


def mutated(given: dict[str, Any], at: tuple[Any, ...], wrong: Any) -> dict[str, Any]:
    made = copy.deepcopy(given)
    inner: Any = made
    for step in at[:-1]:
        inner = inner[step]
    if wrong is ...:
        del inner[at[-1]]
    else:
        inner[at[-1]] = wrong
    return made


async def send(http: aiohttp.ClientSession, operation: str, given: dict[str, Any]) -> tuple[int, str, str]:
    """Send an input as it is, over HTTP; return status, error and message."""
    model = model_of(operation)
    path, query, body = model.http["requestUri"], {}, {}
    for name, value in given.items():
        limits = shape_of(operation).members[name].serialization
        match limits.get("location"):
            case "uri":
                path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
            case "querystring":
                query[limits["name"]] = str(value)
            case _:
                body[name] = value
    data = json.dumps(body) if body or model.http["method"] == "POST" else None
    async with http.request(model.http["method"], path, params=query, data=data) as answer:
        return answer.status, answer.headers.get("x-amzn-ErrorType", ""), (await answer.json()).get("message", "")


CASES = [(operation, at, wrong) for operation, given in GOOD.items() for at, wrong in mutants(shape_of(operation), given)]


def limits(case: object) -> str:
    return "-".join(map(str, case)) if isinstance(case, tuple) else str(case)[:16].replace("Ellipsis", "absent")


@pytest.mark.parametrize(("operation", "at", "wrong"), CASES, ids=limits)
async def test_what_breaks_a_constraint_is_refused(http: Any, operation: str, at: tuple[Any, ...], wrong: Any) -> None:
    status, error, message = await send(http, operation, mutated(GOOD[operation], at, wrong))
    assert (status, error) == (400, "ValidationException"), (status, error, message)
    assert "validation error" in message or "not of the type" in message


@pytest.mark.parametrize("operation", GOOD)
async def test_what_breaks_none_is_not_refused_for_its_constraints(http: Any, operation: str) -> None:
    _, error, message = await send(http, operation, GOOD[operation])
    assert "validation error" not in message
    assert error in {"", "ResourceNotFoundException"} or message == "nextToken is not valid"


@pytest.mark.parametrize("operation", GOOD)
def test_the_good_inputs_have_a_value_wherever_an_input_has_a_constraint(operation: str) -> None:
    """So that a member that a later botocore adds is not left out in silence."""
    if operation != "Converse":
        assert set(shape_of(operation).members) <= set(GOOD[operation]) | {"customModelDataSource"}


def test_every_place_of_a_constraint_has_a_case() -> None:
    assert len(CASES) > 90
    for operation in ("ListCustomModels", "ListCustomModelDeployments"):
        places = {at[0] for name, at, _ in CASES if name == operation}
        assert {"nameContains", "nextToken", "maxResults", "sortOrder"} <= places
    assert any(at == ("modelArnEquals",) for _, at, _ in CASES)
