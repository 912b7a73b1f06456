"""The HTML document around the sections, and its files, which are all part of the package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from typing import Final

from slipway.http.page.markup import Html, el, join

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Headers of every page: nothing is loaded from elsewhere, no inline script runs, and no other page may frame it."""

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
    """The queue, account and Region of this daemon, shown at the top of every page."""

    queue: str
    account: str
    region: str


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
        find = el("input", type="search", name="about", placeholder="Request id, deployment, ARN", aria_label="Find a request",
                  required=True, autocomplete="off", spellcheck="false")  # fmt: skip
        search = el("form", find, el("button", "Find"), action="/request", method="get", role="search")
        return el("header", el("a", mark, href="/", class_="mark"), el("p", *where, class_="where"), search, class_="top")

    def _foot(self) -> Html:
        quiet = el("noscript", "Without JavaScript, reload this page to update it. ")
        links = [el("a", path, href=path) for path in ("/livez", "/readyz", "/metrics", "/requests")]
        return el("footer", el("p", quiet, "Read-only. As data: ", *_between(links, ", "), "."), class_="foot")


def _between(parts: list[Html], word: str) -> list[Html | str]:
    return [each for part in parts for each in (word, part)][1:]
