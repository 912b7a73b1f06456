"""Expiry: find expired deployments every few minutes and delete them.

The tag `slipway:expires` on the deployment decides. A delete request is sent to the request queue first: from it the event is
published, after a crash too. Then the deployment is deleted directly. Safe to repeat: two replicas send the same request,
with one outcome and one event id.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, Protocol, TypeVar

import structlog

from slipway.core.bedrock import Deployment, Page, Status, deployment_pages
from slipway.core.call_errors import CallFailed, Conflicting, Denied, Refused, ResourceMissing
from slipway.core.lifecycle.tags import DeploymentTags
from slipway.core.requests.targets import DEFAULT
from slipway.core.scheduling.quota import Counts
from slipway.core.sqs.messages import Outgoing
from slipway.worker.kernel.interrupts import Stopping, Wait, Waits, sleep_unless_set
from slipway.worker.kernel.telemetry import Counters

AGAIN_SECONDS: Final = 3600.0
"""After this time without effect the delete is sent again."""


def request_id(arn: str) -> str:
    """Return the id of the request that deletes an expired deployment."""
    return f"expired-{arn.rsplit('/', 1)[-1]}"


def delete_of(deployment: Deployment, target: str = DEFAULT, *, is_fifo: bool) -> Outgoing:
    """Return the message with the request to delete a deployment if it has expired."""
    body = {
        "action": "delete",
        "customModelDeploymentIdentifier": deployment.arn,
        "ifExpired": True,
        "requestId": request_id(deployment.arn),
    }
    if target != DEFAULT:
        body["target"] = target
    deduplication_id = hashlib.sha256(f"expired {deployment.arn}".encode()).hexdigest()
    return Outgoing(
        json.dumps(body), group=deployment.name if is_fifo else None, deduplication_id=deduplication_id if is_fifo else None
    )


log = structlog.get_logger()

TAGS_EACH_ROUND: Final = 50
"""How many known deployments have their tags read again in one round, at least."""
TAGS_READ_WITHIN_SECONDS: Final = 3600.0
"""Where there are more deployments, each one's tags are read again within this time."""
FAILURES_IN_A_ROW: Final = 5
"""After so many failed calls in a row the round ends: it is not one deployment that has the problem."""
MOST_REMEMBERED: Final = 1000

T = TypeVar("T")

_Position = tuple[float, str]
"""Where a deployment is in the list: creation time, then ARN."""
_BEGINNING: Final[_Position] = (-math.inf, "")


class ReaperBedrock(Protocol):
    """The Bedrock calls of the reaper."""

    async def page(self, *, created_after: float | None, status: Status | None, token: str | None) -> Page:
        """Return one page of the account's deployments, oldest first."""

    async def tags(self, arn: str, *, wait: Wait = ...) -> Mapping[str, str] | None:
        """Return a deployment's tags; None when there is no such deployment now."""

    async def delete(self, arn: str, *, wait: Wait) -> None:
        """Delete a deployment. Harmless where there is none, or when repeated."""

    def earliest(self) -> float:
        """Return a lower bound of the current time, in seconds since the epoch; -inf until AWS's clock is known."""


class ReaperQueue(Protocol):
    """The SQS call of the reaper."""

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[CallFailed | None]:
        """Send at most ten messages to this queue."""


class Reaper:
    """Reads the tags of every deployment regularly, and deletes expired ones. Several replicas may do so at once.

    A round costs as many calls as List has pages, and one for each deployment that is new, that is due, or whose tags are
    read again. Only deployments that have an expiry time are remembered; pages are dropped once they are read.

    A deployment has expired if its expiry time is before the lower bound of AWS's current time.
    """

    def __init__(  # noqa: PLR0913  everything outside of it
        self,
        bedrock: ReaperBedrock,
        queue: ReaperQueue,
        target: str,
        *,
        interval: float,
        is_fifo: bool,
        rng: random.Random,
        counters: Counters,
        deleted: dict[str, Deployment],
        is_in_flight: Callable[[str], bool] = lambda _: False,
        counted: Callable[[Counts], None] = lambda _: None,
    ) -> None:
        self._bedrock = bedrock
        self._queue = queue
        self._target = target
        self._interval = interval
        self._is_fifo = is_fifo
        self._rng = rng
        self._counters = counters
        self._expires: dict[str, float] = {}
        self._recorded: dict[str, float] = {}
        """When the delete request of each was last sent, by the event loop's clock."""
        self._deleted = deleted
        """What was deleted here, by ARN: the event, published later, says what it was."""
        self._is_in_flight = is_in_flight
        self._report_counts = counted
        """Called after each round with the deployments that are not in flight here: those of the pages that are read anyway."""
        self._newest = self._read_up_to = _BEGINNING
        self._count = 0
        self._failures = 0
        self._waits = Waits()
        self._stopped = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def stop(self) -> None:
        """End `run` after the call in flight."""
        self._stopped.set()
        self._waits.interrupt(Stopping)

    async def run(self) -> None:
        """Search after half to one interval, with jitter, until stopped; never if the interval is 0."""
        if not self._interval:
            return
        while not self._stopped.is_set():
            # Jitter, so that replicas do not run at the same time.
            await sleep_unless_set(self._interval * (0.5 + self._rng.random() / 2), unless=self._stopped)
            if self._stopped.is_set():
                return
            try:
                await self._round()
            except CallFailed as failed:
                log.info("reaper.failed", reason=failed.code, message=str(failed))
            except Stopping:
                return
            except Exception:
                self._counters.faults += 1
                log.exception("reaper.faulted")

    async def _wait(self, future: asyncio.Future[T], _: CallFailed, /) -> T:
        return await self._waits.wait(future)

    async def _round(self) -> None:
        """Read all pages, and the tags of some deployments. A later failure does not undo what was read."""
        again = max(TAGS_EACH_ROUND, math.ceil(self._count * self._interval / TAGS_READ_WITHIN_SECONDS))
        there, count, others, others_creating = set[str](), 0, 0, 0
        self._failures, is_complete = 0, True
        newest, start = self._newest, self._read_up_to
        async for page in deployment_pages(lambda token: self._bedrock.page(created_after=None, status=None, token=token)):
            for deployment in page.deployments:
                count += 1
                if not self._is_in_flight(deployment.arn):
                    others += 1
                    others_creating += deployment.status is Status.CREATING
                position = (deployment.created_at, deployment.arn)
                is_next = again > 0 and position > start
                if is_next:
                    again -= 1
                    self._read_up_to = position
                is_due = self._expires.get(deployment.arn, math.inf) <= self._bedrock.earliest()
                if is_next or is_due or position > newest:
                    is_complete &= await self._read(deployment)
                if deployment.arn in self._expires:
                    there.add(deployment.arn)
                if is_complete:
                    self._newest = max(self._newest, position)
                if self._stopped.is_set():
                    return
        if again > 0:
            self._read_up_to = _BEGINNING
        self._count = count
        self._report_counts(Counts(others_creating, others))
        self._expires = {arn: time for arn, time in self._expires.items() if arn in there}
        self._recorded = {arn: time for arn, time in self._recorded.items() if arn in there}

    async def _read(self, deployment: Deployment) -> bool:
        """Read a deployment's tags, and delete it if it has expired; return whether the tags are known now.

        A refusal or denial may concern this deployment only, so the round continues. Raises `CallFailed` after
        `FAILURES_IN_A_ROW` other failures.
        """
        arn = deployment.arn
        try:
            tags = await self._bedrock.tags(arn, wait=self._wait)
            slipway_tags = DeploymentTags.of(tags or {})
            if slipway_tags.request is None or slipway_tags.expires is None:
                self._expires.pop(arn, None)
            else:
                self._expires[arn] = slipway_tags.expires
                if slipway_tags.expires <= self._bedrock.earliest():
                    await self._expire(deployment)
        except (Refused, Denied, Conflicting) as refused:
            log.info("reaper.refused", arn=arn, reason=refused.code, message=str(refused))
        except CallFailed as failed:
            self._failures += 1
            if self._failures >= FAILURES_IN_A_ROW:
                raise
            log.info("reaper.failed", arn=arn, reason=failed.code, message=str(failed))
            return False
        self._failures = 0
        return True

    async def _expire(self, deployment: Deployment) -> None:
        """Send the delete request, unless it was sent within the last hour; then delete. Any replica may repeat both."""
        arn = deployment.arn
        if self._loop.time() - self._recorded.get(arn, -math.inf) >= AGAIN_SECONDS:
            (failed,) = await self._queue.send([delete_of(deployment, self._target, is_fifo=self._is_fifo)])
            if failed is not None:
                raise failed
            self._recorded[arn] = self._loop.time()
            self._counters.expiries += 1
            log.info("deployment.expired", arn=arn, name=deployment.name)
        with suppress(ResourceMissing):
            await self._bedrock.delete(arn, wait=self._wait)
        self._deleted[arn] = deployment
        if len(self._deleted) > MOST_REMEMBERED:
            del self._deleted[next(iter(self._deleted))]
