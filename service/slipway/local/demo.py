"""The demo: a local AWS stand-in, the real daemon in its own process, and nine requests from the queue to their outcomes.

It uses what a user has: requests are sent to SQS, and their progress comes from the topic. Only the used slots are read
from the Bedrock stand-in.
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

from slipway.core.lifecycle.outcomes import Reason
from slipway.local.stack import LocalAws

LONGEST_SECONDS: Final = 40.0
"""From the first request to the last outcome."""
BATCH: Final = ("french", "german", "spanish", "italian", "dutch")
"""Languages of the models that a nightly pipeline has trained: more than there are slots."""
_NEXT: Final = """
What to try next:
  slipway demo --keep   the same, and the status page stays open
  slipway local         the stand-in alone, for requests of your own
  docs/tutorial.md      a deployment on your own account in 15 minutes
"""
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
    """One request, as the table shows it. `expected` is the outcome without which the demo fails."""

    request_id: str
    name: str
    what: str
    expected: str
    body: str
    state: str = "sent"
    note: str = ""
    sent_at: float = 0.0
    waited: bool = False
    elapsed: float | None = None
    """Seconds from the receipt to the outcome, as the event and the status page have them."""
    event_ids: set[str] = field(default_factory=set)
    event: Mapping[str, Any] = field(default_factory=dict)
    """The event of the outcome."""


@dataclass(slots=True)
class DemoDisplay:
    """Everything that the screen shows."""

    rows: dict[str, Row]
    began: float
    news: list[str] = field(default_factory=list)
    creating: int = 0
    total: int = 0
    max_creating: int = 0
    max_total: int = 0

    def apply(self, event: Mapping[str, Any]) -> None:
        """Apply one event from the topic."""
        data = event["data"]
        row = self.rows.get(data["requestId"])
        if row is None:
            return
        outcome = data["outcome"]
        row.waited |= outcome == "Waiting" and data.get("reason") == Reason.NO_SLOT
        if outcome in _ENDS:
            row.event_ids.add(event["id"])
            row.event, row.elapsed = event, data["times"]["secondsSinceReceived"]
        elif row.elapsed is not None:
            return
        row.state = outcome
        arn = data.get("customModelDeploymentArn", "").rpartition(":")[2]
        text = data.get("failureMessage") or data.get("message")
        row.note = text or _phases(data["times"], waited=row.waited) or arn
        if row.waited and text and outcome in _ENDS:
            row.note = f"waited {data['times']['secondsWaited']:.1f} s for a slot; {text}"
        self.news.append(f"{time.monotonic() - self.began:5.1f} s  {event['type']}  {row.name}")

    @property
    def is_over(self) -> bool:
        """Whether every request has its outcome."""
        return all(row.elapsed is not None for row in self.rows.values())

    def draw(self) -> Group:
        """Draw the table of requests, the slots, and the latest events."""
        table = Table(expand=True, box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
        table.add_column("deployment", no_wrap=True, min_width=16)
        table.add_column("request", no_wrap=True, min_width=18)
        table.add_column("state", no_wrap=True, min_width=8)
        table.add_column("elapsed", no_wrap=True, min_width=7, justify="right")
        table.add_column("why", no_wrap=True, overflow="ellipsis", ratio=1)
        now = time.monotonic()
        for row in self.rows.values():
            seconds = now - row.sent_at if row.elapsed is None else row.elapsed
            table.add_row(row.name, row.what, Text(row.state, _LOOKS[row.state]), f"{seconds:.1f} s", row.note)
        slots = Text.assemble(
            " slots in creation  ", _boxes(self.creating, self.max_creating, "blue"),
            "    deployments in total  ", _boxes(self.total, self.max_total, "green"),
        )  # fmt: skip
        news = Text("\n".join(self.news[-6:]), "dim")
        return Group(table, slots, Panel(news, title="events on the topic", title_align="left", height=8, border_style="dim"))


def _phases(times: Mapping[str, Any], *, waited: bool) -> str:
    """Return where the time of a request went; empty if nothing was created for it."""
    if "secondsInCreation" not in times:
        return ""
    before = f"waited {times['secondsWaited']:.1f} s for a slot" if waited else f"{times['secondsWaited']:.1f} s until creation"
    return f"{before}, {times['secondsInCreation']:.1f} s in creation"


def _boxes(used: int, of: int, colour: str) -> Text:
    return Text.assemble(("■" * used, colour), ("□" * max(0, of - used), "dim"), f"  {used} of {of}")


async def run_demo(*, keep: bool = False) -> int:
    """Run the demo; return 0 only if every outcome arrived once and as expected.

    With `keep` the daemon serves its status page until Ctrl-C or SIGTERM.
    """
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    console = Console()
    console.print("[bold]Slipway[/]: starting a local AWS stand-in (SQS, SNS, Bedrock) and the daemon.")
    async with LocalAws(creation_seconds=CREATION_SECONDS) as aws:
        port = _free_port()
        with tempfile.NamedTemporaryFile("w", prefix="slipway-demo-", suffix=".log", delete=False) as log:
            daemon = await _start_daemon(aws, port, log.fileno())
        try:
            await _until_it_serves(port, daemon)
            console.print(f"Its status page, while it runs: [link]http://127.0.0.1:{port}/[/]", soft_wrap=True)
            show = DemoDisplay(_requests(), time.monotonic(), max_creating=aws.quotas()[0], max_total=aws.quotas()[1])
            await _send(aws, show)
            await _watch(aws, show, console)
            if keep:
                console.print("\nAll requests have ended; the status page stays until Ctrl-C.")
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
    """Wait until the daemon serves its page, as soon as it receives messages, or until it has ended."""
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
    """Return a request of each kind, and more than there are slots."""
    bodies = [
        ("sent as JSON", "Active", _sample("plain.json", requestId="train-support-42")),
        ("sent through SNS", "Active", sample("sns-wrapped.json")),
        ("fails in Bedrock", "Failed", _sample("failing.json", requestId="train-fails-on-purpose")),
        ("has a misspelt key", "Rejected", _sample("invalid.json", requestId="train-misspelt-key")),
    ]
    for language in BATCH:
        names = {"modelDeploymentName": f"reviews-{language}", "requestId": f"nightly-{language}"}
        bodies.append(("of a nightly batch", "Active", _sample("plain.json", **names)))
    rows = [_row(*each) for each in bodies]
    return {row.request_id: row for row in rows}


def _row(what: str, expected: str, body: str) -> Row:
    fields = json.loads(body)
    fields = json.loads(fields["Message"]) if "Message" in fields else fields
    name = next(value for key, value in fields.items() if key.lower() == "modeldeploymentname")
    return Row(fields["requestId"], name, what, expected, body)


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
                show.apply(json.loads(body))

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
        f"{states.count('Rejected')} Rejected, in {time.monotonic() - show.began:.0f} s; {waited} waited for a slot, since the "
        f"account's quota is {show.max_creating} in creation. The daemon got SIGTERM and ended with {code}."
    )
    last = list(show.rows.values())[-1]
    console.print(f"\nThe event of {last.name}, as the topic's subscribers receive it:\n")
    console.print(json.dumps(last.event, indent=2), soft_wrap=True, highlight=False, markup=False)
    for row in wrong:
        console.print(f"[red]{row.request_id}: expected {row.expected}, is {row.state}[/] ({len(row.event_ids)} results)")
    console.print(_NEXT, highlight=False)
    console.print(f"[dim]The daemon's log: {Path(log).as_posix()}[/]", soft_wrap=True)
    return 1 if wrong or code else 0


def sample(name: str) -> str:
    """Return the text of a file of `config/samples`."""
    installed = resources.files("slipway") / "_config" / "samples" / name
    source = installed if installed.is_file() else Path(__file__).parents[3] / "config" / "samples" / name
    return source.read_text("utf-8")
