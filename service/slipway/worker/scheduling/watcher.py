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

from slipway.core.bedrock import Deployment, ListStrategy, Page, Status, SweepEstimate, cheapest, deployment_pages
from slipway.core.call_errors import CallFailed, EndlessListing
from slipway.core.scheduling.quota import Counts
from slipway.worker.kernel.interrupts import Wait, sleep_unless_set
from slipway.worker.kernel.telemetry import Counters

log = structlog.get_logger()

UNSEEN_MARGIN_SECONDS: Final = 5.0
"""A deployment may have been created this much before its create call was answered: the `Date` header has whole
seconds, and AWS's servers do not share one clock."""
MISSES_BEFORE_ASKING: Final = 2
ASKED_AT_ONCE: Final = 10
WOKEN_AT_ONCE: Final = 25
"""How many coroutines are resumed before other ones can run."""


class WatcherBedrock(Protocol):
    """The Bedrock calls of the watcher."""

    async def page(self, *, created_after: float | None, status: Status | None, token: str | None) -> Page:
        """Return one page of the account's deployments, oldest first."""

    async def get(self, identifier: str, *, wait: Wait = ...) -> Deployment | None:
        """Return one deployment by name or ARN; None when there is none now."""


@dataclass(slots=True)
class _Watched:
    created_at: float
    added: int
    """The last sweep when it was added: only later ones count as misses."""
    ended: asyncio.Future[Deployment | None] | None = None
    is_seen: bool = False
    misses: int = 0
    ask_at_miss: int = MISSES_BEFORE_ASKING
    is_missing: bool = False


@dataclass(slots=True)
class _SweepCounts:
    """The counts of one sweep so far."""

    oldest: float
    found: set[str] = field(default_factory=set)
    since_oldest: dict[Status, int] = field(default_factory=lambda: dict.fromkeys(Status, 0))
    """Deployments by status, of those created since the oldest one in flight."""
    names: set[str] = field(default_factory=set)
    """The names of deployments that are not in flight here."""
    others: int = 0
    """The number of deployments that are not in flight here."""
    others_creating: int = 0


class Watcher:
    """Observes all deployments in flight once per tick, and resumes the requests whose deployment has ended.

    Absence is never an outcome. A deployment that two sweeps in a row do not list is fetched by ARN. If Get does not find it
    either, a deployment that was observed before stays watched; for one that was never observed, `ended` returns None.
    `last_failure` is the failure of the last sweep; None when it succeeded.
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
        self._wake = asyncio.Event()
        self._sweep_started_at = self._loop.time()
        self._due_at = self._sweep_started_at
        self._is_stopping = False
        self._unknown_statuses: set[str] = set()
        self.last_failure: CallFailed | None = None

    @property
    def in_flight(self) -> int:
        """The number of deployments in creation, as far as this process knows."""
        return len(self._watched)

    def creation_times(self) -> list[float]:
        """Return when each deployment in flight was created, by AWS's clock."""
        return [watched.created_at for watched in self._watched.values()]

    def oldest(self, most: int) -> set[str]:
        """Return the ARNs of the `most` oldest deployments in flight, and of those that are as old as the last of them."""
        latest = max(sorted(self.creation_times())[:most], default=-math.inf)  # they are nearly in order, so sorting is cheap
        return {arn for arn, watched in self._watched.items() if watched.created_at <= latest}

    def expect(self, arn: str, created_at: float) -> None:
        """Count a deployment as in flight from now on, until it ends or is forgotten."""
        if arn not in self._watched:
            if self._due_at < self._loop.time():
                self._due_at = self._next_tick()
            self._watched[arn] = _Watched(created_at, self._sweep)
            self._wake.set()

    def ended(self, arn: str, created_at: float, *, is_seen: bool) -> asyncio.Future[Deployment | None]:
        """Return a future for the deployment in its terminal status. One request at a time waits for a deployment.

        Its result is None if neither List nor Get ever showed the deployment: a create may return the ARN of a deleted one.
        """
        self.expect(arn, created_at)
        future: asyncio.Future[Deployment | None] = asyncio.get_running_loop().create_future()
        watched = self._watched[arn]
        watched.ended = future
        watched.is_seen = watched.is_seen or is_seen
        return future

    def forget(self, arn: str) -> None:
        """Stop watching a deployment. Safe to repeat."""
        self._watched.pop(arn, None)

    def is_missing(self, arn: str) -> bool:
        """Return whether the last List and Get calls did not show it."""
        watched = self._watched.get(arn)
        return watched is not None and watched.is_missing

    def created_at(self, arn: str) -> float | None:
        """Return when a deployment in flight was created, by AWS's clock; None when it is not in flight."""
        watched = self._watched.get(arn)
        return None if watched is None else watched.created_at

    def request_sweep(self) -> None:
        """Start the next sweep early, because fresh counts are needed. A minimum interval between sweeps is kept."""
        self._due_at = min(self._due_at, max(self._loop.time(), self._sweep_started_at + self._interval / 5))
        self._wake.set()

    def stop(self) -> None:
        """End `run` after the call in flight."""
        self._is_stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Sweep at every tick while a deployment is in flight or counts are needed, until stopped."""
        while not self._is_stopping:
            self._wake.clear()
            has_work = bool(self._watched) or self._needs_counts()
            if not has_work:
                await self._wake.wait()
                continue
            if (early := self._due_at - self._loop.time()) > 0:
                await sleep_unless_set(early, unless=self._wake)
                continue
            self._sweep_started_at = self._loop.time()
            self._due_at = self._next_tick()
            await self._sweep_once()
            self._counters.sweep_seconds.add(self._loop.time() - self._sweep_started_at)

    def _next_tick(self) -> float:
        """Return the time of the next tick, with jitter so that replicas do not sweep together; at most one interval away."""
        return self._loop.time() + self._interval * (0.8 + self._rng.random() / 5)

    async def _sweep_once(self) -> None:
        self._sweep += 1
        needs_counts = self._needs_counts()
        strategy = cheapest(self._estimate_now(), needs_counts=needs_counts)
        try:
            if strategy is ListStrategy.ONE_BY_ONE:
                await self._get_each(list(self._watched))
            else:
                await self._list(strategy)
        except CallFailed as failed:
            self._counters.sweeps_failed += 1
            if self.last_failure is None or self.last_failure.code != failed.code:
                log.warning("sweep.failed", way=strategy.value, reason=failed.code, message=str(failed))
            self.last_failure = failed
        except Exception:
            self._counters.faults += 1
            self._counters.sweeps_failed += 1
            log.exception("sweep.faulted", way=strategy.value)
        else:
            if self.last_failure is not None:
                log.info("sweep.recovered")
            self.last_failure = None
            self._counters.sweeps += 1

    def _estimate_now(self) -> SweepEstimate:
        last = self._estimate
        return SweepEstimate(len(self._watched), len(self._watched), last.active_since, last.failed_since)

    async def _list(self, strategy: ListStrategy) -> None:
        oldest = self._oldest()
        since = None if strategy is ListStrategy.EVERYTHING else oldest
        number = self._sweep
        observation = _SweepCounts(oldest)
        statuses = (Status.ACTIVE, Status.FAILED) if strategy is ListStrategy.ENDED_SINCE_OLDEST else (None,)
        endless: EndlessListing | None = None
        for status in statuses:
            try:
                await self._read_list(since, status, observation)
            except EndlessListing as failed:
                endless = failed  # the other status may still be listed to its end
        if self._is_stopping:
            return
        if (
            strategy is ListStrategy.EVERYTHING
        ):  # of an endless listing, count the pages that were read: Bedrock refuses a create above the quota
            self._counted(Counts(observation.others_creating, observation.others), observation.names)
        if endless is not None:
            await self._get_each(self._missed(observation.found, number))
            raise endless
        since_oldest = observation.since_oldest
        self._estimate = SweepEstimate(
            len(self._watched), since_oldest[Status.CREATING], since_oldest[Status.ACTIVE], since_oldest[Status.FAILED]
        )
        # ENDED_SINCE_OLDEST does not list what is in creation: only a deployment that was never observed counts as missed.
        seen = (
            ()
            if strategy is not ListStrategy.ENDED_SINCE_OLDEST
            else (arn for arn, one in self._watched.items() if one.is_seen)
        )
        await self._get_each(self._missed(observation.found.union(seen), number))

    async def _read_list(self, since: float | None, status: Status | None, observation: _SweepCounts) -> None:
        async for page in deployment_pages(lambda token: self._bedrock.page(created_after=since, status=status, token=token)):
            await self._note_page(page, observation)
            if self._is_stopping:
                return

    async def _note_page(self, page: Page, observation: _SweepCounts) -> None:
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
        """Count the misses of this sweep; return the ARNs to get."""
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
        """Update a deployment in flight; return whether it has ended."""
        watched = self._watched.get(deployment.arn)
        if watched is None:
            return True
        watched.created_at, watched.is_seen = deployment.created_at, True
        watched.misses, watched.ask_at_miss, watched.is_missing = 0, MISSES_BEFORE_ASKING, False
        if deployment.status is Status.UNKNOWN and deployment.status_text not in self._unknown_statuses:
            self._unknown_statuses.add(deployment.status_text)
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
