"""Snapshots of the daemon in plain values: requests, slots, and the AWS calls of the last hour.

The cost of a snapshot is linear in the number of requests in progress.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from itertools import islice
from operator import itemgetter
from statistics import median
from typing import Final

from slipway.core.diagnostics.severity import Problem
from slipway.core.diagnostics.status import RequestStatus
from slipway.core.lifecycle.outcomes import Reason
from slipway.core.scheduling.quota import Counts, Quota
from slipway.http.requests_api import request_status
from slipway.worker.kernel.lease import Lease
from slipway.worker.publishing.publisher import HistoryEntry
from slipway.worker.runtime.target_runtime import TargetRuntime
from slipway.worker.runtime.worker import Worker

FLIGHT_ROWS: Final = 10
WAITING_ROWS: Final = 25
FINISHED_ROWS: Final = 10


@dataclass(frozen=True, slots=True)
class Account:
    """A target, with what is known of its slots."""

    name: str
    where: str
    own: int
    """Deployments in creation by this daemon."""
    counts: Counts
    quota: Quota
    is_counted: bool = True
    """The deployments of others were counted lately."""
    usual_seconds: float | None = None
    """Median duration of the latest creations."""


@dataclass(frozen=True, slots=True)
class Flight:
    """A request whose deployment has been in creation for `seconds`; `usual` is the median of its target."""

    held: RequestStatus
    seconds: float
    usual: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A snapshot."""

    is_stopping: bool
    accounts: tuple[Account, ...]
    """The default target first."""
    held: int
    in_flight: int
    waiting: int
    reasons: Mapping[str, int]
    """Number of waiting requests by reason."""
    flights: tuple[Flight, ...]
    """The oldest first."""
    waiting_rows: tuple[RequestStatus, ...]
    """One page: requests in the fair queue by position, then the others by age."""
    waiting_from: int
    """Number of waiting requests before this page."""
    finished: tuple[HistoryEntry, ...]
    """The newest first."""
    finished_from: int = 0
    """Number of finished requests before this page."""
    finished_total: int = 0
    problems: tuple[Problem, ...] = ()
    """The most severe first."""
    oldest_seconds: float | None = None
    """Age of the oldest request in progress; None if there is none."""
    failed_today: int = 0
    """Requests that failed in the last 24 hours."""
    dead_letters: int | None = None
    """None if not known."""
    now: float = 0.0
    """Seconds since the epoch."""
    endings: Mapping[str, int]
    """Number of outcomes by kind since the daemon started."""
    active_seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows to show and their counts, selected from all requests in progress. Valid until something happens."""

    in_flight: int
    waiting: int
    reasons: Mapping[str, int]
    flights: tuple[Lease, ...]
    waiting_rows: tuple[Lease, ...]
    waiting_from: int
    oldest: Lease | None
    """The request that was received first."""
    places: Mapping[str, int]


def rows_of(slipway: Worker, waiting_from: int = 0) -> Rows:
    """Select the rows from all requests in progress."""
    flying: list[Lease] = []
    waiting: list[Lease] = []
    for lease in slipway.held_leases:
        if lease.why is Reason.IN_CREATION:
            flying.append(lease)
        elif lease.why is not None:
            waiting.append(lease)
    in_line = _first_in_line(slipway, waiting_from + WAITING_ROWS)
    behind = slipway.request_order.queue_positions() if slipway.request_order else {}
    return Rows(
        in_flight=len(flying),
        waiting=len(waiting),
        reasons={why: number for why, number in slipway.waits().items() if why is not Reason.IN_CREATION},
        flights=_flights(slipway, flying),
        waiting_rows=tuple(_page(waiting, in_line, waiting_from)),
        waiting_from=waiting_from,
        oldest=min(slipway.held_leases, key=_age, default=None),
        places=behind | {lease.message.message_id: place for place, lease in in_line},
    )


def view_of(
    slipway: Worker,
    rows: Rows,
    problems: tuple[Problem, ...] = (),
    *,
    now: float = 0.0,
    dead_letters: int | None = None,
    finished_from: int = 0,
) -> View:
    """Return the current state of these rows. `now` is in seconds since the epoch."""
    latest = islice(reversed(slipway.history), finished_from, finished_from + FINISHED_ROWS)
    accounts = tuple(_account(site) for site in slipway.runtimes.values())
    usual = {account.name: account.usual_seconds for account in accounts}
    return View(
        is_stopping=slipway.is_stopping,
        accounts=accounts,
        held=len(slipway.held_leases),
        in_flight=rows.in_flight,
        waiting=rows.waiting,
        reasons=rows.reasons,
        flights=tuple(
            Flight(
                request_status(lease, slipway, None),
                _creation_seconds(slipway, lease),
                usual[slipway.runtime_of(lease).target.name],
            )
            for lease in rows.flights
        ),
        waiting_rows=tuple(
            request_status(lease, slipway, rows.places.get(lease.message.message_id)) for lease in rows.waiting_rows
        ),
        waiting_from=rows.waiting_from,
        finished=tuple(latest),
        finished_from=finished_from,
        finished_total=len(slipway.history),
        oldest_seconds=None if rows.oldest is None else rows.oldest.now() - _age(rows.oldest),
        failed_today=slipway.history.failures_of_a_day(now),
        dead_letters=dead_letters,
        now=now,
        endings=dict(sum((site.counters.endings for site in slipway.runtimes.values()), Counter[str]())),
        active_seconds=slipway.history.active_seconds,
        problems=problems,
    )


def _first_in_line(slipway: Worker, most: int) -> list[tuple[int, Lease]]:
    """Return the first requests of the fair queues with their positions, from 1, in the order of the positions."""
    pairs = (pair for site in slipway.runtimes.values() for pair in enumerate(site.slots.first(most), 1))
    return sorted(pairs, key=itemgetter(0))[:most]


def _page(waiting: Iterable[Lease], in_line: Sequence[tuple[int, Lease]], start: int) -> list[Lease]:
    """Return one page of waiting requests: first those `in_line`, then the others by age."""
    rows = [lease for _, lease in in_line]
    if len(rows) < (most := start + WAITING_ROWS):
        standing = set(rows)
        others = (lease for lease in waiting if lease not in standing)
        rows += nsmallest(most - len(rows), others, key=_age)
    return rows[start:]


def _age(lease: Lease) -> float:
    return lease.delivery.first_received_at


def _account(site: TargetRuntime) -> Account:
    home, latest = site.target.home, site.counters.creation_seconds.latest
    return Account(
        name=site.target.name,
        where=f"{home.region} · {site.target.shown_account}",
        own=site.watcher.in_flight,
        counts=site.slots.known_counts() or site.slots.counts,
        is_counted=site.slots.known_counts() is not None,
        quota=site.slots.quota,
        usual_seconds=median(latest) if latest else None,
    )


def _flights(slipway: Worker, flying: Sequence[Lease]) -> tuple[Lease, ...]:
    oldest = {arn for site in slipway.runtimes.values() for arn in site.watcher.oldest(FLIGHT_ROWS)}
    likely = [lease for lease in flying if lease.arn in oldest]
    among = likely if len(likely) >= FLIGHT_ROWS else flying
    longest = nsmallest(FLIGHT_ROWS, ((-_creation_seconds(slipway, lease), id(lease), lease) for lease in among))
    return tuple(lease for _, _, lease in longest)


def _creation_seconds(slipway: Worker, lease: Lease) -> float:
    created_at = slipway.runtime_of(lease).watcher.created_at(lease.arn) if lease.arn is not None else None
    return max(0.0, lease.now() - created_at) if created_at is not None else 0.0
