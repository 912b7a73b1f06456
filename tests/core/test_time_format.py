"""Durations for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.core.time_format import MOST_COLUMNS, columns, format_duration, format_duration_roughly


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-3.0, "0 s"),
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60.0, "1 min"),
        (185.0, "3 min 05 s"),
        (3599.0, "59 min 59 s"),
        (3600.0, "1 h"),
        (4800.0, "1 h 20 min"),
        (86_400.0, "1 d"),
        (190_000.0, "2 d 4 h"),
    ],
)
def test_a_duration_is_said_with_its_two_largest_units(seconds: float, said: str) -> None:
    assert format_duration(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0, "about 5 s"), (12.0, "about 10 s"), (58.0, "about 1 min"), (100.0, "about 2 min"), (3800.0, "about 1 h 05 min")],
)
def test_an_estimate_is_said_as_one(seconds: float, said: str) -> None:
    assert format_duration_roughly(seconds) == said


@given(st.lists(st.floats(0.0, 1e9), min_size=1, max_size=50))
def test_each_duration_is_in_one_column_and_columns_are_few_and_even(durations: list[float]) -> None:
    made = columns(durations)
    assert sum(column.count for column in made) == len(durations)
    assert len(made) <= MOST_COLUMNS
    assert len({column.most - column.least for column in made}) == 1
    assert made[0].least <= min(durations)
    assert max(durations) <= made[-1].most
    for column in made:
        assert column.count == sum(column.least <= duration < column.most for duration in durations)


def test_nothing_has_no_columns() -> None:
    assert columns([]) == ()
