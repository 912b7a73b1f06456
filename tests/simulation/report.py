"""What came of a proof: for machines (PROOF.json), and as tables for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.simulation.worlds import Report

OFTEN: Final = 100
LABELS: Final = {
    "minutes": "minutes",
    "lifetimes": "request lifetimes",
    "worlds": "simulated environments",
    "simulated_hours": "simulated hours",
    "violations": "broken promises",
    "kills": "simulated kills and pauses of a replica",
    "real_kills": "kills of real processes",
    "excused_dead_letters": "excused dead letters",
    "inputs": "fuzzed inputs",
}
"""What the tables call the figures of PROOF.json."""


@dataclass
class Sum:
    """All that was lived through."""

    minutes: float = 0.0
    worlds: int = 0
    lifetimes: int = 0
    """In worlds, of one request with every misfortune, and over the real client."""
    simulated_seconds: float = 0.0
    kills: int = 0
    real_kills: int = 0
    excused: int = 0
    inputs: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    wire_faults: Counter[str] = field(default_factory=Counter)
    balance: dict[str, int] = field(default_factory=dict)
    """What the emulators' own records held after real processes had been killed."""
    broken: list[str] = field(default_factory=list)
    seeded_bugs: dict[str, str | None] = field(default_factory=dict)

    def add(self, report: Report) -> None:
        """Count a world in."""
        self.worlds += 1
        self.lifetimes += report.lifetimes
        self.simulated_seconds += report.simulated_seconds
        self.kills += report.kills
        self.excused += report.excused
        self.faults.update({str(kind): count for kind, count in report.faults.items()})
        if report.broken:
            self.broken.append(report.said())

    @property
    def is_kept(self) -> bool:
        """Whether every promise was, and every planted bug was seen."""
        return not self.broken and None not in self.seeded_bugs.values()

    def said(self) -> str:
        """Say how far it is."""
        return f"{self.lifetimes:,} lifetimes, {len(self.broken)} broken"

    def as_json(self) -> dict[str, Any]:
        """Return what is written to PROOF.json."""
        return {
            "minutes": round(self.minutes, 1),
            "lifetimes": self.lifetimes,
            "worlds": self.worlds,
            "simulated_hours": round(self.simulated_seconds / 3600),
            "violations": len(self.broken),
            "kills": self.kills,
            "real_kills": self.real_kills,
            "excused_dead_letters": self.excused,
            "inputs": self.inputs,
            "faults": dict(sorted(self.faults.items())),
            "wire_faults": dict(sorted(self.wire_faults.items())),
            "balance_after_real_kills": self.balance,
            "planted": self.seeded_bugs,
        }


def in_tables(told: Mapping[str, Any]) -> str:
    """Put what PROOF.json says into Markdown."""
    rows = [(LABELS.get(key, key), f"{value:,}") for key, value in told.items() if isinstance(value, int | float)]
    faults, seeded_bugs = told["faults"], told["planted"]
    often = sum(count >= OFTEN for count in faults.values())
    rows.append((f"kinds of faults and events that occurred {OFTEN} times or more", f"{often} of {len(faults)}"))
    rows.append(("seeded bugs caught", f"{sum(where is not None for where in seeded_bugs.values())} of {len(seeded_bugs)}"))
    parts = [_table("what", "how many", rows), _planted(seeded_bugs)]
    if balance := told["balance_after_real_kills"]:
        parts.append(
            _table("records of the local AWS stand-in after the kills of real processes", "how many", _counted(balance))
        )
    parts.append(_table("simulated fault or event", "how often", _counted(faults)))
    parts.append(_table("fault on the wire, with the real client", "how often", _counted(told["wire_faults"])))
    return "\n\n".join(parts)


def _planted(seeded_bugs: Mapping[str, str | None]) -> str:
    """Say of each planted bug what has caught it."""
    return _table("seeded bug", "caught by", [(name, where or "NOT CAUGHT") for name, where in seeded_bugs.items()])


def _counted(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    return [(what, f"{count:,}") for what, count in counts.items()]


def _table(left: str, right: str, rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join([f"| {left} | {right} |", "|---|---|", *(f"| {one} | {other} |" for one, other in rows)])
