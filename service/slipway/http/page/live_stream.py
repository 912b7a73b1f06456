"""One rendering for all viewers of a page, about once a second while there are viewers. Only changed sections are sent.

A slow viewer skips renderings; nothing is queued for a viewer.
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
"""Pause after a rendering, as a multiple of its duration: rendering takes at most 0.3 % of the time."""
QUIET_SHARE: Final = 5000
"""The same while nothing happens: 0.02 %, because an idle daemon takes only 0.2 % of a core."""
OLDEST_SECONDS: Final = 10.0
OLDEST_QUIET_SECONDS: Final = 20.0
"""A rendering is never older than these, whatever its duration."""
LEAST_REST_SHARE: Final = 50
"""Rendering never takes more than 2 % of the time."""
LEAST_SECONDS: Final = 0.001
"""The clock of uvloop has whole milliseconds: a shorter wait would be none."""

log = structlog.get_logger()


class Draw(Protocol):
    """Renders a page."""

    def __call__(self, *, has_happened: bool) -> Mapping[str, str]:
        """Return the markup of each section by name. Without `has_happened`, only time has passed since the last one."""


@dataclass(slots=True)
class LiveView:
    """What all viewers of one page see.

    `news` returns, cheaply, a value that differs whenever something has happened. The default always differs.
    """

    draw: Draw
    news: Callable[[], object] = object
    viewers: int = 0
    _number: int = 0
    _sections: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    """By name: the number of the rendering in which the section last changed, its markup, and its markup as JSON."""
    _fresh_until: float = 0.0
    """Until then a new viewer gets the existing rendering."""
    _due_at: float = 0.0
    _quiet_until: float = 0.0
    """Until then it is rendered only if something has happened."""
    _news: object = None
    """The value of `news` at the last rendering."""
    _drawn: asyncio.Event = field(default_factory=asyncio.Event)
    _drawing: asyncio.Task[None] | None = None
    _is_closed: bool = False

    def picture(self) -> Mapping[str, str]:
        """Return the sections, usually not older than a second, for a viewer that has just come."""
        if asyncio.get_running_loop().time() >= self._fresh_until:
            self._draw_now()
        return {name: markup for name, (_, markup, _) in self._sections.items()}

    async def follow(self) -> AsyncGenerator[str]:
        """Yield changed sections as JSON objects of markup by name, first all of them. Ends with `close`."""
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
        """End all streams. Safe to repeat."""
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
