"""Looking at one deployment, and asking again for as long as it takes: what the lives of all requests have in common."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol, Self, TypeVar

import structlog

from slipway.core.bedrock.deployments import Deployment
from slipway.core.bedrock.errors import CallFailed
from slipway.core.events.publish import Progress
from slipway.core.lifecycle.outcomes import Ending, Outcome, Reason
from slipway.core.lifecycle.steps import Absent, Pause, Seen, reason_for
from slipway.core.lifecycle.tags import Marks
from slipway.core.scheduling.backoff import pause_seconds
from slipway.worker.kernel.interrupts import DeadlinePassed, Wait
from slipway.worker.kernel.lease import Hold

log = structlog.get_logger()

LAST_LOOK_SECONDS: Final = 15.0
"""A request whose deadline has passed is looked at once more, for no longer than this."""

T = TypeVar("T")


class Tell(Protocol):
    """Announces progress, where the settings ask for it."""

    def __call__(
        self, progress: Progress, reason: Reason | None, message: str | None, place: Callable[[], int] | None = None, /
    ) -> None:
        """Announce how far a request is, and why it waits. `place` answers where in its line, from 1, if it is asked."""


def in_silence(*_: object) -> None:
    """Announce nothing, where the settings do not ask for it. One for all requests: a set for each would take 300 bytes."""


class Gets(Protocol):
    """What looking calls of Bedrock. Every wait between attempts goes through `wait`."""

    async def get(self, identifier: str, *, wait: Wait = ...) -> Deployment | None:
        """Answer the deployment of this name or ARN; None when there is none now."""

    async def tags(self, arn: str, *, wait: Wait = ...) -> Mapping[str, str] | None:
        """Answer a deployment's tags; None when there is no such deployment now."""


class Facts(Protocol):
    """What is known of a request, as far as asking goes."""

    @property
    def troubles(self) -> int:
        """Waits in a row without progress."""

    def after_trouble(self) -> Self:
        """Answer what is known when a question could not be answered."""


F = TypeVar("F", bound=Facts)


class Looking:
    """One request's eyes, and its patience."""

    def __init__(self, bedrock: Gets, rng: random.Random) -> None:
        self._bedrock = bedrock
        self._rng = rng

    async def look(self, identifier: str, hold: Hold) -> Seen | Absent:
        """Get a deployment by name or ARN, and its tags. Raises `CallFailed`, and `Interrupted`."""
        deployment = await self._bedrock.get(identifier, wait=hold.wait_to_call)
        if deployment is None:
            return Absent()
        tags = await self._bedrock.tags(deployment.arn, wait=hold.wait_to_call)
        if tags is None:
            return Absent()
        hold.arn = deployment.arn
        return Seen(deployment, Marks.of(tags))

    async def last_look(self, identifier: str, hold: Hold) -> Seen | Absent | str:
        """Look once more when the deadline has passed; answer in words why nothing was seen, where nothing was."""
        try:
            with hold.until(hold.loop_time(hold.now()) + LAST_LOOK_SECONDS):
                return await self.look(identifier, hold)
        except (CallFailed, DeadlinePassed) as failed:
            return f"; the last look failed: {failed!r}"

    async def ask(self, asked: Awaitable[T], learned: Callable[[T], F], facts: F, hold: Hold) -> F:
        """Answer what is known after a question; a failed one is asked again, after a pause, for as long as it takes."""
        try:
            return learned(await asked)
        except CallFailed as failed:
            log.info("look.failed", code=failed.code, error=str(failed))
            with hold.because(reason_for(failed), str(failed)):
                await hold.pause(pause_seconds(facts.troubles, self._rng))
            return facts.after_trouble()

    async def insist(self, question: Callable[[], Awaitable[T]], hold: Hold) -> T:
        """Answer a question that is asked again, after a pause, for as long as it takes. Raises `Interrupted`."""
        troubles = 0
        while True:
            try:
                return await question()
            except CallFailed as failed:
                log.info("look.failed", code=failed.code, error=str(failed))
                with hold.because(reason_for(failed), str(failed)):
                    await hold.pause(pause_seconds(troubles, self._rng))
                troubles += 1

    async def pause(self, step: Pause, troubles: int, hold: Hold, tell: Tell) -> None:
        """Let time pass, longer with each trouble in a row; it is known why."""
        log.info("request.paused", reason=step.reason.value, message=step.message, troubles=troubles)
        with hold.because(step.reason, step.message):
            tell(Progress.WAITING, step.reason, step.message)
            await hold.pause(pause_seconds(troubles, self._rng))


def timed_out(timeout: float, reason: Reason | None, text: str, deployment: Deployment | None) -> Outcome:
    """Answer the outcome of a request that was not done by its deadline, and what it waited for."""
    said = f"not done {timeout:g} s after it was first received: {text.rstrip('.')}; what exists is kept"
    return Outcome(Ending.TIMED_OUT, reason, said, deployment)
