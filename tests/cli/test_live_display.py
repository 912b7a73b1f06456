"""The line that moves while somebody waits: how long it has taken, and how long it may yet."""

from __future__ import annotations

import pytest

from slipway.cli.live_display import times
from slipway.core.scheduling.eta import NOTHING_KNOWN, Eta


@pytest.mark.parametrize(
    ("prospect", "in_creation", "usual", "ago", "said"),
    [
        (NOTHING_KNOWN, None, 540.0, 3.0, "1:02"),
        (NOTHING_KNOWN, 30.0, None, 3.0, "1:02, in creation 30 s"),
        (NOTHING_KNOWN, 30.0, 540.0, 3.0, "1:02, in creation 30 s of usually 9:00"),
        (Eta(to_end=510.0), 30.0, 540.0, 0.0, "1:02, in creation 30 s of usually 9:00, end in about 8:30"),
        (Eta(3, 250.0, 850.0), None, None, 10.0, "1:02, slot in about 4:00, end in about 14:00"),
        (Eta(1, 5.0, 605.0), None, None, 10.0, "1:02, slot at any moment, end in about 9:55"),
        (Eta(2), None, None, 1.0, "1:02"),
    ],
)
def test_what_was_reckoned_is_counted_down(
    prospect: Eta, in_creation: float | None, usual: float | None, ago: float, said: str
) -> None:
    assert times(prospect, 62.0, in_creation, usual, ago) == said
