"""EventBridge's own pattern language: whether an event matches, as EventBridge itself would say.

A pattern has the form of the event: objects as in the event, and at the leaves lists of what the value may be. All keys
must match, any entry of a list may; a key that is not named may hold anything. Entries are plain values, or one of
`prefix`, `suffix`, `equals-ignore-case`, `wildcard`, `anything-but`, `numeric`, `cidr` and `exists`; `$or` takes several
patterns for one place. A value that is an array matches when any of its elements does, and of an array of objects one and
the same element must match all that is said of it.

A pattern with `$or` is several patterns without it, one for each combination of the alternatives, as in event-ruler. So a
path occurs at most once in each, and array elements are the same for what stands inside and outside of `$or`.

Matching takes time linear in the event for each leaf of the pattern, whatever the event holds.
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
"""No names of keys inside of `$or`."""

_Path = tuple[str, ...]
_Rule = dict[_Path, "_Leaf"]


class Pattern:
    """A pattern, checked. Made once; matches any number of events."""

    def __init__(self, given: object) -> None:
        """Raises `WrongPattern`."""
        self._nodes = [_Node(rule) for rule in _combined([{}], given, (), (), is_in_or=False)]

    def matches(self, event: Mapping[str, object]) -> bool:
        """Return whether EventBridge would say that the event matches."""
        everything = _Wide([event])
        return any(node.outcomes(event, everything) for node in self._nodes)


def _combined(rules: list[_Rule], given: object, path: _Path, place: _Path, *, is_in_or: bool) -> list[_Rule]:
    """Return the rules with all that a part of a pattern says added to each; `place` is the path with every `$or`."""
    if not isinstance(given, Mapping) or not given:
        raise WrongPattern(place, 'a pattern is an object that names at least one key, like {"source": ["aws.bedrock"]}')
    if len(place) >= DEEPEST_PATTERN:
        raise WrongPattern(place[:3], f"the pattern is nested deeper than {DEEPEST_PATTERN}")
    for key, value in given.items():
        here = (*place, str(key))
        if key == _OR:
            rules = _alternatives(rules, value, path, here)
        elif is_in_or and key in _RESERVED:
            raise WrongPattern(here, f"{quote(key)} is reserved in {_OR}; it cannot be the name of a key there")
        elif isinstance(value, Mapping):
            rules = _combined(rules, value, (*path, key), here, is_in_or=is_in_or)
        else:
            leaf = _Leaf(value, here)
            if any((*path, key) in rule for rule in rules):
                raise WrongPattern(
                    here, f"{quote('.'.join((*path, key)))} is named already; a path occurs once in each alternative"
                )
            rules = [rule | {(*path, key): leaf} for rule in rules]
    return rules


def _alternatives(rules: list[_Rule], given: object, path: _Path, place: _Path) -> list[_Rule]:
    if not isinstance(given, list) or len(given) < 2:  # noqa: PLR2004  one alternative is none
        raise WrongPattern(place, "is not a list of two patterns or more")
    found: list[_Rule] = []
    for at, each in enumerate(given):
        found += _combined(rules, each, path, (*place[:-1], f"{_OR}[{at}]"), is_in_or=True)
        if len(found) > MOST_COMBINATIONS:
            raise WrongPattern(place, f"the alternatives of all {_OR} make more than {MOST_COMBINATIONS} combinations")
    return found


class _Wide:
    """All objects in one place of the event, of the array elements that are not ruled out yet."""

    __slots__ = ("_children", "_present", "objects")

    def __init__(self, values: Sequence[object]) -> None:
        self.objects = [each for value in values for each in _flat(value) if isinstance(each, Mapping)]
        self._children: dict[str, _Wide] = {}
        self._present: dict[str, bool] = {}

    def child(self, key: str) -> _Wide:
        """Return the objects in the place below."""
        if key not in self._children:
            self._children[key] = _Wide([one[key] for one in self.objects if key in one])
        return self._children[key]

    def has(self, key: str) -> bool:
        """Return whether any of the objects has a value, not an object, under the key."""
        if key not in self._present:
            self._present[key] = any(_values(one.get(key, _ABSENT)) for one in self.objects)
        return self._present[key]


class _Node:
    """What is said of one object.

    Its parts are looked at in the order of their paths. A value that matches settles which elements of arrays are meant from
    then on; until then a key is absent only if no element has it. Both is as in event-ruler.
    """

    __slots__ = ("_parts",)

    def __init__(self, rule: Mapping[_Path, _Leaf]) -> None:
        below: dict[str, _Rule] = {}
        parts: list[tuple[str, str, _Leaf | _Node]] = []
        for (key, *rest), leaf in rule.items():
            if rest:
                below.setdefault(key, {})[tuple(rest)] = leaf
            else:
                parts.append((key, key, leaf))
        parts += [(f"{key}.", key, _Node(rules)) for key, rules in below.items()]
        self._parts = [(key, part) for _, key, part in sorted(parts, key=lambda each: each[0])]

    def outcomes(self, own: object, wide: _Wide) -> set[bool]:
        """Return the ways in which a value matches: whether any value settled the array elements; empty if it does not.

        `wide` has all objects that the value may be instead, until that is settled.
        """
        found: set[bool] = set()
        for one in [each for each in _flat(own) if isinstance(each, Mapping)] or [_NO_KEYS]:
            found |= self._outcomes_of(one, wide)
            if len(found) == 2:  # noqa: PLR2004  both
                break
        return found

    def _outcomes_of(self, one: Mapping[str, object], wide: _Wide) -> set[bool]:
        states, alone = {False}, _Wide([one])
        for key, part in self._parts:
            after: set[bool] = set()
            for is_settled in states:
                around = alone if is_settled else wide
                if isinstance(part, _Node):
                    after |= {is_settled or each for each in part.outcomes(one.get(key, _ABSENT), around.child(key))}
                else:
                    after |= {True} if part.matches(one.get(key, _ABSENT)) else set()
                    after |= {is_settled} if part.may_be_absent and not around.has(key) else set()
            states = after
            if not states:
                break
        return states


class _Leaf:
    """What one value may be: a list of entries, of which any may match."""

    __slots__ = ("_may_be_anything", "_tests", "may_be_absent")

    def __init__(self, given: object, place: tuple[str, ...]) -> None:
        if not isinstance(given, list) or not given:
            raise WrongPattern(place, f'is {describe_value(given)}, not a list of what the value may be, like ["Completed"]')
        presence: set[bool] = set()
        self._tests: list[Test] = []
        for entry in given:
            if isinstance(entry, Mapping) and "exists" in entry:
                presence.add(_exists(entry, place))
            else:
                self._tests.append(entry_test(entry, place))
        self.may_be_absent = False in presence
        self._may_be_anything = True in presence

    def matches(self, value: object) -> bool:
        """Return whether the value, or any element of it where it is an array, is one of what is named."""
        values = _values(value)
        return (self._may_be_anything and bool(values)) or any(test(each) for test in self._tests for each in values)


_ABSENT: Final = object()
_NO_KEYS: Final[Mapping[str, object]] = {}


def _values(value: object) -> list[object]:
    return [each for each in _flat(value) if each is not _ABSENT and not isinstance(each, Mapping)]


def _flat(value: object) -> Iterator[object]:
    """Yield the value, or the elements of an array and of the arrays in it."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        else:
            yield one


def _exists(entry: Mapping[str, object], place: tuple[str, ...]) -> bool:
    wanted = entry["exists"]
    if len(entry) != 1 or not isinstance(wanted, bool):
        raise WrongPattern(place, 'exists is true or false, and stands alone: {"exists": true}')
    return wanted
