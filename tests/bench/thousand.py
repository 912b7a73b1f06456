"""A queue full of requests, one daemon, and what it cost: `python -m tests.bench.thousand [N]`.

Prints Bedrock calls and client CPU per deployment, the time from ended to published, and the daemon's peak memory. The
daemon is a real process against the box on loopback; creation takes 15-25 s, one in ten fails, and there is ample quota.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

from service.local.box import Box
from service.local.terms import Terms
from tests.wire.daemons import Daemon, Results, a_request, daemon, listening


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, from the kernel's books."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_mib(pid: int) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


async def measure(number: int) -> int:
    """Run once; answer 0 when every request was announced exactly once, as Bedrock ended it."""
    terms = Terms(max_creating=number, max_total=number, creation_seconds=(15.0, 25.0), failing=0.1)
    settings = {"SLIPWAY_SWEEP_INTERVAL": "1", "SLIPWAY_MAX_HELD": str(number), "SLIPWAY_VISIBILITY_TIMEOUT": "120"}
    async with Box(terms=terms) as box, listening(box) as results:
        for first in range(0, number, 50):
            await asyncio.gather(*(box.send(a_request(f"bot-{each}")) for each in range(first, min(first + 50, number))))
        print(f"{number} requests are on the queue")  # noqa: T201  a bench prints
        began = time.monotonic()
        async with daemon(box, **settings) as process:
            await results.until(lambda: len(results.outcomes()) == number, 300.0)
            took = time.monotonic() - began
            pid = process.process.pid
            cpu, peak = _cpu_seconds(pid), _peak_mib(pid)
            _, metrics = await process.ask("/metrics")
            print("\n".join(line for line in metrics.splitlines() if line.startswith("slipway_calls_total")))  # noqa: T201
            return _report(box, results, process, number, (took, cpu, peak))


def _report(box: Box, results: Results, process: Daemon, number: int, figures: tuple[float, float, float]) -> int:
    took, cpu, peak = figures
    account = box.bedrock.account()
    now = box.bedrock.now()
    truth = {one.name: one.status(now) for one in account.made}
    ended = {one.name: one.ends for one in account.made}
    wrong = [name for name, said in results.outcomes().items() if {outcome for outcome, _ in said} != {truth.get(name)}]
    twice = [name for name, said in results.outcomes().items() if len(said) > 1]
    lags = sorted(
        datetime.fromisoformat(event["time"]).timestamp() - ended[event["data"]["requestId"]] for event in results.events
    )
    calls = Counter({name.split()[0]: 0 for name in account.calls})
    for name, count in account.calls.items():
        calls[name.split()[0]] += count
    print(f"{took:.1f} s; {len(account.made)} deployments; {len(wrong)} wrong, {len(twice)} with two ids")  # noqa: T201
    print(f"Bedrock calls per deployment: {calls.total() / number:.3f}  {dict(calls)}")  # noqa: T201
    print(f"client CPU per deployment: {cpu / number * 1000:.2f} ms; peak {peak:.0f} MiB")  # noqa: T201
    print(f"ended to published: p50 {lags[len(lags) // 2]:.2f} s, p99 {lags[len(lags) * 99 // 100]:.2f} s")  # noqa: T201
    print(f"leases lost: {len(process.lines('lease.lost'))}; faults: {len(process.lines('request.faulted'))}")  # noqa: T201
    return 1 if wrong or twice else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)))
