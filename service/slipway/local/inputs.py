"""What a request may hold: types, lengths, patterns, enumerations and bounds, as botocore's service model states them.

No operation states them again: one that the model knows is checked by it, whatever it takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final

from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, OperationModel, OperationNotFoundError, ServiceModel, Shape, StructureShape

from slipway.local.validation import Refusal, invalid

_PARTITIONS: Final = re.compile(r"aws\(\|(-[a-z-]+\|?)+\)|aws\(-\[\^:\]\+\)\?")
"""The partitions in a pattern: each botocore lists those of its day, and all are taken here."""
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
    """Return the model of an operation; None for one that this botocore does not know."""
    try:
        return _service(service).operation_model(operation)
    except OperationNotFoundError:
        return None


def check_input(service: str, operation: str, identifier: str, query: Mapping[str, str], body: Mapping[str, Any]) -> None:
    """Refuse a request that the model of the operation does not take. Raises `Refusal`."""
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
    told = shape.metadata
    is_number = isinstance(value, int | float)
    size = value if is_number else len(value)
    what = "value" if is_number else "length"
    if "min" in told and size < told["min"]:
        yield f"Member must have {what} greater than or equal to {told['min']}"
    if "max" in told and size > told["max"]:
        yield f"Member must have {what} less than or equal to {told['max']}"
    if "pattern" in told and not _compiled(told["pattern"]).fullmatch(value):
        yield f"Member must satisfy regular expression pattern: {told['pattern']}"
    if "enum" in told and value not in told["enum"]:
        yield f"Member must satisfy enum value set: [{', '.join(told['enum'])}]"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(_PARTITIONS.sub("aws(-[^:]+)?", pattern))
