"""Burying: a copy of what could not be understood goes to the dead-letter queue, for a person to look at."""

from __future__ import annotations

import random
from typing import Protocol

import structlog

from service.core.backoff import pause_seconds
from service.core.calls import CallFailed
from service.core.messages import Outgoing
from service.core.steps import reason_for
from service.flow.hold import Hold

log = structlog.get_logger()


class Graveyard(Protocol):
    """Where the copies go."""

    async def bury(self, outgoing: Outgoing) -> None:
        """Send one message to the dead-letter queue."""


class Burials:
    """Buries, and does not take no for an answer while the lease holds."""

    def __init__(self, graveyard: Graveyard, *, rng: random.Random) -> None:
        self._graveyard = graveyard
        self._rng = rng

    async def bury(self, copy: Outgoing, hold: Hold) -> None:
        """Return when the copy is in the dead-letter queue. Raises `Interrupted` between attempts, never within one."""
        troubles = 0
        while True:
            hold.check_lease()
            try:
                return await self._graveyard.bury(copy)
            except CallFailed as failed:
                troubles += 1
                log.warning("bury.failed", code=failed.code, error=str(failed))
                with hold.because(reason_for(failed), str(failed)):
                    await hold.pause(pause_seconds(troubles, self._rng))
