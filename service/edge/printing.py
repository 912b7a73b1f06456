"""What a command answers: a table for a person at a terminal, lines with tabs in a pipe, JSON where it is asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.table import Table

LOOKS: Final = {
    "Active": "green",
    "Creating": "blue",
    "Failed": "bold red",
    "TimedOut": "bold red",
    "Rejected": "bold magenta",
    "Waiting": "yellow",
    "Updated": "green",
    "Deleted": "green",
    "orphan": "bold red",
    "late": "yellow",
    "leftover": "yellow",
    "twin": "bold red",
    "conflict": "bold red",
}
"""Words that are shown in a colour, wherever they stand alone."""


def is_terminal() -> bool:
    """Whether a person reads what is printed."""
    return sys.stdout.isatty()


def print_json(document: object) -> None:
    """Print one JSON document: indented for a person, on one line for a program."""
    indent = 2 if is_terminal() else None
    _write(json.dumps(document, indent=indent, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows: with a heading for a person, else one line a row with tabs between, and nothing else."""
    if not is_terminal():
        for row in rows:
            _write("\t".join(flat(cell) for cell in row))
        return
    from rich.console import Console  # noqa: PLC0415  half of what starting would cost, and not needed in a pipe

    Console().print(table_of(columns, rows))


def table_of(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Answer a table whose last column takes what room there is."""
    from rich import box, table  # noqa: PLC0415  as above
    from rich.text import Text  # noqa: PLC0415  as above

    made = table.Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for place, column in enumerate(columns):
        is_last = place == len(columns) - 1
        made.add_column(column, overflow="fold", ratio=1 if is_last else None, no_wrap=not is_last)
    for row in rows:
        made.add_row(*(Text(flat(cell), LOOKS.get(cell, "")) for cell in row))
    return made


def print_line(line: str) -> None:
    """Print one line that belongs to the answer."""
    _write(line)


def print_facts(facts: Mapping[str, str]) -> None:
    """Print what is known of one thing: a name and a value a line."""
    width = max(map(len, facts), default=0) if is_terminal() else 0
    for name, value in facts.items():
        _write(f"{name:<{width}}  {flat(value)}" if width else f"{name}\t{flat(value)}")


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")


def flat(cell: str) -> str:
    """Answer one line, and nothing that acts on a terminal: texts come from AWS, and from whoever sent a request."""
    return cell if cell.isprintable() else "".join(letter if letter.isprintable() else " " for letter in cell)
