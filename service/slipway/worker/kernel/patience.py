"""How long something is tried that AWS does not take: bounded, and shorter where AWS says that it is not allowed."""

from __future__ import annotations

import asyncio
import random
from typing import Final

from slipway.core.bedrock.errors import CallFailed, Conflicting, Denied, Refused, ResourceMissing
from slipway.core.lifecycle.steps import reason_for
from slipway.core.scheduling.backoff import pause_seconds
from slipway.worker.kernel.lease import Lease

REFUSAL_SECONDS: Final = 60.0
TROUBLE_SECONDS: Final = 300.0
_REFUSALS: Final = (Refused, Denied, ResourceMissing, Conflicting)


class Patience:
    """The time that one attempt to publish, send or reply is given, with pauses that grow."""

    def __init__(self, rng: random.Random, *, refused: float = REFUSAL_SECONDS, trouble: float = TROUBLE_SECONDS) -> None:
        self._rng = rng
        self._refused = refused
        self._trouble = trouble
        self._began = asyncio.get_running_loop().time()
        self._troubles = 0

    def is_over(self, failed: CallFailed) -> bool:
        """Whether to give up after this failure."""
        seconds = self._refused if isinstance(failed, _REFUSALS) else self._trouble
        return asyncio.get_running_loop().time() - self._began >= seconds

    async def rest(self, lease: Lease, failed: CallFailed) -> None:
        """Pause before the next attempt. Raises `Interrupted`."""
        self._troubles += 1
        with lease.waiting_for(reason_for(failed), str(failed)):
            await lease.pause(pause_seconds(self._troubles - 1, self._rng))
