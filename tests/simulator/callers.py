"""The real retry layer and limiters, one set for each simulated process."""

from __future__ import annotations

import random
from collections import Counter

from slipway.aws.adapters.retry import Caller, Tally
from slipway.aws.connect import MOST_OPEN_BEDROCK, MOST_OPEN_CALLBACKS, MOST_OPEN_LEASES, MOST_OPEN_TOPIC
from slipway.worker.queue.intake import MOST_POLLS


class Callers:
    """As `slipway.aws.connect` makes them: one for each client."""

    def __init__(self, rng: random.Random, call_timeout: float) -> None:
        self.tally: Tally = Counter()

        def caller(most_open: int) -> Caller:
            return Caller(most_open=most_open, call_timeout=call_timeout, rng=rng, tally=self.tally)

        self.receiving, self.leases = caller(MOST_POLLS), caller(MOST_OPEN_LEASES)
        self.deploying, self.publishing = caller(MOST_OPEN_BEDROCK), caller(MOST_OPEN_TOPIC)
        self.replying = caller(MOST_OPEN_CALLBACKS)
