"""The kinds of faults and events that simulated worlds contain, and the kind at which a world aims.

No run depends on luck: half of all worlds aim at one kind each, so that `PERIOD` worlds in a row aim at all of them, the rare
ones first. Which kind it is follows from the seed alone.

To add a kind: an entry in `KINDS`, `environment.kinds.has(name)` where the worlds are made or drawn (not needed if the entry's
`rules` or `terms` are enough), and a count under that name where it happens (`scene.done[name] += 1` or
`watching.happened(name)`). What people and machines do to a world (`MISCHIEF`) is aimed at without an entry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

PERIOD: Final = 128
AIMED: Final = 64
"""How many worlds of a period aim at a kind, if there are so many kinds: the later half."""
AS_THEY_WERE = frozenset({0, 32, 40, 93, 119, 173, 1027, 1493, 100_316, 102_637})
"""Worlds that showed a bug when nothing but deployments was asked for: they are not to become others."""
SWITCHES: Final = {"actions": 0.45, "permissions": 0.25, "weights": 0.3, "targets": 0.25, "guests": 0.6, "sent again": 0.5}
"""How likely a world has other actions than plain deployments, permissions, weights of tenants, a second target, where it has
permissions guests who may deploy and cancel, and senders who send again what was sent before."""
FIFO: Final = "a FIFO queue"
STANDARD: Final = "a standard queue"
FEW: Final = 5
FEW_NAMES: Final = "few names"
"""All requests are about few deployments, and the first of them make these."""
LONG: Final = "creation of over 12 hours"
FULL: Final = "a full daemon"
BROKEN_TARGET: Final = "a broken target"
CONTROL_QUEUE: Final = "a control queue"
DENIED_DEAD_LETTERS: Final = "dead-letter queue denied"
DENIED_TOPIC: Final = "topic denied"
DENIED_REPLIES: Final = "reply denied"
REFUSED_EVENTS: Final = "event refused"
RAISING: Final = "a request that always raises"
KILLER: Final = "a message that ends its readers"
RAISING_CALLS: Final = "an exception in a call"
NO_CREDENTIALS: Final = "no credentials"
FAILING_LOG: Final = "a log line that cannot be written"
TWO_VERSIONS: Final = "a continuation of another version"
_SELDOM: Final = 0.02
"""How many of the worlds that aim at nothing have a condition that lasts."""
_QUICK: Final = {"creation_seconds": (20.0, 40.0), "failing": 0.0, "max_total": 50, "max_creating": 5}
_ROOMY: Final = {"max_held": 200, "timeout": 21_600.0, "max_creating": 0}
_SLOW: Final = {"creation_seconds": (400.0, 800.0), "max_total": 50, "max_creating": 20}


@dataclass(frozen=True)
class Kind:
    """What a world has that contains a kind."""

    share: float = 0.0
    """Of the worlds that do not aim at anything: how many have it."""
    needs: tuple[str, ...] = ()
    """What else such a world has: kinds, switches, mischief, actions that are asked for often."""
    rules: Mapping[str, Any] = field(default_factory=dict)
    """How the stand-in for Bedrock behaves."""
    terms: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the daemon."""


KINDS: Final[Mapping[str, Kind]] = {
    LONG: Kind(),
    "Failed of delete": Kind(needs=("actions", "delete", "others come"), rules=_QUICK, terms=_ROOMY),
    "name taken by others": Kind(needs=("name held by others",), rules={"max_total": 50}),
    "RolledBack of update": Kind(
        needs=("actions", "update", FEW_NAMES),
        rules=_QUICK | {"update_failing": 0.0, "dull_models": "[np]$", "unready_seconds": 0.0},
        terms=_ROOMY,
    ),
    "token forgotten": Kind(
        needs=(STANDARD, "deleted by a person", "message back after delete"),
        rules=_QUICK | {"token_seconds": 0.0, "name_reserved_seconds": 0.0},
    ),
    "name still reserved after delete": Kind(
        needs=("deleted by a person", FEW_NAMES), rules=_QUICK | {"name_reserved_seconds": 600.0}, terms=_ROOMY
    ),
    "an update refused": Kind(needs=("actions", "update", FEW_NAMES), rules=_QUICK, terms=_ROOMY),
    "Updated of update": Kind(needs=("actions", "update", FEW_NAMES), rules=_QUICK | {"update_failing": 0.0}, terms=_ROOMY),
    "replaced": Kind(needs=("actions", FEW_NAMES), rules=_QUICK, terms=_ROOMY),
    "retry beyond the dedup window": Kind(
        needs=(FIFO, "kill -9", "SIGTERM"), rules=_SLOW, terms=_ROOMY | {"progress_events": True}
    ),
    "too busy to be deleted": Kind(needs=("actions", "delete", FEW_NAMES), rules=_SLOW),
    "CancelTaken of cancel": Kind(needs=("actions", "cancel"), rules=_SLOW, terms=_ROOMY),
    "Cancelled of deploy": Kind(needs=("actions", "cancel"), rules=_SLOW, terms=_ROOMY),
    "an event that asks for nothing": Kind(needs=("actions", "nothing")),
    "message back after delete": Kind(needs=(STANDARD,)),
    "others go": Kind(needs=("others come",)),
    "a stranger copies an id": Kind(share=0.2, needs=("permissions", "guests")),
    "an id used again": Kind(needs=("permissions", "guests", FEW_NAMES), rules=_QUICK, terms=_ROOMY),
    "token void": Kind(
        needs=(STANDARD, "deleted by a person", "sent again", FEW_NAMES),
        rules=_QUICK | {"token_seconds": 86_400.0, "get_lag_seconds": 0.0},
        terms=_ROOMY,
    ),
    FULL: Kind(
        share=_SELDOM,
        needs=(STANDARD, "actions", "delete", "cancel", "update"),
        rules={"max_creating": 2, "max_total": 3, "creation_seconds": (20.0, 40.0), "list_lag_seconds": 0.0},
        terms={"max_held": 6, "max_creating": 0, "reap_interval": 60.0},
    ),
    BROKEN_TARGET: Kind(share=_SELDOM, needs=(STANDARD, "targets"), terms={"max_held": 6}),
    CONTROL_QUEUE: Kind(
        share=_SELDOM,
        needs=(STANDARD, "actions", "delete", "cancel", "update"),
        rules={"max_creating": 2, "max_total": 3, "creation_seconds": (20.0, 40.0), "list_lag_seconds": 0.0},
        terms={"max_held": 6, "max_creating": 0},
    ),
    DENIED_DEAD_LETTERS: Kind(share=_SELDOM, terms={"max_held": 6}),
    DENIED_TOPIC: Kind(share=_SELDOM, terms={"max_held": 6}),
    DENIED_REPLIES: Kind(share=_SELDOM, needs=("actions",), terms={"max_held": 6}),
    REFUSED_EVENTS: Kind(share=_SELDOM),
    RAISING: Kind(share=_SELDOM),
    KILLER: Kind(share=_SELDOM, terms={"visibility_timeout": 30}),
    RAISING_CALLS: Kind(share=_SELDOM),
    NO_CREDENTIALS: Kind(share=_SELDOM),
    FAILING_LOG: Kind(share=_SELDOM),
    TWO_VERSIONS: Kind(share=0.2, needs=("actions", "update", "cancel", "kill -9", "SIGTERM")),
}
"""Those that are rare if nothing aims at them."""
HAPPENINGS: Final = frozenset(
    {
        "poison",
        "quota full",
        "model not Active yet",
        "name taken by us",
        "token remembered",
        "Get 404 just after Create",
        "stale List page, missing item",
        "several pages",
        "a token again",
        "unknown status value",
        "stale receipt handle",
        "published again",
        "deduplicated by the topic",
        "another target",
        "a stranger asks",
        "a forged continuation",
        "an asker was answered",
        "nobody waits any more",
        "tenants take turns",
        "a lower priority waits",
        "an event that asks",
        "a copy was sent",
        "expired",
        "tried again",
        "Failed of update",
        "Deleted of delete",
        "Failed of cancel",
    }
)
"""Those that come about by themselves in many worlds."""


def chance(*about: object) -> float:
    """Return a number from 0 to 1 that is always the same for the same arguments."""
    digest = hashlib.blake2b(repr(about).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def _by_place() -> list[str | None]:
    """Return the kinds in the order of the worlds that aim at them; None for a world that is to stay as it was."""
    kinds: list[str | None] = list(KINDS)
    for place in sorted(seed % PERIOD - (PERIOD - AIMED) for seed in AS_THEY_WERE):
        if 0 <= place < len(kinds):
            kinds.insert(place, None)
    return kinds


def aim_of(seed: int, chaos: Iterable[str]) -> str | None:
    """Return the kind at which the world of a seed aims; None if it aims at nothing.

    `KINDS` have the first of the aiming worlds and mischief the last, each in its order: a new entry at the end of either
    leaves the other worlds as they are.
    """
    place = seed % PERIOD - (PERIOD - AIMED)
    if place < 0 or seed in AS_THEY_WERE:
        return None
    kinds, last = _by_place(), [kind for kind in chaos if kind not in KINDS]
    assert len(kinds) + len(last) <= AIMED, "more kinds than worlds that aim: raise PERIOD and AIMED"
    if place < len(kinds):
        return kinds[place]
    return last[AIMED - 1 - place] if AIMED - 1 - place < len(last) else None


class Drawn:
    """The kinds of one world, drawn from its seed; no other draw depends on them."""

    def __init__(self, seed: int, chaos: Iterable[str]) -> None:
        self._seed = seed
        self._mischief = tuple(chaos)
        self.aim = aim_of(seed, self._mischief)
        kind = KINDS.get(self.aim or "", Kind())
        self.forced = frozenset({self.aim, *kind.needs} - {None})

    def has(self, name: str) -> bool:
        """Return whether the world contains a kind, or has a switch on."""
        if name in self.forced:
            return True
        if name in KINDS:
            return self.aim is None and self._seed not in AS_THEY_WERE and chance(self._seed, name) < KINDS[name].share
        if name == "actions" and self._seed in AS_THEY_WERE:
            return False
        return chance(self._seed, name) < SWITCHES[name]

    def chaos(self) -> list[str]:
        """Return what may be done to the world: everything, or, where it aims at a kind, a random half beside what it needs."""
        if self.aim is None:
            return list(self._mischief)
        return [one for one in self._mischief if one in self.forced or chance(self._seed, one) < 0.5] or list(self._mischief)

    def rules(self) -> dict[str, Any]:
        """Return how the stand-in for Bedrock behaves for the sake of the kinds that the world contains."""
        return {key: value for name, kind in KINDS.items() if self.has(name) for key, value in kind.rules.items()}

    def terms(self) -> dict[str, Any]:
        """Return the settings of the daemon for the sake of the kinds that the world contains."""
        return {key: value for name, kind in KINDS.items() if self.has(name) for key, value in kind.terms.items()}
