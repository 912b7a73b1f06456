"""Failure counts of a request over all messages that carried it, and the limits at which the request ends.

A consumer that dies reports nothing. The receive count and the time remain: a message whose consumer died stays hidden for at
least half a lease, and one that was released does not. So graceful restarts are not counted as deaths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

MOST_FAULTS: Final = 4
"""Unexpected exceptions after which a request ends."""
MOST_DEATHS: Final = 40
"""Consumers in a row that died within a second of starting the request, after which it ends without being read again."""
MOST_DELAYS: Final = 1350
"""Postponements because the outcome cannot be published: two weeks, as long as SQS keeps a message."""
MOST_COPIES: Final = 3
"""Most messages that carry one request at a time, not counting those that SQS delivered or accepted twice."""
READ_AT_THE_END: Final = 3
"""Consumers after that which still read the request, to report its id. Reading it may be what kills them."""
SUSPICIOUS_DEATHS: Final = 10
"""From here on a request is continued in a new message, whose receive count is zero, once its consumer survived it."""
STAGGERED_DEATHS: Final = 15
"""From here on requests of one batch start at different times, so that one that kills its consumer is told from the others."""
STAGGER_SECONDS: Final = 3.0
SURVIVAL_SECONDS: Final = 1.0
USUAL_RECEIVES: Final = 10
"""The `maxReceiveCount` assumed for a queue without a redrive policy."""
MOST_COUNTED: Final = 100_000
LATEST_TIME: Final = 100_000_000_000
FIRST_DELAY_SECONDS: Final = 30
LONGEST_DELAY_SECONDS: Final = 900
"""The longest `DelaySeconds` of SQS."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """Failure counts of the messages that carried a request so far."""

    deaths: int = 0
    faults: int = 0
    delays: int = 0
    """Postponements because its outcome could not be published."""
    until: int = 0
    """On a FIFO queue, the end of the postponement: the first consumer releases the message until then. Seconds since the
    epoch."""

    @property
    def delay_seconds(self) -> int:
        """Return the length of the next postponement; it doubles each time."""
        return int(min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(self.delays, 10)))

    def to_json(self) -> dict[str, object]:
        """Return the counts that are not zero."""
        counts = {"deaths": self.deaths, "faults": self.faults, "delays": self.delays, "until": self.until}
        return {name: count for name, count in counts.items() if count}

    @classmethod
    def of(cls, fields: Mapping[Any, object]) -> Lineage:
        """Read what `to_json` wrote. A value that is not a count is ignored."""

        def count(name: str, most: int = MOST_COUNTED) -> int:
            value = fields.get(name)
            return value if type(value) is int and 0 <= value <= most else 0

        return cls(count("deaths"), count("faults"), count("delays"), count("until", LATEST_TIME))


NEW: Final = Lineage()
"""The lineage of a first message."""


def deaths_of(receive_count: int, seconds: float, lease_seconds: float) -> int:
    """Return how many consumers of one message died at most; `seconds` have passed since it was first received."""
    return min(receive_count - 1, int(seconds / (lease_seconds / 2)))


def hidden_seconds(max_receive_count: int | None, lease_seconds: int) -> int:
    """Return how long a message is hidden before it is continued in a new one.

    If every consumer of the new message dies before it makes a call, SQS moves that message to the dead-letter queue before the
    hidden one is continued twice more. So there are at most three messages: this one and two others.
    """
    return (min(max_receive_count or USUAL_RECEIVES, MOST_DEATHS) // 2 + 1) * lease_seconds
