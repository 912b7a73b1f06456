"""The line for slots: strict between priorities, fair between tenants, by age within one; whatever comes and goes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from slipway.core.scheduling.fair_queue import FairQueue, QueueEntry

TENANTS = [None, "a", "b", "c"]
WEIGHTS = {"a": 3, "c": 7}


def weight(tenant: str | None) -> int:
    return WEIGHTS.get(tenant or "", 1)


def drained(line: FairQueue[str]) -> list[str]:
    return [line.next().waiter for _ in range(len(line))]


def filled(*asked: tuple[str, int, str | None], weights: dict[str, int] | None = None) -> FairQueue[str]:
    """Return a line of (who, priority, tenant), each older than the next."""
    line: FairQueue[str] = FairQueue(weights or {})
    for age, (who, priority, tenant) in enumerate(asked):
        line.join(who, priority=priority, tenant=tenant, first_received=float(age))
    return line


def test_without_priorities_and_tenants_the_oldest_goes_first() -> None:
    line: FairQueue[str] = FairQueue({})
    for who, age in (("middle", 5.0), ("newest", 9.0), ("oldest", 1.0), ("middle too", 5.0)):
        line.join(who, priority=0, tenant=None, first_received=age)
    assert drained(line) == ["oldest", "middle", "middle too", "newest"]


def test_a_higher_priority_goes_first_whoever_it_is_of() -> None:
    line = filled(("low", -5, "a"), ("usual", 0, "b"), ("high", 5, "a"), ("high too", 5, "a"))
    assert drained(line) == ["high", "high too", "usual", "low"]


def test_tenants_take_turns_however_many_one_of_them_asks_for() -> None:
    noisy = [(f"noisy {number}", 0, "noisy") for number in range(50)]
    line = filled(*noisy, ("late 0", 0, "late"), ("late 1", 0, "late"), ("none", 0, None))
    assert drained(line)[:6] == ["noisy 0", "late 0", "none", "noisy 1", "late 1", "noisy 2"]


def test_a_weight_of_three_gets_three_turns_to_one() -> None:
    asked = [(tenant, 0, tenant) for _ in range(40) for tenant in ("small", "large")]
    line = filled(*asked, weights={"large": 3})
    assert Counter(drained(line)[:40]) == {"large": 30, "small": 10}


def test_who_comes_late_has_saved_up_nothing() -> None:
    line = filled(*[(f"early {number}", 0, "early") for number in range(40)])
    for _ in range(20):
        line.next()
    for number in range(20):
        line.join(f"late {number}", priority=0, tenant="late", first_received=100.0)
    assert Counter(who.split()[0] for who in drained(line)[:10]) == {"early": 5, "late": 5}


def test_to_leave_and_come_again_is_no_way_to_more_turns() -> None:
    line = filled(*[(f"patient {number}", 0, "patient") for number in range(20)])
    turns: Counter[str] = Counter()
    for _ in range(20):
        line.join("restless", priority=0, tenant="restless", first_received=0.0)
        turns[line.next().waiter.split()[0]] += 1
    assert turns == {"patient": 10, "restless": 10}


def test_a_turn_that_came_to_nothing_is_not_charged() -> None:
    """A full account is tried with one create at a time: whose turn that was would fall behind, for nothing."""
    line = filled(("a 0", 0, "a"), ("b 0", 0, "b"), ("a 1", 0, "a"), ("b 1", 0, "b"))
    for _ in range(5):
        tried = line.next()
        assert tried.waiter == "a 0"
        line.give_back(tried)
        line.join(tried.waiter, priority=0, tenant="a", first_received=tried.first_received)
    assert drained(line) == ["a 0", "b 0", "a 1", "b 1"]


def test_who_leaves_takes_nobodys_turn() -> None:
    line = filled(("a 0", 0, "a"), ("b 0", 0, "b"))
    gone = line.join("a 1", priority=0, tenant="a", first_received=-1.0)
    assert line.rank(gone) == 1
    assert (line.leave(gone), line.leave(gone)) == (True, False)
    assert drained(line) == ["a 0", "b 0"]


def test_nobody_is_next_in_an_empty_line() -> None:
    with pytest.raises(IndexError):
        FairQueue[str]({}).next()


def test_tenants_who_are_gone_are_forgotten() -> None:
    line = filled(("stays", -1, "stays"), ("stays", 0, "stays"))
    for number in range(1000):
        line.leave(line.join("passing", priority=0, tenant=f"t-{number}", first_received=0.0))
    assert len(line._levels[0].tenants) <= 20  # noqa: SLF001  what is kept is the point


class Lines(RuleBasedStateMachine):
    """Anything that may happen to a line, beside the plainest account of it there is: who waits, and who was passed over."""

    def __init__(self) -> None:
        super().__init__()
        self.line: FairQueue[int] = FairQueue(WEIGHTS)
        self.waiting: list[QueueEntry[int]] = []
        self.taken: list[QueueEntry[int]] = []
        self.passed: Counter[tuple[int, Any, Any]] = Counter()
        """By priority: how many turns one tenant has had while another waited for its next."""

    @rule(priority=st.sampled_from([-1, 0, 0, 0, 2]), tenant=st.sampled_from(TENANTS), age=st.integers(0, 5))
    def join(self, priority: int, tenant: str | None, age: int) -> None:
        self.waiting.append(self.line.join(len(self.waiting), priority=priority, tenant=tenant, first_received=float(age)))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        gone = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        assert self.line.leave(gone)
        assert not self.line.leave(gone)
        self._settle(gone)

    @precondition(lambda self: self.waiting)
    @rule()
    def go(self) -> None:
        foretold = self.line.in_order()[0]
        place = self.line.next()
        assert place is foretold
        assert place.priority == max(each.priority for each in self.waiting), "priorities are strict"
        peers = [each for each in self.waiting if each.priority == place.priority]
        assert place == min(each for each in peers if each.tenant == place.tenant), "by age within a tenant"
        self.waiting.remove(place)
        self.taken.append(place)
        for tenant in {each.tenant for each in peers} - {place.tenant}:
            self.passed[place.priority, place.tenant, tenant] += 1
            most = 1 + weight(place.tenant) / weight(tenant)
            assert self.passed[place.priority, place.tenant, tenant] <= most, "nobody starves"
        for key in [key for key in self.passed if (key[0], key[2]) == (place.priority, place.tenant)]:
            del self.passed[key]
        self._settle(place)

    @precondition(lambda self: self.taken)
    @rule()
    def give_back(self) -> None:
        """Only the last, as it is with a full account: one is tried, and refused."""
        place = self.taken.pop()
        self.line.give_back(place)
        for key in [key for key in self.passed if key[:2] == (place.priority, place.tenant)]:
            self.passed[key] = max(0, self.passed[key] - 1)
        self.taken.clear()

    def _settle(self, place: QueueEntry[int]) -> None:
        """Whoever has nobody in line waits for nothing."""
        if not any((each.priority, each.tenant) == (place.priority, place.tenant) for each in self.waiting):
            for key in [key for key in self.passed if (key[0], key[2]) == (place.priority, place.tenant)]:
                del self.passed[key]

    @invariant()
    def everybody_has_the_place_that_is_told(self) -> None:
        order = self.line.in_order()
        assert len(self.line) == len(order) == len(self.waiting)
        assert sorted(order) == sorted(self.waiting)
        assert [self.line.rank(place) for place in order] == list(range(1, len(order) + 1))
        assert all(self.line.in_order(most) == order[:most] for most in range(len(order) + 2))


TestLines = Lines.TestCase


@given(st.lists(st.tuples(st.sampled_from([-1, 0, 3]), st.sampled_from(TENANTS), st.integers(0, 9)), max_size=60))
def test_the_order_that_is_told_is_the_order_that_comes(asked: list[tuple[int, str | None, int]]) -> None:
    line: FairQueue[int] = FairQueue(WEIGHTS)
    for number, (priority, tenant, age) in enumerate(asked):
        line.join(number, priority=priority, tenant=tenant, first_received=float(age))
    assert [place.waiter for place in line.in_order()] == [line.next().waiter for _ in range(len(line))]


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=40), st.integers(0, 30))
def test_whoever_waits_waits_for_a_bounded_number_of_turns(noise: list[str], before: int) -> None:
    """However many came before, and keep coming: each other tenant has no more turns than its weight allows."""
    line: FairQueue[str] = FairQueue(WEIGHTS)
    for number in range(200):
        line.join(noise[number % len(noise)], priority=0, tenant=noise[number % len(noise)], first_received=float(number))
    for _ in range(before):
        line.next()
    line.join("quiet", priority=0, tenant="quiet", first_received=1e9)
    turns: Counter[str] = Counter()
    while (who := line.next().waiter) != "quiet":
        turns[who] += 1
        line.join(who, priority=0, tenant=who, first_received=0.0)
    assert all(count <= 1 + weight(who) for who, count in turns.items())
