"""How long to wait before trying again."""

from __future__ import annotations

import random
from typing import Final

FIRST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 60.0


def pause_seconds(failures: int, rng: random.Random, longest: float = LONGEST_SECONDS) -> float:
    """Answer a wait in seconds that doubles with each trouble in a row, up to `longest`, with half of it jitter."""
    whole = min(longest, FIRST_SECONDS * 2.0 ** min(max(failures, 0), 30))
    return whole * (0.5 + rng.random() / 2)
