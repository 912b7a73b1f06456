"""How a call for one request is repeated for minutes, or until the request's deadline.

One call to AWS is repeated within seconds by tenacity, in `aws/adapters/retry.py`. tenacity cannot repeat it for longer: a
pause here is a wait of the lease, which an interruption ends and which shows what the request waits for; and the limits run
by the event loop's clock, tenacity's by `time.monotonic`.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from slipway.core.call_errors import CallFailed, Conflicting, Denied, Refused, ResourceMissing, pause_seconds
from slipway.core.lifecycle.steps import reason_for
from slipway.worker.kernel.lease import Lease

REFUSED_SECONDS: Final = 60.0
FAILED_SECONDS: Final = 300.0
_REFUSALS: Final = (Refused, Denied, ResourceMissing, Conflicting)

T = TypeVar("T")


class Retries:
    """The attempts of one call: growing pauses between them, and a time limit, shorter after a refusal by AWS."""

    def __init__(
        self,
        lease: Lease,
        rng: random.Random,
        *,
        refused_seconds: float = REFUSED_SECONDS,
        failed_seconds: float = FAILED_SECONDS,
        is_short: Callable[[], bool] = lambda: False,
    ) -> None:
        """Begin now; while `is_short()` is true the usual limits hold, if they are shorter."""
        self._is_short = is_short
        self._lease = lease
        self._rng = rng
        self._refused_seconds = refused_seconds
        self._failed_seconds = failed_seconds
        self._loop = asyncio.get_running_loop()
        self._started_at = self._loop.time()
        self._failures = 0

    @classmethod
    def without_limit(cls, lease: Lease, rng: random.Random) -> Retries:
        """Return attempts that end with success, or with an interruption of the lease."""
        return cls(lease, rng, refused_seconds=math.inf, failed_seconds=math.inf)

    def is_over(self, failed: CallFailed) -> bool:
        """Return whether to give up after this failure."""
        is_refused = isinstance(failed, _REFUSALS)
        seconds = self._refused_seconds if is_refused else self._failed_seconds
        if self._is_short():
            seconds = min(seconds, REFUSED_SECONDS if is_refused else FAILED_SECONDS)
        return self._loop.time() - self._started_at >= seconds

    async def pause(self, failed: CallFailed) -> None:
        """Pause before the next attempt, longer after each failure. Raises `Interrupted`."""
        with self._lease.waiting_for(reason_for(failed), str(failed)):
            await self._lease.pause(pause_seconds(self._failures, self._rng))
        self._failures += 1

    async def until_done(
        self,
        call: Callable[[], Awaitable[T]],
        log_failure: Callable[[CallFailed], None],
        *,
        final: tuple[type[CallFailed], ...] = (),
    ) -> T:
        """Return the result of the first attempt that succeeds.

        Raises `CallFailed` for a failure in `final` or when the time limit is over, and `Interrupted` between attempts.
        """
        while True:
            try:
                return await call()
            except CallFailed as failed:
                if isinstance(failed, final) or self.is_over(failed):
                    raise
                log_failure(failed)
                await self.pause(failed)
