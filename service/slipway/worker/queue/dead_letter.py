"""Dead letters: a copy of what ends without having been processed goes to the dead-letter queue, for a person to look at."""

from __future__ import annotations

import random
from typing import Final, Protocol

import structlog

from slipway.core.bedrock.errors import CallFailed
from slipway.core.sqs.messages import Outgoing
from slipway.worker.kernel.counters import Tally
from slipway.worker.kernel.lease import Hold
from slipway.worker.kernel.patience import Patience

log = structlog.get_logger()

SENT: Final = "Sent"
GIVEN_UP: Final = "GivenUp"


class Graveyard(Protocol):
    """Where the copies go."""

    async def bury(self, outgoing: Outgoing) -> None:
        """Send one message to the dead-letter queue."""


class Burials:
    """Sends copies to the dead-letter queue, for as long as patience lasts and the lease holds."""

    def __init__(self, graveyard: Graveyard, *, rng: random.Random, tally: Tally) -> None:
        self._graveyard = graveyard
        self._rng = rng
        self._tally = tally

    async def bury(self, copy: Outgoing, hold: Hold) -> bool:
        """Return whether the copy is in the dead-letter queue. Raises `Interrupted` between attempts, never within one."""
        patience = Patience(self._rng)
        while True:
            hold.check_lease()
            try:
                await self._graveyard.bury(copy)
            except CallFailed as failed:
                if patience.is_over(failed):
                    self._tally.dead_letters[GIVEN_UP] += 1
                    remedy = "let Slipway send to the dead-letter queue: slipway doctor"
                    log.error("bury.given_up", code=failed.code, error=str(failed), remedy=remedy)  # noqa: TRY400  it says all
                    return False
                log.warning("bury.failed", code=failed.code, error=str(failed))
                await patience.rest(hold, failed)
            else:
                self._tally.dead_letters[SENT] += 1
                return True
