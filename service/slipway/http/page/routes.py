"""Routes of the status page: `/`, `/request?about=`, `/live`, and files; and the document around the sections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from importlib import resources
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from slipway import __version__
from slipway.aws.adapters.retry import APPLIED
from slipway.core.diagnostics.severity import Problem
from slipway.core.time_format import format_duration
from slipway.http.health import Diagnosis
from slipway.http.page.elements import Html, el, format_clock, join
from slipway.http.page.live_stream import LiveView
from slipway.http.page.overview import SECTIONS, finished, waiting
from slipway.http.page.request_page import FoundRequests, find_requests, request, search_requests
from slipway.http.page.snapshot import Rows, rows_of, view_of

_KINDS: Final = {"page.css": "text/css", "page.js": "text/javascript", "mark.svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the package. Its path changes with its content, so that browsers may cache it indefinitely."""

    name: str
    kind: str
    content: bytes

    @property
    def address(self) -> str:
        """The path at which it is served."""
        stem, _, kind = self.name.partition(".")
        return f"/assets/{stem}.{sha256(self.content).hexdigest()[:12]}.{kind}"


def assets() -> dict[str, Asset]:
    """Return the page's files by name."""
    files = resources.files(__package__)
    return {name: Asset(name, kind, (files / name).read_bytes()) for name, kind in _KINDS.items()}


@dataclass(frozen=True, slots=True)
class DaemonIdentity:
    """The queue, account and Region of this daemon, shown at the top of every page, and what process it is."""

    queue: str
    account: str
    region: str
    replica: str = ""
    """The host name: in a container its id, in Kubernetes the name of the pod."""
    version: str = __version__


class DocumentBuilder:
    """Builds documents."""

    def __init__(self, place: DaemonIdentity, files: Mapping[str, Asset]) -> None:
        self._place = place
        self._addresses = {name: asset.address for name, asset in files.items()}

    def document(self, title: str, sections: Mapping[str, Html], live: str, kind: str) -> str:
        """Return a document that is complete without JavaScript. With it, the stream at `live` updates the document."""
        at = self._addresses
        head = el(
            "head",
            el("meta", charset="utf-8"),
            el("title", title),
            el("meta", name="viewport", content="width=device-width, initial-scale=1"),
            el("meta", name="color-scheme", content="light dark"),
            el("link", rel="icon", href=at["mark.svg"], type="image/svg+xml"),
            el("link", rel="stylesheet", href=at["page.css"]),
            el("script", src=at["page.js"], defer=True),
        )
        skip = el("a", "Skip to content", href="#main", class_="skip")
        main = el("main", *sections.values(), id="main", tabindex=-1, class_=kind)
        body = el("body", skip, self._top(), main, self._foot(), data_live=live)
        return f"<!doctype html>{el('html', head, body, lang='en')}"

    def _top(self) -> Html:
        place = self._place
        mark = join(el("img", src=self._addresses["mark.svg"], alt="", width=22, height=22), el("span", "Slipway"))
        where = (el("span", place.queue, class_="queue"), el("span", f"{place.region} · {place.account}"))
        find = el(
            "input",
            type="search",
            name="about",
            placeholder="Name, request id, ARN",
            aria_label="Find requests whose name, id or ARN begins with this",
            required=True,
            autocomplete="off",
            spellcheck="false",
        )
        search = el("form", find, el("button", "Find"), action="/request", method="get", role="search")
        return el("header", el("a", mark, href="/", class_="mark"), el("p", *where, class_="where"), search, class_="top")

    def _foot(self) -> Html:
        quiet = el("noscript", "Without JavaScript, reload this page to update it. ")
        links = [el("a", path, href=path) for path in ("/livez", "/readyz", "/metrics", "/requests")]
        return el("footer", el("p", quiet, "Read-only. As data: ", *_between(links, ", "), "."), class_="foot")


def _between(parts: list[Html], word: str) -> list[Html | str]:
    return [each for part in parts for each in (word, part)][1:]


MOST_VIEWERS: Final = 32
NOTING_SECONDS: Final = 5.0
SLOWEST_SECONDS: Final = 20.0
"""A viewer that reads nothing for so long is disconnected; its browser reconnects."""
OLDEST_ROWS_SECONDS: Final = 60.0
"""The rows of the page are selected again after so long at the latest, also without news."""
LONGEST_WORD: Final = 1100
"""Longest search text; no ARN is longer."""

ROUTINE: Final = frozenset(
    {
        *("ReceiveMessage", "ChangeMessageVisibilityBatch", "ListCustomModelDeployments"),
        *("GetQueueAttributes", "GetTopicAttributes"),
    }
)
"""Calls that are made while nothing happens."""

_STREAM: Final = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
_FOREVER: Final = {"Cache-Control": "public, max-age=31536000, immutable"}


class StatusPage:
    """The status page of one daemon. `calls` counts calls by operation and answer."""

    def __init__(self, diagnosis: Diagnosis, calls: Mapping[tuple[str, str], int], place: DaemonIdentity) -> None:
        self._diagnosis = diagnosis
        self._slipway = diagnosis.slipway
        self._calls = calls
        self._minutes = diagnosis.history
        self._place = place
        self._started_at = asyncio.get_running_loop().time()
        self._assets = assets()
        self._shell = DocumentBuilder(place, self._assets)
        self._screens: dict[str | None, LiveView] = {}
        """Pages with viewers, by the request that they are about; None is the overview."""
        self._rows: Rows | None = None
        """The rows of the overview."""
        self._refreshing: asyncio.Task[None] | None = None
        self._problems: tuple[Problem, ...] = ()
        self._looked_at = 0.0

    def join(self, app: web.Application) -> None:
        """Add the routes to an application."""
        app.add_routes([web.get("/", self._whole), web.get("/request", self._request), web.get("/live", self._live)])
        for asset in self._assets.values():
            app.router.add_get(asset.address, partial(_file, asset.content, asset.kind))
        app.cleanup_ctx.append(self._noting)
        app.on_shutdown.append(self._close)

    async def _whole(self, asked: web.Request) -> web.Response:
        start = _number(asked.query.get("waiting", ""))
        finished_from = _number(asked.query.get("finished", ""))
        sections = {name: Html(markup) for name, markup in self._screen(None).picture().items()}
        if start or finished_from:
            # A later page of requests stays as it is while the rest of the page is live.
            rows = rows_of(self._slipway, start)
            view = view_of(self._slipway, rows, now=time.time(), finished_from=finished_from)
            sections["waiting"], sections["finished"] = (
                waiting(view, self._minutes.hour()),
                finished(view, self._minutes.hour()),
            )
        return _page(self._shell.document("Slipway", sections, "/live", "whole"))

    async def _request(self, asked: web.Request) -> web.Response:
        about = asked.query.get("about", "").strip()[:LONGEST_WORD]
        found = self._find(about)
        sections = {"moment": self._moment(), "request": request(found, about)}
        document = self._shell.document(f"{about} · Slipway", sections, f"/live?{urlencode({'about': about})}", "one")
        return _page(document, 404 if found.is_empty else 200)

    async def _live(self, asked: web.Request) -> web.StreamResponse:
        if sum(screen.viewers for screen in self._screens.values()) >= MOST_VIEWERS:
            text = f"too many live viewers, the limit is {MOST_VIEWERS}. Reload the page instead\n"
            return web.Response(status=503, text=text, headers={"Retry-After": "30"})
        about = asked.query.get("about")
        self._refreshing = asyncio.create_task(self._diagnosis.backlogs.refresh())
        response = web.StreamResponse(headers=_STREAM)
        await response.prepare(asked)
        screen = self._screen(about and about[:LONGEST_WORD])
        with suppress(ConnectionError, TimeoutError):
            async with aclosing(screen.follow()) as news:
                async for told in news:
                    async with asyncio.timeout(SLOWEST_SECONDS):
                        await response.write(f"data: {told}\n\n".encode())
        if about and not screen.viewers:
            self._screens.pop(about, None)
        return response

    def _screen(self, about: str | None) -> LiveView:
        if about not in self._screens:
            self._screens[about] = LiveView(partial(self._draw, about), self._news)
        return self._screens[about]

    def _news(self) -> object:
        """Return a value that differs when something has happened: a message, a wait, a call or a change of slots."""
        slipway = self._slipway
        calls = sum(count for (name, answer), count in self._calls.items() if name not in ROUTINE or answer != APPLIED)
        sites = tuple(
            (site.slots.waiting, site.slots.counts, site.watcher.in_flight, site.watcher.last_failure)
            for site in slipway.runtimes.values()
        )
        return (
            slipway.is_stopping,
            slipway.counters.messages_received,
            len(slipway.held_leases),
            len(slipway.request_order),
            sites,
            calls,
            self._diagnosis.dead_letters(),
        )

    def _draw(self, about: str | None, *, has_happened: bool) -> Mapping[str, str]:
        if about is not None:
            return {"moment": self._moment(), "request": request(self._find(about), about)}
        now = asyncio.get_running_loop().time()
        if has_happened or self._rows is None or now - self._looked_at > OLDEST_ROWS_SECONDS:
            self._rows, self._problems, self._looked_at = rows_of(self._slipway), self._diagnosis.problems(), now
        view, hour = (
            view_of(self._slipway, self._rows, self._problems, now=time.time(), dead_letters=self._diagnosis.dead_letters()),
            self._minutes.hour(),
        )
        return {"moment": self._moment()} | {name: section(view, hour) for name, section in SECTIONS.items()}

    def _find(self, about: str) -> FoundRequests:
        """Return the requests that a text is about, else those that it is a prefix for."""
        found = find_requests(self._slipway, about)
        return search_requests(self._slipway, about) if found.is_empty and about else found

    def _moment(self) -> Html:
        """Return the time of the rendering, and which process renders."""
        place, uptime = self._place, asyncio.get_running_loop().time() - self._started_at
        facts = (
            f"replica {place.replica}" if place.replica else "",
            f"version {place.version}",
            f"up {format_duration(uptime)}",
        )
        text = "".join(f" · {fact}" for fact in facts if fact)
        return el("p", "as of ", format_clock(time.time()), f" UTC{text}", id="moment")

    async def _noting(self, _: web.Application) -> AsyncIterator[None]:
        async def note() -> None:
            while True:
                self._minutes.note()
                if any(screen.viewers for screen in self._screens.values()):
                    await self._diagnosis.backlogs.refresh()
                await asyncio.sleep(NOTING_SECONDS)

        noting = asyncio.create_task(note())
        yield
        noting.cancel()

    async def _close(self, _: web.Application) -> None:
        for screen in self._screens.values():
            screen.close()
        if self._refreshing is not None:
            self._refreshing.cancel()


async def _file(content: bytes, kind: str, _: web.Request) -> web.Response:
    return web.Response(body=content, content_type=kind, charset="utf-8", headers=_FOREVER)


def _page(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, content_type="text/html", charset="utf-8", status=status)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 7 else 0  # noqa: PLR2004  more than may be held
