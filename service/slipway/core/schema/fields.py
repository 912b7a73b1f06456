"""One table says what may be given: the checks, their sentences and the JSON Schema all come from it.

A table is a tuple of `Field`. `problems` finds what is wrong with a mapping, in an order that does not depend on
chance, lazily: who takes only the first problem pays only for that one. Every check is linear in the value's size.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import takewhile
from typing import Final

from slipway.core.schema.rejection import RejectionCode, quote

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
    """What a value is, in the words that a reason uses."""

    TEXT = "a string"
    WHOLE = "a whole number"
    NUMBER = "a number"
    FLAG = "true or false"
    SECONDS = "a number of seconds or a duration such as 90m, 2h, 1d or PT90M"
    LIST = "a list"
    OBJECT = "an object"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """What one key may hold."""

    name: str
    kind: FieldKind
    doc: str
    remedy: str = ""
    """What somebody who gave a wrong value is told to do; settings, where it is empty, say the bounds."""
    required: bool = False
    instead: str = ""
    """The key that may be given instead of this one, where the table has it: exactly one of both then."""
    alias: str = ""
    """Another key that means the same; the reader of the body has made this one of it before the checks."""
    letters: str = r"^\x00-\x1f\x7f-\x9f"
    """The inside of a regular expression's [...]: every character that a text may have."""
    pattern: str | None = None
    """The form of the whole text. Python and ECMA 262 must read it alike, and match it in linear time."""
    least: float | None = None
    """The smallest number, the fewest characters, or the fewest entries."""
    most: float | None = None
    choices: tuple[str, ...] = ()
    reserved: tuple[str, ...] = ()
    """Prefixes, in small letters, that a text may not have in any case."""
    entry: tuple[Field, ...] = ()
    """What an object, or each object in a list, may hold; in a list the first key must differ between them."""
    each: Field | None = None
    """What each text in a list of texts may be."""
    unit: str = ""
    reason: str = ""
    """Why the default of a setting is what it is."""
    examples: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `text` is a whole sentence: the field, the fault, the remedy."""

    code: RejectionCode
    field: str
    text: str


def problems(fields: Sequence[Field], given: Mapping[str, object], inside: str = "") -> Iterator[Problem]:
    """Find all that is wrong with what was given: unknown keys in their order, then the fields in the table's."""
    by_name = {field.name: field for field in fields}
    for key in given:
        if key not in by_name:
            text = f"{_place(inside)}the key {quote(key)} is unknown; {_hint(key, by_name)}"
            yield Problem(RejectionCode.UNKNOWN_KEY, inside + quote(key)[1:-1], text)
    for field in fields:
        path = inside + field.name
        other = field.instead if field.instead in by_name and field.instead in given else None
        if field.name not in given:
            if field.required and other is None:
                yield Problem(RejectionCode.MISSING_FIELD, path, f"{path} is missing; {field.remedy}")
            continue
        if other is not None:
            yield Problem(RejectionCode.INVALID_FIELD, path, f"{path} and {other} are both given; give one of the two")
        value = given[field.name]
        if wrong := value_problem(field, value):
            yield Problem(RejectionCode.INVALID_FIELD, path, f"{path} {wrong}; {field.remedy}")
        elif isinstance(value, list):
            yield from (_entry_problems if field.each is None else _text_problems)(field, value, path)
        elif isinstance(value, dict):
            yield from problems(field.entry, value, path + ".")


def _entry_problems(field: Field, entries: Iterable[object], path: str) -> Iterator[Problem]:
    first_name = field.entry[0].name
    seen: dict[object, int] = {}
    for index, entry in enumerate(entries):
        place = f"{path}[{index}]"
        if not isinstance(entry, dict):
            yield Problem(RejectionCode.INVALID_FIELD, place, f"{place} is {_called(entry)}, not an object; {field.remedy}")
            continue
        is_sound = True
        for problem in problems(field.entry, entry, place + "."):
            is_sound = False
            yield problem
        if is_sound and (earlier := seen.setdefault(entry[first_name], index)) != index:
            place += f".{first_name}"
            text = f"{place} is {quote(entry[first_name])}, as in {path}[{earlier}]; give each {first_name} once"
            yield Problem(RejectionCode.INVALID_FIELD, place, text)


def _text_problems(field: Field, texts: Iterable[object], path: str) -> Iterator[Problem]:
    for index, text in enumerate(texts):
        if field.each is not None and (wrong := value_problem(field.each, text)):
            place = f"{path}[{index}]"
            yield Problem(RejectionCode.INVALID_FIELD, place, f"{place} {wrong}; {field.remedy}")


def value_problem(field: Field, value: object) -> str | None:
    """Say what is wrong with one value, to follow its name in a sentence; None when nothing is."""
    if not _is_of(field.kind, value):
        return f"is {_called(value)}, not {field.kind.value}"
    if isinstance(value, list):
        return _size_fault(field, len(value), "entries")
    if isinstance(value, str):
        return _text_fault(field, value) if field.kind is FieldKind.TEXT else _duration_fault(field, value)
    return _number_fault(field, value, _called(value))


def _text_fault(field: Field, value: str) -> str | None:
    if field.choices and value not in field.choices:
        return f"is {quote(value)}, not one of {', '.join(field.choices)}"
    if wrong := _size_fault(field, len(value), "characters"):
        return wrong
    sound = compiled(f"[{field.letters}]*").match(value)
    end = sound.end() if sound else 0
    if end < len(value):
        what = f"{quote(value[end])}, U+{ord(value[end]):04X}"
        return f"is {quote(value)}, whose character {end + 1} ({what}) is not allowed"
    for prefix in field.reserved:
        if value[: len(prefix)].lower() == prefix:
            return f"is {quote(value)}, and the prefix {prefix} is reserved"
    if field.pattern and not compiled(field.pattern).fullmatch(value):
        return f"is {quote(value)}, which does not have the right form"
    return None


compiled: Final = cache(re.compile)
"""What `re` keeps, too, of a pattern that it is given as text, but for a third of the price: each request has some ten."""


def _duration_fault(field: Field, value: str) -> str | None:
    length = duration_seconds(value)
    if length is None:
        return f"is {quote(value)}, not {field.kind.value}"
    return _number_fault(field, length, quote(value))


def _number_fault(field: Field, value: object, said: str) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return "is not a finite number"
    unit = " seconds" if field.kind is FieldKind.SECONDS else ""
    if field.least is not None and value < field.least:
        return f"is {said}, less than {field.least:g}{unit}"
    if field.most is not None and value > field.most:
        return f"is {said}, more than {field.most:.12g}{unit}"
    return None


def _size_fault(field: Field, size: int, what: str) -> str | None:
    if field.least is not None and size < field.least:
        return "is empty" if size == 0 else f"has {size} {what}, fewer than {field.least:g}"
    if field.most is not None and size > field.most:
        return f"has {size} {what}, more than {field.most:g}"
    return None


def duration_seconds(value: object) -> float | None:
    """Return the seconds of a number, of a duration like 1h30m, or of an ISO 8601 duration; None if it is none of them."""
    if isinstance(value, str):
        found = next(filter(None, (pattern.fullmatch(value) for pattern in _DURATIONS)), None)
        return sum(float(part) * unit for part, unit in zip(found.groups("0"), _UNITS, strict=True)) if found else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def closest_match(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant: one that contains the word, else one that is spelled alike."""
    by_letters = {_letters(each): each for each in known}
    ends = min(by_letters, default=""), max(by_letters, default="")
    common = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(*ends, strict=False)))
    prefix = _MARKED_PREFIX.match(common)
    start = len(prefix[0]) if prefix and _letters(word).startswith(prefix[0]) else 0
    letters = _letters(word)[start:_LONGEST_GUESSED]
    rests = {each[start:]: each for each in by_letters}
    if len(letters) >= _LEAST_CONTAINED and (longer := [each for each in rests if letters in each]):
        return by_letters[rests[min(longer, key=len)]]
    found = difflib.get_close_matches(letters, rests, n=1, cutoff=_LEAST_ALIKE)
    return by_letters[rests[found[0]]] if found else None


def _letters(word: str) -> str:
    return word.lower().replace("-", "_")


def _hint(word: str, known: Iterable[str]) -> str:
    near = closest_match(word, known)
    return f"did you mean {near}?" if near else f"the known keys are {', '.join(known)}"


def _place(inside: str) -> str:
    return f"in {inside.rstrip('.')}, " if inside else ""


def _is_of(kind: FieldKind, value: object) -> bool:
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


def _called(value: object) -> str:
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
