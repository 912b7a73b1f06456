"""Debian's Chromium, driven by its own protocol: what a person would see and press, and what the browser objects to."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-port=0", "--hide-scrollbars",
)  # fmt: skip


class Tab:
    """One tab. Whatever the browser logs (a violated policy, an exception) is in `complaints`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()
        self.complaints: list[str] = []
        self.requested: list[str] = []

    async def listen(self) -> None:
        """Take in what the browser says, until it says no more."""
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told:
                self._answers.pop(told["id"]).set_result(told)
                continue
            match told["method"]:
                case "Page.loadEventFired":
                    self._loaded.set()
                case "Log.entryAdded":
                    self.complaints.append(told["params"]["entry"]["text"])
                case "Runtime.exceptionThrown":
                    self.complaints.append(json.dumps(told["params"]["exceptionDetails"]))
                case "Network.requestWillBeSent":
                    self.requested.append(told["params"]["request"]["url"])

    async def do(self, method: str, **params: object) -> dict[str, Any]:
        """Have the browser do something; answer what it answers."""
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        told = await answer
        assert "error" not in told, told
        return dict(told["result"])

    async def open(self, url: str) -> None:
        """Go to an address, and wait until it is loaded."""
        self._loaded.clear()
        await self.do("Page.navigate", url=url)
        await self._loaded.wait()

    async def look(self, *, width: int = 1280, dark: bool = False, scripts: bool = True) -> None:
        """Look as somebody with such a screen and such wishes does."""
        await self.do("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        wish = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.do("Emulation.setEmulatedMedia", features=[wish])
        await self.do("Emulation.setScriptExecutionDisabled", value=not scripts)

    async def evaluate(self, expression: str) -> Any:
        """Return what an expression comes to in the page."""
        told = await self.do("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    async def until(self, expression: str, seconds: float = 20.0) -> None:
        """Wait until an expression is true in the page, as it changes."""
        promise = f"""new Promise((done, late) => {{
            const is = () => {{ if ({expression}) {{ done(true); return true; }} }};
            if (is()) return;
            new MutationObserver((_, watching) => is() && watching.disconnect())
                .observe(document.documentElement, {{subtree: true, childList: true, characterData: true, attributes: true}});
            setTimeout(() => late(new Error("it never happened")), {seconds * 1000});
        }})"""
        await self.evaluate(promise)

    async def press(self, key: str) -> None:
        """Press a key, and let it go."""
        codes = {"Tab": 9, "Enter": 13}
        more = {"text": "\r"} if key == "Enter" else {}
        code = codes[key]
        await self.do("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, windowsVirtualKeyCode=code, **more)
        await self.do("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code)

    async def enter(self) -> None:
        """Press Enter where that leads to another page, and wait until it is loaded."""
        self._loaded.clear()
        await self.press("Enter")
        await self._loaded.wait()

    async def picture(self) -> bytes:
        """Return a picture of the whole page, as PNG."""
        return base64.b64decode((await self.do("Page.captureScreenshot", captureBeyondViewport=True))["data"])


@asynccontextmanager
async def chromium() -> AsyncIterator[Tab]:
    """Within, there is a browser with one tab, and nothing that an earlier one has left."""
    program = shutil.which("chromium")
    assert program, "chromium is missing: `make browser` installs Debian's"
    with tempfile.TemporaryDirectory(prefix="slipway-chromium-", ignore_cleanup_errors=True) as home:
        process = await asyncio.create_subprocess_exec(
            program, *FLAGS, f"--user-data-dir={home}", "about:blank",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with aiohttp.ClientSession() as session:
                port = await _port(process)
                async with session.get(f"http://127.0.0.1:{port}/json/list") as listed:
                    address = next(one for one in await listed.json() if one["type"] == "page")["webSocketDebuggerUrl"]
                async with session.ws_connect(address, max_msg_size=0) as socket:
                    tab = Tab(socket)
                    listening = asyncio.create_task(tab.listen())
                    for domain in ("Page", "Log", "Runtime", "Network"):
                        await tab.do(f"{domain}.enable")
                    yield tab
                    listening.cancel()
        finally:
            process.kill()
            await process.wait()


async def _port(process: asyncio.subprocess.Process) -> str:
    """Return where the browser's protocol is spoken, which it says when it is ready."""
    assert process.stderr is not None
    async with asyncio.timeout(60):
        async for line in process.stderr:
            said = line.decode(errors="replace")
            if "DevTools listening on ws://" in said:
                return said.split("://", 1)[1].split("/", 1)[0].rsplit(":", 1)[1]
    raise AssertionError("chromium did not start")
