"""The adaptive rate limit for calls to AWS, learned only from their results.

    Unlimited ──first throttle──▶ Paced, seeking ──a throttle reveals the rate──▶ Paced, holding
     ▲                                ▲    │                                        │  │
     │                                └────┼──six cuts in a row, or far above it────┘  │
     └──────────no throttle for long───────┴───────────────────────────────────────────┘

`Unlimited` bounds only the number of open calls, and widens with success, so that a few calls meet the end of a service's burst
and not all. `Paced` starts calls evenly. While *seeking*, it doubles the rate until throttled. While *holding*, it follows a
cubic curve around the rate that the service was found to allow (as TCP CUBIC does): fast to just below it, long near it, then
slowly above. The allowed rate is measured: between two throttles the service's token bucket went from empty to empty, so the
calls accepted in between are its refill. No clock here: `now` is a monotonic time in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

FIRST_OPEN: Final = 4
SUCCESSES_TO_WIDEN: Final = 12
COUNTED_SECONDS: Final = 1.0
START_SHARE: Final = 0.7
"""Share of the last second's rate after the first throttle: that rate included a burst."""
LEAST_FIRST_RATE: Final = 4.0
"""Calls per second, of which `START_SHARE` is the lowest first rate: a throttle among the first calls shows a small burst, not
a low rate."""
LOWEST_RATE: Final = 0.5
"""Calls per second, however often throttled: the end of throttling must be noticed."""
DOUBLING_SECONDS: Final = 0.75
DOUBLING_CALLS: Final = 6
BACK_TO: Final = 0.93
"""Share of the ceiling after a cut."""
PROBE_SHARE: Final = 0.25
LONGEST_PHASE: Final = 2.0
"""At this phase, a quarter above the ceiling without a throttle, the ceiling is given up."""
HARD_BACK_TO: Final = 0.7
SHORTEST_CYCLE_SECONDS: Final = 3.0
SHORTEST_CYCLE_CALLS: Final = 40
LONGEST_CYCLE_SECONDS: Final = 40.0
CALLS_TO_MEASURE: Final = 12
"""Fewest accepted calls between two throttles that make a measurement."""
CALLS_TO_TRUST: Final = 100
CUTS: Final = (0.97, 0.93, 0.9, 0.8, 0.7, 0.7)
CALM_SECONDS: Final = 120.0
CALM_CYCLES: Final = 4
BURST_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Unlimited:
    """Not throttled recently: only the number of open calls is bounded."""

    open_limit: float = FIRST_OPEN
    second: float = 0.0
    """When the currently counted second began."""
    accepted: int = 0
    accepted_before: int = 0

    def most_open(self, most: int) -> float:
        """Return how many calls may be open at once."""
        return min(self.open_limit, most)

    def ready_at(self, now: float) -> float:
        """Return when the next call may start: now."""
        return now

    def after_begin(self, now: float, *, waited: bool) -> RateState:  # noqa: ARG002 (one shape with Paced)
        """Return the state after a call started: unchanged."""
        return self

    def after_unused(self) -> Unlimited:
        """Return the state after a started call was not made."""
        return self

    def after_accepted(self, now: float) -> Unlimited:
        """Return the state after the service accepted a call."""
        wider = self.open_limit + 1 / SUCCESSES_TO_WIDEN
        passed = now - self.second
        if passed < COUNTED_SECONDS:
            return Unlimited(wider, self.second, self.accepted + 1, self.accepted_before)
        return Unlimited(wider, now, 1, self.accepted if passed < 2 * COUNTED_SECONDS else 0)

    def after_throttled(self, now: float, begun_at: float) -> Paced:  # noqa: ARG002 (one shape with Paced)
        """Return the state after the first throttle: a share of the recently accepted rate."""
        passed = now - self.second
        accepted_before = self.accepted_before * max(0.0, COUNTED_SECONDS - passed)
        recent_rate = (self.accepted + accepted_before) / max(passed, COUNTED_SECONDS)
        rate = START_SHARE * max(recent_rate, LEAST_FIRST_RATE)
        return Paced(rate=rate, ceiling=None, filled_at=now, slowed_at=now, measured_from=now)


@dataclass(frozen=True, slots=True)
class Paced:
    """Throttled recently: calls start evenly, `rate` per second."""

    rate: float
    ceiling: float | None
    """The rate that the service is believed to allow; None while seeking it."""
    filled_at: float
    slowed_at: float
    """When the rate was last cut. A throttle of a call that started before shows nothing new."""
    measured_from: float
    """Time of a throttle, when the service's bucket was empty. `accepted` calls were accepted since."""
    accepted: int = 0
    tokens: float = 0.0
    phase: float = 0.0
    """Position on the curve: 0 after the cut, 1 at the ceiling, above 1 probing."""
    strikes: int = 0
    """Cuts in a row with too few accepted calls between them for a measurement: each cuts deeper."""

    def most_open(self, most: int) -> float:
        """Return how many calls may be open at once: the rate is the bound."""
        return most

    def ready_at(self, now: float) -> float:
        """Return when the next call may start."""
        tokens = self._tokens(now)
        return now if tokens >= 1.0 else now + (1.0 - tokens) / self.rate

    def after_begin(self, now: float, *, waited: bool) -> RateState:
        """Return the state after a call started. Only a call that waited advances the rate: an unused rate proves nothing."""
        if not waited and self._is_calm(now):
            return Unlimited()
        tokens = self._tokens(now) - 1.0
        if not waited:
            return replace(self, filled_at=now, tokens=tokens)
        if self.ceiling is None:
            rate = self.rate * 2 ** (1 / max(DOUBLING_CALLS, DOUBLING_SECONDS * self.rate))
            return replace(self, filled_at=now, tokens=tokens, rate=rate)
        phase = self.phase + 1 / (self.rate * _cycle_seconds(self.ceiling))
        if phase > LONGEST_PHASE:
            return replace(self, filled_at=now, tokens=tokens, ceiling=None)
        share = PROBE_SHARE if phase > 1 else 1 - BACK_TO
        rate = self.ceiling * (1 + share * (phase - 1) ** 3)
        return replace(self, filled_at=now, tokens=tokens, phase=phase, rate=rate)

    def after_unused(self) -> Paced:
        """Return the state after a started call was not made: its token is returned."""
        return replace(self, tokens=self.tokens + 1.0)

    def after_accepted(self, now: float) -> Paced:  # noqa: ARG002 (one shape with Unlimited)
        """Return the state after the service accepted a call."""
        return replace(self, accepted=self.accepted + 1)

    def after_throttled(self, now: float, begun_at: float) -> Paced:
        """Return the state after a throttle: the rate is cut, once per round trip."""
        if begun_at < self.slowed_at:
            return self
        seconds = now - self.measured_from
        if self.accepted >= CALLS_TO_MEASURE and seconds > 0:
            ceiling = self._ceiling(self.accepted / seconds)
            return Paced(ceiling * BACK_TO, ceiling, now, now, now)
        if self.ceiling is None:
            rate = max(LOWEST_RATE, self.rate * HARD_BACK_TO)
            return Paced(rate, None, now, now, self.measured_from, self.accepted)
        ceiling = max(LOWEST_RATE, min(self.rate, self.ceiling) * CUTS[self.strikes])
        strikes = self.strikes + 1
        known_ceiling = ceiling if strikes < len(CUTS) else None
        return Paced(ceiling * BACK_TO, known_ceiling, now, now, self.measured_from, self.accepted, strikes=strikes)

    def _ceiling(self, measured: float) -> float:
        """Return a ceiling between the measured and the tried rate: the rarer the throttles, the nearer to the tried rate.

        A service with a small bucket accepts less than its rate while calls are careful, so measuring alone would drift down.
        """
        measured = max(measured, self.rate * HARD_BACK_TO)
        trusted = measured + (self.rate - measured) * min(1.0, self.accepted / CALLS_TO_TRUST)
        return max(LOWEST_RATE, min(self.rate, trusted))

    def _tokens(self, now: float) -> float:
        most = max(1.0, self.rate * BURST_SECONDS)
        return min(most, self.tokens + max(0.0, now - self.filled_at) * self.rate)

    def _is_calm(self, now: float) -> bool:
        return now - self.slowed_at > max(CALM_SECONDS, CALM_CYCLES * _cycle_seconds(self.rate))


RateState = Unlimited | Paced


def _cycle_seconds(rate: float) -> float:
    return min(max(SHORTEST_CYCLE_SECONDS, SHORTEST_CYCLE_CALLS / rate), LONGEST_CYCLE_SECONDS)
