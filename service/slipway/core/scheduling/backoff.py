"""Retry backoff: exponential, with jitter."""

from __future__ import annotations

import random
from typing import Final

FIRST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 60.0


def pause_seconds(failures: int, rng: random.Random, longest: float = LONGEST_SECONDS) -> float:
    """Return a wait in seconds that doubles with each failure in a row, up to `longest`; half of it is jitter."""
    full_wait = min(longest, FIRST_SECONDS * 2.0 ** min(max(failures, 0), 30))
    return full_wait * (0.5 + rng.random() / 2)
