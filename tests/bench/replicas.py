"""Replicas on one queue: `python -m tests.bench.replicas [requests]`. Prints the table of docs/benchmarks.md.

The account's quota of deployments in creation is the bottleneck, as on AWS. In the last run one replica is stopped halfway with
SIGTERM and another is killed: what they held is finished by the others.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from tests.bench.cloud import Terms
from tests.bench.running import SLIPWAY, Client, Service, client, service

MOST_CREATING = 2_000
CREATION_SECONDS = (6.0, 10.0)
MAX_HELD = 1_000
VISIBILITY_SECONDS = 120
PATIENCE_SECONDS = 900.0
START_SECONDS = 60.0
_CREATE = "CreateCustomModelDeployment"
_BEDROCK = frozenset({_CREATE, "GetCustomModelDeployment", "ListCustomModelDeployments", "ListTagsForResource"})


@dataclass(frozen=True)
class Run:
    """What a run of several replicas came to."""

    replicas: int
    is_interrupted: bool
    seconds: float
    report: dict[str, Any]
    cpu_seconds: tuple[float, ...]
    """Of each replica."""
    peak_mib: float
    load: tuple[float, float]
    """The machine's load over a minute, before and after."""


async def run(number: int, replicas: int, *, is_interrupted: bool = False) -> Run:
    """Let some replicas work off a queue."""
    before = os.getloadavg()[0]
    terms = Terms(number, creation_seconds=CREATION_SECONDS, most_creating=MOST_CREATING)
    settings = {
        "SLIPWAY_SWEEP_INTERVAL": "1",
        "SLIPWAY_MAX_HELD": str(MAX_HELD),
        "SLIPWAY_VISIBILITY_TIMEOUT": str(VISIBILITY_SECONDS),
        "SLIPWAY_MAX_CREATING": str(MOST_CREATING),
    }
    async with service(terms) as served, AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(client(SLIPWAY, served.url, **settings, AWS_ACCESS_KEY_ID=f"REPLICA{one}"))
            for one in range(replicas)
        ]
        await served.until(lambda progress: progress["clients"] == replicas, START_SECONDS)
        await served.ask("open")
        began = time.monotonic()
        if is_interrupted:
            await interrupt(served, clients, number)
        await served.until(lambda progress: progress["deleted"] >= number, PATIENCE_SECONDS)
        seconds = time.monotonic() - began
        report = await served.ask("report")
        used = [await one.end() for one in clients]
    cpu = tuple(one.cpu_seconds for one in used)
    return Run(replicas, is_interrupted, seconds, report, cpu, max(one.peak_mib for one in used), (before, os.getloadavg()[0]))


async def interrupt(served: Service, clients: list[Client], number: int) -> None:
    """Stop one replica after a third of the requests, and kill another after two thirds."""
    await served.until(lambda progress: progress["deleted"] >= number // 3, PATIENCE_SECONDS)
    await clients[0].end(signal.SIGTERM)
    await served.until(lambda progress: progress["deleted"] >= 2 * number // 3, PATIENCE_SECONDS)
    await clients[1].end(signal.SIGKILL)


def row(one: Run) -> str:
    """Return a run as a line of the table."""
    report, number = one.report, one.report["terms"]["number"]
    created = sorted(counts.get(f"{_CREATE} 202", 0) for counts in report["by_client"].values())
    bedrock = sum(count for name, count in report["calls"].items() if name.split()[0] in _BEDROCK)
    sqs_and_sns = sum(count for name, count in report["calls"].items()) - bedrock
    wait, lag = report["received_to_created"], report["ended_to_published"]
    name = f"{one.replicas}, one stopped, one killed" if one.is_interrupted else str(one.replicas)
    exact = "each once" if report["created"] == number == report["published"] and not report["wrong"] else "NOT EXACT"
    return (
        f"| {name} | {one.seconds:.0f} s | {number / one.seconds:.0f} | {bedrock / number:.2f} | {sqs_and_sns / number:.2f} "
        f"| {sum(one.cpu_seconds):.0f} s ({sum(one.cpu_seconds) / number * 1000:.1f} ms) | {one.peak_mib:.0f} "
        f"| {created[0]:,} to {created[-1]:,} | {wait['p50']:.1f} / {wait['p99']:.1f} s "
        f"| {lag['p50']:.1f} / {lag['p99']:.1f} s | {report['continued']:,} | {report['redelivered'] - report['continued']:,} "
        f"| {exact} |"
    )


def table(runs: list[Run]) -> str:
    """Return the runs as Markdown."""
    names = ("replicas", "time", "deployments per second", "Bedrock calls each", "SQS and SNS calls each", "CPU of all (each)")
    more = ("peak MiB of one", "created by a replica", "received to created p50 / p99", "ended to published p50 / p99")
    head = "| " + " | ".join((*names, *more, "continued", "lease lost or given back", "outcomes")) + " |"
    loads = ", ".join(f"{one.load[0]:.1f} to {one.load[1]:.1f}" for one in runs)
    machine = f"{os.cpu_count()} cores. The machine's load before and after each run: {loads}."
    return "\n".join([head, "|---|" + "--:|" * 11 + "---|", *map(row, runs), "", machine])


async def main(number: int) -> None:
    """Measure one, two and four replicas, and four of which two end."""
    runs = []
    for replicas, is_interrupted in ((1, False), (2, False), (4, False), (4, True)):
        runs.append(await run(number, replicas, is_interrupted=is_interrupted))
        print(row(runs[-1]), file=sys.stderr, flush=True)
    print(table(runs))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if sys.argv[1:] else 20_000))
