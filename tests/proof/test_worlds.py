"""Worlds in which much goes wrong: what once broke first, then as many as a run of CI has time for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.proof.prove import kept_seeds
from tests.proof.worlds import MISCHIEF, run_world
from tests.world.wire import Fault

WORLDS = 500
SHARES = 10
FIRED: Counter[str] = Counter()


@pytest.mark.parametrize("seed", kept_seeds())
def test_what_once_broke_a_promise_does_so_no_more(seed: int) -> None:
    report = run_world(seed)
    assert not report.broken, report.said()


@pytest.mark.parametrize("share", range(SHARES))
def test_every_promise_is_kept_in_every_world(share: int) -> None:
    for seed in range(share, WORLDS, SHARES):
        report = run_world(seed)
        assert not report.broken, report.said()
        FIRED.update(report.faults)


def test_every_fault_has_fired() -> None:
    for seed in range(WORLDS, WORLDS + 60 * (not FIRED)):
        FIRED.update(run_world(seed).faults)
    assert {*MISCHIEF, *Fault} <= set(FIRED), {*MISCHIEF, *Fault} - set(FIRED)


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_a_world_is_a_function_of_its_seed_alone(hash_seed: str) -> None:
    code = "from tests.proof.worlds import run_world; print(*[run_world(seed).digest for seed in range(6)])"
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.split() == [run_world(seed).digest for seed in range(6)]
