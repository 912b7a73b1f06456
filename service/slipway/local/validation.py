"""Validation of requests: the constraints that Bedrock documents, those of botocore's service models, and AWS's error texts.

`check_input` checks every operation that the model knows: types, lengths, patterns, enumerations and bounds of all parameters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, OperationModel, OperationNotFoundError, ServiceModel, Shape, StructureShape

MOST_TAGS: Final = 50
_NAME: Final = re.compile(r"(?!.*[_-]{2})[0-9a-zA-Z][0-9a-zA-Z_-]{0,62}")
_MODEL: Final = re.compile(
    r"arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:custom-model/"
    r"(imported|[a-z0-9-]{1,63}[.][a-z0-9-]{1,63}([a-z0-9-]{1,63}[.]){0,2}[a-z0-9-]{1,63}([:][a-z0-9-]{1,63}){0,2})/[a-z0-9]{12}"
)
_DEPLOYMENT: Final = re.compile(r"arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:custom-model-deployment/[a-z0-9]{12}")
_MODEL_NAME: Final = re.compile(r"([0-9a-zA-Z][_-]?){1,63}")
_DESCRIPTION: Final = re.compile(r".{1,2048}")
_TOKEN: Final = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]{0,254}[a-zA-Z0-9])?")
_TAG: Final = re.compile(r"[a-zA-Z0-9\s._:/=+@-]*")


class Refusal(Exception):
    """An error document: its code, its HTTP status, its message."""

    def __init__(self, code: str, status: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.status = status
        self.text = text


def invalid(text: str) -> Refusal:
    """Return a ValidationException."""
    return Refusal("ValidationException", 400, text)


def missing(text: str) -> Refusal:
    """Return a ResourceNotFoundException."""
    return Refusal("ResourceNotFoundException", 404, text)


def conflict(text: str) -> Refusal:
    """Return a ConflictException, which Bedrock sends with status 400."""
    return Refusal("ConflictException", 400, text)


def read_tags(given: object) -> list[dict[str, str]]:
    """Return the tags of a request. Raises `Refusal` unless it is a list of keys and values."""
    tags = [] if given is None else given
    if not isinstance(tags, list) or not all(isinstance(tag, dict) and _is_tag(tag) for tag in tags):
        raise Refusal("SerializationException", 400, "tags must be a list of objects with a key and a value")
    return tags


def _is_tag(tag: Mapping[str, object]) -> bool:
    return isinstance(tag.get("key"), str) and isinstance(tag.get("value"), str)


def check_model_arn(value: object) -> None:
    """Refuse a value that is not a custom model's ARN."""
    if not isinstance(value, str) or not 20 <= len(value) <= 1011 or not _MODEL.fullmatch(value):
        raise invalid("Value at 'modelArn' failed to satisfy constraint: Member must satisfy regular expression pattern")


def check_identifier(value: str) -> None:
    """Refuse a value that is neither a name nor an ARN of a deployment."""
    if not (_NAME.fullmatch(value) or _DEPLOYMENT.fullmatch(value)):
        raise invalid("Value at 'customModelDeploymentIdentifier' failed to satisfy constraint")


def check_model_name(value: object) -> None:
    """Refuse a value that is not a custom model's name."""
    if not isinstance(value, str) or len(value) > 63 or not _MODEL_NAME.fullmatch(value):
        raise invalid("Value at 'modelName' failed to satisfy constraint: ([0-9a-zA-Z][_-]?){1,63}")


def check_create(
    name: object, model_arn: object, description: object, tags: Sequence[Mapping[str, str]], token: object
) -> None:
    """Refuse invalid parameters of CreateCustomModelDeployment."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise invalid("Value at 'modelDeploymentName' failed to satisfy constraint: ([0-9a-zA-Z][_-]?){1,63}")
    check_model_arn(model_arn)
    if description is not None and not (isinstance(description, str) and _DESCRIPTION.fullmatch(description)):
        raise invalid("Value at 'description' failed to satisfy constraint: .{1,2048}")
    if token is not None and not (isinstance(token, str) and _TOKEN.fullmatch(token)):
        raise invalid("Value at 'clientRequestToken' failed to satisfy constraint")
    check_tags(tags)


def check_tags(tags: Sequence[Mapping[str, str]]) -> None:
    """Refuse invalid tags."""
    if len(tags) > MOST_TAGS:
        raise Refusal("TooManyTagsException", 400, "A resource can have at most 50 tags.")
    keys = [tag.get("key", "") for tag in tags]
    if len(set(keys)) < len(keys):
        raise invalid("Duplicate tag keys")
    for tag in tags:
        key, value = tag.get("key", ""), tag.get("value", "")
        if not (1 <= len(key) <= 128 and _TAG.fullmatch(key)) or key.lower().startswith("aws:"):
            raise invalid("Value at 'tags' failed to satisfy constraint: key")
        if not (len(value) <= 256 and _TAG.fullmatch(value)):
            raise invalid("Value at 'tags' failed to satisfy constraint: value")


_PARTITIONS: Final = re.compile(r"aws\(\|(-[a-z-]+\|?)+\)|aws\(-\[\^:\]\+\)\?")
"""The partitions in a pattern: each version of botocore lists those that it knows; here all are valid."""
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (str, int, float),
}


@cache
def operation_of(service: str, operation: str) -> OperationModel | None:
    """Return the model of an operation; None if this botocore does not have it."""
    try:
        return _service(service).operation_model(operation)
    except OperationNotFoundError:
        return None


def check_input(service: str, operation: str, identifier: str, query: Mapping[str, str], body: Mapping[str, Any]) -> None:
    """Check a request against the model of the operation. Raises `Refusal`."""
    model = operation_of(service, operation)
    if model is None or model.input_shape is None:
        return
    given: dict[str, Any] = {}
    for name, shape in model.input_shape.members.items():
        wire = shape.serialization.get("name", name)
        match shape.serialization.get("location"):
            case "uri":
                given[name] = identifier
            case "querystring":
                given[name] = _read(name, shape, query[wire]) if wire in query else None
            case None:
                given[name] = body.get(wire)
    if faults := list(_faults(given, model.input_shape, "")):
        many = "1 validation error" if len(faults) == 1 else f"{len(faults)} validation errors"
        raise invalid(f"{many} detected: {'; '.join(faults)}")


@cache
def _service(name: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(name, "service-2"), name)


def _read(name: str, shape: Shape, text: str) -> object:
    """Return a value of the query as its type."""
    try:
        match shape.type_name:
            case "integer" | "long":
                return int(text)
            case "boolean":
                return {"true": True, "false": False}[text.lower()]
            case "timestamp":
                datetime.fromisoformat(text)
    except (ValueError, KeyError) as error:
        raise invalid(f"Value {text!r} at '{name}' is not of the type {shape.type_name}") from error
    return text


def _faults(value: Any, shape: Shape, at: str) -> Iterator[str]:  # noqa: ANN401  JSON
    if getattr(shape, "is_document_type", False):
        return
    if not _is_of_type(value, shape):
        raise Refusal("SerializationException", 400, f"{at or 'The input'} must be of the type {shape.type_name}")
    yield from (f"Value {value!r} at '{at}' failed to satisfy constraint: {words}" for words in _broken(value, shape))
    if isinstance(shape, StructureShape):
        yield from _faults_of_members(value, shape, at)
    elif isinstance(shape, ListShape):
        for number, one in enumerate(value, 1):
            yield from _faults(one, shape.member, f"{at}.{number}.member")
    elif isinstance(shape, MapShape):
        for key, one in value.items():
            yield from _faults(key, shape.key, f"{at}.key")
            yield from _faults(one, shape.value, f"{at}.{key}.member")


def _is_of_type(value: object, shape: Shape) -> bool:
    if isinstance(value, bool):
        return bool(shape.type_name == "boolean")
    return isinstance(value, _TYPES.get(shape.type_name, (str,)))


def _faults_of_members(value: Mapping[str, Any], shape: StructureShape, at: str) -> Iterator[str]:
    for name, member in shape.members.items():
        inner = f"{at}.{name}" if at else name
        wire = name if not at else member.serialization.get("name", name)
        if value.get(wire) is not None:
            yield from _faults(value[wire], member, inner)
        elif name in shape.required_members:
            yield f"Value null at '{inner}' failed to satisfy constraint: Member must not be null"


def _broken(value: Any, shape: Shape) -> Iterator[str]:  # noqa: ANN401  JSON
    """Return the constraints of a shape that its value breaks, in AWS's words."""
    limits = shape.metadata
    is_number = isinstance(value, int | float)
    size = value if is_number else len(value)
    what = "value" if is_number else "length"
    if "min" in limits and size < limits["min"]:
        yield f"Member must have {what} greater than or equal to {limits['min']}"
    if "max" in limits and size > limits["max"]:
        yield f"Member must have {what} less than or equal to {limits['max']}"
    if "pattern" in limits and not _compiled(limits["pattern"]).fullmatch(value):
        yield f"Member must satisfy regular expression pattern: {limits['pattern']}"
    if "enum" in limits and value not in limits["enum"]:
        yield f"Member must satisfy enum value set: [{', '.join(limits['enum'])}]"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(_PARTITIONS.sub("aws(-[^:]+)?", pattern))
