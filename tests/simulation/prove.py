"""The long proof: every tier, one after the other, then worlds until the time is up; and what came of it.

PROOF.json is for machines. Kept as tests/simulation/last.json, it is the source of the tables of docs/proof.md and the README.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from tests.fuzz import inputs
from tests.mutation import seeded_bugs
from tests.simulation import credential_refresh as refreshing
from tests.simulation import one_lifetime as lifetime
from tests.simulation import real_client as realclient
from tests.simulation import soak as bounded
from tests.simulation import worlds
from tests.simulation.faults import FATES
from tests.simulation.report import Sum, in_tables

T = TypeVar("T")
R = TypeVar("R")

ROOT = Path(__file__).parents[2]
SEEDS = Path(__file__).with_name("seeds.txt")
REPORT = ROOT / "PROOF.json"
CORES = 2
SHARE = 50
"""How many worlds, or lifetimes, a process is given at once."""
FIRST_SEED = 100_160
"""Beyond those of every CI run, and the first of worlds that aim at a kind each."""
REAL_KILLS_A_MINUTE = 5
INPUTS_A_MINUTE = 5_000
INPUTS_A_SEED = 4_000
"""What is made of a corpus grows with it: many short runs find more in the same time than a long one."""
MOST_TOLD = 5


def kept_seeds() -> list[int]:
    """Return the seeds of worlds that once showed a bug."""
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
    """Run everything for so many minutes, write PROOF.json, and print the tables; answer an exit status."""
    began, console = time.monotonic(), Console()
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeElapsedColumn()
    with Progress(*columns, console=console) as progress, ProcessPoolExecutor(CORES) as pool:
        proof = _Proof(pool, progress, minutes, began + minutes * 60)
        total = proof.run()
    total.minutes = (time.monotonic() - began) / 60
    REPORT.write_text(json.dumps(total.as_json(), indent=2, ensure_ascii=False) + "\n")
    for broken in total.broken[:MOST_TOLD]:
        console.print(broken, markup=False, highlight=False)
    console.print(in_tables(total.as_json()), markup=False, highlight=False)
    return 0 if total.is_kept else 1


class _Proof:
    """The tiers, in the order in which they are run."""

    def __init__(self, pool: ProcessPoolExecutor, progress: Progress, minutes: float, ends: float) -> None:
        self._pool = pool
        self._progress = progress
        self._minutes = minutes
        self._ends = ends
        self._total = Sum()
        self._bar: TaskID = progress.add_task("", total=None, said="")

    def run(self) -> Sum:
        """Run them all."""
        self._show("planted bugs", None)
        self._total.seeded_bugs = seeded_bugs.catch_all(at_once=CORES)
        self._one_lifetime()
        self._real_client()
        self._days_and_bounds()
        self._inputs()
        self._processes()
        self._worlds()
        self._has_all_fired()
        return self._total

    def _one_lifetime(self) -> None:
        todo = [*lifetime.singles(), *lifetime.threes(), *lifetime.pairs()]
        for share, found in self._in_shares("one lifetime", some_lifetimes, todo):
            self._total.lifetimes += len(share)
            self._total.broken += found

    def _real_client(self) -> None:
        for _, report in self._in_shares("the real client", realclient.some, list(realclient.cases())):
            self._total.lifetimes += report.lifetimes
            self._total.simulated_seconds += report.simulated_hours * 3600
            self._total.wire_faults.update(report.fired)
            self._total.broken += report.violations

    def _days_and_bounds(self) -> None:
        self._show("days of credentials, and bounds", None)
        days = [self._pool.submit(refreshing.live, seed) for seed in range(1, 1 + CORES)]
        bounds = self._pool.submit(bounded.prove)
        for each in days:
            self._total.simulated_seconds += each.result().hours * 3600
            self._total.broken += each.result().violations
        for told in bounds.result():
            self._total.broken += told.violations

    def _inputs(self) -> None:
        self._show("inputs", None)
        seeds = range(1, 2 + int(self._minutes * INPUTS_A_MINUTE / INPUTS_A_SEED))
        for report in self._pool.map(inputs.fuzz, seeds, [INPUTS_A_SEED] * len(seeds)):
            self._total.inputs += report.inputs.total()
            self._total.broken += report.violations

    def _processes(self) -> None:
        self._show("real processes, killed", None)
        kills = max(10, int(self._minutes * REAL_KILLS_A_MINUTE))
        asked = ("--kills", str(kills), "--requests", str(kills * 3))
        command = [sys.executable, "-m", "tests.simulation.processes", *asked]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        if not done.stdout.strip():
            self._total.broken.append(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
            return
        told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        self._total.real_kills, self._total.balance = told["kills"], told["balance"]
        self._total.broken += [f"{violation}\nreplay: {' '.join(asked)}" for violation in told["violations"]]

    def _worlds(self) -> None:
        begun = time.monotonic()
        self._show("worlds", max(1.0, self._ends - begun))
        shares = _shares()
        running: set[Future[list[worlds.Report]]] = {self._pool.submit(some_worlds, next(shares)) for _ in range(2 * CORES)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for each in done:
                for report in each.result():
                    self._total.add(report)
                if time.monotonic() < self._ends:
                    running.add(self._pool.submit(some_worlds, next(shares)))
            self._progress.update(self._bar, completed=time.monotonic() - begun, said=self._total.said())

    def _has_all_fired(self) -> None:
        """What never happened has proved nothing."""
        self._total.broken += [f"{kind}: never fired" for kind in sorted(worlds.wanted() - self._total.faults.keys())]
        self._total.broken += [f"{kind}: never fired" for kind in FATES if not self._total.wire_faults[kind]]

    def _in_shares(self, name: str, act: Callable[[list[T]], R], todo: Sequence[T]) -> Iterator[tuple[list[T], R]]:
        self._show(name, len(todo))
        shares = [list(todo[begin : begin + SHARE]) for begin in range(0, len(todo), SHARE)]
        for share, came in zip(shares, self._pool.map(act, shares), strict=True):
            yield share, came
            self._progress.update(self._bar, advance=len(share), said=self._total.said())

    def _show(self, name: str, length: float | None) -> None:
        self._progress.reset(self._bar, total=length, description=name, said=self._total.said())


def _shares() -> Iterator[list[int]]:
    yield kept_seeds()
    begin = FIRST_SEED
    while True:
        yield list(range(begin, begin + SHARE))
        begin += SHARE
