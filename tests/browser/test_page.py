"""The status page in a real browser: live, by keyboard, on a small screen, in the dark, and without JavaScript."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import product

import pytest

from slipway.local.behaviour import Behaviour
from slipway.local.stack import LocalAws
from tests.browser.chromium import Tab, chromium
from tests.e2e.commands import Terminal
from tests.e2e.daemons import MODEL, Daemon, a_request, daemon

TERMS = Behaviour(max_creating=2, max_total=500, creation_seconds=(600.0, 600.0))
EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@dataclass
class Scene:
    """A browser, in front of a daemon at work."""

    tab: Tab
    box: LocalAws
    process: Daemon

    @property
    def address(self) -> str:
        """Where the daemon is."""
        return f"http://127.0.0.1:{self.process.port}"

    def end_all(self) -> None:
        """Have Bedrock end all creations."""
        for made in self.box.bedrock.account().made:
            made.ends = min(made.ends, self.box.bedrock.now())


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    async with LocalAws(terms=TERMS) as box, daemon(box) as process, chromium() as tab:
        await process.until(lambda: bool(process.lines("daemon.started")))
        for number in range(6):
            await box.send(a_request(f"bot-{number}"))
        await box.send(json.dumps({EVIL: EVIL, "requestId": "poison", "modelArn": MODEL}))
        await process.until(lambda: bool(process.lines("request.rejected")))
        await process.until(lambda: len(process.lines("deployment.created")) == 2)
        yield Scene(tab, box, process)
        assert not tab.complaints, "a policy that was violated, or an exception"
        assert all(url.startswith(f"http://127.0.0.1:{process.port}/") for url in tab.requested), tab.requested


async def test_the_page_lives_and_the_focus_stays_where_it_is() -> None:
    async with scene() as at:
        await at.tab.look()
        await at.tab.open(at.address)
        await at.tab.until(
            "document.querySelectorAll('#flights tbody tr').length === 2 && document.body.className === 'is-live'"
        )
        await at.tab.until("document.querySelectorAll('#waiting tbody tr').length === 4")
        assert "onerror" in await at.tab.evaluate("document.querySelector('#finished').innerText")
        assert await at.tab.evaluate("document.querySelectorAll('main img, main script').length") == 0
        await at.tab.evaluate("document.querySelector('#waiting tbody tr:nth-child(3) a').focus()")
        name = await at.tab.evaluate("document.activeElement.textContent")
        await at.tab.evaluate("document.querySelector('#operations').open = true")
        at.end_all()
        await at.tab.until("document.querySelectorAll('#finished tbody tr').length === 3")
        await at.tab.until("document.querySelectorAll('#waiting tbody tr').length === 2")
        assert await at.tab.evaluate("document.activeElement.textContent") == name, "it is the first in line now"
        assert await at.tab.evaluate("document.querySelector('#operations').open")
        assert await at.tab.evaluate("document.querySelector('#waiting tbody tr').contains(document.activeElement)")


async def test_by_keyboard_from_the_page_to_a_request_and_back() -> None:
    async with scene() as at:
        await at.tab.look()
        await at.tab.open(at.address)
        await at.tab.until("document.querySelectorAll('#flights tbody tr').length === 2")
        await at.tab.press("Tab")
        assert await at.tab.evaluate("document.activeElement.className") == "skip"
        assert await at.tab.evaluate("document.activeElement.getBoundingClientRect().left >= 0"), (
            "it is seen while it has the focus"
        )
        await at.tab.press("Enter")
        seen = []
        while "bot-0" not in seen:
            await at.tab.press("Tab")
            seen.append(await at.tab.evaluate("document.activeElement.textContent"))
            assert await at.tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
            assert len(seen) < 20
        await at.tab.enter()
        await at.tab.until("location.pathname === '/request' && document.querySelector('.timeline') !== null")
        assert "In creation" in await at.tab.evaluate("document.querySelector('main').innerText")
        at.end_all()
        await at.tab.until("document.querySelector('.chip').innerText === 'Active'")


async def test_it_fits_is_readable_in_the_dark_and_whole_without_scripts() -> None:
    async with scene() as at:
        for path, width, dark in product(("/", "/request?about=bot-0"), (375, 1280), (False, True)):
            await at.tab.look(width=width, dark=dark, scripts=False)
            await at.tab.open(at.address + path)
            assert await at.tab.evaluate("document.documentElement.scrollWidth") == width
            text = await at.tab.evaluate("document.querySelector('main').innerText")
            assert "bot-0" in text
            assert "Without JavaScript" in await at.tab.evaluate("document.querySelector('footer').innerText")
            assert await at.tab.evaluate(LEAST_CONTRAST) >= 4.5


async def test_slots_are_told_apart_by_contrast_and_without_colours() -> None:
    async with scene() as at:
        for dark in (False, True):
            await at.tab.look(dark=dark)
            await at.tab.open(at.address)
            looks = await at.tab.evaluate(LOOKS)
            assert set(looks) == {"own", "others", "rest", "free"}
            assert all(contrast >= 3 for contrast, _ in looks.values()), looks
            assert len({shape for _, shape in looks.values()}) == len(looks), "each has a shape of its own"


async def test_the_demo_has_a_page_to_look_at_while_it_runs() -> None:
    async with chromium() as tab:  # before the demo, whose creations take seconds
        await tab.look()
        demo = Terminal(None, "demo", "--keep")
        await demo.start()
        try:
            await demo.until(lambda screen: ADDRESS.search(screen) is not None)
            found = ADDRESS.search(demo.screen)
            assert found
            await tab.open(found[0])
            await tab.until("document.querySelectorAll('#flights tbody tr').length > 0", 60.0)
            await tab.until("document.querySelectorAll('#finished tbody tr').length > 1", 60.0)
            assert not tab.complaints
        finally:
            await demo.end(signal.SIGTERM)
    with pytest.raises(ConnectionRefusedError):  # the daemon has ended, too
        await asyncio.open_connection("127.0.0.1", int(found[1]))


ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/")
LEAST_CONTRAST = """(() => {
    const light = (colour) => {
        const part = (at) => { const v = colour[at] / 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
        return 0.2126 * part(0) + 0.7152 * part(1) + 0.0722 * part(2);
    };
    const read = (text) => text.match(/[0-9.]+/g).map(Number);
    const paper = light(read(getComputedStyle(document.body).backgroundColor));
    let least = 21;
    for (const element of document.querySelectorAll("body *")) {
        const says = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!says || element.closest("svg, progress, noscript, button")) continue;
        const ink = light(read(getComputedStyle(element).color));
        least = Math.min(least, (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05));
    }
    return least;
})()"""
"""The least contrast of any text with the paper that it stands on, as WCAG reckons it."""

LOOKS = """(() => {
    const light = (colour) => {
        const part = (at) => { const v = colour[at] / 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
        return 0.2126 * part(0) + 0.7152 * part(1) + 0.0722 * part(2);
    };
    const read = (text) => text.match(/[0-9.]+/g).map(Number);
    const paper = light(read(getComputedStyle(document.body).backgroundColor));
    const section = document.querySelector("#slots");
    const looks = {};
    for (const look of ["own", "others", "rest", "free"]) {
        const cell = document.createElement("span");
        cell.className = `cell ${look}`;
        section.append(cell);
        const style = getComputedStyle(cell);
        const has = style.borderTopStyle !== "none" && style.borderTopWidth !== "0px";
        const ink = light(read(has ? style.borderTopColor : style.backgroundColor));
        const shape = `${style.borderTopStyle} ${style.backgroundImage.replace(/rgb[a]?\\([^)]*\\)/g, "ink")} ${has}`;
        looks[look] = [(Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05), shape];
        cell.remove();
    }
    return looks;
})()"""
"""The contrast of each kind of slot with the paper, and what it looks like without its colours."""
