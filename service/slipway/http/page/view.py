"""What there is to see of a daemon at one moment, in plain values. Its cost grows with what is held, and little else does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from operator import itemgetter
from statistics import median
from typing import Final

from slipway.core.diagnostics.status import Held
from slipway.core.lifecycle.outcomes import Reason
from slipway.core.scheduling.quota import Counts, Quota
from slipway.core.sqs import continuations
from slipway.http.requests_api import held_of
from slipway.worker.kernel.lease import Hold
from slipway.worker.publishing.history import Story
from slipway.worker.runtime.target_runtime import Site
from slipway.worker.runtime.worker import Slipway

FLIGHT_ROWS: Final = 25
WAITING_ROWS: Final = 25
FINISHED_ROWS: Final = 25


@dataclass(frozen=True, slots=True)
class Account:
    """A target: where it is, and what is known of its slots."""

    name: str
    where: str
    own: int
    """Deployments that this daemon has in creation there."""
    counts: Counts
    quota: Quota
    trouble: str | None = None
    """The failure of the last sweep."""
    usual_seconds: float | None = None
    """How long a creation takes there, as a rule."""


@dataclass(frozen=True, slots=True)
class Flight:
    """A request whose deployment is in creation, since so many seconds; `usual` is what that takes there."""

    held: Held
    seconds: float
    usual: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One moment."""

    is_stopping: bool
    accounts: tuple[Account, ...]
    """The default target first."""
    held: int
    in_flight: int
    waiting: int
    reasons: Mapping[str, int]
    """How many wait for what."""
    flights: tuple[Flight, ...]
    """The oldest of them first."""
    waiting_rows: tuple[Held, ...]
    """One page: those in line by their place, then the others by age."""
    waiting_from: int
    """How many come before this page."""
    finished: tuple[Story, ...]
    """The latest first."""
    endings: Mapping[str, int]
    """Since this daemon was started."""
    active_seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Who is shown, and how many there are: all that takes longer the more is held. It is so until something happens."""

    in_flight: int
    waiting: int
    reasons: Mapping[str, int]
    flights: tuple[Hold, ...]
    waiting_rows: tuple[Hold, ...]
    waiting_from: int
    places: Mapping[str, int]


def rows_of(slipway: Slipway, waiting_from: int = 0) -> Rows:
    """Look through everything that is held."""
    flying: list[Hold] = []
    waiting: list[Hold] = []
    for hold in slipway.holds:
        if hold.why is Reason.IN_CREATION:
            flying.append(hold)
        elif hold.why is not None:
            waiting.append(hold)
    in_line = _first_in_line(slipway, waiting_from + WAITING_ROWS)
    behind = slipway.turns.places() if slipway.turns else {}
    return Rows(
        in_flight=len(flying),
        waiting=len(waiting),
        reasons={why: number for why, number in slipway.waits().items() if why is not Reason.IN_CREATION},
        flights=_flights(slipway, flying),
        waiting_rows=tuple(_page(waiting, in_line, waiting_from)),
        waiting_from=waiting_from,
        places=behind | {hold.message.message_id: place for place, hold in in_line},
    )


def view_of(slipway: Slipway, rows: Rows) -> View:
    """Look at those once more, as they are now."""
    accounts = tuple(_account(site) for site in slipway.sites.values())
    usual = {account.name: account.usual_seconds for account in accounts}
    return View(
        is_stopping=slipway.is_stopping,
        accounts=accounts,
        held=len(slipway.holds),
        in_flight=rows.in_flight,
        waiting=rows.waiting,
        reasons=rows.reasons,
        flights=tuple(
            Flight(held_of(hold, slipway, None), _creation_seconds(slipway, hold), usual[slipway.site_of(hold).target.name])
            for hold in rows.flights
        ),
        waiting_rows=tuple(held_of(hold, slipway, rows.places.get(hold.message.message_id)) for hold in rows.waiting_rows),
        waiting_from=rows.waiting_from,
        finished=tuple(reversed(tuple(slipway.history)[-FINISHED_ROWS:])),
        endings=dict(slipway.tally.endings),
        active_seconds=slipway.history.active_seconds,
    )


def _first_in_line(slipway: Slipway, most: int) -> list[tuple[int, Hold]]:
    """Answer who is among the first so many of a target's line, and at which place, from 1; in the order of their places."""
    pairs = (pair for site in slipway.sites.values() for pair in enumerate(site.slots.first(most), 1))
    return sorted(pairs, key=itemgetter(0))[:most]


def _page(waiting: Iterable[Hold], in_line: Sequence[tuple[int, Hold]], start: int) -> list[Hold]:
    """Answer one page of those who wait. Where they are not many, everybody who stands in a line is among `in_line`."""
    rows = [hold for _, hold in in_line]
    if len(rows) < (most := start + WAITING_ROWS):
        standing = set(rows)
        others = (hold for hold in waiting if hold not in standing)
        rows += nsmallest(most - len(rows), others, key=_age)
    return rows[start:]


def _age(hold: Hold) -> float:
    return continuations.first_received_at(hold.message)


def _account(site: Site) -> Account:
    home, trouble, latest = site.target.home, site.watcher.trouble, site.tally.creation_seconds.latest
    return Account(
        name=site.target.name,
        where=f"{home.region} · {home.account}",
        own=site.watcher.in_flight,
        counts=site.slots.counts,
        quota=site.slots.quota,
        trouble=str(trouble) if trouble else None,
        usual_seconds=median(latest) if latest else None,
    )


def _flights(slipway: Slipway, flying: Sequence[Hold]) -> tuple[Hold, ...]:
    oldest = {arn for site in slipway.sites.values() for arn in site.watcher.oldest(FLIGHT_ROWS)}
    likely = [hold for hold in flying if hold.arn in oldest]
    among = likely if len(likely) >= FLIGHT_ROWS else flying
    longest = nsmallest(FLIGHT_ROWS, ((-_creation_seconds(slipway, hold), id(hold), hold) for hold in among))
    return tuple(hold for _, _, hold in longest)


def _creation_seconds(slipway: Slipway, hold: Hold) -> float:
    created_at = slipway.site_of(hold).watcher.created_at(hold.arn) if hold.arn is not None else None
    return max(0.0, hold.now() - created_at) if created_at is not None else 0.0
