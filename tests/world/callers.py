"""The real retry layer and limiters, one set for each simulated process."""

from __future__ import annotations

import random
from collections import Counter

from service.aws.calling import Caller, Tally
from service.aws.connecting import MOST_OPEN_BEDROCK, MOST_OPEN_CUSTODY, MOST_OPEN_REPLIES, MOST_OPEN_TOPIC
from service.flow.intake import MOST_POLLS


class Callers:
    """As `service.aws.connecting` makes them: one for each client."""

    def __init__(self, rng: random.Random, call_timeout: float) -> None:
        self.tally: Tally = Counter()

        def caller(most_open: int) -> Caller:
            return Caller(most_open=most_open, call_timeout=call_timeout, rng=rng, tally=self.tally)

        self.receiving, self.custody = caller(MOST_POLLS), caller(MOST_OPEN_CUSTODY)
        self.deploying, self.publishing = caller(MOST_OPEN_BEDROCK), caller(MOST_OPEN_TOPIC)
        self.replying = caller(MOST_OPEN_REPLIES)
