"""`make bench` (some 17 minutes), or `make bench QUICK=1` (five minutes): run everything, print it, keep it.

The machine's noise: CPU and memory are the kernel's books of the finished process, not the wall clock; Slipway and its
peers take turns, round after round, and each figure is the median of its rounds. The long run also writes `last.json`
and the plot, which the README shows (`python -m tests.support.readme`).
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench import measures
from tests.bench.cloud import Terms
from tests.bench.measures import Load
from tests.bench.plot import plot
from tests.bench.running import SLIPWAY
from tests.bench.table import tables

HERE = Path(__file__).parent
PEERS = {
    "Slipway": SLIPWAY,
    "the sketch of a sweep": ("tests.bench.peers.sketch",),
    "aioboto3, a task each": ("tests.bench.peers.one_task_each",),
    "boto3, 64 threads": ("tests.bench.peers.threads",),
}
PATIENCE_SECONDS = 300.0
THROTTLES = ((5, 5, False), (10, 10, False), (20, 20, False), (10, 1, False), (20, 1, False), (10, 10, True), (20, 20, True))
"""Calls a second, burst, and whether one bucket is for all operations."""
THROTTLED_SECONDS = 40
IDLE_SECONDS = 65.0


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


async def loads(who: tuple[str, ...], number: int, rounds: int) -> list[Load]:
    """Let these take turns at so many deployments; answer all their runs."""
    runs = []
    for turn in range(rounds):
        for name in who:
            one = await measures.load(name, PEERS[name], Terms(number), patience=PATIENCE_SECONDS)
            say(f"{number} deployments, round {turn + 1}: {name}: {one.cpu_ms:.2f} ms each, {one.published} announced")
            runs.append(one)
    return runs


async def throttled(rate: int, burst: int, *, is_shared: bool) -> Load:
    """Let Slipway meet a limit that it does not know."""
    terms = Terms(rate * THROTTLED_SECONDS, rate=rate, burst=burst, is_shared=is_shared)
    return await measures.load("Slipway", SLIPWAY, terms, patience=PATIENCE_SECONDS)


async def repeat(times: int, run: Callable[[], Awaitable[Any]]) -> list[Any]:
    """Do the same several times."""
    return [await run() for _ in range(times)]


async def main(*, is_quick: bool) -> dict[str, Any]:
    """Measure everything; answer it as it is kept."""
    every = tuple(PEERS)
    say("starting")
    starts = await repeat(3 if is_quick else 7, measures.start)
    runs = await loads(("Slipway",), 100, 1)
    runs += await loads(every, 1_000, 1 if is_quick else 2)
    if not is_quick:
        runs += await loads(every[:2], 10_000, 2)
        runs += await loads(every[2:3], 10_000, 1)
        runs += await loads(every[:1], 100_000, 1)
    say("memory")
    few, many = (1_000, 4_000) if is_quick else (2_000, measures.MOST_HELD)
    held = [await measures.resident(few), await measures.resident(many)]
    say("throttled and idle, all at once: little CPU is used, and the clock is what counts")
    waiting = asyncio.create_task(measures.idle(IDLE_SECONDS))
    limited = await asyncio.gather(*(throttled(rate, burst, is_shared=is_shared) for rate, burst, is_shared in THROTTLES))
    idle = await waiting
    return {
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "start_seconds": median(one.seconds for one in starts),
        "start_cpu_seconds": median(one.cpu_seconds for one in starts),
        "runs": [asdict(one) for one in runs],
        "bytes_per_held": (held[1] - held[0]) / (many - few),
        "throttled": [
            {"rate": rate, "burst": burst, "is_shared": is_shared} | asdict(one)
            for (rate, burst, is_shared), one in zip(THROTTLES, limited, strict=True)
        ],
        "idle": asdict(idle),
    }


if __name__ == "__main__":
    is_quick = "quick" in sys.argv[1:]
    results = asyncio.run(main(is_quick=is_quick))
    print(tables(results))
    if not is_quick:
        (HERE / "last.json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
        (HERE / "bench.svg").write_text(plot(results), "utf-8")
        say("written: tests/bench/last.json and bench.svg; python -m tests.support.readme puts them into the README")
