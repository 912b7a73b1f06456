"""EventBridge's pattern operators: the tests of one plain value that the entries of a pattern's list stand for."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeGuard

from slipway.core.schema.rejection import ErrorWithRemedy, quote

Test = Callable[[object], bool]
"""Returns whether one value, never an array or object, matches an entry."""

LARGEST_NUMBER: Final = 5.0e9
"""EventBridge compares numbers from -5.0e9 to 5.0e9."""
MOST_DECIMALS: Final = 6
_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    "=": lambda value, bound: value == bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
}
_LOWER: Final = frozenset({">", ">="})
_UPPER: Final = frozenset({"<", "<="})
_ADDRESS = re.compile(r"[0-9]+(\.[0-9]+){3}|[0-9a-fA-F:]*:[0-9a-fA-F:]*")
_BITS = re.compile(r"[0-9]{1,3}")


class WrongPattern(ErrorWithRemedy):
    """EventBridge would refuse the pattern. `place` is the path of the key; the message has the problem there."""

    def __init__(self, place: Sequence[str], problem: str, remedy: str = "") -> None:
        self.place = ".".join(place)
        shown_place = self.place if self.place.isprintable() else quote(self.place)[1:-1]
        super().__init__(f"{shown_place}: {problem}" if place else problem, remedy)


def entry_test(entry: object, place: tuple[str, ...]) -> Test:
    """Return the test for an entry. Raises `WrongPattern` with the path `place`."""
    if not isinstance(entry, Mapping):
        return _equals(entry, place)
    if len(entry) != 1:
        raise WrongPattern(place, f"an entry has one operator, not {len(entry)}: {', '.join(map(quote, map(str, entry)))}")
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
    operators = "prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, cidr and exists"
    raise WrongPattern(place, f"{quote(str(operator))} is not an operator", f"use one of {operators}")


def _equals(wanted: object, place: tuple[str, ...]) -> Test:
    if isinstance(wanted, list):
        raise WrongPattern(place, "has a list within the list", "give the values themselves")
    if _is_number(wanted):
        if not math.isfinite(wanted):
            raise WrongPattern(place, f"{describe_value(wanted)} is not a number of JSON")
        if _is_comparable(wanted):
            return lambda value: _is_number(value) and value == wanted
    elif isinstance(wanted, str) and (address := _address(wanted)) is not None:
        return lambda value: isinstance(value, str) and (value == wanted or _address(value) == address)
    return lambda value: type(value) is type(wanted) and value == wanted


def _text_test(operator: str, operand: object, place: tuple[str, ...]) -> Test:
    """Return a test of text. `prefix` and `suffix` take a text, or `equals-ignore-case` with one; the others take a text."""
    if operator in {"prefix", "suffix"} and isinstance(operand, Mapping) and [*operand] == ["equals-ignore-case"]:
        text, folds = operand["equals-ignore-case"], True
    else:
        text, folds = operand, operator == "equals-ignore-case"
    if not isinstance(text, str):
        raise WrongPattern(place, f"{operator} is {describe_value(text)}, not a text")
    length = len(text)
    if folds:
        fits = _ignoring_case(text)
    elif operator == "wildcard":
        return wildcard(text or "*", place)
    else:

        def fits(value: str) -> bool:
            return value == text

    match operator:
        case "prefix":
            return lambda value: isinstance(value, str) and fits(value[:length])
        case "suffix":
            return lambda value: isinstance(value, str) and fits(value[max(0, len(value) - length) :])
        case _:
            return lambda value: isinstance(value, str) and fits(value)


def _ignoring_case(text: str) -> Callable[[str], bool]:
    """Return a test for this text ignoring case, character by character."""
    cases = [{character, *(case for case in (character.lower(), character.upper()) if len(case) == 1)} for character in text]
    return lambda value: len(value) == len(cases) and all(map(set.__contains__, cases, value))


def wildcard(text: str, place: tuple[str, ...] = ()) -> Test:
    """Return a test for a text in which each `*` matches any characters. Raises `WrongPattern`."""
    pieces = _wildcard_pieces(text, place)
    return lambda value: isinstance(value, str) and _matches_pieces(value, pieces)


def _wildcard_pieces(text: str, place: tuple[str, ...]) -> list[str]:
    """Return the texts between the stars. A backslash escapes a star or a backslash."""
    pieces, is_after_star = [""], False
    characters = iter(text)
    for character in characters:
        if character == "*":
            if is_after_star:
                raise WrongPattern(place, f"wildcard is {quote(text)}: two stars in a row mean the same as one", "use one")
            pieces.append("")
        elif character == "\\":
            escaped = next(characters, "")
            if escaped not in {"*", "\\"}:
                raise WrongPattern(place, f"wildcard is {quote(text)}: a backslash may only escape * or another backslash")
            pieces[-1] += escaped
        else:
            pieces[-1] += character
        is_after_star = character == "*"
    return pieces


def _matches_pieces(value: str, pieces: Sequence[str]) -> bool:
    """Return whether the value is these texts in order with anything between them. The first match of each suffices."""
    first, *middle = pieces
    if not middle:
        return value == first
    *middle, last = middle
    end = len(value) - len(last)
    if not value.startswith(first) or not value.endswith(last) or end < len(first):
        return False
    position = len(first)
    for piece in middle:
        index = value.find(piece, position, end)
        if index < 0:
            return False
        position = index + len(piece)
    return True


def _anything_but(operand: object, place: tuple[str, ...]) -> Test:
    """Return a test for values that match none of the operands. An absent value does not match."""
    tests: list[Test]
    if isinstance(operand, Mapping):
        if len(operand) != 1 or not set(operand) <= {"prefix", "suffix", "equals-ignore-case", "wildcard"}:
            operators = "prefix, suffix, equals-ignore-case or wildcard"
            raise WrongPattern(place, f"anything-but needs one of {operators}, or the values themselves")
        ((operator, names),) = operand.items()
        texts = names if isinstance(names, list) else [names]
        for text in texts:
            if not isinstance(text, str):
                raise WrongPattern(place, f"{operator} in anything-but is {describe_value(text)}, not a text")
            if not text and operator in {"prefix", "suffix"}:
                raise WrongPattern(place, f"{operator} in anything-but is an empty text", "nothing would match")
        tests = [_text_test(str(operator), text, place) for text in texts]
    else:
        values = operand if isinstance(operand, list) else [operand]
        if not (all(isinstance(item, str) for item in values) or all(_is_number(item) for item in values)):
            raise WrongPattern(place, "anything-but mixes kinds of values", "use only texts or only numbers")
        for item in values:
            if _is_number(item) and not _is_comparable(item):
                raise WrongPattern(place, f"anything-but is {describe_value(item)}, which is not {_COMPARABLE}")
        tests = [_equals(item, place) for item in values]
    if not tests:
        raise WrongPattern(place, "anything-but is an empty list", "give at least one value")
    return lambda value: not any(test(value) for test in tests)


def _numeric(operand: object, place: tuple[str, ...]) -> Test:
    """Return a test of one comparison, or of a range with its lower and then its upper bound."""
    example = 'like {"numeric": [">", 0, "<=", 5]}'
    if not isinstance(operand, list) or len(operand) not in {2, 4}:
        raise WrongPattern(place, f"numeric takes one or two comparisons with a number each, {example}")
    pairs: list[tuple[str, float]] = []
    for sign, bound in zip(operand[::2], operand[1::2], strict=True):
        if not isinstance(sign, str) or sign not in _COMPARISONS or not _is_number(bound) or not _is_comparable(bound):
            raise WrongPattern(place, f"numeric compares by <, <=, =, >= or > with {_COMPARABLE}, {example}")
        pairs.append((sign, bound))
    signs = [sign for sign, _ in pairs]
    if len(pairs) > 1 and (signs[0] not in _LOWER or signs[1] not in _UPPER):
        raise WrongPattern(place, f"numeric takes two comparisons only as > or >= and then < or <=, {example}")
    low = next((bound for sign, bound in pairs if sign in _LOWER), -LARGEST_NUMBER)
    high = next((bound for sign, bound in pairs if sign in _UPPER), LARGEST_NUMBER)
    if "=" not in signs and low >= high:
        raise WrongPattern(
            place, f"numeric from {low:g} to {high:g} is not a range", "the first number must be less than the second"
        )
    compared = [(_COMPARISONS[sign], bound) for sign, bound in pairs]
    return lambda value: (
        _is_number(value) and _is_comparable(value) and all(compare(value, bound) for compare, bound in compared)
    )


def _cidr(operand: object, place: tuple[str, ...]) -> Test:
    text, _, bits = operand.partition("/") if isinstance(operand, str) else ("", "", "")
    address = _address(text)
    if address is None or not _BITS.fullmatch(bits) or int(bits) >= address.max_prefixlen:
        is_single = address is not None and bits in {"", f"{address.max_prefixlen}"}
        remedy = "a single address needs no cidr" if is_single else "use ADDRESS/BITS"
        raise WrongPattern(place, f"cidr is {describe_value(operand)}, not a range of addresses like 10.0.0.0/24", f"{remedy}")
    network = ipaddress.ip_network(f"{text}/{bits}", strict=False)
    return lambda value: isinstance(value, str) and (value_address := _address(value)) is not None and value_address in network


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if not _ADDRESS.fullmatch(text):
        return None
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


_COMPARABLE: Final = f"a number from -{LARGEST_NUMBER:.0f} to {LARGEST_NUMBER:.0f} with at most {MOST_DECIMALS} decimals"


def _is_comparable(value: float) -> bool:
    """Return whether EventBridge compares a number by value: any other number only equals itself."""
    if not math.isfinite(value) or abs(value) > LARGEST_NUMBER:
        return False
    exponent = Decimal(repr(value)).normalize().as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -MOST_DECIMALS


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def describe_value(value: object) -> str:
    """Return a value of a pattern as an error shows it."""
    return quote(value) if isinstance(value, str) else quote(repr(value))
