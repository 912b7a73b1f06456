"""The long proof: every pair of misfortunes, every planted bug, then worlds until the time is up; and what came of it."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tests.proof import lifetime, planted, worlds

SEEDS = Path(__file__).with_name("seeds.txt")
REPORT = Path(__file__).parents[2] / "PROOF.json"
CORES = 2
SHARE = 50
"""How many worlds, or lifetimes, a process is given at once."""
FIRST_SEED = 100_000
"""Beyond those of every CI run."""


@dataclass
class Sum:
    """All that was lived through."""

    lived: int = 0
    lifetimes: int = 0
    simulated_seconds: float = 0.0
    kills: int = 0
    excused: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    singles_and_pairs: int = 0
    planted: dict[str, str | None] = field(default_factory=dict)

    def add(self, report: worlds.Report) -> None:
        """Count a world in."""
        self.lived += 1
        self.lifetimes += report.lifetimes
        self.simulated_seconds += report.simulated_seconds
        self.kills += report.kills
        self.excused += report.excused
        self.faults.update({str(kind): count for kind, count in report.faults.items()})
        if report.broken:
            self.broken.append(report.said())

    def as_json(self) -> dict[str, Any]:
        """Answer what is written to PROOF.json."""
        return {
            "lifetimes": self.lifetimes + self.singles_and_pairs,
            "worlds": self.lived,
            "singles_and_pairs": self.singles_and_pairs,
            "simulated_hours": round(self.simulated_seconds / 3600),
            "violations": len(self.broken),
            "kills": self.kills,
            "excused": self.excused,
            "faults": dict(sorted(self.faults.items())),
            "planted": self.planted,
        }


def kept_seeds() -> list[int]:
    """Answer the seeds of worlds that once showed a bug."""
    lines = [line.split("#", maxsplit=1)[0].strip() for line in SEEDS.read_text().splitlines()]
    return [int(line) for line in lines if line]


def replay(seed: int) -> int:
    """Live through one world, and say everything that happened."""
    report = worlds.run_world(seed, lines=100_000)
    end = f"digest {report.digest}, {report.lifetimes} lifetimes, broken: {report.broken or 'nothing'}"
    sys.stdout.write("\n".join([*report.trace, end]) + "\n")
    return 1 if report.broken else 0


def some_worlds(seeds: list[int]) -> list[worlds.Report]:
    """Live through some worlds."""
    return [worlds.run_world(seed) for seed in seeds]


def some_lifetimes(some: list[tuple[lifetime.At, ...]]) -> list[str]:
    """Live some lifetimes; answer what broke."""
    return [told.said() for told in (lifetime.live(*each) for each in some) if told.broken]


def prove(minutes: float) -> int:
    """Run everything for so many minutes, write PROOF.json, and print the table; answer an exit status."""
    ends, total, console = time.monotonic() + minutes * 60, Sum(), Console()
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeElapsedColumn()
    with Progress(*columns, console=console) as progress, ProcessPoolExecutor(CORES) as pool:
        bar = progress.add_task("planted bugs", total=None, said="")
        total.planted = planted.catch_all(at_once=CORES)
        todo = [*lifetime.singles(), *lifetime.threes(), *lifetime.pairs()]
        progress.update(bar, description="one lifetime", total=len(todo))
        shares = [todo[begin : begin + SHARE] for begin in range(0, len(todo), SHARE)]
        for share, found in zip(shares, pool.map(some_lifetimes, shares), strict=True):
            total.singles_and_pairs += len(share)
            total.broken += found
            progress.update(bar, advance=len(share), said=f"{total.singles_and_pairs} lifetimes, {len(total.broken)} broken")
        begun = time.monotonic()
        progress.update(bar, description="worlds", total=max(1.0, ends - begun), completed=0)
        for report in _worlds(pool, ends):
            total.add(report)
            said = f"{total.lived} worlds, {total.lifetimes} lifetimes, {len(total.broken)} broken"
            progress.update(bar, completed=time.monotonic() - begun, said=said)
    REPORT.write_text(json.dumps(total.as_json(), indent=2, ensure_ascii=False) + "\n")
    for broken in total.broken[:5]:
        console.print(broken, markup=False, highlight=False)
    console.print(in_table(total), markup=False, highlight=False)
    return 1 if total.broken or None in total.planted.values() else 0


def _worlds(pool: ProcessPoolExecutor, ends: float) -> Iterator[worlds.Report]:
    """Answer worlds, those that once showed a bug first, until the time is up."""
    shares = _shares()
    running: set[Future[list[worlds.Report]]] = {pool.submit(some_worlds, next(shares)) for _ in range(2 * CORES)}
    while running:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for each in done:
            yield from each.result()
            if time.monotonic() < ends:
                running.add(pool.submit(some_worlds, next(shares)))


def _shares() -> Iterator[list[int]]:
    yield kept_seeds()
    begin = FIRST_SEED
    while True:
        yield list(range(begin, begin + SHARE))
        begin += SHARE


def in_table(total: Sum) -> str:
    """Put what was proved into Markdown."""
    told = total.as_json()
    rows = [f"| {key.replace('_', ' ')} | {value:,} |" for key, value in told.items() if isinstance(value, int)]
    faults = [f"| {kind} | {count:,} |" for kind, count in told["faults"].items()]
    parts = [["| what | how many |", "|---|---|", *rows], ["| fault | fired |", "|---|---|", *faults]]
    return "\n\n".join(["\n".join(part) for part in parts] + [planted.in_table(total.planted)])
