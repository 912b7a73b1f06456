"""One picture for all who look at the same: drawn about once a second, while somebody looks, and told by what has changed.

A viewer costs the sending of what is new to it. One who is slow skips pictures, and nothing is kept for anybody.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

SECOND: Final = 1.0
REST_SHARE: Final = 300
"""After it was drawn, nothing is for so many times as long: pictures take 0.3 % of the time, a tenth of what little is done."""
QUIET_SHARE: Final = 5000
"""The same while nothing happens, when it is only that time passes: 0.02 %, since a daemon that waits takes 0.2 % of a core."""
OLDEST_SECONDS: Final = 10.0
OLDEST_QUIET_SECONDS: Final = 20.0
"""But a picture is not older than these for either's sake."""
LEAST_REST_SHARE: Final = 50
"""And whatever there is to draw, it takes no more than 2 % of the time."""
LEAST_SECONDS: Final = 0.001
"""A fast loop's clock has whole milliseconds: nothing takes less, and a wait for less would be none."""

log = structlog.get_logger()


class Draw(Protocol):
    """Draws a picture."""

    def __call__(self, *, has_happened: bool) -> Mapping[str, str]:
        """Answer the sections' markup by name. Unless something has happened since the last picture, only time has passed."""


@dataclass(slots=True)
class Screen:
    """What is shown to all who look at one thing.

    `news` answers, cheaply, something that is another whenever something has happened; to whom it is not said, always is.
    """

    draw: Draw
    news: Callable[[], object] = object
    viewers: int = 0
    _number: int = 0
    _sections: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    """By name: the picture in which it last changed, its markup, and the same as JSON."""
    _fresh_until: float = 0.0
    """Before then whoever comes sees what the others see."""
    _due_at: float = 0.0
    _quiet_until: float = 0.0
    """Before then it is drawn only if something has happened."""
    _news: object = None
    """What there was of it when the picture was drawn."""
    _drawn: asyncio.Event = field(default_factory=asyncio.Event)
    _drawing: asyncio.Task[None] | None = None
    _is_closed: bool = False

    def picture(self) -> Mapping[str, str]:
        """Answer the sections, seldom older than a second: who comes sees what is so, however seldom who stays is told."""
        if asyncio.get_running_loop().time() >= self._fresh_until:
            self._draw_now()
        return {name: markup for name, (_, markup, _) in self._sections.items()}

    async def follow(self) -> AsyncGenerator[str]:
        """Answer what has changed, again and again, as JSON objects of markup by name: first all of it. Ends with `close`."""
        self.viewers += 1
        if self._drawing is None:
            self._drawing = asyncio.create_task(self._go_on())
        seen = 0
        try:
            self.picture()
            while not self._is_closed:
                news = [f'"{name}":{told}' for name, (at, _, told) in self._sections.items() if at > seen]
                seen = self._number
                if news:
                    yield f"{{{','.join(news)}}}"
                if seen == self._number:
                    await self._drawn.wait()
        finally:
            self.viewers -= 1

    def close(self) -> None:
        """Send everybody away. Safe to repeat."""
        self._is_closed = True
        self._drawn.set()
        if self._drawing is not None:
            self._drawing.cancel()

    async def _go_on(self) -> None:
        loop = asyncio.get_running_loop()
        while self.viewers:
            await asyncio.sleep(max(LEAST_SECONDS, self._due_at - loop.time()))
            now = loop.time()
            if now < self._due_at:
                continue
            if now < self._quiet_until and self.news() == self._news:
                self._due_at = min(now + SECOND, self._quiet_until)
                continue
            try:
                self._draw_now()
            except Exception:
                log.exception("page.faulted")
                self._due_at = loop.time() + SECOND
        self._drawing = None

    def _draw_now(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        news = self.news()
        drawn = self.draw(has_happened=news != self._news)
        self._news = news
        self._number += 1
        for name, markup in drawn.items():
            if name not in self._sections or self._sections[name][1] != markup:
                self._sections[name] = (self._number, markup, json.dumps(markup))
        took = max(LEAST_SECONDS, loop.time() - began)
        self._fresh_until = began + max(SECOND, took * LEAST_REST_SHARE)
        self._due_at = max(self._fresh_until, began + min(took * REST_SHARE, OLDEST_SECONDS))
        self._quiet_until = began + min(took * QUIET_SHARE, OLDEST_QUIET_SECONDS)
        self._drawn.set()
        self._drawn = asyncio.Event()
