"""What moves on a terminal while somebody waits."""

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

from slipway.cli.output import LOOKS, flat, table_of
from slipway.client import StatusChange, Ticket
from slipway.core.scheduling.eta import Eta

REFRESHES_A_SECOND: Final = 4
_MINUTE: Final = 60


class LiveLine:
    """One line that says how far a request is, how long it has taken, and how long such a thing takes."""

    def __init__(self, ticket: Ticket, usual: float | None) -> None:
        self._ticket = ticket
        self._usual = usual
        self._began = time.monotonic()
        self._creating_since: float | None = None
        self._news: StatusChange | None = None
        self._told_at = self._began
        self._spinner = Spinner("dots")
        self._console = Console()
        self._live = Live(
            console=self._console, get_renderable=self._draw, refresh_per_second=REFRESHES_A_SECOND, transient=True
        )

    def __enter__(self) -> Self:
        self._console.print(f"Request {self._ticket.request_id}. Ctrl-C stops watching, and nothing else.", highlight=False)
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.stop()
        if self._news is not None and self._news.is_terminal:
            self._console.print(self._said(self._news), soft_wrap=True)

    def show(self, news: StatusChange) -> None:
        """Take in what is new; the line is drawn by itself."""
        self._told_at = time.monotonic()
        if news.state == "Creating":
            began = self._told_at - (news.in_creation_for or 0.0)
            self._creating_since = min(began, self._creating_since or began)
        self._news = news

    def _draw(self) -> Table:
        line = Table.grid(padding=(0, 1))
        line.add_row(self._spinner, self._said(self._news or StatusChange("Sent")))
        return line

    def _said(self, news: StatusChange) -> Text:
        text = Text.assemble((self._ticket.name, "bold"), "  ", (news.state, LOOKS.get(news.state, "cyan")))
        for part in (
            news.reason,
            news.place and f"place {news.place}",
            news.text and flat(news.text),
            news.is_terminal and news.arn,
        ):
            if part:
                text.append(f"  {part}")
        text.append(f"  {self._times(news)}", "dim")
        return text

    def _times(self, news: StatusChange) -> str:
        now = time.monotonic()
        creating_since = self._creating_since if news.state == "Creating" else None
        passed = None if creating_since is None else now - creating_since
        return times(news.prospect, now - self._began, passed, self._usual, now - self._told_at)


def times(prospect: Eta, passed: float, in_creation: float | None, usual: float | None, ago: float) -> str:
    """Say how long it has taken, and how much longer it may, by what was reckoned so many seconds ago."""
    said = [clock(passed)]
    if in_creation is not None:
        said.append(f"in creation {clock(in_creation)}{'' if usual is None else f' of usually {clock(usual)}'}")
    for what, seconds in (("slot", prospect.to_slot), ("end", prospect.to_end)):
        if seconds is not None:
            said.append(f"{what} in about {clock(seconds - ago)}" if seconds - ago >= 1 else f"{what} at any moment")
    return ", ".join(said)


@contextmanager
def moving_table(columns: Sequence[str]) -> Iterator[Callable[[Sequence[Sequence[str]], str], None]]:
    """Within, a table stands on the screen; what is answered puts rows into it, and a line below. The last one stays."""
    console = Console()
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:

        def update(rows: Sequence[Sequence[str]], below: str) -> None:
            live.update(Group(table_of(columns, rows), Text(below, "dim")), refresh=True)

        yield update


def clock(seconds: float) -> str:
    """Say a duration as a person reads it off a watch."""
    whole = int(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    minutes, rest = divmod(whole, _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
