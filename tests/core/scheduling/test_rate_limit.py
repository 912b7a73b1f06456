"""The arithmetic of rates: properties, and a simulated service in virtual arithmetic."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.core.scheduling.rate_limit import CALM_SECONDS, LOWEST_RATE, Paced, RateState, Unlimited

MOST_OPEN = 64


@dataclass
class Result:
    use: float
    throttled: float


@dataclass
class Bucket:
    rate: float
    depth: float
    tokens: float = 0.0
    filled_at: float = 0.0

    def lets_in(self, now: float) -> bool:
        self.tokens = min(self.depth, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now
        is_let_in = self.tokens >= 1
        self.tokens -= is_let_in
        return is_let_in


@dataclass
class Client:
    """One that always wants more."""

    pace: RateState = field(default_factory=Unlimited)
    opened: int = 0
    look_at: float = 0.0

    def begin(self, now: float, world: World) -> None:
        while self.opened < int(self.pace.most_open(MOST_OPEN)):
            ready_at = self.pace.ready_at(now)
            if ready_at > now + 1e-9:
                if not now < self.look_at <= ready_at:
                    self.look_at = ready_at
                    world.schedule(ready_at, "look", self)
                return
            self.pace = self.pace.after_begin(now, waited=True)
            self.opened += 1
            world.schedule(now + world.rng.uniform(0.01, 0.02), "arrive", self, now)

    def take(self, answer: str, begun_at: float, now: float) -> None:
        self.opened -= 1
        is_let_in = answer == "let in"
        self.pace = self.pace.after_accepted(now) if is_let_in else self.pace.after_throttled(now, begun_at)


class World:
    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.events: list[tuple[float, int, str, Client, float]] = []

    def schedule(self, at: float, what: str, client: Client, begun_at: float = 0.0) -> None:
        heapq.heappush(self.events, (at, self.rng.getrandbits(60), what, client, begun_at))


def simulate(
    rate: float,
    depth: float,
    *,
    seconds: float,
    count_from: float = 0.0,
    seed: int = 0,
    replicas: int = 1,
    pace: RateState | None = None,
) -> Result:
    """Clients that always want more, against a token bucket of this rate and depth, 20-40 ms away."""
    world, bucket = World(seed), Bucket(rate, depth, tokens=depth)
    answers = {"let in": 0, "throttled": 0}
    for _ in range(replicas):
        Client(pace or Unlimited()).begin(0.0, world)
    now = 0.0
    while now < seconds:
        now, _, what, client, begun_at = heapq.heappop(world.events)
        if what == "arrive":
            said = "let in" if bucket.lets_in(now) else "throttled"
            world.schedule(now + world.rng.uniform(0.01, 0.02), said, client, begun_at)
            continue
        if what != "look":
            answers[what] += now >= count_from
            client.take(what, begun_at, now)
        client.begin(now, world)
    possible = rate * (now - count_from) + (depth if count_from == 0 else 0)
    return Result(answers["let in"] / possible, answers["throttled"] / sum(answers.values()))


@pytest.mark.parametrize("rate", [1, 2, 5, 10, 20, 100])
@pytest.mark.parametrize("seconds_of_burst", [1, 2])
def test_it_holds_what_the_service_allows_without_knowing_it(rate: int, seconds_of_burst: int) -> None:
    depth = max(2, rate * seconds_of_burst)
    for seed in range(3):
        result = simulate(rate, depth, seconds=400, count_from=60, seed=seed)
        assert result.use >= 0.95
        assert result.throttled < 0.05


@pytest.mark.parametrize("rate", [5, 10, 20, 100])
def test_it_gets_there_soon(rate: int) -> None:
    for seed in range(5):
        result = simulate(rate, rate, seconds=max(15, 300 / rate), seed=seed)
        assert result.use >= 0.95
        assert result.throttled < 0.08


def test_a_shallow_bucket_is_still_mostly_used() -> None:
    assert simulate(1, 1, seconds=600, count_from=60).use >= 0.9
    assert simulate(20, 2, seconds=300, count_from=60).use >= 0.95


class Knowing(Paced):
    """Calls begun evenly, for ever at one rate: what one could do who knew the best one."""

    def after_begin(self, now: float, *, waited: bool) -> RateState:
        return Knowing(self.rate, self.rate, now, 0.0, 0.0, tokens=self._tokens(now) - 1.0)

    def after_accepted(self, now: float) -> Knowing:
        return self

    def after_throttled(self, now: float, begun_at: float) -> Knowing:
        return self


def best_use(rate: float) -> float:
    """Return the most that can be had of a service without any burst.

    A call that comes a moment too early is throttled, and one that comes later is time lost; 10 ms of chance on the way
    are much beside a call each 50 ms.
    """
    paces = [Knowing(rate * share / 100, rate, 0.0, 0.0, 0.0) for share in range(60, 102, 2)]
    results = [simulate(rate, 1, seconds=200, pace=pace) for pace in paces]
    return max(result.use for result in results if result.throttled < 0.05)


@pytest.mark.parametrize("rate", [5, 10, 20])
def test_without_any_burst_it_does_nearly_as_well_as_who_knows_the_best_rate(rate: int) -> None:
    best = best_use(rate)
    assert best < 0.95
    for seed in range(3):
        settled = simulate(rate, 1, seconds=400, count_from=60, seed=seed)
        assert settled.use >= 0.95 * best
        assert settled.throttled < 0.05
        assert simulate(rate, 1, seconds=60, seed=seed).use >= 0.88 * best


@pytest.mark.parametrize("rate", [5, 20, 100])
def test_two_replicas_share_what_there_is(rate: int) -> None:
    result = simulate(rate, rate, seconds=400, count_from=60, replicas=2)
    assert result.use >= 0.95
    assert result.throttled < 0.05


events = st.lists(
    st.tuples(
        st.floats(0, 30),
        st.sampled_from(["begin", "begin at once", "accepted", "throttled", "unused"]),
        st.floats(0, 2),
    ),
    max_size=80,
)


def apply(pace: RateState, happened: str, now: float, ago: float) -> RateState:
    match happened:
        case "begin":
            return pace.after_begin(now, waited=True)
        case "begin at once":
            return pace.after_begin(now, waited=False)
        case "accepted":
            return pace.after_accepted(now)
        case "unused":
            return pace.after_unused()
        case _:
            return pace.after_throttled(now, now - ago)


@given(events)
def test_whatever_happens_it_stays_in_bounds(history: list[tuple[float, str, float]]) -> None:
    pace: RateState = Unlimited()
    now = 0.0
    for passed, happened, ago in history:
        now += passed
        before = pace
        pace = apply(pace, happened, now, ago)
        assert pace.ready_at(now) >= now
        assert 1 <= pace.most_open(MOST_OPEN) <= MOST_OPEN
        if isinstance(pace, Paced):
            assert pace.rate >= LOWEST_RATE
        if happened == "throttled" and isinstance(before, Paced) and isinstance(pace, Paced):
            assert pace.rate <= max(before.rate, LOWEST_RATE)


@given(events)
def test_one_round_trip_cuts_once(history: list[tuple[float, str, float]]) -> None:
    pace: RateState = Unlimited()
    now = 0.0
    for passed, happened, ago in history:
        now += passed
        pace = apply(pace, happened, now, ago)
    once = pace.after_throttled(now, now)
    assert once.after_throttled(now + 0.05, now - 0.01) == once


@given(st.floats(0.5, 200), st.floats(0, 10))
def test_what_waits_is_never_begun_faster_than_the_rate(rate: float, idle: float) -> None:
    pace: RateState = Paced(rate=rate, ceiling=rate, filled_at=0.0, slowed_at=0.0, measured_from=0.0)
    now, begun = idle, 0
    while now < idle + 5:
        now = max(now, pace.ready_at(now))
        pace = pace.after_begin(now, waited=False)
        begun += 1
    assert begun <= 5 * rate + max(1.0, rate * 0.05) + 2


def test_calm_lifts_the_limit() -> None:
    pace = Unlimited().after_accepted(0.0).after_throttled(0.1, 0.0)
    assert isinstance(pace.after_begin(10.0, waited=False), Paced)
    assert pace.after_begin(CALM_SECONDS * 10, waited=False) == Unlimited()
