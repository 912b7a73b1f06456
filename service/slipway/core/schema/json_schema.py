"""The JSON Schema (draft 2020-12) of a field table: it accepts whatever the table's checks accept.

It accepts more where JSON Schema cannot express a check: bounds of durations given as text, a unique first key in a list's
entries, and 10.0, which JSON Schema counts as an integer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from slipway.core.schema.fields import DURATION, Field, FieldKind

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_END: Final = r"$(?!\n)"
"""The end of the text, also in Python's `re`, where `$` alone also matches before a final line break."""
_TYPES: Final = {
    FieldKind.TEXT: "string",
    FieldKind.WHOLE: "integer",
    FieldKind.NUMBER: "number",
    FieldKind.FLAG: "boolean",
    FieldKind.LIST: "array",
}


def object_schema(fields: Sequence[Field]) -> dict[str, object]:
    """Return the schema of an object with these fields and no others."""
    properties = {name: _field_schema(field) for field in fields for name in (field.name, field.alias) if name}
    schema: dict[str, object] = {"type": "object", "properties": properties}
    names = {field.name for field in fields}
    if required := [field.name for field in fields if field.required and field.instead not in names]:
        schema["required"] = required
    rules: list[dict[str, object]] = [
        {"oneOf": [_requires(field.name), _requires(field.instead)]} for field in fields if field.instead in names
    ]
    rules += [{"not": _requires(field.name, field.alias)} for field in fields if field.alias]
    if rules:
        schema["allOf"] = rules
    return schema | {"additionalProperties": False}


def _requires(*names: str) -> dict[str, object]:
    """Return the schema of an object with these keys; they are also properties, as ajv's strict mode requires."""
    return {"required": [*names], "properties": dict.fromkeys(names, True)}


def _field_schema(field: Field) -> dict[str, object]:
    schema: dict[str, object] = {"description": field.doc}
    if field.examples:
        schema["examples"] = list(field.examples)
    match field.kind:
        case FieldKind.SECONDS:
            number = {"type": "number"} | _bounds(field, "minimum", "maximum")
            return schema | {"anyOf": [{"type": "string", "pattern": f"^{DURATION}{_END}"}, number]}
        case FieldKind.TEXT:
            return schema | _text_schema(field)
        case FieldKind.OBJECT:
            return schema | object_schema(field.entry)
        case FieldKind.LIST:
            item = _field_schema(field.each) if field.each else object_schema(field.entry)
            entries = _bounds(field, "minItems", "maxItems") | {"items": item}
            return schema | {"type": "array"} | entries
        case _:
            return schema | {"type": _TYPES[field.kind]} | _bounds(field, "minimum", "maximum")


def _text_schema(field: Field) -> dict[str, object]:
    if field.choices:
        return {"type": "string", "enum": list(field.choices)}
    pattern = field.pattern or f"[{field.letters}]*"
    schema: dict[str, object] = {"type": "string"} | _bounds(field, "minLength", "maxLength")
    schema["pattern"] = f"^(?:{pattern}){_END}"
    if field.reserved:
        schema["not"] = {"pattern": f"^(?:{'|'.join(_in_any_case(prefix) for prefix in field.reserved)})"}
    return schema


def _bounds(field: Field, least: str, most: str) -> dict[str, object]:
    bounds = {least: field.least, most: field.most}
    return {name: int(bound) if bound == int(bound) else bound for name, bound in bounds.items() if bound is not None}


def _in_any_case(prefix: str) -> str:
    return "".join(f"[{letter}{letter.upper()}]" if letter.isalpha() else letter for letter in prefix)
