"""What a rule of the permissions may say, and the reading of their file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from service.core.fields import Field, Kind, problems
from service.core.misunderstood import shown
from service.core.permissions import Rule
from service.core.request_fields import ACTION, PRIORITY, TAGS, TENANT
from service.core.rules import read_rules

TABLE: Final = "rule"
_MOST: Final = 100
_LETTERS: Final = r" -\[\]-~"
"""What can be typed, but for the backslash: no name has one."""


def _patterns(name: str, what: str, example: str, *, least: int = 1) -> Field:
    return Field(
        name=name,
        kind=Kind.LIST,
        least=least,
        most=_MOST,
        each=Field(
            name="pattern",
            kind=Kind.TEXT,
            least=1,
            most=1011,
            letters=_LETTERS,
            pattern=r"\*?(?:[^*]+\*)*[^*]*",
            doc=f"A pattern of {what}; never two stars in a row.",
        ),
        doc=f"Patterns of {what}, with * for any characters. Left out: any.",
        remedy=f'use a list of patterns, with single stars for any characters, like ["{example}"], or leave the key out',
        examples=([example],),
    )


FIELDS: Final = (
    Field(
        name="name",
        kind=Kind.TEXT,
        required=True,
        least=1,
        most=64,
        letters=r"A-Za-z0-9_.\-",
        pattern=r"[A-Za-z0-9][A-Za-z0-9_.\-]*",
        doc="What events, logs and errors call the rule.",
        remedy="use 1 to 64 letters, digits, and . _ - after the first",
        examples=("support",),
    ),
    _patterns("senders", "SQS's SenderId", "AROAEXAMPLEROLEID0001:*"),
    Field(
        name="actions",
        kind=Kind.LIST,
        least=1,
        most=_MOST,
        each=ACTION,
        doc="What may be done. Left out: everything.",
        remedy=f"use a list of some of {', '.join(ACTION.choices)}, or leave the key out",
        examples=(["deploy", "update"],),
    ),
    _patterns("targets", "the names of targets", "research"),
    _patterns("models", "the ARNs of models, and the ARNs or names of the jobs that make them", "*/amazon.nova-lite-v1:*"),
    _patterns("names", "the names of deployments", "support-*"),
    replace(
        TAGS,
        name="force_tags",
        doc="Tags that every deployment gets, whatever the request says of them.",
        remedy='use a list of tags like { key = "team", value = "support" }, or leave the key out',
    ),
    _patterns("allow_tags", "the keys of tags that may be given", "cost-*", least=0),
    replace(
        PRIORITY,
        name="max_priority",
        doc="The highest priority that a deploy may ask for. Left out: any.",
        remedy=f"{PRIORITY.remedy}, or leave the key out",
    ),
    _patterns("tenants", "the tenants that may be named; a request that names none is permitted", "support"),
    replace(
        TENANT,
        name="force_tenant",
        doc="The tenant of every request, whatever the request says. Left out: the one that the request names.",
        remedy=f"{TENANT.remedy}, or leave the key out",
    ),
)


class WrongPermissions(ValueError):
    """Rules that cannot be used: one sentence names the rule, the key, what is wrong and the remedy."""


def read_permissions(given: Mapping[str, object]) -> tuple[Rule, ...]:
    """Read the rules of a file. Raises `WrongPermissions`."""
    return read_rules(given, TABLE, _rule, WrongPermissions)


def _rule(table: Mapping[str, object], place: int) -> Rule:
    name = table.get("name")
    called = shown(name) if isinstance(name, str) else str(place)
    for problem in problems(FIELDS, table):
        raise WrongPermissions(f"rule {called}: {problem.text}")
    given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    forced = tuple((tag["key"], tag["value"]) for tag in given.pop("force_tags", ()))
    return Rule(**given, force_tags=forced)
