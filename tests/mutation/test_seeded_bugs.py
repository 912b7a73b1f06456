"""Bugs planted into the real code: the proof sees each of them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from tests.mutation import seeded_bugs as planted

_OPEN = Path(__file__).parents[1] / "simulation" / "open.txt"
OPEN = {line.removeprefix("bug: ") for line in _OPEN.read_text("utf-8").splitlines() if line.startswith("bug: ")}
"""Bugs that nothing is known to catch. A release is refused until there are none."""


@pytest.mark.parametrize("plant", planted.PLANTS, ids=lambda plant: plant.name)
def test_what_is_replaced_is_there_exactly_once(plant: planted.Plant) -> None:
    spec = importlib.util.find_spec(plant.module)
    assert spec is not None
    assert spec.origin is not None
    assert planted.bugged(plant, Path(spec.origin).read_text())


def test_every_planted_bug_is_caught() -> None:
    caught = planted.catch_all()
    sys.stdout.write(planted.in_table(caught))
    not_caught = {name for name, where in caught.items() if where is None}
    assert not_caught <= OPEN, planted.in_table(caught)
    assert len(caught) >= 20
