"""Slots: what is learned from refusals, and that a freed slot is always used at the next sweep."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from slipway.core.scheduling.quota import FIRST_WINDOW, LARGEST_WINDOW, Counts, Quota


def test_without_a_refusal_only_the_window_limits() -> None:
    assert Quota().room(Counts(500, 5000), 0) == FIRST_WINDOW
    assert Quota().room(Counts(0, 0), 3) == FIRST_WINDOW - 3


def test_the_window_doubles_with_success_and_closes_with_a_refusal() -> None:
    quota = Quota()
    for _ in range(10):
        quota = quota.after_success(Counts(1, 1))
    assert quota.window == LARGEST_WINDOW
    assert quota.after_refusal(Counts(2, 2), 0.0).window == 1


def test_limits_from_settings_are_never_passed() -> None:
    quota = Quota(max_creating=2, max_total=10)
    assert quota.room(Counts(0, 0), 0) == 2
    assert quota.room(Counts(1, 3), 1) == 0
    assert quota.room(Counts(0, 9), 0) == 1
    assert quota.room(Counts(0, 12), 0) == 0


def test_after_a_refusal_there_is_room_when_either_count_falls() -> None:
    quota = Quota().after_refusal(Counts(2, 7), 0.0)
    assert quota.room(Counts(2, 7), 0) == 0
    assert quota.room(Counts(1, 7), 0) == 1
    assert quota.room(Counts(2, 6), 0) == 1


def test_a_mark_is_tested_at_the_next_sweep_and_then_ever_more_rarely() -> None:
    quota = Quota().after_refusal(Counts(2, 7), 100.0)
    assert quota.room(Counts(2, 7), 0, probe_time=100.0) == 1
    quota = quota.after_refusal(Counts(2, 7), 100.0)
    assert quota.room(Counts(2, 7), 0, probe_time=114.0) == 0
    assert quota.room(Counts(2, 7), 0, probe_time=115.0) == 1
    quota = quota.after_refusal(Counts(2, 7), 115.0)
    assert quota.room(Counts(2, 7), 0, probe_time=144.0) == 0
    assert quota.room(Counts(2, 7), 0, probe_time=145.0) == 1


def test_what_exists_raises_the_mark() -> None:
    quota = Quota().after_refusal(Counts(0, 0), 0.0).after_sweep(Counts(2, 5))
    assert quota.mark == Counts(2, 5)
    assert quota.room(Counts(1, 5), 0) == 1


def test_the_window_alone_does_not_make_an_account_full() -> None:
    assert Quota().room(Counts(0, 0), FIRST_WINDOW) == 0
    assert not Quota().is_full(Counts(0, 0), FIRST_WINDOW)
    assert Quota().after_refusal(Counts(2, 7), 0.0).is_full(Counts(2, 7), 0)
    assert Quota(max_creating=2).is_full(Counts(1, 1), 1)


def test_what_is_known_is_said_in_words() -> None:
    assert Quota().describe(Counts(0, 0)) == "the quota is not known yet"
    assert Quota(2, 0).describe(Counts(1, 7)) == "1 of 2 in creation (limit set), 7 in total"
    refused = Quota().after_refusal(Counts(2, 7), 0.0)
    assert refused.describe(Counts(2, 7)) == "Bedrock refused a create at 2 in creation, 7 in total"
    assert refused.learn(Counts(2, 7)).describe(Counts(2, 7)) == "2 of 2 in creation (limit learned), 7 in total"


def refused_at(quota: Quota, creating: int, total: int) -> Quota:
    return quota.after_refusal(Counts(creating, total), 0.0).learn(Counts(creating, total))


def known(quota: Quota) -> tuple[int, int]:
    return quota.limit_in_creation, quota.limit_in_total


def test_one_learned_limit_does_not_forget_the_other() -> None:
    quota = refused_at(Quota(), 2, 7)
    assert known(quota) == (2, 0)
    quota = refused_at(quota, 0, 10)
    assert known(quota) == (2, 10), "the total was met with none in creation"
    quota = refused_at(quota, 2, 8)
    assert known(quota) == (2, 10), "creations were met, after two were deleted"
    quota = refused_at(quota, 1, 10)
    assert known(quota) == (2, 10)
    assert known(refused_at(refused_at(Quota(), 0, 10), 2, 9)) == (2, 10)
    assert known(refused_at(refused_at(Quota(), 2, 5), 1, 10)) == (2, 10), "fewer than two in creation: it is the total"


def test_what_exists_disproves_a_learned_limit_and_no_other() -> None:
    quota = refused_at(refused_at(Quota(), 2, 7), 0, 10)
    assert known(quota.learn(Counts(3, 10))) == (0, 10)
    assert known(quota.learn(Counts(0, 11))) == (2, 0)
    assert known(refused_at(quota.learn(Counts(3, 10)), 5, 10)) == (0, 10), "the total is full, which explains the refusal"
    assert known(quota.learn(Counts(0, 0))) == (2, 10)


def test_a_set_limit_is_never_shown_as_larger_than_a_learned_one() -> None:
    assert known(refused_at(Quota(max_creating=5), 2, 4)) == (5, 4)
    assert known(refused_at(Quota(max_creating=2, max_total=20), 0, 9)) == (2, 9)


@given(st.integers(1, 4), st.integers(2, 12), st.integers(0, 2**32))
def test_what_is_learned_of_an_account_that_nobody_else_uses_is_true(max_creating: int, max_total: int, seed: int) -> None:
    rng = random.Random(seed)
    max_creating = min(max_creating, max_total - 1)
    quota, creating, total = Quota(), 0, 0
    for sweep in range(60):
        while quota.room(Counts(creating, total), 0, sweep * 15.0) > 0:
            if creating < max_creating and total < max_total:
                creating, total = creating + 1, total + 1
                quota = quota.after_success(Counts(creating, total))
            else:
                quota = quota.after_refusal(Counts(creating, total), sweep * 15.0)
                break
        quota = quota.learn(Counts(creating, total))
        assert quota.learned_creating in {0, max_creating}
        assert quota.learned_total in {0, max_total}
        creating -= rng.randint(0, creating)
        total -= rng.randint(0, total - creating) if rng.random() < 0.2 else 0


def test_how_many_may_be_in_creation_is_the_lowest_limit_that_is_known() -> None:
    counts = Counts(2, 7)
    assert Quota().creating_limit(counts) == 0
    assert Quota(max_creating=3).creating_limit(counts) == 3
    assert Quota(max_creating=3).after_refusal(counts, 0.0).creating_limit(counts) == 2


def test_where_the_total_is_full_no_end_of_a_creation_frees_a_slot() -> None:
    assert Quota(max_creating=3, max_total=7).creating_limit(Counts(2, 7)) == 0
    assert Quota(max_creating=3).after_refusal(Counts(0, 7), 0.0).creating_limit(Counts(0, 7)) == 0


@given(st.integers(1, 5), st.integers(1, 20), st.integers(0, 30), st.integers(0, 2**32))
def test_a_free_slot_is_used_at_the_next_sweep_whatever_others_do(
    max_creating: int, max_total: int, others: int, seed: int
) -> None:
    """Against an account that enforces hidden limits: once full, whatever falls free by a sweep is taken at that sweep."""
    rng = random.Random(seed)
    quota = Quota()
    creating, total = min(others, max_creating), min(others, max_total)
    creating = min(creating, total)
    for sweep in range(40):
        now = sweep * 15.0
        if sweep > 3:
            ended = rng.randint(0, creating)
            creating -= ended
            deleted = rng.randint(0, total - creating) if rng.random() < 0.3 else 0
            total -= deleted
        counts = Counts(creating, total)
        quota = quota.after_sweep(counts)
        probe: float | None = now
        while quota.room(Counts(creating, total), 0, probe) > 0:
            if creating < max_creating and total < max_total:
                creating, total = creating + 1, total + 1
                quota = quota.after_success(Counts(creating, total))
            else:
                quota = quota.after_refusal(Counts(creating, total), now)
                probe = None
        assert creating <= max_creating
        assert total <= max_total
        if sweep > 3 and quota.mark is not None:
            assert creating == max_creating or total == max_total, "a slot stayed free"
