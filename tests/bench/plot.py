"""The bench's plot: what a deployment costs, by how many there are. SVG, drawn here: a few lines need no library."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from html import escape
from math import log10
from typing import Any

from tests.bench.table import medians, of

WIDTH, HEIGHT = 880, 336
PANELS = (
    ("client CPU per deployment, ms", "cpu_ms", 60, 0.5, 50.0),
    ("Bedrock calls per deployment", "bedrock_calls", 500, 0.5, 50.0),
)
PANEL_WIDTH, TOP, BOTTOM = 330, 50, 250
COLOURS = ("#0b6e4f", "#6b7280", "#c2410c", "#7c3aed")
LEAST, MOST = 100, 100_000
LINE = 16


def plot(results: dict[str, Any]) -> str:
    """Return the picture. Both axes are logarithmic; less is better."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
            *(line for panel in PANELS for line in _panel(results, *panel)),
            *_legend(results),
            "</svg>\n",
        ]
    )


def _panel(results: dict[str, Any], title: str, name: str, left: int, low: float, high: float) -> Iterator[str]:
    def x(number: float) -> float:
        return left + PANEL_WIDTH * log10(number / LEAST) / log10(MOST / LEAST)

    def y(value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * log10(min(max(value, low), high) / low) / log10(high / low)

    yield f'<text x="{left}" y="{TOP - 20}" font-weight="bold">{escape(title)}</text>'
    for value in (0.5, 1, 2, 5, 10, 20, 50):
        yield f'<line x1="{left}" x2="{left + PANEL_WIDTH}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#e5e7eb"/>'
        yield f'<text x="{left - 8}" y="{y(value) + 4:.1f}" text-anchor="end" fill="#374151">{value:g}</text>'
    for number in (100, 1_000, 10_000, 100_000):
        yield f'<text x="{x(number):.1f}" y="{BOTTOM + 18}" text-anchor="middle" fill="#374151">{number:,}</text>'
    middle = left + PANEL_WIDTH / 2
    yield f'<text x="{middle:.0f}" y="{BOTTOM + 18 + LINE}" text-anchor="middle" fill="#374151">deployments</text>'
    for colour, points in reversed(list(zip(COLOURS, _lines(results, name).values(), strict=False))):  # the first on top
        path = " ".join(f"{x(number):.1f},{y(value):.1f}" for number, value in points)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for number, value in points:
            yield f'<circle cx="{x(number):.1f}" cy="{y(value):.1f}" r="3.5" fill="{colour}"/>'


def _lines(results: dict[str, Any], name: str) -> dict[str, list[tuple[int, float]]]:
    lines: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    for who, number, rounds in medians(results):
        lines[who].append((number, of(rounds, name)))
    return dict(lines)


def _legend(results: dict[str, Any]) -> Iterator[str]:
    for place, (colour, who) in enumerate(zip(COLOURS, _lines(results, "cpu_ms"), strict=False)):
        left = 60 + place * 200
        yield f'<circle cx="{left}" cy="{HEIGHT - 22}" r="4" fill="{colour}"/>'
        yield f'<text x="{left + 10}" y="{HEIGHT - 18}">{escape(who)}</text>'
