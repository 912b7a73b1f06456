"""What a command answers: a table for a person at a terminal, lines with tabs in a pipe, JSON where it is asked for.

A terminal may be narrow: sentences are wrapped, and what is too wide for a table comes one thing after the other. Nothing is
cut off, and no word is broken: an ARN can be copied.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
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
LEAST_OF_LAST: Final = 30
"""A table is one only if so much of its last column can be shown beside all of the others."""
SHORT: Final = 24
"""Cells up to this length, like a time, are never cut in a table that moves."""
LEAST_WIDTH: Final = 20
_UNSEEN: Final = re.compile(r"[^\n -~]+")


def is_terminal() -> bool:
    """Whether a person reads what is printed."""
    return sys.stdout.isatty()


def print_json(document: object) -> None:
    """Print one JSON document: indented for a person, on one line for a program. What would act on a terminal is escaped."""
    indent = 2 if is_terminal() else None
    _write(_UNSEEN.sub(_escaped, json.dumps(document, indent=indent, ensure_ascii=False)))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows: with a heading for a person, else one line a row with tabs between, and nothing else.

    For a person whose terminal is too narrow each row is a block of facts; no row at all is said.
    """
    if not is_terminal():
        for row in rows:
            _write("\t".join(flat(cell) for cell in row))
    elif not rows:
        _write("None.")
    elif is_table(columns, rows, _columns()):
        from rich.console import Console

        Console().print(table_of(columns, rows))
    else:
        width = max(map(len, columns))
        for place, row in enumerate(rows):
            if place:
                _write("")
            print_facts({f"{name:<{width}}": cell for name, cell in zip(columns, row, strict=True) if cell})


def is_table(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> bool:
    """Whether so many columns of a terminal hold these as a table: all of each cell but the last, and enough of that."""
    *others, last = _widths(columns, rows)
    return sum(others) + min(last, LEAST_OF_LAST) + 3 * len(columns) <= width


def table_of(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Answer a table whose last column folds into what room there is. Where there is too little, long cells are shortened."""
    from rich import box, table
    from rich.text import Text

    is_whole = is_table(columns, rows, _columns())
    made = table.Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for place, (column, width) in enumerate(zip(columns, _widths(columns, rows), strict=True)):
        is_last = place == len(columns) - 1
        is_kept = not is_last and (is_whole or width <= SHORT)
        made.add_column(column, overflow="fold" if is_last else "ellipsis", no_wrap=is_kept)
    for row in rows:
        *others, last = (Text(flat(cell), LOOKS.get(cell, "")) for cell in row)
        for cell in others:
            cell.no_wrap = True
        made.add_row(*others, last)
    return made


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]


def print_line(line: str) -> None:
    """Print one line that belongs to the answer, as it is."""
    _write(line)


def print_sentence(sentence: str) -> None:
    """Print one sentence, or a line of several: as a paragraph for a person, on one line for a program."""
    _write(paragraph(flat(sentence)) if is_terminal() else flat(sentence))


def print_facts(facts: Mapping[str, str]) -> None:
    """Print what is known of one thing: a name and a value a line."""
    if not is_terminal():
        for name, value in facts.items():
            _write(f"{name}\t{flat(value)}")
        return
    from rich.console import Console
    from rich.text import Text

    console = Console()
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        said = paragraph(flat(value), indent=width + 2)
        line = Text.assemble((f"{name:<{width}}", "dim"), "  ", (said, LOOKS.get(value, "")))
        console.print(line, soft_wrap=True)


def paragraph(text: str, indent: int = 0) -> str:
    """Answer a text in lines that a terminal holds: all but the first are indented. Words stay whole, however long they are."""
    width = max(_columns() - indent, LEAST_WIDTH)
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return f"\n{' ' * indent}".join(lines)


def _escaped(found: re.Match[str]) -> str:
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in found[0])


def _columns() -> int:
    return shutil.get_terminal_size().columns


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")


def flat(cell: str) -> str:
    """Answer one line, and nothing that acts on a terminal: texts come from AWS, and from whoever sent a request."""
    return cell if cell.isprintable() else "".join(letter if letter.isprintable() else " " for letter in cell)
