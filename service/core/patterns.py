"""EventBridge's own pattern language: whether an event matches, as EventBridge itself would say.

A pattern has the form of the event: objects as in the event, and at the leaves lists of what the value may be. All keys
must match, any entry of a list may; a key that is not named may hold anything. Entries are plain values, or one of
`prefix`, `suffix`, `equals-ignore-case`, `wildcard`, `anything-but`, `numeric`, `cidr` and `exists`; `$or` takes several
patterns for one place. A value that is an array matches when any of its elements does, and of an array of objects one and
the same element must match all that is said of it.

Matching takes time linear in the event for each leaf of the pattern, whatever the event holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from service.core.pattern_entries import Test, WrongPattern, called, entry_test

DEEPEST_PATTERN: Final = 64
_OR: Final = "$or"


class Pattern:
    """A pattern, checked. Made once; matches any number of events."""

    def __init__(self, given: object) -> None:
        """Raises `WrongPattern`."""
        self._node = _Node(given, ())

    def matches(self, event: Mapping[str, object]) -> bool:
        """Whether EventBridge would say that the event matches."""
        return self._node.matches(event)


class _Node:
    """What is said of one object."""

    __slots__ = ("_alternatives", "_leaves", "_nodes")

    def __init__(self, given: object, place: tuple[str, ...]) -> None:
        if not isinstance(given, Mapping) or not given:
            raise WrongPattern(place, 'a pattern is an object that names at least one key, like {"source": ["aws.bedrock"]}')
        if len(place) >= DEEPEST_PATTERN:
            raise WrongPattern(place[:3], f"the pattern is nested deeper than {DEEPEST_PATTERN}")
        self._leaves: dict[str, _Leaf] = {}
        self._nodes: dict[str, _Node] = {}
        self._alternatives: tuple[_Node, ...] = ()
        for key, value in given.items():
            here = (*place, str(key))
            if key == _OR:
                self._alternatives = _alternatives(value, place)
            elif isinstance(value, Mapping):
                self._nodes[key] = _Node(value, here)
            else:
                self._leaves[key] = _Leaf(value, here)

    def matches(self, value: object) -> bool:
        """Whether this object, or one of the objects in this array, is as it is said to be. What is neither has no keys."""
        found = [each for each in _flat(value) if isinstance(each, Mapping)]
        return any(map(self._matches_one, found)) if found else self._matches_one({})

    def _matches_one(self, event: Mapping[str, object]) -> bool:
        return (
            all(leaf.matches(event.get(key, _ABSENT)) for key, leaf in self._leaves.items())
            and all(node.matches(event.get(key, _ABSENT)) for key, node in self._nodes.items())
            and (not self._alternatives or any(each.matches(event) for each in self._alternatives))
        )


def _alternatives(given: object, place: tuple[str, ...]) -> tuple[_Node, ...]:
    if not isinstance(given, list) or len(given) < 2:  # noqa: PLR2004  one alternative is none
        raise WrongPattern((*place, _OR), "is not a list of two patterns or more")
    return tuple(_Node(each, (*place, f"{_OR}[{at}]")) for at, each in enumerate(given))


class _Leaf:
    """What one value may be: a list of entries, of which any may match."""

    __slots__ = ("_presence", "_tests")

    def __init__(self, given: object, place: tuple[str, ...]) -> None:
        if not isinstance(given, list) or not given:
            raise WrongPattern(place, f'is {called(given)}, not a list of what the value may be, like ["Completed"]')
        self._presence: set[bool] = set()
        self._tests: list[Test] = []
        for entry in given:
            if isinstance(entry, Mapping) and "exists" in entry:
                self._presence.add(_exists(entry, place))
            else:
                self._tests.append(entry_test(entry, place))

    def matches(self, value: object) -> bool:
        """Whether the value, or any element of it where it is an array, is one of what is named."""
        values = [each for each in _flat(value) if each is not _ABSENT and not isinstance(each, Mapping)]
        return bool(values) in self._presence or any(test(each) for test in self._tests for each in values)


_ABSENT: Final = object()


def _flat(value: object) -> Iterator[object]:
    """Answer the value, or the elements of an array and of the arrays in it."""
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
