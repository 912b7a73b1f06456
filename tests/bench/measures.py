"""What is measured: each function is one run, and answers its figures."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from tests.bench.cloud import Terms
from tests.bench.running import SLIPWAY, client, service

BEDROCK = ("CreateCustomModelDeployment", "GetCustomModelDeployment", "ListCustomModelDeployments")
MOST_HELD = 20_000
SWEEP_SECONDS = 1.0
START_SECONDS = 30.0


@dataclass(frozen=True)
class Load:
    """What `number` deployments cost a client, its start not counted in."""

    who: str
    number: int
    seconds: float
    published: int
    cpu_ms: float
    """Per deployment, of user and system time."""
    peak_mib: float
    calls: dict[str, float]
    """Per deployment, by operation."""
    bedrock_calls: float
    throttled: float
    """Share of Bedrock's answers."""
    ended_to_published: dict[str, float]
    received_to_created: dict[str, float]
    wrong: int
    redelivered: int
    used: float
    """Share of what a throttling service would have let in while there was something to create."""
    stall_ms: float | None
    """The longest stall of Slipway's event loop, by its own metric."""


async def load(who: str, module: tuple[str, ...], terms: Terms, *, patience: float, **settings: str) -> Load:
    """Start a client on an empty queue, let all requests be received at once, and wait for all to be announced and deleted."""
    held = str(min(terms.number, MOST_HELD))
    settings = {"SLIPWAY_SWEEP_INTERVAL": f"{SWEEP_SECONDS:g}", "SLIPWAY_MAX_HELD": held} | settings
    async with service(terms) as served, client(module, served.url, **settings) as process:
        await served.until(lambda progress: progress["polled"], START_SECONDS)
        before = process.cpu_seconds()
        await served.ask("open")
        began = time.monotonic()
        await served.until(lambda progress: progress["deleted"] >= terms.number, patience)
        seconds = time.monotonic() - began
        report = await served.ask("report")
        stall = await process.metric("slipway_loop_longest_stall_seconds") if module == SLIPWAY else None
        used = await process.end()
    return _load(who, report, seconds, used.cpu_seconds - before, used.peak_mib, stall)


def _load(who: str, report: dict[str, Any], seconds: float, cpu: float, peak: float, stall: float | None) -> Load:
    terms, calls = report["terms"], report["calls"]
    done = max(1, report["published"])
    let_in = sum(calls.get(f"{operation} applied", 0) for operation in BEDROCK)
    refused = sum(calls.get(f"{operation} throttled", 0) for operation in BEDROCK)
    counted = report["accepted_while_creating"] if terms["is_shared"] else report["created"]
    possible = terms["rate"] * report["creating_seconds"] + terms["burst"]
    return Load(
        who,
        terms["number"],
        seconds,
        report["published"],
        cpu / done * 1000,
        peak,
        {name: count / done for name, count in sorted(calls.items())},
        (let_in + refused) / done,
        refused / max(1, let_in + refused),
        report["ended_to_published"],
        report["received_to_created"],
        report["wrong"],
        report["redelivered"],
        counted / possible if terms["rate"] else 1.0,
        None if stall is None else stall * 1000,
    )


@dataclass(frozen=True)
class Start:
    """From exec to the first receive, as the service saw it come in."""

    seconds: float
    cpu_seconds: float


async def start() -> Start:
    """Start the daemon once."""
    async with service(Terms(1)) as served, client(SLIPWAY, served.url) as process:
        await served.until(lambda progress: progress["polled"], START_SECONDS)
        cpu = process.cpu_seconds()
        report = await served.ask("report")
        return Start(report["first_poll_at"] - process.begun_at, cpu)


@dataclass(frozen=True)
class Idle:
    """What waiting for nothing costs, from a short run."""

    seconds: float
    cpu_share: float
    receives_a_day: float
    other_calls: int


async def idle(seconds: float) -> Idle:
    """Let the daemon wait for nothing, from the end of its start on."""
    async with service(Terms(1)) as served, client(SLIPWAY, served.url) as process:
        await served.until(lambda progress: progress["polled"], START_SECONDS)
        await asyncio.sleep(3.0)
        before, calls = process.cpu_seconds(), (await served.ask("report"))["calls"]
        await asyncio.sleep(seconds)
        cpu, after = process.cpu_seconds() - before, (await served.ask("report"))["calls"]
        receives = after["ReceiveMessage applied"] - calls["ReceiveMessage applied"]
        return Idle(seconds, cpu / seconds, receives * 86400 / seconds, sum(after.values()) - sum(calls.values()) - receives)


async def resident(number: int) -> int:
    """Return the memory of a daemon that holds so many requests, all in creation."""
    terms = Terms(number, creation_seconds=(3600.0, 3600.0))
    settings = {"SLIPWAY_MAX_HELD": str(MOST_HELD), "SLIPWAY_SWEEP_INTERVAL": "60"}
    async with service(terms) as served, client(SLIPWAY, served.url, **settings) as process:
        await served.until(lambda progress: progress["polled"], START_SECONDS)
        await served.ask("open")
        await served.until(lambda progress: progress["created"] >= number, 120.0)
        await asyncio.sleep(2.0)
        return process.resident_bytes()
