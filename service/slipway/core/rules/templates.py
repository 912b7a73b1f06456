"""What is made of an event: texts with placeholders like `{detail.jobName}`, filled in from it.

A text that is one placeholder and nothing else becomes the value itself, whatever it is; in a longer text a placeholder
stands for a text, a number, true or false. `{{` and `}}` are braces. A path may begin with `$.`, as JSONPath's do. A step
into an array is an index, or the key of one of its `{"Key": …, "Value": …}` pairs, as AWS writes tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from slipway.core.schema.rejection import quote

_PARTS = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[^{}]+|.", re.DOTALL)
_ABSENT = object()


class WrongTemplate(ValueError):
    """A text that is no template. The message says what is wrong."""


class MissingPlaceholder(ValueError):
    """The event has nothing that could stand for a placeholder; the message names it, and the place in the template."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A path into an event."""

    text: str
    steps: tuple[str, ...]

    def value(self, event: object) -> object:
        """Answer what the event holds there. Raises `MissingPlaceholder`."""
        found = event
        for step in self.steps:
            found = _step(found, step)
        if found is _ABSENT or found is None:
            raise MissingPlaceholder(f"the event has no value for {{{self.text}}}")
        return found


class Template:
    """A value with placeholders in its texts, at any depth."""

    def __init__(self, given: object) -> None:
        """Raises `WrongTemplate`."""
        self.has_placeholders = False
        self._made = self._read(given)

    def fill(self, event: Mapping[str, object]) -> object:
        """Answer the value for this event. Raises `MissingPlaceholder`."""
        return _filled(self._made, event)

    def _read(self, given: object) -> object:
        match given:
            case str():
                parts = list(_parts(given))
                if not any(isinstance(part, Placeholder) for part in parts):
                    return "".join(map(str, parts))
                self.has_placeholders = True
                return _Text(tuple(parts))
            case dict():
                return {key: self._read(value) for key, value in given.items()}
            case list():
                return [self._read(value) for value in given]
            case _:
                return given


@dataclass(frozen=True, slots=True)
class _Text:
    parts: tuple[str | Placeholder, ...]


def _parts(text: str) -> Iterator[str | Placeholder]:
    for found in _PARTS.finditer(text):
        match found[0]:
            case "{{" | "}}":
                yield found[0][0]
            case "{" | "}":
                raise WrongTemplate(f"{quote(text)} has a brace without its other one; write {{{{ or }}}} for a brace itself")
            case _ if found[1] is not None:
                yield _placeholder(found[1], text)
            case literal:
                yield literal


def _placeholder(path: str, text: str) -> Placeholder:
    steps = tuple(path.removeprefix("$.").split("."))
    if not all(step.strip() == step != "" for step in steps):
        raise WrongTemplate(f"{quote(text)} has a placeholder of {quote(path)}, which is no path like detail.jobName")
    return Placeholder(path, steps)


def _filled(made: object, event: Mapping[str, object]) -> object:
    match made:
        case _Text(parts=(Placeholder() as only,)):
            return only.value(event)
        case _Text(parts=parts):
            return "".join(part if isinstance(part, str) else _said(part, event) for part in parts)
        case dict():
            return {key: _filled(value, event) for key, value in made.items()}
        case list():
            return [_filled(value, event) for value in made]
        case _:
            return made


def _said(placeholder: Placeholder, event: Mapping[str, object]) -> str:
    value = placeholder.value(event)
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        kind = "a list" if isinstance(value, list) else "an object"
        raise MissingPlaceholder(f"the event has {kind} for {{{placeholder.text}}}, which cannot stand within a text")
    return str(value)


def _step(value: object, step: str) -> object:
    if isinstance(value, Mapping):
        return value.get(step, _ABSENT)
    if not isinstance(value, list):
        return _ABSENT
    if step.isdecimal() and len(step) < 4:  # noqa: PLR2004  a thousand elements are more than anybody counts
        return value[int(step)] if int(step) < len(value) else _ABSENT
    return next((held for key, held in map(_pair, value) if key == step), _ABSENT)


def _pair(element: object) -> tuple[object, object]:
    """Read a tag: AWS writes its keys in capitals in some services, and small in others."""
    if not isinstance(element, Mapping):
        return _ABSENT, _ABSENT
    return element.get("Key", element.get("key", _ABSENT)), element.get("Value", element.get("value", _ABSENT))
