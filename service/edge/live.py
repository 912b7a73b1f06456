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

from service.client import News, Ticket
from service.edge.printing import LOOKS, flat, table_of

REFRESHES_A_SECOND: Final = 4
_MINUTE: Final = 60


class LiveLine:
    """One line that says how far a request is, how long it has taken, and how long such a thing takes."""

    def __init__(self, ticket: Ticket, usual: float | None) -> None:
        self._ticket = ticket
        self._usual = usual
        self._began = time.monotonic()
        self._creating_since: float | None = None
        self._news: News | None = None
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
        if self._news is not None and self._news.is_end:
            self._console.print(self._said(self._news), soft_wrap=True)

    def show(self, news: News) -> None:
        """Take in what is new; the line is drawn by itself."""
        if news.state == "Creating":
            self._creating_since = self._creating_since or time.monotonic()
        self._news = news

    def _draw(self) -> Table:
        line = Table.grid(padding=(0, 1))
        line.add_row(self._spinner, self._said(self._news or News("Sent")))
        return line

    def _said(self, news: News) -> Text:
        text = Text.assemble((self._ticket.name, "bold"), "  ", (news.state, LOOKS.get(news.state, "cyan")))
        for part in (
            news.reason,
            news.place and f"place {news.place}",
            news.text and flat(news.text),
            news.is_end and news.arn,
        ):
            if part:
                text.append(f"  {part}")
        text.append(f"  {self._times(news)}", "dim")
        return text

    def _times(self, news: News) -> str:
        now = time.monotonic()
        said = clock(now - self._began)
        if news.state == "Creating" and self._creating_since is not None:
            said += f", in creation {clock(now - self._creating_since)}"
            if self._usual is not None:
                said += f" of usually {clock(self._usual)}"
        return said


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
