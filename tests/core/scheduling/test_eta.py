"""Estimates: nothing where nothing is known, never earlier for a later place, and right where the world is regular."""

from __future__ import annotations

import heapq
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.core.scheduling.eta import SHARE_OVERDUE, forecast, remaining_seconds

SECONDS = st.floats(0.0, 10_000.0)


def test_nothing_is_said_where_nothing_is_known() -> None:
    assert remaining_seconds([], 10.0) is None
    assert forecast([], [10.0], 0, 2) is None, "no creation has ended yet"
    assert forecast([600.0], [10.0], 0, 0) is None, "it is not the creations that fill the account"


def test_a_creation_is_expected_to_take_as_long_as_those_before() -> None:
    assert remaining_seconds([500.0, 600.0, 700.0], 0.0) == 600.0
    assert remaining_seconds([500.0, 600.0, 700.0], 550.0) == 100.0
    assert remaining_seconds([500.0, 600.0, 700.0], 690.0) == 10.0
    assert remaining_seconds([500.0, 600.0, 700.0], 1000.0) == 1000.0 * SHARE_OVERDUE


def test_slots_fall_free_as_creations_end_and_are_taken_again() -> None:
    foreseen = forecast([600.0], [500.0, 200.0], 0, 2)
    assert foreseen is not None
    assert [foreseen.to_slot(place) for place in range(1, 6)] == [100.0, 400.0, 700.0, 1000.0, 1300.0]


def test_what_others_have_in_creation_holds_slots_too() -> None:
    foreseen = forecast([600.0], [500.0], 1, 2)
    assert foreseen is not None
    assert [foreseen.to_slot(place) for place in (1, 2)] == [100.0, 300.0]


def test_a_free_slot_is_to_be_had_at_once() -> None:
    foreseen = forecast([600.0], [500.0], 0, 2)
    assert foreseen is not None
    assert [foreseen.to_slot(place) for place in (1, 2)] == [0.0, 100.0]


def test_more_than_the_limit_must_end_first() -> None:
    foreseen = forecast([600.0], [500.0, 400.0, 300.0], 0, 1)
    assert foreseen is not None
    assert foreseen.to_slot(1) == 300.0


@given(st.lists(SECONDS, min_size=1, max_size=8), st.lists(SECONDS, max_size=8), st.integers(0, 5), st.integers(1, 6))
def test_a_later_place_is_never_told_an_earlier_time(times: list[float], passed: list[float], others: int, limit: int) -> None:
    foreseen = forecast(times, passed, others, limit)
    assert foreseen is not None
    told = [foreseen.to_slot(place) for place in range(1, 40)]
    assert told[0] >= 0
    assert all(early <= late + 1e-6 for early, late in pairwise(told))


@given(st.integers(1, 600), st.integers(1, 5), st.lists(st.integers(0, 599), min_size=1, max_size=5), st.integers(1, 30))
def test_where_every_creation_takes_as_long_the_estimate_is_what_comes_true(
    taken: int, limit: int, passed: list[int], place: int
) -> None:
    passed = [each % taken for each in passed][:limit]
    ends = [float(taken - each) for each in passed] + [0.0] * (limit - len(passed))
    heapq.heapify(ends)
    for _ in range(place - 1):
        heapq.heappush(ends, heapq.heappop(ends) + taken)
    foreseen = forecast([float(taken)], [float(each) for each in passed], 0, limit)
    assert foreseen is not None
    assert foreseen.to_slot(place) == pytest.approx(ends[0])


@given(st.lists(SECONDS, min_size=1, max_size=8), SECONDS, st.floats(0.0, 100.0))
def test_as_time_passes_the_end_is_never_expected_earlier(times: list[float], passed: float, later: float) -> None:
    first, second = remaining_seconds(times, passed), remaining_seconds(times, passed + later)
    assert first is not None
    assert second is not None
    assert first >= 0
    assert passed + first <= passed + later + second + 1e-6
