"""The demonstration: AWS in a box, the real daemon as a process of its own, a handful of requests, and what becomes of them.

Nothing here knows more than a user would: requests go in through SQS, what happens comes out of the topic, and the slots
are read from the stand-in for Bedrock.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from slipway.local.stack import LocalAws

LONGEST_SECONDS: Final = 40.0
MORE_THAN_SLOTS: Final = 5
CREATION_SECONDS: Final = (3.0, 5.0)
_ENDS: Final = frozenset({"Active", "Failed", "TimedOut", "Rejected"})
_LOOKS: Final = {
    "sent": "dim",
    "Accepted": "cyan",
    "Waiting": "yellow",
    "Creating": "blue",
    "Active": "bold green",
    "Failed": "bold red",
    "TimedOut": "bold red",
    "Rejected": "bold magenta",
}


@dataclass(slots=True)
class Row:
    """One request, as the table shows it. `expected` is the outcome that the demonstration needs to see."""

    request_id: str
    what: str
    expected: str
    body: str
    state: str = "sent"
    note: str = ""
    sent_at: float = 0.0
    waited: bool = False
    ended_at: float | None = None
    event_ids: set[str] = field(default_factory=set)


@dataclass(slots=True)
class DemoDisplay:
    """All that is on the screen."""

    rows: dict[str, Row]
    began: float
    news: list[str] = field(default_factory=list)
    creating: int = 0
    total: int = 0
    max_creating: int = 0
    max_total: int = 0

    def hear(self, event: Mapping[str, Any]) -> None:
        """Take in one event from the topic."""
        data = event["data"]
        row = self.rows.get(data["requestId"])
        if row is None:
            return
        outcome = data["outcome"]
        row.waited |= outcome == "Waiting"
        if outcome in _ENDS:
            row.event_ids.add(event["id"])
            row.ended_at = row.ended_at or time.monotonic()
        elif row.ended_at is not None:
            return
        row.state = outcome
        arn = data.get("customModelDeploymentArn", "").rpartition(":")[2]
        row.note = data.get("failureMessage") or data.get("message") or arn
        self.news.append(f"{time.monotonic() - self.began:5.1f} s  {event['type']}  {data['requestId']}")

    @property
    def is_over(self) -> bool:
        """Whether every request has its outcome."""
        return all(row.ended_at is not None for row in self.rows.values())

    def draw(self) -> Group:
        """Draw the table of requests, the slots, and the latest events."""
        table = Table(expand=True, box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
        table.add_column("request", no_wrap=True, min_width=13)
        table.add_column("what it is", no_wrap=True, min_width=17)
        table.add_column("state", no_wrap=True, min_width=8)
        table.add_column("s", no_wrap=True, min_width=4, justify="right")
        table.add_column("reason, or ARN", no_wrap=True, overflow="ellipsis", ratio=1)
        now = time.monotonic()
        for row in self.rows.values():
            seconds = (row.ended_at or now) - row.sent_at
            table.add_row(row.request_id, row.what, Text(row.state, _LOOKS[row.state]), f"{seconds:.1f}", row.note)
        slots = Text.assemble(
            " slots in creation  ", _boxes(self.creating, self.max_creating, "blue"),
            "    deployments in total  ", _boxes(self.total, self.max_total, "green"),
        )  # fmt: skip
        news = Text("\n".join(self.news[-6:]), "dim")
        return Group(table, slots, Panel(news, title="events on the topic", title_align="left", height=8, border_style="dim"))


def _boxes(used: int, of: int, colour: str) -> Text:
    return Text.assemble(("■" * used, colour), ("□" * max(0, of - used), "dim"), f"  {used} of {of}")


async def run_demo(*, keep: bool = False) -> int:
    """Run the demonstration; answer 0 only if every result arrived, once, as expected.

    With `keep` the daemon serves on until Ctrl-C, so that its page can be looked at. SIGTERM is as good: the daemon ends, too.
    """
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    console = Console()
    console.print("[bold]Slipway[/]: starting a local AWS stand-in (SQS, SNS, Bedrock) and the daemon.")
    began = time.monotonic()
    async with LocalAws(creation_seconds=CREATION_SECONDS) as aws:
        port = _free_port()
        with tempfile.NamedTemporaryFile("w", prefix="slipway-demo-", suffix=".log", delete=False) as log:
            daemon = await _start_daemon(aws, port, log.fileno())
        try:
            await _until_it_serves(port, daemon)
            console.print(f"The daemon's page, while it runs: [link]http://127.0.0.1:{port}/[/]", soft_wrap=True)
            show = DemoDisplay(_requests(), began, max_creating=aws.quotas()[0], max_total=aws.quotas()[1])
            await _send(aws, show)
            await _watch(aws, show, console)
            if keep:
                console.print("\nAll have ended; the page stays until Ctrl-C.")
                await _ctrl_c()
        finally:
            if daemon.returncode is None:
                daemon.terminate()
            code = await daemon.wait()
    return _sum_up(show, console, code, log.name)


async def _start_daemon(aws: LocalAws, port: int, log: int) -> asyncio.subprocess.Process:
    settings = {
        "SLIPWAY_PROGRESS_EVENTS": "true",
        "SLIPWAY_SWEEP_INTERVAL": "0.5",
        "SLIPWAY_HTTP_PORT": str(port),
        "SLIPWAY_LOG_FORMAT": "json",
    }
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SLIPWAY_"))}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "slipway", "serve", env=ours | aws.environment() | settings, stdout=log, stderr=log
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def _until_it_serves(port: int, daemon: asyncio.subprocess.Process) -> None:
    """Wait until the daemon serves its page, which it does once it receives, or until it has ended."""
    while daemon.returncode is None:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
            status = await reader.readline()
            writer.close()
            if b" 200 " in status:
                return
        await asyncio.sleep(0.1)


async def _ctrl_c() -> None:
    said = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, said.set)
    try:
        await said.wait()
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _requests() -> dict[str, Row]:
    rows = [
        Row("train-plain", "a plain request", "Active", _sample("plain.json", requestId="train-plain")),
        Row("train-wrapped", "wrapped by SNS", "Active", sample("sns-wrapped.json")),
        Row("train-fails", "fails in Bedrock", "Failed", _sample("failing.json", requestId="train-fails")),
        Row("train-invalid", "not understood", "Rejected", _sample("invalid.json", requestId="train-invalid")),
    ]
    wrapped = json.loads(json.loads(rows[1].body)["Message"])
    rows[1].request_id = wrapped["requestId"]
    for number in range(1, MORE_THAN_SLOTS + 1):
        body = _sample("plain.json", modelDeploymentName=f"support-bot-b{number}", requestId=f"train-more-{number}")
        rows.append(Row(f"train-more-{number}", "more than slots", "Active", body))
    return {row.request_id: row for row in rows}


def _sample(name: str, **changes: str) -> str:
    return json.dumps(json.loads(sample(name)) | changes)


async def _send(aws: LocalAws, show: DemoDisplay) -> None:
    for row in show.rows.values():
        row.sent_at = time.monotonic()
        await aws.send(row.body)


async def _watch(aws: LocalAws, show: DemoDisplay, console: Console) -> None:
    async def listen() -> None:
        while True:
            for body in await aws.receive_results():
                show.hear(json.loads(body))

    listening = asyncio.create_task(listen())
    try:
        with Live(show.draw(), console=console, auto_refresh=False, transient=False) as live:
            while not show.is_over and time.monotonic() - show.began < LONGEST_SECONDS and not listening.done():
                show.creating, show.total = aws.counts()
                live.update(show.draw(), refresh=console.is_terminal)
                await asyncio.sleep(0.2)
            show.creating, show.total = aws.counts()
            live.update(show.draw(), refresh=True)
    finally:
        listening.cancel()


def _sum_up(show: DemoDisplay, console: Console, code: int, log: str) -> int:
    wrong = [row for row in show.rows.values() if row.state != row.expected or len(row.event_ids) != 1]
    console.print()
    states = [row.state for row in show.rows.values()]
    waited = sum(row.waited for row in show.rows.values())
    console.print(
        f"{len(states)} requests: {states.count('Active')} Active, {states.count('Failed')} Failed, "
        f"{states.count('Rejected')} Rejected; {waited} waited for a slot; {time.monotonic() - show.began:.0f} s in all. "
        f"The daemon was sent SIGTERM and ended with {code}."
    )
    for row in wrong:
        console.print(f"[red]{row.request_id}: expected {row.expected}, is {row.state}[/] ({len(row.event_ids)} results)")
    console.print(f"[dim]The daemon's log: {Path(log).as_posix()}[/]", soft_wrap=True)
    return 1 if wrong or code else 0


def sample(name: str) -> str:
    """Answer the text of a file of `config/samples`."""
    installed = resources.files("slipway") / "_config" / "samples" / name
    source = installed if installed.is_file() else Path(__file__).parents[3] / "config" / "samples" / name
    return source.read_text("utf-8")
