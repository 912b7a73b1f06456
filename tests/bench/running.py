"""One run: the service in a process of its own, the client in another, and what the kernel says that the client used."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.cloud import Terms

LOOK_SECONDS = 0.1
QUEUE_PATH = "/123456789012/bench"
TOPIC = "arn:aws:sns:us-east-1:123456789012:bench"
SLIPWAY = ("slipway", "serve")


class Service:
    """The service, as the bench asks it over HTTP."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._port = port

    async def ask(self, what: str) -> dict[str, Any]:
        """Return `progress` or `report`; `open` lets the requests be received."""
        return dict(json.loads(await get(self._port, f"/_bench/{what}")))

    async def until(self, fact: Callable[[dict[str, Any]], bool], seconds: float) -> dict[str, Any]:
        """Wait for a fact about its progress, as long as it may take; answer what there is then."""
        ends = time.monotonic() + seconds
        while not fact(progress := await self.ask("progress")) and time.monotonic() < ends:  # noqa: ASYNC110  of another process
            await asyncio.sleep(LOOK_SECONDS)
        return progress


@asynccontextmanager
async def service(terms: Terms) -> AsyncIterator[Service]:
    """Within, the service runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.service", json.dumps(asdict(terms))),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Service(int(await process.stdout.readline()))
    finally:
        process.stdin.close()
        await process.wait()


@dataclass(frozen=True)
class Used:
    """What a process used up to its end, by the kernel's accounting."""

    cpu_seconds: float
    peak_mib: float


class Client:
    """Slipway, or a peer: a process whose log goes to a file, as a container's would."""

    def __init__(self, module: tuple[str, ...], url: str, settings: Mapping[str, str]) -> None:
        self.http_port = free_port()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SLIPWAY_"))}
        given = {
            "AWS_ENDPOINT_URL": url,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIDBENCH",
            "AWS_SECRET_ACCESS_KEY": "made-up",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "SLIPWAY_QUEUE_URL": url + QUEUE_PATH,
            "SLIPWAY_TOPIC_ARN": TOPIC,
            "SLIPWAY_HTTP_PORT": str(self.http_port),
        }
        self.log = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the client
        self.begun_at = time.monotonic()
        self.pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", *module],
            {**kept, **given, **settings},
            file_actions=[(os.POSIX_SPAWN_DUP2, self.log.fileno(), 1), (os.POSIX_SPAWN_DUP2, self.log.fileno(), 2)],
        )
        self.used: Used | None = None

    def cpu_seconds(self) -> float:
        """Return what it has used so far, of all its threads, to the nanosecond."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text("ascii").split()[0]) for task in tasks) / 1e9

    def resident_bytes(self) -> int:
        """Return how much memory it has now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    async def metric(self, name: str) -> float:
        """Return one of Slipway's own metrics."""
        lines = (await get(self.http_port, "/metrics")).splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))

    async def end(self, number: int = signal.SIGTERM) -> Used:
        """End it, and answer what it used. Safe to repeat."""
        if self.used is None:
            os.kill(self.pid, number)
            _, _, usage = await asyncio.get_running_loop().run_in_executor(None, os.wait4, self.pid, 0)
            self.used = Used(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
        return self.used


@asynccontextmanager
async def client(module: tuple[str, ...], url: str, **settings: str) -> AsyncIterator[Client]:
    """Within, the client runs; in the end it is killed if it still does."""
    made = Client(module, url, settings)
    try:
        yield made
    finally:
        await made.end(signal.SIGKILL)
        made.log.close()


async def get(port: int, path: str) -> str:
    """Return the body of a GET on this machine."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    place = head.lower().find(b"content-length:")
    body = await reader.readexactly(int(head[place + 15 :].partition(b"\r\n")[0]))
    writer.close()
    return body.decode()


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
