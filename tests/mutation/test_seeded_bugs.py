"""Bugs planted into the real code: the proof sees each of them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from tests.mutation import seeded_bugs

_OPEN = Path(__file__).parents[1] / "simulation" / "open.txt"
OPEN = {line.removeprefix("bug: ") for line in _OPEN.read_text("utf-8").splitlines() if line.startswith("bug: ")}
"""Bugs that nothing is known to catch. A release is refused until there are none."""


@pytest.mark.parametrize("bug", seeded_bugs.SEEDED_BUGS, ids=lambda bug: bug.name)
def test_what_is_replaced_is_there_exactly_once(bug: seeded_bugs.SeededBug) -> None:
    spec = importlib.util.find_spec(bug.module)
    assert spec is not None
    assert spec.origin is not None
    assert seeded_bugs.bugged(bug, Path(spec.origin).read_text())


def test_every_planted_bug_is_caught() -> None:
    caught = seeded_bugs.catch_all()
    sys.stdout.write(seeded_bugs.in_table(caught))
    not_caught = {name for name, where in caught.items() if where is None}
    assert not_caught <= OPEN, seeded_bugs.in_table(caught)
    assert len(caught) >= 20
