"""Field tables: one table gives the checks of a mapping, their messages and the JSON Schema.

A table is a tuple of `Field`. `problems` yields the problems of a mapping lazily and in a fixed order: a caller that takes only
the first pays only for that one. Every check is linear in the value's size.

The JSON Schema (draft 2020-12) accepts whatever the checks accept, and more where it cannot express a check: bounds of
durations given as text, a unique first key in a list's entries, and 10.0, which JSON Schema counts as an integer.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import takewhile
from typing import Final, Protocol, TypeVar

from slipway.core.schema.rejection import ErrorWithRemedy, RejectionCode, quote

_ISO_DURATION: Final = (
    r"P(?=[0-9T])(?:([0-9]{1,9})W)?(?:([0-9]{1,9})D)?"
    r"(?:T(?=[0-9])(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)S)?)?"
)
_SHORT_DURATION: Final = (
    r"(?=[0-9])(?:([0-9]{1,9})w)?(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)s)?"
)
DURATION: Final = rf"(?:{_ISO_DURATION}|{_SHORT_DURATION})"
"""Durations like 90m or 1h30m, and those of ISO 8601 without years and months, which have no fixed length."""
_DURATIONS: Final = (re.compile(_ISO_DURATION), re.compile(_SHORT_DURATION))
_UNITS: Final = (604_800, 86_400, 3_600, 60, 1)
_LARGEST_PRINTED: Final = 10**20
_LEAST_CONTAINED: Final = 3
"""Shorter words are in too many others."""
_LEAST_ALIKE: Final = 0.65
"""Half of the letters in common are no reason to suggest a word."""
_LONGEST_GUESSED: Final = 64
_MARKED_PREFIX: Final = re.compile(r".*_")
"""What all known words begin with, like SLIPWAY_ or --, makes them no more alike."""


class FieldKind(StrEnum):
    """Kind of a value, as an error names it."""

    TEXT = "a string"
    WHOLE = "a whole number"
    NUMBER = "a number"
    FLAG = "true or false"
    SECONDS = "a number of seconds or a duration such as 90m, 2h, 1d or PT90M"
    LIST = "a list"
    OBJECT = "an object"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One key of a mapping, with the values it may have."""

    name: str
    kind: FieldKind
    doc: str
    remedy: str = ""
    """What to do about an invalid value. If it is empty, settings show the bounds instead."""
    required: bool = False
    instead: str = ""
    """A key that may be given instead of this one, if the table has it: then exactly one of the two is required."""
    alias: str = ""
    """Another key with the same meaning; the parser of the body renames it to this one before the checks."""
    letters: str = r"^\x00-\x1f\x7f-\x9f"
    """The allowed characters of a text, as the inside of a regular expression's [...]."""
    pattern: str | None = None
    """The form of the whole text. It must mean the same in Python and ECMA 262, and match in linear time."""
    least: float | None = None
    """The smallest number, the fewest characters, or the fewest entries."""
    most: float | None = None
    choices: tuple[str, ...] = ()
    reserved: tuple[str, ...] = ()
    """Lower-case prefixes that a text must not have, ignoring case."""
    entry: tuple[Field, ...] = ()
    """The fields of an object, or of each object in a list, where the first field must be unique."""
    each: Field | None = None
    """The field of each text in a list of texts."""
    unit: str = ""
    reason: str = ""
    """Why a setting has its default."""
    examples: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One problem of a mapping, whose text names the field."""

    code: RejectionCode
    field: str
    problem: str
    remedy: str

    @property
    def text(self) -> str:
        """The problem and the remedy."""
        return f"{self.problem}; {self.remedy}"


def problems(fields: Sequence[Field], given: Mapping[str, object], prefix: str = "") -> Iterator[FieldProblem]:
    """Yield all problems of a mapping: unknown keys in their order, then fields in the table's order."""
    by_name = {field.name: field for field in fields}
    for key in given:
        if key not in by_name:
            problem = f"{_place(prefix)}the key {quote(key)} is unknown"
            yield FieldProblem(RejectionCode.UNKNOWN_KEY, prefix + quote(key)[1:-1], problem, _hint(key, by_name))
    for field in fields:
        path = prefix + field.name
        other = field.instead if field.instead in by_name and field.instead in given else None
        if field.name not in given:
            if field.required and other is None:
                yield FieldProblem(RejectionCode.MISSING_FIELD, path, f"{path} is missing", field.remedy)
            continue
        if other is not None:
            yield FieldProblem(RejectionCode.INVALID_FIELD, path, f"{path} and {other} are both given", "give one of the two")
        value = given[field.name]
        if fault := value_problem(field, value):
            yield FieldProblem(RejectionCode.INVALID_FIELD, path, f"{path} {fault}", field.remedy)
        elif isinstance(value, list):
            yield from (_entry_problems if field.each is None else _text_problems)(field, value, path)
        elif isinstance(value, dict):
            yield from problems(field.entry, value, path + ".")


def _entry_problems(field: Field, entries: Iterable[object], path: str) -> Iterator[FieldProblem]:
    first_name = field.entry[0].name
    seen: dict[object, int] = {}
    for index, entry in enumerate(entries):
        place = f"{path}[{index}]"
        if not isinstance(entry, dict):
            yield FieldProblem(
                RejectionCode.INVALID_FIELD, place, f"{place} is {_describe(entry)}, not an object", field.remedy
            )
            continue
        is_valid = True
        for problem in problems(field.entry, entry, place + "."):
            is_valid = False
            yield problem
        if is_valid and (earlier := seen.setdefault(entry[first_name], index)) != index:
            place += f".{first_name}"
            text = f"{place} is {quote(entry[first_name])}, as in {path}[{earlier}]"
            yield FieldProblem(RejectionCode.INVALID_FIELD, place, text, f"give each {first_name} once")


def _text_problems(field: Field, texts: Iterable[object], path: str) -> Iterator[FieldProblem]:
    for index, text in enumerate(texts):
        if field.each is not None and (fault := value_problem(field.each, text)):
            place = f"{path}[{index}]"
            yield FieldProblem(RejectionCode.INVALID_FIELD, place, f"{place} {fault}", field.remedy)


def value_problem(field: Field, value: object) -> str | None:
    """Return the problem of one value, as the predicate of a sentence; None if it is valid."""
    if not _is_kind(field.kind, value):
        return f"is {_describe(value)}, not {field.kind.value}"
    if isinstance(value, list):
        return _size_fault(field, len(value), "entries")
    if isinstance(value, str):
        return _text_fault(field, value) if field.kind is FieldKind.TEXT else _duration_fault(field, value)
    return _number_fault(field, value, _describe(value))


def _text_fault(field: Field, value: str) -> str | None:
    if field.choices and value not in field.choices:
        return f"is {quote(value)}, not one of {', '.join(field.choices)}"
    if fault := _size_fault(field, len(value), "characters"):
        return fault
    match = compiled(f"[{field.letters}]*").match(value)
    end = match.end() if match else 0
    if end < len(value):
        character = f"{quote(value[end])}, U+{ord(value[end]):04X}"
        return f"is {quote(value)}, whose character {end + 1} ({character}) is not allowed"
    for prefix in field.reserved:
        if value[: len(prefix)].lower() == prefix:
            return f"is {quote(value)}, and the prefix {prefix} is reserved"
    if field.pattern and not compiled(field.pattern).fullmatch(value):
        return f"is {quote(value)}, which does not have the right form"
    return None


compiled: Final = cache(re.compile)
"""`re.compile` with a cache that is faster than the one of `re`: each request matches about ten patterns."""


def _duration_fault(field: Field, value: str) -> str | None:
    length = duration_seconds(value)
    if length is None:
        return f"is {quote(value)}, not {field.kind.value}"
    return _number_fault(field, length, quote(value))


def _number_fault(field: Field, value: object, description: str) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return "is not a finite number"
    unit = " seconds" if field.kind is FieldKind.SECONDS else ""
    if field.least is not None and value < field.least:
        return f"is {description}, less than {field.least:g}{unit}"
    if field.most is not None and value > field.most:
        return f"is {description}, more than {field.most:.12g}{unit}"
    return None


def _size_fault(field: Field, size: int, unit: str) -> str | None:
    if field.least is not None and size < field.least:
        return "is empty" if size == 0 else f"has {size} {unit}, fewer than {field.least:g}"
    if field.most is not None and size > field.most:
        return f"has {size} {unit}, more than {field.most:g}"
    return None


def duration_seconds(value: object) -> float | None:
    """Return the seconds of a number, of a duration like 1h30m, or of an ISO 8601 duration; None if it is none of them."""
    if isinstance(value, str):
        found = next(filter(None, (pattern.fullmatch(value) for pattern in _DURATIONS)), None)
        return sum(float(part) * unit for part, unit in zip(found.groups("0"), _UNITS, strict=True)) if found else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def closest_match(word: str, known_words: Iterable[str]) -> str | None:
    """Return the known word that was probably meant: one that contains the word, else one that is spelled alike."""
    by_letters = {_letters(candidate): candidate for candidate in known_words}
    ends = min(by_letters, default=""), max(by_letters, default="")
    common = "".join(letter for letter, _ in takewhile(lambda pair: pair[0] == pair[1], zip(*ends, strict=False)))
    prefix = _MARKED_PREFIX.match(common)
    start = len(prefix[0]) if prefix and _letters(word).startswith(prefix[0]) else 0
    letters = _letters(word)[start:_LONGEST_GUESSED]
    rests = {candidate[start:]: candidate for candidate in by_letters}
    if len(letters) >= _LEAST_CONTAINED and (longer := [candidate for candidate in rests if letters in candidate]):
        return by_letters[rests[min(longer, key=len)]]
    matches = difflib.get_close_matches(letters, rests, n=1, cutoff=_LEAST_ALIKE)
    return by_letters[rests[matches[0]]] if matches else None


def _letters(word: str) -> str:
    return word.lower().replace("-", "_")


def _hint(key: str, known_keys: Iterable[str]) -> str:
    suggestion = closest_match(key, known_keys)
    return f"did you mean {suggestion}?" if suggestion else f"the known keys are {', '.join(known_keys)}"


def _place(prefix: str) -> str:
    return f"in {prefix.rstrip('.')}, " if prefix else ""


def _is_kind(kind: FieldKind, value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match kind:
        case FieldKind.TEXT:
            return isinstance(value, str)
        case FieldKind.WHOLE:
            return is_number and isinstance(value, int)
        case FieldKind.NUMBER:
            return is_number
        case FieldKind.FLAG:
            return isinstance(value, bool)
        case FieldKind.SECONDS:
            return is_number or isinstance(value, str)
        case FieldKind.LIST:
            return isinstance(value, list)
        case FieldKind.OBJECT:
            return isinstance(value, dict)


def _describe(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return f"the boolean {str(value).lower()}"
        case int() | float():
            return f"the number {value}" if abs(value) < _LARGEST_PRINTED else "a very large number"
        case str():
            return f"the string {quote(value)}"
        case list():
            return "a list"
        case _:
            return "an object"


class NamedRule(Protocol):
    """A rule with a name."""

    @property
    def name(self) -> str:
        """Return the name, unique in the file."""


Rule = TypeVar("Rule", bound=NamedRule)


def read_rules(
    document: Mapping[str, object],
    table: str,
    read: Callable[[Mapping[str, object], int], Rule],
    wrong: type[ErrorWithRemedy],
) -> tuple[Rule, ...]:
    """Read each table under the key `table` with its number, from 1. Raises what `read` raises, and `wrong`."""
    if unknown := next((key for key in document if key != table), None):
        raise wrong(f"the key {quote(unknown)} is unknown", f"begin each rule with [[{table}]]")
    tables = document.get(table)
    if not isinstance(tables, list) or not tables:
        raise wrong("there is no rule", f"begin one with [[{table}]], or remove the file")
    rules: dict[str, Rule] = {}
    for number, entry in enumerate(tables, start=1):
        if not isinstance(entry, Mapping):
            raise wrong(f"rule {number} is not a table", f"begin it with [[{table}]]")
        rule = read(entry, number)
        if rule.name in rules:
            raise wrong(f"rule {number}: name {quote(rule.name)} is used by an earlier rule", "give each rule its own")
        rules[rule.name] = rule
    return tuple(rules.values())


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
