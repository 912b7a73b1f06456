"""Dead letters: a copy of each message that could not be processed, for the operator."""

from __future__ import annotations

import random
from typing import Final, Protocol

import structlog

from slipway.core.call_errors import CallFailed
from slipway.core.sqs.messages import Outgoing
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.retry import Retries
from slipway.worker.kernel.telemetry import Counters

log = structlog.get_logger()

SENT: Final = "Sent"
GIVEN_UP: Final = "GivenUp"


class DeadLetterQueue(Protocol):
    """The dead-letter queue."""

    async def send_dead_letter(self, outgoing: Outgoing) -> None:
        """Send one message to the dead-letter queue."""


class DeadLetterSender:
    """Sends copies to the dead-letter queue, until the time limit is over or the lease is lost."""

    def __init__(self, queue: DeadLetterQueue, *, rng: random.Random, counters: Counters) -> None:
        self._queue = queue
        self._rng = rng
        self._counters = counters

    async def send_dead_letter(self, copy: Outgoing, lease: Lease) -> bool:
        """Return whether the copy is in the dead-letter queue. Raises `Interrupted` between attempts, never within one."""

        async def attempt() -> None:
            lease.check_lease()
            await self._queue.send_dead_letter(copy)

        def log_failure(failed: CallFailed) -> None:
            log.warning("bury.failed", reason=failed.code, message=str(failed))

        try:
            await Retries(lease, self._rng).until_done(attempt, log_failure)
        except CallFailed as failed:
            self._counters.dead_letters[GIVEN_UP] += 1
            remedy = "let Slipway send to the dead-letter queue: slipway doctor"
            log.error("bury.given_up", reason=failed.code, message=str(failed), remedy=remedy)  # noqa: TRY400  it says all
            return False
        self._counters.dead_letters[SENT] += 1
        return True
