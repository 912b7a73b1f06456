"""How fast calls may be begun, learned only from how they are answered.

    Free ──first throttle──▶ Paced, seeking ──a throttle tells the rate──▶ Paced, holding
     ▲                           ▲    │                                       │  │
     │                           └────┼───cut six times running, or far above─┘  │
     └─────────────calm for long──────┴──────────────────────────────────────────┘

`Unlimited` bounds only how many calls are open at once, and widens with success, so that a service's burst is met by a few
calls and not by all. `Paced` begins calls evenly. *Seeking*, it doubles until throttled. *Holding*, it follows a cubic
curve around the rate that the service was found to allow (as TCP CUBIC does): quickly back to just below, long near,
then slowly above. What is allowed is measured: between two throttles the service's bucket went from empty to empty, so
what it accepted in between is what it lets in. No clock here: `now` is any clock in seconds that does not jump.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

FIRST_OPEN: Final = 4
SUCCESSES_TO_WIDEN: Final = 12
COUNTED_SECONDS: Final = 1.0
START_SHARE: Final = 0.7
"""Of the last second's rate, after the first throttle: a burst was in it."""
LEAST_FIRST_RATE: Final = 4.0
"""A throttle among the very first calls says that the burst is small, not that the rate is: begin with no less than a share
of this, or a service without any burst is used to 60 % for the first 40 s, not to 80."""
LOWEST_RATE: Final = 0.5
"""However often throttled: a storm must be seen to end."""
DOUBLING_SECONDS: Final = 0.75
DOUBLING_CALLS: Final = 6
BACK_TO: Final = 0.93
"""Of the ceiling, after a cut."""
PROBE_SHARE: Final = 0.25
LONGEST_PHASE: Final = 2.0
"""A quarter above the ceiling and not throttled: the ceiling is no more."""
HARD_BACK_TO: Final = 0.7
SHORTEST_CYCLE_SECONDS: Final = 3.0
SHORTEST_CYCLE_CALLS: Final = 40
LONGEST_CYCLE_SECONDS: Final = 40.0
CALLS_TO_MEASURE: Final = 12
"""Fewer between two throttles tell too little."""
CALLS_TO_TRUST: Final = 100
CUTS: Final = (0.97, 0.93, 0.9, 0.8, 0.7, 0.7)
CALM_SECONDS: Final = 120.0
CALM_CYCLES: Final = 4
BURST_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Unlimited:
    """Never throttled, or not for long: only the number of open calls is bounded."""

    open_limit: float = FIRST_OPEN
    second: float = 0.0
    """When the second that is being counted began."""
    accepted: int = 0
    accepted_before: int = 0

    def most_open(self, most: int) -> float:
        """How many calls may be open at once."""
        return min(self.open_limit, most)

    def ready_at(self, now: float) -> float:
        """When the next call may be begun: at once."""
        return now

    def after_begin(self, now: float, *, waited: bool) -> RateState:  # noqa: ARG002 (one shape with Paced)
        """What follows from beginning a call: nothing."""
        return self

    def after_unused(self) -> Unlimited:
        """A call that was begun was not made after all."""
        return self

    def after_accepted(self, now: float) -> Unlimited:
        """The service let a call in."""
        wider = self.open_limit + 1 / SUCCESSES_TO_WIDEN
        passed = now - self.second
        if passed < COUNTED_SECONDS:
            return Unlimited(wider, self.second, self.accepted + 1, self.accepted_before)
        return Unlimited(wider, now, 1, self.accepted if passed < 2 * COUNTED_SECONDS else 0)

    def after_throttled(self, now: float, begun_at: float) -> Paced:  # noqa: ARG002 (one shape with Paced)
        """The service refused a call as too fast, for the first time: begin with a share of what it let in lately."""
        passed = now - self.second
        before = self.accepted_before * max(0.0, COUNTED_SECONDS - passed)
        lately = (self.accepted + before) / max(passed, COUNTED_SECONDS)
        rate = START_SHARE * max(lately, LEAST_FIRST_RATE)
        return Paced(rate=rate, ceiling=None, filled_at=now, slowed_at=now, measured_from=now)


@dataclass(frozen=True, slots=True)
class Paced:
    """Throttled not long ago: calls are begun evenly, `rate` a second."""

    rate: float
    ceiling: float | None
    """What the service is thought to allow; None while that is being sought."""
    filled_at: float
    slowed_at: float
    """When the rate was last cut. A throttle of a call begun before tells nothing new."""
    measured_from: float
    """A throttle: the service's bucket was empty then. `accepted` calls were let in since."""
    accepted: int = 0
    tokens: float = 0.0
    phase: float = 0.0
    """Where on the curve: 0 after the cut, 1 at the ceiling, beyond it probing."""
    strikes: int = 0
    """Cuts in a row with too little let in between to measure: each cuts deeper."""

    def most_open(self, most: int) -> float:
        """How many calls may be open at once: the rate is bound enough."""
        return most

    def ready_at(self, now: float) -> float:
        """When the next call may be begun."""
        tokens = self._tokens(now)
        return now if tokens >= 1.0 else now + (1.0 - tokens) / self.rate

    def after_begin(self, now: float, *, waited: bool) -> RateState:
        """A call was begun. Only a call that had to wait moves the rate on: what is not used proves nothing."""
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
        """A call that was begun was not made after all: another may be."""
        return replace(self, tokens=self.tokens + 1.0)

    def after_accepted(self, now: float) -> Paced:  # noqa: ARG002 (one shape with Free)
        """The service let a call in."""
        return replace(self, accepted=self.accepted + 1)

    def after_throttled(self, now: float, begun_at: float) -> Paced:
        """The service refused a call as too fast: cut the rate, once per round trip."""
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
        known = ceiling if strikes < len(CUTS) else None
        return Paced(ceiling * BACK_TO, known, now, now, self.measured_from, self.accepted, strikes=strikes)

    def _ceiling(self, measured: float) -> float:
        """Settle between what was let in and what was tried: the rarer the throttles, the nearer to what was tried.

        A service with a shallow bucket lets in less than it could while we are careful, and measuring would creep down.
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
