"""Finding what has expired, every few minutes, and asking for its deletion through the queue."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import structlog

from service.core.calls import CallFailed
from service.core.deployments import Deployment, Page, Status
from service.core.expiry import AGAIN_SECONDS, delete_of
from service.core.marks import Marks
from service.core.messages import Outgoing
from service.core.pager import deployment_pages
from service.flow.tally import Tally
from service.flow.waits import Wait, rest

log = structlog.get_logger()

MOST_ASKED: Final = 50
"""Deployments whose tags are asked for in one round: a fresh process gets to know thousands without haste."""


class Shows(Protocol):
    """What the reaper calls of Bedrock."""

    async def page(self, *, created_after: float | None, status: Status | None, token: str | None) -> Page:
        """Answer one page of the account's deployments, oldest first."""

    async def tags(self, arn: str, *, wait: Wait = ...) -> Mapping[str, str] | None:
        """Answer a deployment's tags; None when there is no such deployment now."""

    def now(self) -> float:
        """Answer the present by AWS's clock, in seconds since the epoch."""


class Sends(Protocol):
    """What the reaper calls of SQS."""

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[CallFailed | None]:
        """Send at most ten messages to this queue."""


class Reaper:
    """Looks at every deployment's tags once, and remembers when it expires. One replica at a time would do; more do no harm.

    A round costs as many calls as List has pages, and one for each deployment that is new.
    """

    def __init__(
        self,
        bedrock: Shows,
        queue: Sends,
        target: str,
        *,
        interval: float,
        is_fifo: bool,
        rng: random.Random,
        tally: Tally,
    ) -> None:
        self._bedrock = bedrock
        self._queue = queue
        self._target = target
        self._interval = interval
        self._is_fifo = is_fifo
        self._rng = rng
        self._tally = tally
        self._expires: dict[str, float | None] = {}
        self._asked: dict[str, float] = {}
        self._stopped = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def stop(self) -> None:
        """End `run` after the call that is under way."""
        self._stopped.set()

    async def run(self) -> None:
        """Go round every so often, until stopped; never where the settings say 0."""
        if not self._interval:
            return
        while not self._stopped.is_set():
            # Jittered, so that replicas do not march in step.
            await rest(self._interval * (0.5 + self._rng.random() / 2), unless=self._stopped)
            if self._stopped.is_set():
                return
            try:
                await self._round()
            except CallFailed as failed:
                log.info("reaper.failed", code=failed.code, error=str(failed))
            except Exception:
                self._tally.faults += 1
                log.exception("reaper.faulted")

    async def _round(self) -> None:
        there = await self._list()
        for known in self._expires.keys() - there.keys():
            del self._expires[known]
            self._asked.pop(known, None)
        for arn in [arn for arn in there if arn not in self._expires][:MOST_ASKED]:
            tags = await self._bedrock.tags(arn)
            if self._stopped.is_set():
                return
            if tags is not None:
                marks = Marks.of(tags)
                self._expires[arn] = marks.expires if marks.request is not None else None
        now = self._bedrock.now()
        for arn, expires in self._expires.items():
            is_due = expires is not None and expires <= now
            if is_due and self._loop.time() - self._asked.get(arn, -AGAIN_SECONDS) >= AGAIN_SECONDS:
                await self._ask(there[arn])

    async def _ask(self, deployment: Deployment) -> None:
        (failed,) = await self._queue.send([delete_of(deployment, self._target, is_fifo=self._is_fifo)])
        if failed is not None:
            raise failed
        self._asked[deployment.arn] = self._loop.time()
        self._tally.expiries += 1
        log.info("deployment.expired", arn=deployment.arn, name=deployment.name)

    async def _list(self) -> dict[str, Deployment]:
        there: dict[str, Deployment] = {}
        async for page in deployment_pages(lambda token: self._bedrock.page(created_after=None, status=None, token=token)):
            there |= {deployment.arn: deployment for deployment in page.deployments}
            if self._stopped.is_set():
                break
        return there
