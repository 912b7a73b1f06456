"""How a call for one request is repeated for minutes or until its deadline, and how its deployment is observed.

One call to AWS is repeated within seconds by tenacity, in `aws/adapters/retry.py`. tenacity cannot repeat it for longer: a
pause here is a wait of the lease, which an interruption ends and which shows what the request waits for; and the limits run
by the event loop's clock, tenacity's by `time.monotonic`.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol, TypeVar

import structlog

from slipway.core.bedrock import Deployment
from slipway.core.call_errors import CallFailed, Conflicting, Denied, Refused, ResourceMissing, pause_seconds
from slipway.core.events.publish import Progress
from slipway.core.lifecycle.outcomes import Outcome, OutcomeKind, Reason
from slipway.core.lifecycle.steps import Found, NotFound, Pause, reason_for
from slipway.core.lifecycle.tags import DeploymentTags
from slipway.worker.kernel.interrupts import DeadlinePassed, Wait
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
        await _pause_after(failed, self._failures, self._lease, self._rng)
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


log = structlog.get_logger()

LAST_OBSERVATION_SECONDS: Final = 15.0
"""The time limit of the last observation after the deadline."""


class ReportProgress(Protocol):
    """Publishes progress events, if the settings ask for them."""

    def __call__(
        self, progress: Progress, reason: Reason | None, message: str | None, position: Callable[[], int] | None = None, /
    ) -> None:
        """Publish a progress event with the reason of a wait. `position` returns the queue position, from 1."""


def no_progress(*_: object) -> None:
    """Publish nothing: progress events are off."""


class ObserverBedrock(Protocol):
    """The Bedrock calls of an observation. Every wait between attempts goes through `wait`."""

    async def get(self, identifier: str, *, wait: Wait = ...) -> Deployment | None:
        """Return the deployment of this name or ARN; None if there is none now."""

    async def tags(self, arn: str, *, wait: Wait = ...) -> Mapping[str, str] | None:
        """Return a deployment's tags; None if there is no such deployment now."""


class Observer:
    """Observes deployments for requests, and pauses between observations."""

    def __init__(self, bedrock: ObserverBedrock, rng: random.Random) -> None:
        self._bedrock = bedrock
        self._rng = rng

    async def look(self, identifier: str, lease: Lease) -> Found | NotFound:
        """Get a deployment by name or ARN, and its tags. Raises `CallFailed`, and `Interrupted`."""
        deployment = await self._bedrock.get(identifier, wait=lease.wait_to_call)
        if deployment is None:
            return NotFound()
        tags = await self._bedrock.tags(deployment.arn, wait=lease.wait_to_call)
        if tags is None:
            return NotFound()
        lease.arn = deployment.arn
        return Found(deployment, DeploymentTags.of(tags))

    async def last_observation(self, identifier: str, lease: Lease) -> Found | NotFound | str:
        """Observe once more after the deadline; return a text for people if that failed."""
        try:
            with lease.until(lease.loop_time(lease.now()) + LAST_OBSERVATION_SECONDS):
                return await self.look(identifier, lease)
        except (CallFailed, DeadlinePassed) as failed:
            return f"; the last observation failed: {str(failed) or 'no response in time'}"

    async def until_answered(self, question: Callable[[], Awaitable[T]], lease: Lease) -> T:
        """Return the result of a call that is repeated until it succeeds. Raises `Interrupted`."""
        return await Retries.without_limit(lease, self._rng).until_done(question, _log_failure)

    async def poll(self, ask: Callable[[], Awaitable[T | Pause]], lease: Lease, report_progress: ReportProgress) -> T:
        """Return the first answer that is not `Pause`, with growing pauses before the next question. Raises `Interrupted`."""
        failures = 0
        while isinstance(answer := await ask(), Pause):
            await self.pause(answer, failures, lease, report_progress)
            failures += 1
        return answer

    async def pause_after(self, failed: CallFailed, failures: int, lease: Lease) -> None:
        """Pause after a failed call, longer with each failure in a row. Raises `Interrupted`."""
        _log_failure(failed)
        await _pause_after(failed, failures, lease, self._rng)

    async def pause(self, step: Pause, failures: int, lease: Lease, report_progress: ReportProgress) -> None:
        """Pause, longer with each failure in a row, and report why."""
        log.info("request.paused", reason=step.reason.value, message=step.message, failures=failures)
        with lease.waiting_for(step.reason, step.message):
            report_progress(Progress.WAITING, step.reason, step.message)
            await lease.pause(pause_seconds(failures, self._rng))


async def _pause_after(failed: CallFailed, failures: int, lease: Lease, rng: random.Random) -> None:
    with lease.waiting_for(reason_for(failed), str(failed)):
        await lease.pause(pause_seconds(failures, rng))


def _log_failure(failed: CallFailed) -> None:
    log.info("call.failed", reason=failed.code, message=str(failed))


def timed_out(
    timeout: float,
    reason: Reason | None,
    text: str,
    deployment: Deployment | None,
    *,
    note: str = "Any existing deployment was kept",
) -> Outcome:
    """Return the outcome of a request whose deadline has passed, with what it waited for."""
    message = f"Timed out after {timeout:g} s ({text.rstrip('.')}). {note}."
    return Outcome(OutcomeKind.TIMED_OUT, reason, message, deployment)
