"""Worlds in which much goes wrong: what once broke first, then as many as a run of CI has time for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from pathlib import Path

import pytest

from tests.simulation.kinds import PERIOD
from tests.simulation.prove import CORES, kept_seeds, some_worlds
from tests.simulation.worlds import Report, run_world, wanted

WORLDS = 2 * PERIOD
"""Every kind is aimed at twice. `make prove` goes on from there."""
SHARE = 20


@pytest.fixture(scope="module")
def reports() -> dict[int, Report]:
    seeds = list(dict.fromkeys([*kept_seeds(), *range(WORLDS)]))
    shares = [seeds[begin : begin + SHARE] for begin in range(0, len(seeds), SHARE)]
    with ProcessPoolExecutor(CORES) as pool:
        return {report.seed: report for report in chain.from_iterable(pool.map(some_worlds, shares))}


def test_what_once_broke_a_promise_does_so_no_more(reports: dict[int, Report]) -> None:
    for seed in kept_seeds():
        assert not reports[seed].broken, reports[seed].said()


def test_every_promise_is_kept_in_every_world(reports: dict[int, Report]) -> None:
    for seed in range(WORLDS):
        assert not reports[seed].broken, reports[seed].said()


def test_every_kind_of_fault_has_fired_within_two_periods(reports: dict[int, Report]) -> None:
    fired: Counter[str] = Counter()
    for seed in range(2 * PERIOD):
        fired.update({str(kind): count for kind, count in reports[seed].faults.items()})
    assert wanted() <= set(fired), wanted() - set(fired)


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_a_world_is_a_function_of_its_seed_alone(hash_seed: str, reports: dict[int, Report]) -> None:
    code = "from tests.simulation.worlds import run_world; print(*[run_world(seed).digest for seed in range(6)])"
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.split() == [reports[seed].digest for seed in range(6)] == [run_world(seed).digest for seed in range(6)]
