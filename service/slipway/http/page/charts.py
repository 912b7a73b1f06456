"""Charts as SVG. Sizes are attributes and colours are classes, because the content security policy forbids inline styles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from slipway.http.page.markup import Html, el, join

HEIGHT: Final = 100
WIDTH: Final = 1000
MOST_CELLS: Final = 60
_GAP_SHARE: Final = 0.28
_LEAST_SEEN: Final = 2.0
"""Smallest visible height of a bar."""


def bars(stacks: Sequence[Sequence[tuple[str, int]]], said: str) -> Html:
    """Return a bar chart with one column for each stack of (class, number). `said` is its text alternative."""
    highest = max((sum(number for _, number in stack) for stack in stacks), default=0) or 1
    step = WIDTH / max(1, len(stacks))
    shapes = [_stack(at * step, step * (1 - _GAP_SHARE), stack, highest) for at, stack in enumerate(stacks)]
    line = el("rect", x=0, y=HEIGHT - 1, width=WIDTH, height=1, class_="axis")
    view = f"0 0 {WIDTH} {HEIGHT}"
    return el("svg", line, *shapes, viewBox=view, preserveAspectRatio="none", role="img", aria_label=said, class_="bars")


def _stack(x: float, width: float, stack: Sequence[tuple[str, int]], highest: int) -> Html:
    top, parts = float(HEIGHT), []
    for look, number in stack:
        if number:
            height = max(_LEAST_SEEN, number / highest * (HEIGHT - _LEAST_SEEN * len(stack)))
            top -= height
            shape = {"x": round(x, 2), "y": round(top, 2), "width": round(width, 2), "height": round(height, 2)}
            parts.append(el("rect", class_=look, **shape))
    return join(*parts)


def cells(kinds: Sequence[tuple[str, int]], said: str) -> Html:
    """Return one cell for each item of (class, number), or one bar with the shares if there are too many."""
    total = sum(number for _, number in kinds)
    if total > MOST_CELLS:
        return _shares(kinds, total, said)
    drawn = [el("span", class_=f"cell {look}") for look, number in kinds for _ in range(number)]
    return el("div", *drawn, class_="cells", role="img", aria_label=said)


def _shares(kinds: Sequence[tuple[str, int]], total: int, said: str) -> Html:
    x, parts = 0.0, []
    for look, number in kinds:
        width = number / total * WIDTH
        parts.append(el("rect", x=round(x, 2), y=0, width=round(width, 2), height=HEIGHT, class_=f"share {look}"))
        x += width
    view = f"0 0 {WIDTH} {HEIGHT}"
    return el("svg", *parts, viewBox=view, preserveAspectRatio="none", role="img", aria_label=said, class_="shares")
