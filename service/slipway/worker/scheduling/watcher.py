"""One watcher for all deployments in flight: a List sweep per tick, not a Get per deployment."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from slipway.core.bedrock.deployments import Deployment, Page, Status, deployment_pages
from slipway.core.bedrock.errors import CallFailed, EndlessListing
from slipway.core.scheduling.list_strategy import ListStrategy, SweepEstimate, cheapest
from slipway.core.scheduling.quota import Counts
from slipway.worker.kernel.counters import Counters
from slipway.worker.kernel.interrupts import Wait, rest

log = structlog.get_logger()

UNSEEN_MARGIN_SECONDS: Final = 5.0
"""How much earlier than the answer to its Create a deployment may say it was created: the `Date` of an answer has whole
seconds, and AWS's servers do not share one clock."""
MISSES_BEFORE_ASKING: Final = 2
ASKED_AT_ONCE: Final = 10
WOKEN_AT_ONCE: Final = 25
"""Then everybody else has a turn: a thousand that end within one sweep would stop the event loop for 0.2 s."""


class WatcherBedrock(Protocol):
    """What the watcher calls of Bedrock."""

    async def page(self, *, created_after: float | None, status: Status | None, token: str | None) -> Page:
        """Answer one page of the account's deployments, oldest first."""

    async def get(self, identifier: str, *, wait: Wait = ...) -> Deployment | None:
        """Answer one deployment by name or ARN; None when there is none now."""


@dataclass(slots=True)
class _Watched:
    created_at: float
    added: int
    """The sweep that was the last when this one was added: only a later one can miss it."""
    ended: asyncio.Future[Deployment | None] | None = None
    is_seen: bool = False
    misses: int = 0
    ask_at_miss: int = MISSES_BEFORE_ASKING
    is_missing: bool = False


@dataclass(slots=True)
class _Sight:
    """What one sweep has seen so far."""

    oldest: float
    found: set[str] = field(default_factory=set)
    since_oldest: dict[Status, int] = field(default_factory=lambda: dict.fromkeys(Status, 0))
    """How many, of those created since the oldest one in flight."""
    names: set[str] = field(default_factory=set)
    """Of what is not in flight here, or not any more."""
    others: int = 0
    """Those that are not in flight here, or not any more."""
    others_creating: int = 0


class Watcher:
    """Looks at everything in flight once per tick, and wakes whoever waits for a deployment that has ended.

    Absence is never an outcome: what two sweeps in a row do not show is asked for by Get, and if Get does not find it
    either, it is waited for all the same. `trouble` is the failure of the last sweep; None when it succeeded.
    """

    def __init__(
        self,
        bedrock: WatcherBedrock,
        *,
        interval: float,
        rng: random.Random,
        counters: Counters,
        needs_counts: Callable[[], bool],
        counted: Callable[[Counts, AbstractSet[str]], None],
    ) -> None:
        self._bedrock = bedrock
        self._interval = interval
        self._rng = rng
        self._counters = counters
        self._needs_counts = needs_counts
        self._counted = counted
        self._watched: dict[str, _Watched] = {}
        self._estimate = SweepEstimate(0, 0, 0, 0)
        self._sweep = 0
        self._woken = 0
        self._loop = asyncio.get_running_loop()
        self._nudge = asyncio.Event()
        self._began = self._loop.time()
        self._due_at = self._began
        self._is_stopping = False
        self._puzzles: set[str] = set()
        self.trouble: CallFailed | None = None

    @property
    def in_flight(self) -> int:
        """How many deployments are in creation, as far as this process knows."""
        return len(self._watched)

    def began(self) -> list[float]:
        """Answer when each deployment in flight was created, by AWS's clock."""
        return [watched.created_at for watched in self._watched.values()]

    def oldest(self, most: int) -> set[str]:
        """Answer the ARNs of the oldest in flight: of so many, and of those that are as old as the last of them."""
        latest = max(sorted(self.began())[:most], default=-math.inf)  # they are nearly in order, so sorting is cheap
        return {arn for arn, watched in self._watched.items() if watched.created_at <= latest}

    def expect(self, arn: str, created_at: float) -> None:
        """Count a deployment as in flight from now on, until it ends or is forgotten."""
        if arn not in self._watched:
            if self._due_at < self._loop.time():
                self._due_at = self._next_tick()
            self._watched[arn] = _Watched(created_at, self._sweep)
            self._nudge.set()

    def ended(self, arn: str, created_at: float, *, is_seen: bool) -> asyncio.Future[Deployment | None]:
        """Answer a future for how the deployment ends. One waits for a deployment at a time: requests take turns.

        None where it was never seen, and Get does not show it: what a create is answered with may be long gone.
        """
        self.expect(arn, created_at)
        future: asyncio.Future[Deployment | None] = asyncio.get_running_loop().create_future()
        watched = self._watched[arn]
        watched.ended = future
        watched.is_seen = watched.is_seen or is_seen
        return future

    def forget(self, arn: str) -> None:
        """Nobody waits for it any more. Safe to repeat."""
        self._watched.pop(arn, None)

    def is_missing(self, arn: str) -> bool:
        """Whether neither List nor Get showed it when last asked."""
        watched = self._watched.get(arn)
        return watched is not None and watched.is_missing

    def created_at(self, arn: str) -> float | None:
        """Answer when a deployment in flight was created, by AWS's clock; None when it is not in flight."""
        watched = self._watched.get(arn)
        return None if watched is None else watched.created_at

    def request_sweep(self) -> None:
        """Do the next sweep early: somebody needs fresh counts. However often it is asked, sweeps keep some distance."""
        self._due_at = min(self._due_at, max(self._loop.time(), self._began + self._interval / 5))
        self._nudge.set()

    def stop(self) -> None:
        """End `run` after the call that is under way."""
        self._is_stopping = True
        self._nudge.set()

    async def run(self) -> None:
        """Sweep at every tick as long as there is something to look for, until stopped."""
        while not self._is_stopping:
            self._nudge.clear()
            has_work = bool(self._watched) or self._needs_counts()
            if not has_work:
                await self._nudge.wait()
                continue
            if (early := self._due_at - self._loop.time()) > 0:
                await rest(early, unless=self._nudge)
                continue
            self._began = self._loop.time()
            self._due_at = self._next_tick()
            await self._sweep_once()
            self._counters.sweep_seconds.add(self._loop.time() - self._began)

    def _next_tick(self) -> float:
        """Jittered, so that replicas do not march in step; never later than the interval."""
        return self._loop.time() + self._interval * (0.8 + self._rng.random() / 5)

    async def _sweep_once(self) -> None:
        self._sweep += 1
        needs_counts = self._needs_counts()
        way = cheapest(self._estimate_now(), needs_counts=needs_counts)
        try:
            if way is ListStrategy.ONE_BY_ONE:
                await self._get_each(list(self._watched))
            else:
                await self._list(way)
        except CallFailed as failed:
            self._counters.sweeps_failed += 1
            if self.trouble is None or self.trouble.code != failed.code:
                log.warning("sweep.failed", way=way.value, code=failed.code, error=str(failed))
            self.trouble = failed
        except Exception:
            self._counters.faults += 1
            self._counters.sweeps_failed += 1
            log.exception("sweep.faulted", way=way.value)
        else:
            if self.trouble is not None:
                log.info("sweep.recovered")
            self.trouble = None
            self._counters.sweeps += 1

    def _estimate_now(self) -> SweepEstimate:
        last = self._estimate
        return SweepEstimate(len(self._watched), len(self._watched), last.active_since, last.failed_since)

    async def _list(self, way: ListStrategy) -> None:
        oldest = self._oldest()
        since = None if way is ListStrategy.EVERYTHING else oldest
        number = self._sweep
        observation = _Sight(oldest)
        statuses = (Status.ACTIVE, Status.FAILED) if way is ListStrategy.ENDED_SINCE_OLDEST else (None,)
        endless: EndlessListing | None = None
        for status in statuses:
            try:
                await self._read_list(since, status, observation)
            except EndlessListing as failed:
                endless = failed  # the other status may still be listed to its end
        if self._is_stopping:
            return
        if (
            way is ListStrategy.EVERYTHING
        ):  # of an endless listing the pages that were read: a create above the quota is refused
            self._counted(Counts(observation.others_creating, observation.others), observation.names)
        if endless is not None:
            await self._get_each(self._missed(observation.found, number))
            raise endless
        since_oldest = observation.since_oldest
        self._estimate = SweepEstimate(
            len(self._watched), since_oldest[Status.CREATING], since_oldest[Status.ACTIVE], since_oldest[Status.FAILED]
        )
        # That way does not show what is in creation: only of what was never seen it is not known whether it is there.
        seen = () if way is not ListStrategy.ENDED_SINCE_OLDEST else (arn for arn, one in self._watched.items() if one.is_seen)
        await self._get_each(self._missed(observation.found.union(seen), number))

    async def _read_list(self, since: float | None, status: Status | None, observation: _Sight) -> None:
        async for page in deployment_pages(lambda token: self._bedrock.page(created_after=since, status=status, token=token)):
            await self._note_page(page, observation)
            if self._is_stopping:
                return

    async def _note_page(self, page: Page, observation: _Sight) -> None:
        for deployment in page.deployments:
            if deployment.arn in observation.found:
                continue
            observation.found.add(deployment.arn)
            observation.since_oldest[deployment.status] += deployment.created_at >= observation.oldest
            if deployment.arn not in self._watched or self._note(deployment):
                observation.names.add(deployment.name)
                observation.others += 1
                observation.others_creating += deployment.status is Status.CREATING
            if self._woken >= WOKEN_AT_ONCE:
                self._woken = 0
                await asyncio.sleep(0)

    def _oldest(self) -> float:
        return min(
            (watched.created_at - (1.0 if watched.is_seen else UNSEEN_MARGIN_SECONDS) for watched in self._watched.values()),
            default=math.inf,
        )

    def _missed(self, found: Iterable[str], number: int) -> list[str]:
        """Note what this sweep should have shown and did not; answer what it is time to ask for by Get."""
        absent = [arn for arn in self._watched.keys() - set(found) if self._watched[arn].added < number]
        ask: list[str] = []
        for arn in sorted(absent):
            watched = self._watched[arn]
            watched.misses += 1
            if watched.misses >= watched.ask_at_miss and len(ask) < ASKED_AT_ONCE:
                watched.ask_at_miss = watched.misses * 2
                ask.append(arn)
        return ask

    async def _get_each(self, arns: list[str]) -> None:
        for arn in arns:
            deployment = await self._bedrock.get(arn)
            if self._is_stopping:
                return
            watched = self._watched.get(arn)
            if deployment is not None:
                self._note(deployment)
            elif watched is not None:
                if not watched.is_missing:
                    watched.is_missing = True
                    log.warning("deployment.missing", arn=arn)
                if not watched.is_seen and watched.ended is not None and not watched.ended.done():
                    watched.ended.set_result(None)

    def _note(self, deployment: Deployment) -> bool:
        """Take note of one deployment in flight; answer whether it has ended, and so is in flight no more."""
        watched = self._watched.get(deployment.arn)
        if watched is None:
            return True
        watched.created_at, watched.is_seen = deployment.created_at, True
        watched.misses, watched.ask_at_miss, watched.is_missing = 0, MISSES_BEFORE_ASKING, False
        if deployment.status is Status.UNKNOWN and deployment.status_text not in self._puzzles:
            self._puzzles.add(deployment.status_text)
            log.warning("status.unknown", status=deployment.status_text, arn=deployment.arn)
        if not deployment.status.is_terminal:
            return False
        if watched.ended is None:
            return False
        del self._watched[deployment.arn]
        if not watched.ended.done():
            watched.ended.set_result(deployment)
            self._woken += 1
        return True
