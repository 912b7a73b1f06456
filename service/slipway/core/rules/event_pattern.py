"""EventBridge's event patterns: whether an event matches, with the same result as EventBridge.

A pattern has the form of the event: objects as in the event, and lists of allowed values at the leaves. All keys of the pattern
must match, by any entry of their list; other keys may have any value. Entries are plain values, or one of `prefix`, `suffix`,
`equals-ignore-case`, `wildcard`, `anything-but`, `numeric`, `cidr` and `exists`; `$or` has several patterns for one place. An
array matches if any of its elements does; in an array of objects, one element must match everything the pattern has for it.

As in event-ruler, a pattern with `$or` is several patterns without it, one for each combination of the alternatives. So a path
occurs at most once in each, and keys inside and outside of `$or` are matched in the same array elements.

Matching takes time linear in the event for each leaf of the pattern, for any event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from slipway.core.schema.pattern_operators import Test, WrongPattern, describe_value, entry_test
from slipway.core.schema.rejection import quote

DEEPEST_PATTERN: Final = 64
MOST_COMBINATIONS: Final = 1000
"""Of the alternatives of all `$or`: EventBridge's own limit."""
_OR: Final = "$or"
_RESERVED: Final = frozenset(
    {
        *("exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard", "numeric", "cidr", "html"),
        *("=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case"),
        *("date-after", "date-on-or-after", "date-before", "date-on-or-before", "in-date-range"),
        *("ip-address-in-range", "ip-address-not-in-range"),
    }
)
"""Words that cannot be keys inside `$or`."""

_Path = tuple[str, ...]
_Rule = dict[_Path, "_Leaf"]


class Pattern:
    """A valid pattern, to match against any number of events."""

    def __init__(self, pattern: object) -> None:
        """Compile a pattern. Raises `WrongPattern`."""
        self._nodes = [_Node(rule) for rule in _add_pattern([{}], pattern, (), (), is_in_or=False)]

    def matches(self, event: Mapping[str, object]) -> bool:
        """Return whether the event matches."""
        candidates = _Candidates([event])
        return any(node.outcomes(event, candidates) for node in self._nodes)


def _add_pattern(rules: list[_Rule], pattern: object, path: _Path, place: _Path, *, is_in_or: bool) -> list[_Rule]:
    """Return the rules with a part of a pattern added to each; `place` is the path with every `$or`."""
    if not isinstance(pattern, Mapping) or not pattern:
        raise WrongPattern(place, "is not an object with at least one key", 'use one like {"source": ["aws.bedrock"]}')
    if len(place) >= DEEPEST_PATTERN:
        raise WrongPattern(place[:3], f"the pattern is nested deeper than {DEEPEST_PATTERN}")
    for key, value in pattern.items():
        key_place = (*place, str(key))
        if key == _OR:
            rules = _add_alternatives(rules, value, path, key_place)
        elif is_in_or and key in _RESERVED:
            raise WrongPattern(key_place, f"{quote(key)} is reserved in {_OR}", f"use it outside of {_OR}")
        elif isinstance(value, Mapping):
            rules = _add_pattern(rules, value, (*path, key), key_place, is_in_or=is_in_or)
        else:
            leaf = _Leaf(value, key_place)
            if any((*path, key) in rule for rule in rules):
                raise WrongPattern(
                    key_place, f"{quote('.'.join((*path, key)))} is given twice", "use each path once in each alternative"
                )
            rules = [rule | {(*path, key): leaf} for rule in rules]
    return rules


def _add_alternatives(rules: list[_Rule], patterns: object, path: _Path, place: _Path) -> list[_Rule]:
    if not isinstance(patterns, list) or len(patterns) < 2:  # noqa: PLR2004  one alternative is none
        raise WrongPattern(place, "is not a list of at least two patterns")
    combined: list[_Rule] = []
    for index, alternative in enumerate(patterns):
        combined += _add_pattern(rules, alternative, path, (*place[:-1], f"{_OR}[{index}]"), is_in_or=True)
        if len(combined) > MOST_COMBINATIONS:
            raise WrongPattern(place, f"the alternatives of all {_OR} make more than {MOST_COMBINATIONS} combinations")
    return combined


class _Candidates:
    """All objects at one path of the event, in the array elements that are not ruled out yet."""

    __slots__ = ("_children", "_present", "objects")

    def __init__(self, values: Sequence[object]) -> None:
        self.objects = [item for value in values for item in _flatten(value) if isinstance(item, Mapping)]
        self._children: dict[str, _Candidates] = {}
        self._present: dict[str, bool] = {}

    def child(self, key: str) -> _Candidates:
        """Return the objects under a key."""
        if key not in self._children:
            self._children[key] = _Candidates([candidate[key] for candidate in self.objects if key in candidate])
        return self._children[key]

    def has(self, key: str) -> bool:
        """Return whether any of the objects has a value, not an object, under the key."""
        if key not in self._present:
            self._present[key] = any(_leaf_values(candidate.get(key, _ABSENT)) for candidate in self.objects)
        return self._present[key]


class _Node:
    """The part of a rule for one object.

    Its keys are matched in the order of their paths. A matching value settles which array elements are meant from then on;
    before that a key is absent only if no element has it. Both is as in event-ruler.
    """

    __slots__ = ("_parts",)

    def __init__(self, rule: Mapping[_Path, _Leaf]) -> None:
        children: dict[str, _Rule] = {}
        parts: list[tuple[str, str, _Leaf | _Node]] = []
        for (key, *rest), leaf in rule.items():
            if rest:
                children.setdefault(key, {})[tuple(rest)] = leaf
            else:
                parts.append((key, key, leaf))
        parts += [(f"{key}.", key, _Node(rules)) for key, rules in children.items()]
        self._parts = [(key, part) for _, key, part in sorted(parts, key=lambda part: part[0])]

    def outcomes(self, value: object, candidates: _Candidates) -> set[bool]:
        """Return the ways in which a value matches: whether a value settled the array elements; empty if it does not match.

        `candidates` has all objects that the value may be, until that is settled.
        """
        outcomes: set[bool] = set()
        for candidate in [item for item in _flatten(value) if isinstance(item, Mapping)] or [_NO_KEYS]:
            outcomes |= self._object_outcomes(candidate, candidates)
            if len(outcomes) == 2:  # noqa: PLR2004  both
                break
        return outcomes

    def _object_outcomes(self, candidate: Mapping[str, object], candidates: _Candidates) -> set[bool]:
        states, only = {False}, _Candidates([candidate])
        for key, part in self._parts:
            next_states: set[bool] = set()
            for is_settled in states:
                scope = only if is_settled else candidates
                if isinstance(part, _Node):
                    next_states |= {
                        is_settled or outcome for outcome in part.outcomes(candidate.get(key, _ABSENT), scope.child(key))
                    }
                else:
                    next_states |= {True} if part.matches(candidate.get(key, _ABSENT)) else set()
                    next_states |= {is_settled} if part.may_be_absent and not scope.has(key) else set()
            states = next_states
            if not states:
                break
        return states


class _Leaf:
    """The allowed values of one key: a list of entries, of which any may match."""

    __slots__ = ("_may_be_anything", "_tests", "may_be_absent")

    def __init__(self, given: object, place: tuple[str, ...]) -> None:
        if not isinstance(given, list) or not given:
            raise WrongPattern(place, f"is {describe_value(given)}, not a list of allowed values", 'use one like ["Completed"]')
        presence: set[bool] = set()
        self._tests: list[Test] = []
        for entry in given:
            if isinstance(entry, Mapping) and "exists" in entry:
                presence.add(_read_exists(entry, place))
            else:
                self._tests.append(entry_test(entry, place))
        self.may_be_absent = False in presence
        self._may_be_anything = True in presence

    def matches(self, value: object) -> bool:
        """Return whether the value, or any element of an array, is allowed."""
        values = _leaf_values(value)
        return (self._may_be_anything and bool(values)) or any(test(item) for test in self._tests for item in values)


_ABSENT: Final = object()
_NO_KEYS: Final[Mapping[str, object]] = {}


def _leaf_values(value: object) -> list[object]:
    return [item for item in _flatten(value) if item is not _ABSENT and not isinstance(item, Mapping)]


def _flatten(value: object) -> Iterator[object]:
    """Yield the value, or the elements of an array and of the arrays in it."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack += item
        else:
            yield item


def _read_exists(entry: Mapping[str, object], place: tuple[str, ...]) -> bool:
    wanted = entry["exists"]
    if len(entry) != 1 or not isinstance(wanted, bool):
        raise WrongPattern(place, "exists is not true or false, or not alone", 'use {"exists": true}')
    return wanted
