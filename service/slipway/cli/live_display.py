"""Displays that change on a terminal: the line of a request that is followed, and the table of `slipway watch`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from slipway.cli.output import STYLES, flat, table_lines
from slipway.client import StatusChange, Ticket
from slipway.core.scheduling.eta import Eta

REFRESHES_PER_SECOND: Final = 4
_MINUTE: Final = 60


class LiveLine:
    """One line with the status of a request, how long it has taken, and how long it may yet take."""

    def __init__(self, ticket: Ticket, usual: float | None) -> None:
        self._ticket = ticket
        self._usual = usual
        self._began = time.monotonic()
        self._creating_since: float | None = None
        self._change: StatusChange | None = None
        self._changed_at = self._began
        self._spinner = Spinner("dots")
        self._console = Console()
        self._live = Live(
            console=self._console, get_renderable=self._draw, refresh_per_second=REFRESHES_PER_SECOND, transient=True
        )

    def __enter__(self) -> Self:
        text = f"Request {self._ticket.request_id}. Ctrl-C stops watching; the request continues."
        self._console.print(text, highlight=False)
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.stop()
        if self._change is not None and self._change.is_terminal:
            self._console.print(self._text(self._change), soft_wrap=True)

    def show(self, change: StatusChange) -> None:
        """Record what has changed; the line is drawn at its next refresh."""
        self._changed_at = time.monotonic()
        if change.state == "Creating":
            began = self._changed_at - (change.in_creation_for or 0.0)
            self._creating_since = min(began, self._creating_since or began)
        self._change = change

    def _draw(self) -> Table:
        line = Table.grid(padding=(0, 1))
        line.add_row(self._spinner, self._text(self._change or StatusChange("Sent")))
        return line

    def _text(self, change: StatusChange) -> Text:
        text = Text.assemble((self._ticket.name, "bold"), "  ", (change.state, STYLES.get(change.state, "cyan")))
        for part in (
            change.reason,
            change.place and f"queue position {change.place}",
            change.text and flat(change.text),
            change.is_terminal and change.arn,
        ):
            if part:
                text.append(f"  {part}")
        text.append(f"  {self._times(change)}", "dim")
        return text

    def _times(self, change: StatusChange) -> str:
        now = time.monotonic()
        creating_since = self._creating_since if change.state == "Creating" else None
        passed = None if creating_since is None else now - creating_since
        return times(change.prospect, now - self._began, passed, self._usual, now - self._changed_at)


def times(prospect: Eta, passed: float, in_creation: float | None, usual: float | None, ago: float) -> str:
    """Say how long a request has taken, and how much longer it may take by the estimate of so many seconds ago."""
    parts = [clock(passed)]
    if in_creation is not None:
        parts.append(f"in creation {clock(in_creation)}{'' if usual is None else f' of usually {clock(usual)}'}")
    for what, seconds in (("slot", prospect.to_slot), ("end", prospect.to_end)):
        if seconds is not None:
            parts.append(f"{what} in about {clock(seconds - ago)}" if seconds - ago >= 1 else f"{what} at any moment")
    return ", ".join(parts)


@contextmanager
def live_table(columns: Sequence[str]) -> Iterator[Callable[[str, Sequence[Sequence[str]]], None]]:
    """Yield what shows a summary and a table below it, as far as the terminal has room. The last one stays."""
    console = Console()
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:

        def update(summary: str, rows: Sequence[Sequence[str]]) -> None:
            head = [*(Text(line, "bold") for line in summary.splitlines()), Text()]
            lines = [*head, *fitting_lines(columns, rows, console.size.height - len(head) - 1, console.size.width)]
            for line in lines:
                line.no_wrap = True
                line.overflow = "ellipsis"
            live.update(Group(*lines), refresh=True)

        yield update


def fitting_lines(columns: Sequence[str], rows: Sequence[Sequence[str]], height: int, width: int) -> list[Text]:
    """Return the lines of a table for so many lines of a terminal; the last one says how many rows are not shown."""
    lines = table_lines(columns, rows, width)
    if len(lines) <= height:
        return lines
    shown = max(2, height - 1)
    return [*lines[:shown], Text(f"… {len(lines) - shown} more", "dim")]


def clock(seconds: float) -> str:
    """Return a length of time as a clock shows it."""
    whole = int(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    minutes, rest = divmod(whole, _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
