"""What there is to see of a daemon at one moment, in plain values. Its cost grows with what is held, and little else does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import nsmallest
from math import inf
from statistics import median
from typing import Final

from service.core import continuations
from service.core.held import Held
from service.core.outcomes import Reason
from service.core.quota import Counts, Quota
from service.edge.holdings import held_of
from service.flow.history import Story
from service.flow.hold import Hold
from service.flow.run import Slipway
from service.flow.sites import Site

FLIGHT_ROWS: Final = 50
WAITING_ROWS: Final = 25
FINISHED_ROWS: Final = 25

_CREATION: Final = frozenset({Reason.IN_CREATION})


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


def view_of(slipway: Slipway, waiting_from: int = 0) -> View:
    """Look once."""
    flying: list[Hold] = []
    waiting: list[Hold] = []
    reasons: Counter[str] = Counter()
    in_line = {name: site.slots.why()[0] for name, site in slipway.sites.items()}
    for hold in slipway.custody:
        if hold.why is None:
            continue
        if hold.why in _CREATION:
            flying.append(hold)
        else:
            waiting.append(hold)
            reasons[in_line[slipway.site_of(hold).target.name] if hold.why is Reason.NO_SLOT else hold.why] += 1
    places = slipway.slot_places() if waiting else {}
    behind = slipway.turns.places() if waiting else {}
    accounts = tuple(_account(site) for site in slipway.sites.values())
    return View(
        is_stopping=slipway.is_stopping,
        accounts=accounts,
        held=len(slipway.custody),
        in_flight=len(flying),
        waiting=len(waiting),
        reasons=reasons,
        flights=_flights(slipway, flying, {account.name: account.usual_seconds for account in accounts}),
        waiting_rows=tuple(
            held_of(hold, slipway, (places if hold.why is Reason.NO_SLOT else behind).get(hold.message.message_id))
            for hold in _page(waiting, places, waiting_from)
        ),
        waiting_from=waiting_from,
        finished=tuple(reversed(tuple(slipway.history)[-FINISHED_ROWS:])),
        endings=dict(slipway.tally.endings),
        active_seconds=slipway.history.active_seconds,
    )


def _page(waiting: Iterable[Hold], places: Mapping[str, int], start: int) -> list[Hold]:
    def order(hold: Hold) -> tuple[float, float]:
        place = places.get(hold.message.message_id)
        return (place, 0.0) if place is not None else (inf, continuations.first_received_at(hold.message))

    return nsmallest(start + WAITING_ROWS, waiting, key=order)[start:]


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


def _flights(slipway: Slipway, flying: Iterable[Hold], usual: Mapping[str, float | None]) -> tuple[Flight, ...]:
    longest = nsmallest(FLIGHT_ROWS, ((-_creation_seconds(slipway, hold), id(hold), hold) for hold in flying))
    return tuple(
        Flight(held_of(hold, slipway, None), -negative, usual[slipway.site_of(hold).target.name])
        for negative, _, hold in longest
    )


def _creation_seconds(slipway: Slipway, hold: Hold) -> float:
    created_at = slipway.site_of(hold).watcher.created_at(hold.arn) if hold.arn is not None else None
    return max(0.0, hold.now() - created_at) if created_at is not None else 0.0
