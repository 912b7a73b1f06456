"""One create lifetime: a kill, a halt, a SIGTERM, a lapse before every loop step; every fault of every call; and pairs."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from itertools import chain

import pytest

from tests.simulation import one_lifetime as lifetime
from tests.simulation.prove import CORES, some_lifetimes

PARTS = 5
"""The pairs take minutes: each run of CI takes one part, by the commit that it is run on."""
PART = int(os.environ.get("PROOF_PART", "0")) % PARTS
SHARES = 20
SINGLES = list(lifetime.singles())


@pytest.mark.parametrize("kind", [*lifetime.AT_STEPS, *map(str, lifetime.FAULTS)])
def test_a_misfortune_at_every_point_of_a_lifetime_breaks_nothing(kind: str) -> None:
    told = lifetime.first_broken(one for one in SINGLES if one[0].kind == kind)
    assert told is None, told.said()


def test_every_step_and_every_call_has_its_misfortunes() -> None:
    kinds = {one.kind for (one,) in SINGLES}
    assert kinds == {*lifetime.AT_STEPS, *map(str, lifetime.FAULTS)}
    assert sum(one.kind == "kill -9" for (one,) in SINGLES) > 80


def test_two_misfortunes_break_nothing() -> None:
    some = list(lifetime.pairs(PART, PARTS))
    with ProcessPoolExecutor(CORES) as pool:
        broken = list(chain.from_iterable(pool.map(some_lifetimes, (some[begin::SHARES] for begin in range(SHARES)))))
    assert len(some) > 1000
    assert not broken, broken[0]


def test_a_message_that_comes_again_and_again_before_a_kill_is_not_lost() -> None:
    told = lifetime.first_broken(lifetime.threes())
    assert told is None, told.said()


def test_a_misfortune_can_be_said_and_read() -> None:
    two = next(lifetime.pairs())
    assert lifetime.spoken(" and ".join(map(str, two))) == two
