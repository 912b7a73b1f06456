"""The books, balanced when everything has ended: I1, I3, I7, I9, I11."""

from __future__ import annotations

from tests.simulation.invariants.leases import Leases
from tests.simulation.invariants.outcomes import Outcomes
from tests.simulation.recorder import Recorder
from tests.simulator.bedrock import request_of
from tests.simulator.simulation import Replica

MOST_AT_ONCE = 10
"""An exception in a call is raised to each entry of its batch."""


def check_end(books: Recorder, announced: Outcomes, leases: Leases, last: Replica) -> None:
    """Nothing is left that nobody answers for; `last` is the process that has done the rest."""
    for asked in books.unanswered():
        books.breaks("I1", f"{asked.name} of {asked.key[0]} has no outcome")
    for begun in sorted(announced.poison - announced.rejected):
        books.breaks("I1", f"poison {begun} has no outcome")
    for begun, all_who_wait in announced.waiting.items():
        if not books.asked[begun].is_excused and any(one.heard is None and not one.is_over for one in all_who_wait):
            books.breaks("I1", f"somebody still waits for the answer to {books.asked[begun].name}")
    healthy = [letter for letter in books.world.dead_letters if "SlipwayReason" not in letter.attributes]
    if len(healthy) != leases.judged:
        books.breaks(
            "I9", f"{len(healthy)} messages without a reason are in the dead-letter queue, and {leases.judged} came by SQS"
        )
    _check_deployments(books)
    _check_processes(books, last)


def _check_processes(books: Recorder, last: Replica) -> None:
    for life in books.lives.values():
        slipway, raised = life.replica.slipway, books.raised[life.replica.name]
        of_targets = {id(site.counters): site.counters for site in slipway.runtimes.values()}
        faults = sum(each.faults for each in (of_targets | {id(slipway.counters): slipway.counters}).values())
        if faults > MOST_AT_ONCE * raised:
            books.breaks("I11", f"{life.replica.name} met {faults} exceptions nobody expected")
        if raised and not faults and life.killed_at is None:
            books.breaks("I16", f"{life.replica.name} has not counted {raised} exceptions that nobody expected")
    for life in books.lives.values():
        ended_well = life.replica.task.done() and not life.replica.slipway.has_left_early
        if life.killed_at is None and ended_well and not life.is_hurried:
            _check_empty(books, life.replica, frozenset({"held", "tasks", "turns", "under way"}))
    if not last.slipway.has_left_early:
        _check_empty(books, last)


def _check_deployments(books: Recorder) -> None:
    for one in (one for account in books.world.accounts.values() for one in account.made):
        made_by = [asked for asked in books.asked.values() if asked.request_id == request_of(one)]
        owners = [asked for asked in made_by if asked.whose == books.owners.get(one.arn)]
        if one.token is not None and not any(asked.key in books.said or asked.is_excused for asked in owners):
            books.breaks("I3", f"{one.name} is an orphan: {one.tags}")


def _check_empty(books: Recorder, last: Replica, of: frozenset[str] | None = None) -> None:
    slipway = last.slipway
    left = {
        "held": len(slipway.held_leases),
        "tasks": len(slipway._tasks),  # noqa: SLF001  what is left over is the point
        "turns": len(slipway.request_order._lines),  # noqa: SLF001  as above
        "in line": sum(len(site.slots._fair_queue) for site in slipway.runtimes.values()),  # noqa: SLF001  as above
        "under way": sum(site.slots.under_way for site in slipway.runtimes.values()),
        "watched": sum(site.watcher.in_flight for site in slipway.runtimes.values()),
        "reserved": sum(each.intake._reserved for each in slipway.queues),  # noqa: SLF001  as above
    }
    if any(count for what, count in left.items() if of is None or what in of):
        books.breaks("I7", f"something is left in {last.name}: {left}")
