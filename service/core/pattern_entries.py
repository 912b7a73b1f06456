"""One entry of a pattern's list: the operators of EventBridge, each of which looks at one plain value."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeGuard

from service.core.misunderstood import shown

Test = Callable[[object], bool]
"""Whether one value, never an array or object, is what an entry of a list names."""

LARGEST_NUMBER: Final = 5.0e9
"""EventBridge compares numbers from -5 to 5 thousand million."""
_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    "=": lambda value, bound: value == bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
}
_MOST_COMPARISONS: Final = 2


class WrongPattern(ValueError):
    """A pattern that EventBridge would not take. `place` is the path of the key; the message says what is wrong there."""

    def __init__(self, place: Sequence[str], text: str) -> None:
        self.place = ".".join(place)
        said = self.place if self.place.isprintable() else shown(self.place)[1:-1]
        super().__init__(f"{said}: {text}" if place else text)


def entry_test(entry: object, place: tuple[str, ...]) -> Test:
    """Answer what tells whether a value is what an entry names. Raises `WrongPattern`, for the key at this place."""
    if not isinstance(entry, Mapping):
        return _equals(entry, place)
    if len(entry) != 1:
        raise WrongPattern(place, f"an entry has one operator, not {len(entry)}: {', '.join(map(shown, map(str, entry)))}")
    ((operator, operand),) = entry.items()
    match operator:
        case "prefix" | "suffix" | "equals-ignore-case" | "wildcard":
            return _text_test(operator, operand, place)
        case "anything-but":
            return _anything_but(operand, place)
        case "numeric":
            return _numeric(operand, place)
        case "cidr":
            return _cidr(operand, place)
    known = "prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, cidr and exists"
    raise WrongPattern(place, f"{shown(str(operator))} is no operator; there are {known}")


def _equals(wanted: object, place: tuple[str, ...]) -> Test:
    if isinstance(wanted, list):
        raise WrongPattern(place, "a list within the list; name the values themselves")
    if _is_number(wanted):
        return lambda value: _is_number(value) and value == wanted
    return lambda value: type(value) is type(wanted) and value == wanted


def _text_test(operator: str, operand: object, place: tuple[str, ...]) -> Test:
    """`prefix` and `suffix` take a text or `equals-ignore-case` of one; the others take a text."""
    if operator in {"prefix", "suffix"} and isinstance(operand, Mapping) and [*operand] == ["equals-ignore-case"]:
        text, folds = operand["equals-ignore-case"], True
    else:
        text, folds = operand, operator == "equals-ignore-case"
    if not isinstance(text, str) or (not text and operator != "equals-ignore-case"):
        raise WrongPattern(place, f"{operator} is {called(text)}, not a text")
    wanted = text.casefold() if folds else text
    match operator:
        case "prefix":
            return lambda value: isinstance(value, str) and (value.casefold() if folds else value).startswith(wanted)
        case "suffix":
            return lambda value: isinstance(value, str) and (value.casefold() if folds else value).endswith(wanted)
        case "wildcard":
            return wildcard(text, place)
        case _:
            return lambda value: isinstance(value, str) and value.casefold() == wanted


def wildcard(text: str, place: tuple[str, ...] = ()) -> Test:
    """Answer what tells whether a value is a text like this one, whose stars stand for anything. Raises `WrongPattern`."""
    pieces = _pieces(text, place)
    return lambda value: isinstance(value, str) and _has_pieces(value, pieces)


def _pieces(text: str, place: tuple[str, ...]) -> list[str]:
    """Answer the texts between the stars; a backslash takes a star, or a backslash, at its word."""
    pieces, is_after_star = [""], False
    characters = iter(text)
    for character in characters:
        if character == "*":
            if is_after_star:
                raise WrongPattern(place, f"wildcard is {shown(text)}: two stars in a row mean no more than one; use one")
            pieces.append("")
        elif character == "\\":
            escaped = next(characters, "")
            if escaped not in {"*", "\\"}:
                raise WrongPattern(place, f"wildcard is {shown(text)}: a backslash stands before * or another backslash only")
            pieces[-1] += escaped
        else:
            pieces[-1] += character
        is_after_star = character == "*"
    return pieces


def _has_pieces(value: str, pieces: Sequence[str]) -> bool:
    """Whether the value is these texts in their order, with anything between them: the first fit is as good as any."""
    first, *middle = pieces
    if not middle:
        return value == first
    *middle, last = middle
    end = len(value) - len(last)
    if not value.startswith(first) or not value.endswith(last) or end < len(first):
        return False
    at = len(first)
    for piece in middle:
        found = value.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def _anything_but(operand: object, place: tuple[str, ...]) -> Test:
    """Anything that none of the tests names. A value that is not there is not anything."""
    tests: list[Test]
    if isinstance(operand, Mapping):
        if len(operand) != 1 or not set(operand) <= {"prefix", "suffix", "equals-ignore-case", "wildcard"}:
            known = "prefix, suffix, equals-ignore-case or wildcard"
            raise WrongPattern(place, f"anything-but takes one of {known}, or the values themselves")
        ((operator, given),) = operand.items()
        texts = given if isinstance(given, list) else [given]
        tests = [_text_test(str(operator), text, place) for text in texts]
    else:
        values = operand if isinstance(operand, list) else [operand]
        if not (all(isinstance(each, str) for each in values) or all(_is_number(each) for each in values)):
            raise WrongPattern(place, "anything-but takes texts, or numbers, and not both")
        tests = [_equals(each, place) for each in values]
    if not tests:
        raise WrongPattern(place, "anything-but is an empty list; name at least one value")
    return lambda value: not any(test(value) for test in tests)


def _numeric(operand: object, place: tuple[str, ...]) -> Test:
    """One or two comparisons, all of which must hold."""
    example = 'like {"numeric": [">", 0, "<=", 5]}'
    if not isinstance(operand, list) or not operand or len(operand) % 2 or len(operand) > 2 * _MOST_COMPARISONS:
        raise WrongPattern(place, f"numeric takes one or two comparisons with a number each, {example}")
    pairs: list[tuple[Callable[[float, float], bool], float]] = []
    for sign, bound in zip(operand[::2], operand[1::2], strict=True):
        if not isinstance(sign, str) or sign not in _COMPARISONS or not _is_number(bound) or abs(bound) > LARGEST_NUMBER:
            text = f"numeric compares by <, <=, =, >= or > with a number of at most {LARGEST_NUMBER:.0f}, {example}"
            raise WrongPattern(place, text)
        pairs.append((_COMPARISONS[sign], bound))
    return lambda value: (
        _is_number(value) and abs(value) <= LARGEST_NUMBER and all(compare(value, bound) for compare, bound in pairs)
    )


def _cidr(operand: object, place: tuple[str, ...]) -> Test:
    try:
        network = ipaddress.ip_network(operand, strict=False) if isinstance(operand, str) else None
    except ValueError:
        network = None
    if network is None:
        raise WrongPattern(place, f"cidr is {called(operand)}, not a block of addresses like 10.0.0.0/24")
    return lambda value: isinstance(value, str) and (address := _address(value)) is not None and address in network


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def called(value: object) -> str:
    """Show a value of a pattern in a sentence."""
    return shown(value) if isinstance(value, str) else shown(repr(value))
