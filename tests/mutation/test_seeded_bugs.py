"""Bugs planted into the real code: the proof sees each of them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from tests.mutation import seeded_bugs


@pytest.mark.parametrize("bug", seeded_bugs.SEEDED_BUGS, ids=lambda bug: bug.name)
def test_what_is_replaced_is_there_exactly_once(bug: seeded_bugs.SeededBug) -> None:
    spec = importlib.util.find_spec(bug.module)
    assert spec is not None
    assert spec.origin is not None
    assert seeded_bugs.bugged(bug, Path(spec.origin).read_text())


def test_every_planted_bug_is_caught() -> None:
    caught = seeded_bugs.catch_all()
    sys.stdout.write(seeded_bugs.in_table(caught))
    assert None not in caught.values(), seeded_bugs.in_table(caught)
    assert len(caught) >= 20
