"""What may go wrong between a client and the stand-in: throttles, delays, errors, lost and broken answers. On purpose."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, get_args

from slipway.local.behaviour import WrongBehaviour, fits

Kind = Literal[
    "error before", "error after", "request lost", "response lost", "empty", "html", "truncated", "not an object", "redirect"
]
KINDS: Final = frozenset(get_args(Kind))
BEFORE: Final = frozenset({"error before", "request lost", "redirect"})
"""Faults of which nothing comes: the others befall a call that has been applied."""


@dataclass(frozen=True, slots=True)
class FaultRule:
    """How calls of an operation fare. A rate of 0 is no limit."""

    rate: float = 0.0
    """Calls a second that are let through; more are answered with ThrottlingException."""
    burst: float = 1.0
    """How many calls are let through at once."""
    latency_seconds: tuple[float, float] = (0.0, 0.0)
    """From, to: how much later calls are answered."""
    every: int = 0
    """Every so manieth call meets `kind`; 0 for none."""
    share: float = 0.0
    """The share of calls that meets `kind`, 0 to 1, beside `every`."""
    kind: Kind = "error before"
    """One of `error before`, `error after`, `request lost`, `response lost`, `empty`, `html`, `truncated`, `not an object`,
    `redirect`: what the call meets, before it is applied or after."""

    @classmethod
    def of(cls, given: object) -> FaultRule:
        """Read a trouble from JSON. Raises `WrongBehaviour`."""
        known = {each.name: each.default for each in fields(cls)}
        if not isinstance(given, Mapping):
            raise WrongBehaviour(f"a fault cannot be {given!r}; it is an object with some of {', '.join(sorted(known))}")
        if unknown := sorted(set(given) - set(known)):
            raise WrongBehaviour(f"a fault has no {unknown[0]!r}; it has {', '.join(sorted(known))}")
        if given.get("kind", "error before") not in KINDS:
            raise WrongBehaviour(f"kind cannot be {given['kind']!r}; it is one of {', '.join(sorted(KINDS))}")
        for name, value in given.items():
            if not fits(known[name], value):
                raise WrongBehaviour(f"{name} cannot be {value!r}; it is like {known[name]!r}")
        values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
        return cls(**values)


@dataclass(slots=True)
class Faults:
    """The troubles by operation; `*` is for all that have none of their own. A function of seed and call number."""

    seed: int = 1
    failures: dict[str, FaultRule] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    fired: Counter[str] = field(default_factory=Counter)
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)

    def meet(self, operation: str, now: float) -> tuple[Kind | None, float, bool]:
        """Answer what befalls this call: a fault, a delay in seconds, and whether it is throttled."""
        trouble = self.failures.get(operation) or self.failures.get("*")
        self.calls[operation] += 1
        if trouble is None:
            return None, 0.0, False
        number = self.calls[operation]
        rng = random.Random(f"{self.seed} {operation} {number}")  # noqa: S311  chaos, no secret
        delay = rng.uniform(*trouble.latency_seconds)
        if trouble.rate and not self._is_let_through(operation, trouble, now):
            self.fired["throttled"] += 1
            return None, delay, True
        is_struck = bool(trouble.every and number % trouble.every == 0) or rng.random() < trouble.share
        if is_struck:
            self.fired[trouble.kind] += 1
        return trouble.kind if is_struck else None, delay, False

    def _is_let_through(self, operation: str, trouble: FaultRule, now: float) -> bool:
        tokens, at = self._buckets.get(operation, (trouble.burst, now))
        tokens = min(trouble.burst, tokens + (now - at) * trouble.rate)
        is_let = tokens >= 1.0
        self._buckets[operation] = (tokens - is_let, now)
        return is_let
