"""What SQS hands over, and what is handed back to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CONTINUATION = "SlipwayContinuation"
"""The one message attribute that Slipway adds when it hands a request on under a new message."""


@dataclass(frozen=True, slots=True)
class Message:
    """A lease on a request.

    All times are seconds since the epoch *by the queue's own clock* (the `Date` of the answer that brought the
    message), so a wrong or jumping clock on this machine moves no deadline.
    """

    message_id: str
    body: str = field(repr=False)
    receipt: str = field(repr=False)
    receive_count: int
    received_at: float
    first_received_at: float
    group: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_redelivery(self) -> bool:
        """Somebody, perhaps a process that died, has had this message before."""
        return self.receive_count > 1


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to be sent: a continuation, or a copy of what was rejected. At most ten attributes."""

    body: str = field(repr=False)
    attributes: Mapping[str, str] = field(default_factory=dict)
    group: str | None = None
    """The FIFO group; on a standard queue, which may have groups for fairness, the group it came with."""
    deduplication_id: str | None = None


@dataclass(frozen=True, slots=True)
class QueueTraits:
    """What the queue says about itself."""

    is_fifo: bool = False
    max_receive_count: int | None = None
    """From the redrive policy; None without one. A message received this often goes to the dead-letter queue next."""
    has_dead_letter_queue: bool = False

    def should_hand_on(self, receive_count: int) -> bool:
        """Whether so few receives are left that the request had better begin a new count, under a new message.

        Each kill costs a receive, and one between the last receive and the hand-over would send the request to the
        dead-letter queue: so half of them are kept in hand. Not on FIFO, where a new message goes to the end of its group.
        Never at the first receive, or a queue that allows only one would never end.
        """
        if self.max_receive_count is None or receive_count <= 1:
            return False
        kept_in_hand = 0 if self.is_fifo else self.max_receive_count // 2
        return receive_count >= self.max_receive_count - kept_in_hand
