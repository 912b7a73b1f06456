"""The daemon as a real process, against a box on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

from slipway.core.lifecycle.outcomes import OutcomeKind
from slipway.local.demo import sample
from tests.e2e.commands import LONGEST_SECONDS

ENDS = frozenset(OutcomeKind)
MODEL = json.loads(sample("plain.json"))["modelArn"]


class Place(Protocol):
    """What a daemon is pointed at."""

    def environment(self) -> dict[str, str]:
        """Return the variables with which Slipway finds it."""

    async def receive_results(self) -> list[str]:
        """Return events that were announced."""


class Daemon:
    """`slipway serve` in a process of its own. Its log, as it is written, is what tests wait for."""

    def __init__(self, box: Place, settings: dict[str, str]) -> None:
        self.port = free_port()
        usual = {"SLIPWAY_SWEEP_INTERVAL": "0.5", "SLIPWAY_HTTP_PORT": str(self.port), "SLIPWAY_VISIBILITY_TIMEOUT": "20"}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SLIPWAY_"))}
        self._environment = kept | box.environment() | usual | settings
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self.entries: list[dict[str, Any]] = []

    async def start(self, output: int = asyncio.subprocess.PIPE) -> None:
        """Start it; what it writes goes into `entries`, or elsewhere."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "slipway",
            "serve",
            env=self._environment,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
        )
        if self.process.stdout is not None:
            self._reading = asyncio.create_task(self._read())

    @property
    def process(self) -> asyncio.subprocess.Process:
        """The process as it runs, or ran."""
        assert self._process is not None
        return self._process

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return the log's entries about an event."""
        return [entry for entry in self.entries if entry.get("event") == event]

    async def until(self, fact: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait for a fact, looking whenever the daemon has logged something."""
        async with asyncio.timeout(seconds):
            while not fact():
                self._changed.clear()
                await self._changed.wait()

    async def wait_for_page(self, path: str, fact: Callable[[str], bool], seconds: float = 60.0) -> str:
        """Get a path until the fact holds for its body; return the body. Counters lag behind published events."""
        async with asyncio.timeout(seconds):
            while not fact(text := (await self.ask(path))[1]):
                self._changed.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 0.2)
        return text

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.entries.append(_entry(line.decode(errors="replace")))
            self._changed.set()

    async def end(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal, and wait for the end; return the exit code and the seconds that it took."""
        began = time.monotonic()
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(LONGEST_SECONDS):
            code = await self.process.wait()
        took = time.monotonic() - began
        if self._reading is not None:
            await self._reading
        return code, took

    async def ask(self, path: str) -> tuple[int, str]:
        """Get a path of the daemon's endpoint."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
        head, _, body = answer.partition("\r\n\r\n")
        return int(head.split()[1]), body


class Results:
    """Everything that came out of the topic, by way of its subscription."""

    def __init__(self, box: Place) -> None:
        self._box = box
        self.events: list[dict[str, Any]] = []
        self._changed = asyncio.Event()

    async def listen(self) -> None:
        """Take in events for ever."""
        while True:
            for body in await self._box.receive_results():
                self.events.append(json.loads(body) | {"heard": time.time()})
            self._changed.set()

    def outcomes(self) -> dict[str, set[tuple[str, str]]]:
        """Return outcome and event id of each request that has ended."""
        said: dict[str, set[tuple[str, str]]] = {}
        for event in self.events:
            data = event["data"]
            if data["outcome"] in ENDS:
                said.setdefault(data["requestId"], set()).add((data["outcome"], event["id"]))
        return said

    async def until(self, fact: Callable[[], bool], seconds: float = 90.0) -> None:
        """Wait for a fact about the events."""
        async with asyncio.timeout(seconds):
            while not fact():
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def listening(box: Place) -> AsyncIterator[Results]:
    """Within, the results are heard."""
    results = Results(box)
    tasks = [asyncio.create_task(results.listen()) for _ in range(4)]
    try:
        yield results
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def daemon(box: Place, **settings: str) -> AsyncIterator[Daemon]:
    """Within, the daemon runs; in the end it is killed if it still does."""
    made = Daemon(box, settings)
    await made.start()
    try:
        yield made
    finally:
        await made.end(signal.SIGKILL)


def a_request(name: str, **more: object) -> str:
    """Return the body of a request; its id is its name."""
    return json.dumps({"modelDeploymentName": name, "modelArn": MODEL, "requestId": name} | more)


def _entry(line: str) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except ValueError:
        return {"event": "not json", "line": line}


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
