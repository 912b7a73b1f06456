"""Output and exit codes of commands: tables and facts for a person; JSON and YAML, filtered by JMESPath, for a program.

A table has one line for each row. At a terminal the longest cells are shortened until a row fits; in a pipe, and with
`-o wide`, nothing is shortened. Texts that come from AWS or from a sender never act on a terminal. A full disk or a closed pipe
ends a command without a traceback.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any, Final, NoReturn, TextIO, cast

from slipway.core.schema.rejection import ErrorWithRemedy
from slipway.core.time_format import format_time

if TYPE_CHECKING:
    from rich.text import Text

STYLES: Final = {
    "Active": "green",
    "Creating": "blue",
    "Failed": "bold red",
    "TimedOut": "bold red",
    "Rejected": "bold magenta",
    "Waiting": "yellow",
    "Updating": "blue",
    "Updated": "green",
    "Deleted": "green",
    "orphan": "bold red",
    "late": "yellow",
    "leftover": "yellow",
    "twin": "bold red",
    "conflict": "bold red",
}
"""Words that are shown in a colour, wherever they are a whole cell."""
NOTHING: Final = "-"
"""An empty cell, so that every row has as many words as the heading."""
GAP: Final = "   "
SHORTEST_CELL: Final = 12
"""A cell is not shortened below this length."""
LEAST_WIDTH: Final = 20
_UNPRINTABLE: Final = re.compile(r"[^\n -~]+")
_AGE_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


class CommandError(ErrorWithRemedy):
    """A command cannot do what was asked. The message names the option or the place, the problem and the remedy."""


class Form(StrEnum):
    """The values of `-o`."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


@dataclass(frozen=True, slots=True)
class Output:
    """How a command prints its result."""

    form: Form = Form.TABLE
    query: Any = None
    """A compiled JMESPath expression, which selects a part of the document."""

    @property
    def is_document(self) -> bool:
        """Whether a program reads the result."""
        return self.form in {Form.JSON, Form.YAML}

    @property
    def is_wide(self) -> bool:
        """Whether more columns are wanted, and whole cells."""
        return self.form is Form.WIDE

    def print_document(self, document: object, *, is_one_of_many: bool = False) -> None:
        """Print one document, or one of a stream of documents."""
        if self.query is not None:
            document = self._select(document)
        if self.form is Form.YAML:
            _write(yaml_text(document, is_one_of_many=is_one_of_many).rstrip("\n"))
        else:
            indent = 2 if is_terminal() and not is_one_of_many else None
            _write(_escape(json.dumps(document, indent=indent, ensure_ascii=False)))

    def print_table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print rows under a heading; without rows only a sentence on standard error."""
        if not rows:
            sys.stderr.write("Nothing found.\n")
            return
        width = _columns() if is_terminal() and not self.is_wide else None
        for line in table_lines(columns, rows, width):
            line.rstrip()
            _print_text(line)

    def _select(self, document: object) -> object:
        from jmespath.exceptions import JMESPathError

        try:
            return self.query.search(document)
        except JMESPathError as error:
            raise CommandError(f"--query: cannot be applied to the result ({error})", "see https://jmespath.org") from error


def is_terminal() -> bool:
    """Return whether a person reads the output."""
    return sys.stdout.isatty()


def yaml_text(document: object, *, is_one_of_many: bool = False) -> str:
    """Return a document as YAML. What would act on a terminal is escaped; then all other scripts than Latin are, too."""
    import yaml  # type: ignore[import-untyped]  # its one function returns a text

    def dump(*, allow_unicode: bool) -> str:
        return str(
            yaml.safe_dump(document, sort_keys=False, allow_unicode=allow_unicode, explicit_start=is_one_of_many, width=10_000)
        )

    text = dump(allow_unicode=True)
    return text if text.replace("\n", "").isprintable() else dump(allow_unicode=False)


def table_lines(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[Text]:
    """Return the heading and a line for each row, whose longest cells are shortened to fit the width, if there is one."""
    from rich.cells import cell_len, set_cell_size
    from rich.text import Text

    cells = [[name.upper() for name in columns], *([flat(cell) or NOTHING for cell in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    room = None if width is None else width - len(GAP) * (len(columns) - 1)
    while room is not None and sum(widths) > room and (longest := max(widths)) > SHORTEST_CELL:
        widths[widths.index(longest)] -= 1
    lines: list[Text] = []
    for number, row in enumerate(cells):
        line = Text()
        for cell, size in zip(row, widths, strict=True):
            shown = set_cell_size(cell, size - 1) + "…" if cell_len(cell) > size else set_cell_size(cell, size)
            line.append(GAP if line else "")
            line.append(shown, "bold" if not number else STYLES.get(cell, ""))
        lines.append(line)
    return lines


def print_line(line: str) -> None:
    """Print one line of the result as it is."""
    _write(line)


def print_cells(*cells: str) -> None:
    """Print one line of a stream, whose cells are separated by tabs."""
    _write("\t".join(flat(cell) for cell in cells))


def print_sentence(sentence: str, *, indent: int = 0) -> None:
    """Print a sentence: as a paragraph at a terminal, on one line in a pipe."""
    text = paragraph(flat(sentence), indent) if is_terminal() else flat(sentence)
    _write(" " * indent + text)


def print_finding(*heading: str, text: str, remedy: str) -> None:
    """Print what was found about something: a heading, the problem, and the remedy."""
    _print_styled(*((f"{flat(word)}  ", STYLES.get(word, "bold")) for word in heading if word))
    print_sentence(text, indent=4)
    if remedy:
        print_sentence(f"Remedy: {remedy}", indent=4)


def print_facts(facts: Mapping[str, str]) -> None:
    """Print what is known of one thing: a name and a value on each line."""
    width = max(map(len, facts), default=0)
    if not is_terminal():
        for name, value in facts.items():
            _write(f"{name:<{width}}{GAP}{flat(value)}")
        return
    for name, value in facts.items():
        text = paragraph(flat(value), indent=width + len(GAP))
        _print_styled((f"{name:<{width}}{GAP}", "bold"), (text, STYLES.get(value, "")))


def paragraph(text: str, indent: int = 0) -> str:
    """Return a text in lines that fit the terminal, all but the first indented. Words stay whole, however long they are."""
    width = max(_columns() - indent, LEAST_WIDTH)
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return f"\n{' ' * indent}".join(lines)


def flat(cell: str) -> str:
    """Return a text on one line, without characters that act on a terminal."""
    return cell if cell.isprintable() else "".join(letter if letter.isprintable() else " " for letter in cell)


def age(seconds: float) -> str:
    """Return a length of time as kubectl does: 45s, 12m, 3h, 5d."""
    whole = max(0, int(seconds))
    for size, unit in _AGE_UNITS:
        if whole >= 2 * size or size == 1:
            return f"{whole // size}{unit}"
    raise AssertionError(seconds)


def age_since(moment: float) -> str:
    """Return how long ago a moment was, in seconds since the epoch."""
    return age(time.time() - moment)


def short_time(moment: float) -> str:
    """Return a moment to the second, in UTC."""
    return format_time(moment)[:19] + "Z"


def _escape(text: str) -> str:
    def escaped(found: re.Match[str]) -> str:
        return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in found[0])

    return _UNPRINTABLE.sub(escaped, text)


def _print_styled(*parts: tuple[str, str]) -> None:
    from rich.text import Text

    line = Text.assemble(*parts)
    line.rstrip()
    _print_text(line)


def _print_text(line: Text) -> None:
    """Print a line, with its colours at a terminal."""
    if not is_terminal():
        _write(line.plain)
        return
    from rich.console import Console

    Console().print(line, soft_wrap=True)


def _columns() -> int:
    return shutil.get_terminal_size().columns


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    TIMED_OUT = 3
    REJECTED = 4
    CANCELLED = 5
    UNAVAILABLE = 6
    OUTPUT_LOST = 7
    STOPPED_WATCHING = 130


EXIT_MEANINGS: Final[Mapping[Exit, str]] = {
    Exit.OK: "success, healthy, or nothing to report",
    Exit.FAILURE: "the outcome is `Failed` or `RolledBack`, the daemon is not healthy, something was found, no rule "
    "matches, or what was named does not exist",
    Exit.USAGE: "an option, an argument or a setting is wrong, or AWS or a daemon did not answer",
    Exit.TIMED_OUT: "`--wait`: the outcome is `TimedOut`",
    Exit.REJECTED: "`--wait`: the outcome is `Rejected`",
    Exit.CANCELLED: "`--wait`: the outcome is `Cancelled` (a `cancel` that succeeds exits with 0)",
    Exit.UNAVAILABLE: "`--wait`: the request has ended and only its event has the outcome, or the time of `--at-most` is over",
    Exit.OUTPUT_LOST: "standard output cannot be written (a full disk, a closed pipe): what was done is done",
    Exit.STOPPED_WATCHING: "Ctrl-C: watching has stopped, and the request continues; `probe` has deleted what it created",
}
"""The table in docs/reference/commands.md is generated from these."""


CLOSED_BY_READER: Final = (errno.EPIPE, errno.ECONNRESET)
"""The reader has what it wants, like `head`: nothing to report."""


@contextmanager
def checked_streams() -> Iterator[None]:
    """Within, a failed write to standard output ends the command with `Exit.OUTPUT_LOST`; to standard error it is dropped."""
    sys.stdout, sys.stderr = cast("TextIO", _Output(sys.stdout)), cast("TextIO", _Errors(sys.stderr))
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stdout.flush()


class _Stream:
    """A text stream whose failures are handled where they occur, whatever writes to it."""

    def __init__(self, stream: TextIO | None) -> None:
        # A stream that was closed before the start takes nothing, as one that is open for reading only.
        self._stream = stream or open(os.devnull, encoding="utf-8")  # noqa: PTH123,SIM115  open until the process ends

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever the stream has
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text; return its length."""
        try:
            return self._stream.write(text)
        except OSError as failed:
            self._lose(failed)
            return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        try:
            self._stream.flush()
        except OSError as failed:
            self._lose(failed)

    def _lose(self, failed: OSError) -> None:
        raise NotImplementedError

    def _discard(self) -> None:
        """Drop what is buffered, so that the end of the process does not write it again."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        with suppress(OSError):
            self._stream.flush()


class _Errors(_Stream):
    """Standard error: what cannot be written changes nothing."""

    def _lose(self, failed: OSError) -> None:  # noqa: ARG002  there is nobody left to report it to
        self._discard()


class _Output(_Stream):
    """Standard output: what cannot be written ends the command."""

    def _lose(self, failed: OSError) -> NoReturn:
        self._discard()
        if failed.errno not in CLOSED_BY_READER:
            why = failed.strerror or "it is closed"
            sys.stderr.write(f"slipway: standard output cannot be written ({why}); what was done is done\n")
        raise SystemExit(Exit.OUTPUT_LOST) from failed
