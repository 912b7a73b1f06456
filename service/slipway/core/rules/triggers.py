"""Triggers: rules that make requests of upstream events. The first rule whose pattern matches an event decides.

The same event delivered twice is the same request: unless the rule says otherwise, the event's id is the request's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from slipway.core.requests.actions import FIELDS_OF
from slipway.core.requests.envelopes import strict_json
from slipway.core.requests.fields import ACTION, NAME, REQUEST_ID, TARGET, TOKEN
from slipway.core.rules.event_pattern import Pattern
from slipway.core.rules.templates import MissingPlaceholder, Template, WrongTemplate
from slipway.core.schema.fields import Field, closest_match, value_problem
from slipway.core.schema.pattern_operators import WrongPattern
from slipway.core.schema.rejection import RejectionCode, RequestRejected, quote
from slipway.core.schema.rule_file import read_rules

TABLE: Final = "trigger"
_KEYS: Final = ("name", "pattern", "request")
_RULE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_LONGEST_NAME: Final = 63
_HASH_LENGTH: Final = 8


class WrongTriggers(ValueError):
    """Rules that cannot be used: one sentence names the rule, the key, what is wrong and the remedy."""


class NoMatchingTrigger(Exception):
    """No rule matches an event. It asks for nothing; that is no fault of its own."""

    def __init__(self, event: Mapping[str, object]) -> None:
        self.source = quote(str(event.get("source")))[1:-1]
        self.detail_type = quote(str(event.get("detail-type")))[1:-1]
        super().__init__(f"no trigger matches {self.detail_type} of {self.source}")


@dataclass(frozen=True, slots=True)
class Trigger:
    """One rule: which events, and what request comes of them."""

    name: str
    pattern: Pattern
    request: Template | Mapping[str, Template]

    @property
    def target(self) -> str | None:
        """The target that all its requests name, where the rule itself says which."""
        template = None if isinstance(self.request, Template) else self.request.get(TARGET.name)
        named = None if template is None or template.has_placeholders else template.fill({})
        return named if isinstance(named, str) else None

    def make(self, event: Mapping[str, object]) -> dict[str, object]:
        """Make the body of a request of a matching event. Raises `RequestRejected` where the event lacks what it takes."""
        event_id = event.get("id")
        own_id = event_id if isinstance(event_id, str) and value_problem(REQUEST_ID, event_id) is None else None
        given = self._filled(event, own_id)
        if isinstance(name := given.get(NAME.name), str):
            given[NAME.name] = deployment_name(name)
        if own_id is not None and not {REQUEST_ID.name, TOKEN.name} & set(given):
            given[REQUEST_ID.name] = own_id
        return given

    def _filled(self, event: Mapping[str, object], own_id: str | None) -> dict[str, object]:
        if isinstance(self.request, Template):
            whole = self._fill("request", self.request, event, own_id)
            return dict(whole) if isinstance(whole, Mapping) else {}
        return {key: self._fill(f"request.{key}", template, event, own_id) for key, template in self.request.items()}

    def _fill(self, key: str, template: Template, event: Mapping[str, object], own_id: str | None) -> object:
        try:
            return template.fill(event)
        except MissingPlaceholder as unfilled:
            text = f"trigger {quote(self.name)} cannot fill {key}: {unfilled}; mend the rule, or narrow its pattern"
            raise RequestRejected(RejectionCode.TRIGGER_UNFILLED, text, key, own_id) from None


def first_match(triggers: Sequence[Trigger], event: Mapping[str, object]) -> Trigger:
    """Answer the first rule that matches an event. Raises `NoMatchingTrigger`."""
    for trigger in triggers:
        if trigger.pattern.matches(event):
            return trigger
    raise NoMatchingTrigger(event)


def deployment_name(text: str) -> str:
    """Make a text a valid name of a deployment. The same text has always the same name, and is cut with a hash in the end."""
    name = re.sub(r"[^0-9a-zA-Z_-]+", "-", text).lstrip("-_")
    name = re.sub(r"([_-])[_-]+", r"\1", name)
    if len(name) > _LONGEST_NAME:
        mark = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:_HASH_LENGTH]
        name = f"{name[: _LONGEST_NAME - 1 - _HASH_LENGTH].rstrip('-_')}-{mark}"
    return name


def read_triggers(given: Mapping[str, object]) -> tuple[Trigger, ...]:
    """Read the rules of a file. Raises `WrongTriggers`."""
    return read_rules(given, TABLE, _trigger, WrongTriggers)


def _trigger(table: Mapping[str, object], place: int) -> Trigger:
    name = table.get("name")
    if not isinstance(name, str) or not _RULE_NAME.fullmatch(name):
        said = "is missing" if name is None else f"is {quote(str(name))}"
        raise WrongTriggers(f"rule {place}: name {said}; use 1 to 64 letters, digits, and . _ - after the first")
    rule = f"rule {quote(name)}"
    for key in table:
        if key not in _KEYS:
            near = closest_match(key, _KEYS)
            hint = f"did you mean {near}?" if near else f"the keys are {', '.join(_KEYS)}"
            raise WrongTriggers(f"{rule}: the key {quote(key)} is unknown; {hint}")
    try:
        pattern = Pattern(_pattern(table.get("pattern")))
    except WrongPattern as wrong:
        raise WrongTriggers(f"{rule}: pattern: {wrong}") from wrong
    return Trigger(name, pattern, _request(rule, table.get("request")))


def _pattern(given: object) -> object:
    """Read a pattern: JSON, as it is written for EventBridge, or the same as a table."""
    if not isinstance(given, str):
        return given
    try:
        return strict_json(given)
    except RequestRejected as wrong:
        raise WrongPattern((), wrong.reason) from wrong
    except (ValueError, RecursionError) as error:
        raise WrongPattern((), f"is not JSON ({error}); write it as for an EventBridge rule") from error


def _request(rule: str, given: object) -> Template | Mapping[str, Template]:
    if isinstance(given, str):
        return _template(rule, "request", given)
    if not isinstance(given, Mapping) or not given:
        text = 'is missing, or not a table; give the keys of a request, or one placeholder for all of it, like "{detail}"'
        raise WrongTriggers(f"{rule}: request {text}")
    fields = {field.name: field for field in _fields(given)}
    made: dict[str, Template] = {}
    for key, value in given.items():
        if key not in fields:
            near = closest_match(key, fields)
            hint = f"did you mean {near}?" if near else f"the keys are {', '.join(fields)}"
            raise WrongTriggers(f"{rule}: request.{key} is not a key of a request; {hint}")
        made[key] = _template(rule, f"request.{key}", value)
        if key != NAME.name and not made[key].has_placeholders and (wrong := value_problem(fields[key], value)):
            raise WrongTriggers(f"{rule}: request.{key} {wrong}; {fields[key].remedy}")
    return made


def _template(rule: str, key: str, given: object) -> Template:
    try:
        return Template(given)
    except WrongTemplate as wrong:
        raise WrongTriggers(f"{rule}: {key}: {wrong}") from wrong


def _fields(request: Mapping[str, object]) -> Iterator[Field]:
    """Answer what a request of this action may hold; of any, where the action comes from the event."""
    tables = FIELDS_OF.get(str(request.get(ACTION.name, "deploy")))
    yield from tables or chain.from_iterable(FIELDS_OF.values())
