"""How often a request has failed to be processed, over all messages that have carried it, and when that is enough.

A reader that dies says nothing. What remains is the receive count, and the time: a message whose reader died stays hidden for
at least half a lease, one that was given back does not. So graceful restarts are not counted as deaths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

MOST_FAULTS: Final = 4
"""Exceptions that nobody expected, after which a request ends."""
MOST_DEATHS: Final = 40
"""Readers that died within a second of beginning, in a row, after which a request ends without being read again."""
MOST_DELAYS: Final = 1350
"""How often a request is put off because its outcome cannot be published: two weeks, as long as SQS keeps a message."""
MOST_COPIES: Final = 3
"""Messages that carry one request at a time, at most; not counted those that SQS has delivered or taken twice."""
READ_AT_THE_END: Final = 3
"""How many readers after that still read the request, to say whose it was. It may be what kills them."""
SUSPICIOUS_DEATHS: Final = 10
"""From here on a request is continued in a new message, with a count of zero, as soon as its reader has survived it."""
STAGGERED_DEATHS: Final = 15
"""From here on requests that are received together begin at different times, so that one does not take the others with it."""
STAGGER_SECONDS: Final = 3.0
SURVIVAL_SECONDS: Final = 1.0
USUAL_RECEIVES: Final = 10
"""The `maxReceiveCount` that is assumed of a queue without one."""
MOST_COUNTED: Final = 100_000
LATEST_TIME: Final = 100_000_000_000
FIRST_DELAY_SECONDS: Final = 30
LONGEST_DELAY_SECONDS: Final = 900
"""The longest `DelaySeconds` of SQS."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a request's messages up to now add up to."""

    deaths: int = 0
    faults: int = 0
    delays: int = 0
    """How often it was put off because its outcome could not be published."""
    until: int = 0
    """On a FIFO queue, until when it is put off: its first reader gives it back for so long. Seconds since the epoch."""

    @property
    def delay_seconds(self) -> int:
        """How long it is to be put off the next time: it doubles each time."""
        return int(min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(self.delays, 10)))

    def to_json(self) -> dict[str, object]:
        """Write it; what is zero is left out."""
        counts = {"deaths": self.deaths, "faults": self.faults, "delays": self.delays, "until": self.until}
        return {name: count for name, count in counts.items() if count}

    @classmethod
    def of(cls, given: Mapping[Any, object]) -> Lineage:
        """Read it; what is not a count is as if it were not there."""

        def count(name: str, most: int = MOST_COUNTED) -> int:
            value = given.get(name)
            return value if type(value) is int and 0 <= value <= most else 0

        return cls(count("deaths"), count("faults"), count("delays"), count("until", LATEST_TIME))


NEW: Final = Lineage()
"""One value for most requests."""


def deaths_of(receive_count: int, seconds: float, lease_seconds: float) -> int:
    """Return how many readers of one message have died at most: it was first received so many seconds ago."""
    return min(receive_count - 1, int(seconds / (lease_seconds / 2)))


def hidden_seconds(max_receive_count: int | None, lease_seconds: int) -> int:
    """Return how long a message is hidden before it is continued in a new one.

    If all readers of the new one die before they have made a call, SQS has moved it to the dead-letter queue before the
    message is continued twice more. So there are three messages at most: this one and two others.
    """
    return (min(max_receive_count or USUAL_RECEIVES, MOST_DEATHS) // 2 + 1) * lease_seconds
