"""Creation slots: a full quota is a wait in the fair queue, never a failure; and estimates of when the wait will end (ETA)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Final, NamedTuple, Self

import structlog

from slipway.core.bedrock import Created
from slipway.core.call_errors import CallFailed, QuotaFull
from slipway.core.events.publish import Progress
from slipway.core.lifecycle.outcomes import Reason
from slipway.core.requests.models import Request
from slipway.core.scheduling.eta import Eta, SlotForecast, forecast, remaining_seconds
from slipway.core.scheduling.fair_queue import FairQueue, QueueEntry
from slipway.core.scheduling.quota import Counts, Quota
from slipway.worker.kernel.lease import LONG_SECONDS, Lease
from slipway.worker.kernel.retry import ReportProgress
from slipway.worker.kernel.telemetry import Counters
from slipway.worker.scheduling.watcher import Watcher

log = structlog.get_logger()

KNOWN_SECONDS: Final = 900.0
"""How long a count of the account is reported as its present one."""


class Waiter(NamedTuple):
    """A request in the fair queue and the future that grants its create."""

    lease: Lease
    grant: asyncio.Future[bool]
    """Completed with False if a deployment of its name exists: then the request does not wait for a slot."""


class Slots:
    """Grants creates by priority, tenant and age, as far as the account's quotas allow.

    Deployments of others are counted by sweeps; this process knows its own in creation.
    """

    def __init__(
        self,
        quota: Quota,
        *,
        weights: Mapping[str, int],
        in_creation: Callable[[], int],
        request_sweep: Callable[[], None],
        counters: Counters,
    ) -> None:
        self.quota = quota
        self._in_creation = in_creation
        self._request_sweep = request_sweep
        self._counters = counters
        self._others: Counts | None = None
        self._counted: Counts | None = None
        """Deployments of others at the latest count, by a sweep or by the reaper."""
        self._counted_at = 0.0
        self._fair_queue: FairQueue[Waiter] = FairQueue(weights)
        self._granted: dict[QueueEntry[Waiter], float] = {}
        """Grants whose create has not been answered yet, and since when. The oldest first."""
        self._loop = asyncio.get_running_loop()

    @property
    def waiting(self) -> int:
        """The number of requests in the fair queue."""
        return len(self._fair_queue)

    @property
    def under_way(self) -> int:
        """The number of creates that are granted and not answered yet."""
        return len(self._granted)

    def why(self) -> tuple[Reason, str]:
        """Return what the fair queue waits for now: a slot; or the create rate, if that has long delayed the first grant."""
        for entry, since in islice(self._granted.items(), 1):
            is_held_back = entry.waiter.lease.why is Reason.THROTTLED and self._loop.time() - since >= LONG_SECONDS
            if is_held_back and not self.quota.is_full(self.counts, self.under_way):
                return (
                    Reason.THROTTLED,
                    f"creates wait for the rate limit, because AWS throttles them or many are open; {self.under_way} are ahead",
                )
        return Reason.NO_SLOT, f"no free slot: {self.quota.describe(self.counts)}"

    @property
    def counts(self) -> Counts:
        """The deployments in creation and in total, as far as this process knows."""
        others = self._others or Counts(0, 0)
        mine = self._in_creation()
        return Counts(others.creating + mine, others.total + mine)

    def queue_positions(self) -> dict[str, int]:
        """Return the queue position, from 1, of each message whose request waits for a slot."""
        return {
            entry.waiter.lease.message.message_id: position for position, entry in enumerate(self._fair_queue.in_order(), 1)
        }

    def first(self, most: int) -> list[Lease]:
        """Return the leases of the first `most` requests in the fair queue."""
        return [entry.waiter.lease for entry in self._fair_queue.in_order(most)]

    def last(self, may_go: Callable[[Lease], bool], newcomer: tuple[int, str | None, float] | None) -> Lease | None:
        """Return the last lease in the fair queue that may go; None if there is none, or the newcomer would be behind it."""
        last = self._fair_queue.last(lambda waiter: may_go(waiter.lease), newcomer)
        return None if last is None else last.lease

    def needs_counts(self) -> bool:
        """Return whether the next sweep should count the deployments of others: only while a request waits for a slot."""
        return bool(self._fair_queue) and self.quota.is_limiting()

    def has_room(self) -> bool:
        """Return whether a new request would get a slot at once."""
        return not self._fair_queue and self._room() > 0

    async def grant(self, lease: Lease, request: Request, report_progress: ReportProgress) -> Grant | None:
        """Return the grant of one create, when it is this request's turn. Raises `Interrupted` while waiting.

        Return None as soon as a sweep shows a deployment of the request's name: a request that deletes it, and so frees a
        slot, may wait for this one.
        """
        grant: asyncio.Future[bool] = self._loop.create_future()
        first_received = lease.delivery.first_received_at
        entry = self._fair_queue.join(
            Waiter(lease, grant), priority=request.priority, tenant=request.tenant, first_received=first_received
        )
        self._pump()
        try:
            if grant.done():
                await lease.wait(grant)
            else:
                with self._behind(entry, report_progress):
                    await lease.wait(grant)
        except BaseException:
            # A request that was interrupted before it could wait is still in the fair queue, or has its grant already.
            if grant.done() and not grant.cancelled() and grant.exception() is None and grant.result():
                self._finished(entry, None)
            else:
                self._fair_queue.leave(entry)
            raise
        if not grant.result():
            self._fair_queue.leave(entry)
            return None
        return Grant(self._finished, entry)

    def _behind(self, entry: QueueEntry[Waiter], report_progress: ReportProgress) -> AbstractContextManager[None]:
        """Report that the request waits, and return the context of that wait."""
        if len(self._fair_queue) == 1:
            self._request_sweep()
        why, text = self.why()
        report_progress(Progress.WAITING, why, text, partial(self._fair_queue.rank, entry))
        return entry.waiter.lease.waiting_for(why, text)

    def swept(self, others: Counts, names: AbstractSet[str] = frozenset()) -> None:
        """Use the counts of a sweep: the deployments that are not in flight in this process, and their names."""
        for entry in self._fair_queue.in_order():
            if entry.waiter.lease.what in names and not entry.waiter.grant.done():
                entry.waiter.grant.set_result(False)
        self._others = others
        self.count_others(others)
        self.quota = self.quota.learn(self.counts)
        self._pump(probe=True)

    def count_others(self, others: Counts) -> None:
        """Note how many deployments of others exist, for `known_counts`. Decides nothing."""
        self._counted, self._counted_at = others, self._loop.time()

    def known_counts(self) -> Counts | None:
        """Return the deployments in creation and in total; None if the account was not counted lately."""
        if self._counted is None or self._loop.time() - self._counted_at > KNOWN_SECONDS:
            return None
        mine = self._in_creation()
        return Counts(self._counted.creating + mine, self._counted.total + mine)

    def _finished(self, entry: QueueEntry[Waiter], answer: Created | CallFailed | None) -> None:
        """Close a grant whose create was accepted (and is watched already), failed, or was never sent (None)."""
        del self._granted[entry]
        match answer:
            case Created():
                self.quota = self.quota.after_success(self.counts)
            case QuotaFull():
                self._counters.quota_refusals += 1
                self.quota = self.quota.after_refusal(self.counts, self._loop.time())
                log.info("slots.refused", creating=self.counts.creating, total=self.counts.total, reason=answer.code)
                self._fair_queue.give_back(entry)
                self._request_sweep()
            case None:
                self._fair_queue.give_back(entry)
        self._loop.call_soon(self._pump)

    def _room(self, *, probe: bool = False) -> int:
        if self._others is None and (self.quota.max_creating or self.quota.max_total):
            return 0
        return self.quota.room(self.counts, self.under_way, self._loop.time() if probe else None)

    def _pump(self, *, probe: bool = False) -> None:
        room = self._room(probe=probe)
        while self._fair_queue and room > 0:
            entry = self._fair_queue.next()
            if entry.waiter.grant.done():  # interrupted, and about to leave
                self._fair_queue.give_back(entry)
                continue
            self._granted[entry] = self._loop.time()
            room -= 1
            entry.waiter.grant.set_result(True)


class Grant:
    """The right to make one create. Leaving the context without an answer gives it back."""

    __slots__ = ("_entry", "_finished", "answer")

    def __init__(
        self, finished: Callable[[QueueEntry[Waiter], Created | CallFailed | None], None], entry: QueueEntry[Waiter]
    ) -> None:
        self._finished = finished
        self._entry = entry
        self.answer: Created | CallFailed | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._finished(self._entry, self.answer)


FRESH_SECONDS: Final = 1.0
"""How long one view is reused: thousands of requests may start to wait at once."""


@dataclass(frozen=True, slots=True)
class View:
    """What estimates are based on at one moment."""

    times: tuple[float, ...]
    """How long the latest creations took, in seconds."""
    slots: SlotForecast | None
    free_in_total: int | None = None
    """How many more deployments the account may have; None if not known. Only a delete gives a slot to the requests after."""

    def of(self, reason: Reason | None, position: int | None, in_creation_for: float | None = None) -> Eta:
        """Return the estimate for a request that waits at this queue position, or whose deployment is in creation."""
        is_within_total = position is not None and (self.free_in_total is None or position <= self.free_in_total)
        if reason is Reason.NO_SLOT and position is not None and self.slots is not None and is_within_total:
            to_slot = self.slots.to_slot(position)
            return Eta(position, to_slot, to_slot + self.slots.typical)
        if reason is Reason.IN_CREATION and in_creation_for is not None:
            return Eta(to_end=remaining_seconds(self.times, in_creation_for))
        return Eta(position)


class EtaEstimator:
    """Estimates waiting times from the deployments in creation."""

    def __init__(self, slots: Slots, watcher: Watcher, counters: Counters) -> None:
        self._slots = slots
        self._watcher = watcher
        self._counters = counters
        self._loop = asyncio.get_running_loop()
        self._seen_at = -FRESH_SECONDS
        self._view = View((), None)

    def view(self, lease: Lease) -> View:
        """Return the current view. The lease provides AWS's clock."""
        if self._loop.time() - self._seen_at >= FRESH_SECONDS:
            self._seen_at, self._view = self._loop.time(), self._look(lease.now())
        return self._view

    def _look(self, now: float) -> View:
        slots = self._slots
        times = tuple(self._counters.creation_seconds.latest)
        passed = [max(0.0, now - created_at) for created_at in self._watcher.creation_times()]
        others = slots.counts.creating - len(passed)
        limit = slots.quota.creating_limit(slots.counts)
        most = slots.quota.limit_in_total
        free = max(0, most - slots.counts.total - slots.under_way) if most else None
        return View(times, forecast(times, passed + [0.0] * slots.under_way, others, limit), free)
