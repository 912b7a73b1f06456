"""Files of rules: tables under one key, each with a name of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from slipway.core.schema.rejection import quote


class NamedRule(Protocol):
    """A rule."""

    @property
    def name(self) -> str:
        """No other rule of the file has it."""


Rule = TypeVar("Rule", bound=NamedRule)


def read_rules(
    given: Mapping[str, object],
    table: str,
    read: Callable[[Mapping[str, object], int], Rule],
    wrong: type[ValueError],
) -> tuple[Rule, ...]:
    """Read each table under the key `table`, with its place from 1. Raises what `read` raises, and `wrong` with a sentence."""
    if unknown := next((key for key in given if key != table), None):
        raise wrong(f"the key {quote(unknown)} is unknown; a rule begins with [[{table}]]")
    tables = given.get(table)
    if not isinstance(tables, list) or not tables:
        raise wrong(f"there is no rule; begin one with [[{table}]], or leave the file away")
    found: dict[str, Rule] = {}
    for place, each in enumerate(tables, start=1):
        if not isinstance(each, Mapping):
            raise wrong(f"rule {place} is not a table; begin it with [[{table}]]")
        rule = read(each, place)
        if rule.name in found:
            raise wrong(f"rule {place}: name is {quote(rule.name)}, as in a rule before; give each its own")
        found[rule.name] = rule
    return tuple(found.values())
