"""Which world aims at which kind."""

from __future__ import annotations

from tests.simulation.chaos import MISCHIEF
from tests.simulation.kinds import AIMED, AS_THEY_WERE, FEW_NAMES, FIFO, KINDS, PERIOD, STANDARD, SWITCHES, Drawn, aim_of
from tests.simulation.prove import FIRST_SEED
from tests.simulation.workload_actions import ACTIONS
from tests.simulator.wire_faults import Fault


def test_any_worlds_in_a_row_aim_at_every_kind() -> None:
    for begin in (FIRST_SEED, FIRST_SEED + 1, FIRST_SEED + 77, 200_000):
        seeds = [seed for seed in range(begin, begin + PERIOD) if seed not in AS_THEY_WERE]
        assert {aim_of(seed, MISCHIEF) for seed in seeds} == {*KINDS, *MISCHIEF, None}


def test_a_long_run_begins_with_the_rare_kinds() -> None:
    aims = [aim_of(FIRST_SEED + number, MISCHIEF) for number in range(AIMED)]
    assert [aim for aim in aims if aim in KINDS] == list(KINDS)


def test_what_a_kind_needs_exists() -> None:
    known = {*KINDS, *MISCHIEF, *SWITCHES, *ACTIONS, *map(str, Fault), FIFO, STANDARD, FEW_NAMES}
    assert {need for kind in KINDS.values() for need in kind.needs} <= known


def test_a_world_has_what_it_aims_at_and_what_that_needs() -> None:
    for seed in range(PERIOD):
        drawn = Drawn(seed, MISCHIEF)
        if drawn.aim is not None:
            assert drawn.has(drawn.aim) or drawn.aim in MISCHIEF
            assert drawn.aim in MISCHIEF or set(KINDS[drawn.aim].needs) <= drawn.forced
            assert drawn.forced & set(MISCHIEF) <= set(drawn.chaos())


def test_a_new_kind_leaves_the_worlds_that_aim_at_another_as_they_are() -> None:
    before = [aim_of(seed, MISCHIEF) for seed in range(PERIOD)]
    after = [aim_of(seed, [*MISCHIEF, "a new one"]) for seed in range(PERIOD)]
    assert [one for one in zip(before, after, strict=True) if one[0] != one[1]] == [(None, "a new one")]
