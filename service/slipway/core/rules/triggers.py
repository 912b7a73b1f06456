"""Triggers: rules that make requests from upstream events. The first trigger whose pattern matches an event decides.

An event that is delivered twice is the same request: unless the trigger sets another, the event's id is the request's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from slipway.core.requests.envelopes import strict_json
from slipway.core.requests.fields import ACTION, NAME, REQUEST_ID, TARGET, TOKEN
from slipway.core.requests.models import FIELDS_OF
from slipway.core.rules.event_pattern import Pattern
from slipway.core.schema.fields import Field, closest_match, read_rules, value_problem
from slipway.core.schema.pattern_operators import WrongPattern
from slipway.core.schema.rejection import ErrorWithRemedy, RejectionCode, RequestRejected, quote

_PARTS = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[^{}]+|.", re.DOTALL)
_ABSENT = object()


class WrongTemplate(ErrorWithRemedy):
    """A text is not a template. The message has the problem."""


class MissingPlaceholder(ValueError):
    """The event has no usable value for a placeholder, which the message names."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A path into an event."""

    text: str
    steps: tuple[str, ...]

    def value(self, event: object) -> object:
        """Return the event's value at the path. Raises `MissingPlaceholder`."""
        value = event
        for step in self.steps:
            value = _step(value, step)
        if value is _ABSENT or value is None:
            raise MissingPlaceholder(f"the event has no value for {{{self.text}}}")
        return value


class Template:
    """A value with placeholders in its texts, at any depth."""

    def __init__(self, value: object) -> None:
        """Parse a template. Raises `WrongTemplate`."""
        self.has_placeholders = False
        self._parsed = self._read(value)

    def fill(self, event: Mapping[str, object]) -> object:
        """Return the value for an event. Raises `MissingPlaceholder`."""
        return _fill(self._parsed, event)

    def _read(self, value: object) -> object:
        match value:
            case str():
                parts = list(_parts(value))
                if not any(isinstance(part, Placeholder) for part in parts):
                    return "".join(map(str, parts))
                self.has_placeholders = True
                return _Text(tuple(parts))
            case dict():
                return {key: self._read(item) for key, item in value.items()}
            case list():
                return [self._read(item) for item in value]
            case _:
                return value


@dataclass(frozen=True, slots=True)
class _Text:
    parts: tuple[str | Placeholder, ...]


def _parts(text: str) -> Iterator[str | Placeholder]:
    for match_ in _PARTS.finditer(text):
        match match_[0]:
            case "{{" | "}}":
                yield match_[0][0]
            case "{" | "}":
                raise WrongTemplate(f"{quote(text)} has an unmatched brace", "write {{ or }} for a brace itself")
            case _ if match_[1] is not None:
                yield _placeholder(match_[1], text)
            case literal:
                yield literal


def _placeholder(path: str, text: str) -> Placeholder:
    steps = tuple(path.removeprefix("$.").split("."))
    if not all(step.strip() == step != "" for step in steps):
        raise WrongTemplate(
            f"{quote(text)} has a placeholder of {quote(path)}, which is not a path", "use one like detail.jobName"
        )
    return Placeholder(path, steps)


def _fill(template: object, event: Mapping[str, object]) -> object:
    match template:
        case _Text(parts=(Placeholder() as placeholder,)):
            return placeholder.value(event)
        case _Text(parts=parts):
            return "".join(part if isinstance(part, str) else _text_value(part, event) for part in parts)
        case dict():
            return {key: _fill(value, event) for key, value in template.items()}
        case list():
            return [_fill(value, event) for value in template]
        case _:
            return template


def _text_value(placeholder: Placeholder, event: Mapping[str, object]) -> str:
    value = placeholder.value(event)
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        kind = "a list" if isinstance(value, list) else "an object"
        raise MissingPlaceholder(f"the event has {kind} for {{{placeholder.text}}}, which cannot be part of a text")
    return str(value)


def _step(value: object, step: str) -> object:
    if isinstance(value, Mapping):
        return value.get(step, _ABSENT)
    if not isinstance(value, list):
        return _ABSENT
    if step.isdecimal() and len(step) < 4:  # noqa: PLR2004  at most three digits
        return value[int(step)] if int(step) < len(value) else _ABSENT
    return next((tag_value for key, tag_value in map(_pair, value) if key == step), _ABSENT)


def _pair(element: object) -> tuple[object, object]:
    """Return key and value of a tag, which some AWS services write as `Key` and others as `key`."""
    if not isinstance(element, Mapping):
        return _ABSENT, _ABSENT
    return element.get("Key", element.get("key", _ABSENT)), element.get("Value", element.get("value", _ABSENT))


TABLE: Final = "trigger"
_KEYS: Final = ("name", "pattern", "request")
_RULE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_LONGEST_NAME: Final = 63
_HASH_LENGTH: Final = 8


class WrongTriggers(ErrorWithRemedy):
    """A trigger file is invalid. The message has the rule, the key, the problem and the remedy."""


class NoMatchingTrigger(Exception):
    """No trigger matches an event: it is not a request, and not an error."""

    def __init__(self, event: Mapping[str, object]) -> None:
        self.source = quote(str(event.get("source")))[1:-1]
        self.detail_type = quote(str(event.get("detail-type")))[1:-1]
        super().__init__(f"no trigger matches {self.detail_type} of {self.source}")


@dataclass(frozen=True, slots=True)
class Trigger:
    """One trigger: the pattern of its events and the template of the request."""

    name: str
    pattern: Pattern
    request: Template | Mapping[str, Template]

    @property
    def target(self) -> str | None:
        """Return the target of all its requests, if the trigger sets a fixed one."""
        template = None if isinstance(self.request, Template) else self.request.get(TARGET.name)
        target_name = None if template is None or template.has_placeholders else template.fill({})
        return target_name if isinstance(target_name, str) else None

    def make(self, event: Mapping[str, object]) -> dict[str, object]:
        """Return the body of a request from a matching event. Raises `RequestRejected` if the event lacks a value."""
        event_id = event.get("id")
        own_id = event_id if isinstance(event_id, str) and value_problem(REQUEST_ID, event_id) is None else None
        body = self._filled(event, own_id)
        if isinstance(name := body.get(NAME.name), str):
            body[NAME.name] = deployment_name(name)
        if own_id is not None and not {REQUEST_ID.name, TOKEN.name} & set(body):
            body[REQUEST_ID.name] = own_id
        return body

    def _filled(self, event: Mapping[str, object], own_id: str | None) -> dict[str, object]:
        if isinstance(self.request, Template):
            body = self._fill("request", self.request, event, own_id)
            return dict(body) if isinstance(body, Mapping) else {}
        return {key: self._fill(f"request.{key}", template, event, own_id) for key, template in self.request.items()}

    def _fill(self, key: str, template: Template, event: Mapping[str, object], own_id: str | None) -> object:
        try:
            return template.fill(event)
        except MissingPlaceholder as unfilled:
            text = f"trigger {quote(self.name)} cannot fill {key}: {unfilled}; fix the trigger, or narrow its pattern"
            raise RequestRejected(RejectionCode.TRIGGER_UNFILLED, text, key, own_id) from None


def first_match(triggers: Sequence[Trigger], event: Mapping[str, object]) -> Trigger:
    """Return the first trigger that matches an event. Raises `NoMatchingTrigger`."""
    for trigger in triggers:
        if trigger.pattern.matches(event):
            return trigger
    raise NoMatchingTrigger(event)


def deployment_name(text: str) -> str:
    """Return a valid deployment name for a text: always the same, and a long one cut with a hash at its end."""
    name = re.sub(r"[^0-9a-zA-Z_-]+", "-", text).lstrip("-_")
    name = re.sub(r"([_-])[_-]+", r"\1", name)
    if len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:_HASH_LENGTH]
        name = f"{name[: _LONGEST_NAME - 1 - _HASH_LENGTH].rstrip('-_')}-{digest}"
    return name


def read_triggers(given: Mapping[str, object]) -> tuple[Trigger, ...]:
    """Return the triggers of a parsed trigger file. Raises `WrongTriggers`."""
    return read_rules(given, TABLE, _trigger, WrongTriggers)


def _trigger(table: Mapping[str, object], place: int) -> Trigger:
    name = table.get("name")
    if not isinstance(name, str) or not _RULE_NAME.fullmatch(name):
        fault = "is missing" if name is None else f"is {quote(str(name))}"
        raise WrongTriggers(f"rule {place}: name {fault}", "use 1 to 64 letters, digits, and . _ - after the first")
    rule = f"rule {quote(name)}"
    for key in table:
        if key not in _KEYS:
            suggestion = closest_match(key, _KEYS)
            hint = f"did you mean {suggestion}?" if suggestion else f"the keys are {', '.join(_KEYS)}"
            raise WrongTriggers(f"{rule}: the key {quote(key)} is unknown", hint)
    try:
        pattern = Pattern(_pattern(table.get("pattern")))
    except WrongPattern as wrong:
        raise WrongTriggers(f"{rule}: pattern: {wrong.problem}", wrong.remedy) from wrong
    return Trigger(name, pattern, _request(rule, table.get("request")))


def _pattern(pattern: object) -> object:
    """Return a pattern that is given as JSON text, as for EventBridge, or as a table."""
    if not isinstance(pattern, str):
        return pattern
    try:
        return strict_json(pattern)
    except RequestRejected as rejection:
        raise WrongPattern((), rejection.reason) from rejection
    except (ValueError, RecursionError) as error:
        raise WrongPattern((), f"is not JSON ({error})", "write it as for an EventBridge rule") from error


def _request(rule: str, request: object) -> Template | Mapping[str, Template]:
    if isinstance(request, str):
        return _template(rule, "request", request)
    if not isinstance(request, Mapping) or not request:
        remedy = 'give the keys of a request, or one placeholder for all of it, like "{detail}"'
        raise WrongTriggers(f"{rule}: request is missing, or not a table", remedy)
    fields = {field.name: field for field in _fields(request)}
    templates: dict[str, Template] = {}
    for key, value in request.items():
        if key not in fields:
            suggestion = closest_match(key, fields)
            hint = f"did you mean {suggestion}?" if suggestion else f"the keys are {', '.join(fields)}"
            raise WrongTriggers(f"{rule}: request.{key} is not a key of a request", hint)
        templates[key] = _template(rule, f"request.{key}", value)
        if key != NAME.name and not templates[key].has_placeholders and (fault := value_problem(fields[key], value)):
            raise WrongTriggers(f"{rule}: request.{key} {fault}", fields[key].remedy)
    return templates


def _template(rule: str, key: str, value: object) -> Template:
    try:
        return Template(value)
    except WrongTemplate as wrong:
        raise WrongTriggers(f"{rule}: {key}: {wrong.problem}", wrong.remedy) from wrong


def _fields(request: Mapping[str, object]) -> Iterator[Field]:
    """Yield the fields of a request's action; those of all actions if the action comes from the event."""
    tables = FIELDS_OF.get(str(request.get(ACTION.name, "deploy")))
    yield from tables or chain.from_iterable(FIELDS_OF.values())
