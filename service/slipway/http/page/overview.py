"""Sections of the overview, each a function of the snapshot and the calls of the last hour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from typing import Final

from slipway.core.diagnostics.severity import Problem, Severity, severity_of
from slipway.core.diagnostics.status import RequestStatus
from slipway.core.lifecycle.outcomes import Reason
from slipway.core.scheduling.quota import Counts
from slipway.core.time_format import columns, format_duration, format_duration_roughly
from slipway.http.health import ANSWERED, FAILED, KINDS, MINUTES, THROTTLED, LastHour
from slipway.http.page.elements import Child, Html, bars, cells, count, el, format_clock, join, link, waits_for
from slipway.http.page.snapshot import WAITING_ROWS, Account, Flight, View
from slipway.worker.publishing.publisher import HistoryEntry

Section = Callable[[View, LastHour], Html]

LEAST_COLUMNS: Final = 8
"""Least number of columns of the histogram."""


def headline(view: View, _: LastHour) -> Html:
    """Return the state of the daemon in one sentence, and the current problems."""
    said = [
        f"{count(view.in_flight, 'deployment')} in creation" if view.in_flight else "",
        f"{count(view.waiting, 'request')} {'waits' if view.waiting == 1 else 'wait'}{_common(view)}" if view.waiting else "",
    ]
    sentence = ", ".join(part for part in said if part)
    busy = view.held - view.in_flight - view.waiting
    if not sentence:
        sentence = f"{count(busy, 'request')} being processed" if busy else "No requests"
    stopping = el(
        "p",
        el("strong", "Stopping. "),
        "Requests in progress go back to the queue; another replica continues them.",
        class_="worry",
    )
    lead = f"{count(view.held, 'request')} in progress in this replica" if view.held else "Waiting for messages from the queue"
    ended = ", ".join(f"{number:,} {outcome}" for outcome, number in sorted(view.endings.items()))
    since = f"Finished since the start: {ended}." if ended else "None finished since the start."
    return el(
        "section",
        el("h1", _state(view), f"{sentence}."),
        el("p", f"{lead}. {since}", class_="lead"),
        stopping if view.is_stopping else None,
        *map(_problem, view.problems),
        id="headline",
    )


def _state(view: View) -> Html:
    severity = severity_of(view.problems)
    word = "OK" if severity is Severity.OK else severity.value.capitalize()
    return join(el("span", word, class_=f"state {severity.value}"), " ")


def _problem(problem: Problem) -> Html:
    """Return one problem and its remedy."""
    return el("p", el("strong", problem.text), " ", problem.remedy, class_=f"worry {problem.severity.value}")


def _common(view: View) -> str:
    """Return the common reason of all waiting requests, if there is only one."""
    return f" {waits_for(next(iter(view.reasons)))}" if len(view.reasons) == 1 else ""


def slots(view: View, _: LastHour) -> Html:
    """Return the slots of each target as a picture, as far as they are known."""
    pictures = [_account(account, is_one_of_many=len(view.accounts) > 1) for account in view.accounts]
    words = (("own", "in creation by Slipway"), ("others", "in creation by others"), ("rest", "existing"), ("free", "free"))
    is_counted = any(account.quota.is_limiting() for account in view.accounts)
    legend = el("p", *_legend(*words), class_="legend") if is_counted else None
    note = "updated while a request waits for a slot" if is_counted else None
    return _section("slots", "Slots", note, *pictures, legend)


def _account(account: Account, *, is_one_of_many: bool) -> Html:
    quota, counts = account.quota, account.counts
    title = el("h3", account.name, el("span", account.where, class_="note")) if is_one_of_many else None
    mark = quota.mark or Counts(0, 0)
    kinds = [("own", account.own), ("others", max(0, counts.creating - account.own))]
    creating = _line("In creation", kinds, quota.max_creating, mark.creating)
    if not quota.is_limiting():
        note = el("p", "No quota has been reached yet; deployments of others are not counted.", class_="note")
        return join(title, creating, note)
    rest = ("rest", max(0, counts.total - counts.creating))
    # A refusal while some were in creation was probably for a creation slot: the total may allow more.
    is_all = mark.creating == 0 or mark.creating < quota.max_creating
    return join(title, creating, _line("In total", [*kinds, rest], quota.max_total, mark.total, is_all=is_all))


def _line(title: str, kinds: list[tuple[str, int]], given: int, learned: int, *, is_all: bool = True) -> Html:
    used, limit = sum(number for _, number in kinds), given or learned
    is_open = not given and not (learned and is_all)
    said = f"{used:,} of {'at least ' if is_open else ''}{limit:,}" if limit else f"{used:,}"
    source = "set" if given else "learned" if limit else "limit unknown"
    free = [("free", max(0, limit - used)), ("open", int(is_open))]
    picture = cells([*kinds, *free], f"{title}: {said}")
    return el(
        "div",
        el("span", title, class_="label"),
        picture,
        el("span", el("b", said), f" {source}", class_="figure"),
        class_="slots",
    )


def _legend(*kinds: tuple[str, str]) -> list[Html]:
    return [el("span", el("span", class_=f"cell {look}"), f" {word}", class_="key") for look, word in kinds]


def flights(view: View, _: LastHour) -> Html:
    """Return the deployments in creation, with their progress against the usual time."""
    usual = view.accounts[0].usual_seconds if len(view.accounts) == 1 else None
    note = f"usually {format_duration(usual)}" if usual else None
    if not view.flights:
        return _section("flights", "In creation", None, _empty("No deployment is in creation."))
    rows = [_flight_row(flight) for flight in view.flights]
    return _section("flights", "In creation", note, el("ol", *rows, class_="rows"), _more(len(rows), view.in_flight))


def _flight_row(flight: Flight) -> Html:
    held, usual = flight.held, flight.usual
    late = usual is not None and flight.seconds > usual
    bar: Child = None
    if usual:
        share = min(100, round(flight.seconds / usual * 100))
        said = f"{share} % of the usual time"
        bar = el("progress", f"{share} %", max=100, value=share, aria_label=said, class_="late" if late else None)
    left = held.prospect.to_end
    rest = ", longer than usual" if late else f", {format_duration_roughly(left)} left" if left is not None else ""
    time = format_duration(flight.seconds) + rest
    trouble = el("p", held.why, class_="why") if held.waits_for != Reason.IN_CREATION.value else None
    head = el("div", link(held), el("span", time, class_="aside"), class_="head")
    return el("li", head, bar, trouble, id=f"f-{held.message_id}")


def waiting(view: View, _: LastHour) -> Html:
    """Return the waiting requests in order, with their reasons."""
    if not view.waiting:
        return _section("waiting", "Waiting", None, _empty("No request waits."))
    reasons = sorted(view.reasons.items(), key=lambda pair: -pair[1])
    note = ", ".join(f"{number:,} {waits_for(reason)}" for reason, number in reasons)
    rows = [_waiting_row(held) for held in view.waiting_rows]
    shown = el("ol", *rows, class_="rows line") if rows else _empty("No more requests wait here.")
    # A later page stays as it is while the rest of the page is live.
    return _section("waiting", "Waiting", note, shown, _pages(view), is_still=view.waiting_from > 0)


def _waiting_row(held: RequestStatus) -> Html:
    is_in_line = held.waits_for == Reason.NO_SLOT.value
    place = el("span", f"{held.place:,}" if held.place and is_in_line else "·", class_="place")
    why = None if is_in_line else el("p", _why(held), class_="why")
    since, to_slot = format_duration(held.now - held.received_at), held.prospect.to_slot
    time = since if to_slot is None else f"slot in {format_duration_roughly(to_slot)}"
    age = el("span", time, class_="aside", title=f"first received {since} ago")
    return el("li", place, el("div", link(held), age, class_="head"), why, id=f"w-{held.message_id}")


def _why(held: RequestStatus) -> Html:
    """Return what a request waits for. It may have stopped waiting since the rows were selected."""
    return (
        join(el("b", waits_for(held.waits_for)), ": " if held.why else "", held.why)
        if held.waits_for
        else join("being processed")
    )


def _pages(view: View) -> Html | None:
    if view.waiting <= WAITING_ROWS and not view.waiting_from:
        return None
    first, last = view.waiting_from + 1, view.waiting_from + len(view.waiting_rows)
    links: list[Child] = [el("span", f"{first:,} to {last:,} of {view.waiting:,}")]
    if view.waiting_from:
        links.append(el("a", "Previous", href=f"/?waiting={max(0, view.waiting_from - WAITING_ROWS)}#waiting", rel="prev"))
    if last < view.waiting:
        links.append(el("a", "Next", href=f"/?waiting={last}#waiting", rel="next"))
    return el("nav", *links, class_="pages", aria_label="Pages of waiting requests")


def finished(view: View, _: LastHour) -> Html:
    """Return the latest outcomes, the newest first."""
    if not view.finished:
        return _section("finished", "Finished", None, _empty("No request has finished in this replica yet."))
    rows = [_finished_row(entry) for entry in view.finished]
    return _section("finished", "Finished", "newest first, times in UTC", el("ol", *rows, class_="rows ended"))


def _finished_row(entry: HistoryEntry) -> Html:
    one = entry.finished
    chip = el("span", one.outcome, class_=f"chip {LOOKS.get(one.outcome, 'bad')}")
    took = el("span", f"after {format_duration(one.at - entry.received_at)}, ", format_clock(one.at), class_="aside")
    text = el("p", el("b", one.reason), ": " if one.text else None, one.text, class_="why") if one.reason else None
    return el("li", chip, el("div", link(one), took, class_="head"), text, id=f"e-{one.event_id}")


LOOKS: Final = {
    "Active": "good",
    "Deleted": "good",
    "Updated": "good",
    "Cancelled": "mild",
    "CancelTaken": "mild",
    "RolledBack": "mild",
}
"""The look of an outcome; any other is a failure."""


def calls(_: View, hour: LastHour) -> Html:
    """Return the calls to AWS of the last hour."""
    total, throttled, denied, failed = (hour.total(kind) for kind in KINDS)
    said = (
        f"{total + throttled + denied + failed:,} calls in the last hour: {throttled:,} throttled, {denied:,} denied, "
        f"{failed:,} without an answer"
    )
    picture = bars([[(kind, minute.get(kind, 0)) for kind in KINDS] for minute in hour.minutes], said)
    axis = el("p", el("span", f"{MINUTES} min ago"), el("span", "now"), class_="scale")
    rows = [
        el("tr", el("th", operation, scope="row"), *(el("td", f"{counts.get(kind, 0):,}") for kind in KINDS))
        for operation, counts in sorted(hour.operations.items())
    ]
    heads = (el("th", word, scope="col") for word in ("Operation", "answered", "throttled", "denied", "no answer"))
    table = el("table", el("thead", el("tr", *heads)), el("tbody", *rows))
    by_operation = (
        el("details", el("summary", "By operation"), el("div", table, class_="scroll"), id="operations") if rows else None
    )
    figures = el("p", el("b", f"{total:,}"), " answered, ", _figure(throttled, THROTTLED), " throttled, ",
                 _figure(denied, FAILED), " denied, ", _figure(failed, FAILED), " unanswered", class_="figures")  # fmt: skip
    return _section("calls", "Calls to AWS", "last hour", figures, picture, axis, by_operation)


def _figure(number: int, look: str) -> Html:
    return el("b", f"{number:,}", class_=f"is-{look}" if number else None)


def active(view: View, _: LastHour) -> Html:
    """Return how long the latest deployments took to become Active."""
    seconds = view.active_seconds
    if not seconds:
        return _section("active", "Time to Active", None, _empty("No request has become Active in this replica yet."))
    middle, sorted_in = median(seconds), columns(seconds)
    said = f"{count(len(seconds), 'request')} became Active, half of them within {format_duration(middle)}"
    free = max(0, LEAST_COLUMNS - len(sorted_in))
    first, last = sorted_in[0], sorted_in[-1]
    picture = bars([*([(ANSWERED, column.count)] for column in sorted_in), *[()] * free], said)
    end = last.most + free * (last.most - last.least)
    axis = el("p", el("span", format_duration(first.least)), el("span", format_duration(end)), class_="scale")
    figures = el(
        "p",
        "half within ",
        el("b", format_duration(middle)),
        ", all within ",
        el("b", format_duration(max(seconds))),
        class_="figures",
    )
    return _section("active", "Time to Active", f"the last {len(seconds):,}", figures, picture, axis)


def _section(name: str, title: str, note: Child, *content: Child, is_still: bool = False) -> Html:
    head = el("header", el("h2", title, id=f"{name}-title"), el("p", note, class_="note") if note else None)
    return el("section", head, *content, id=name, aria_labelledby=f"{name}-title", data_still=is_still)


def _empty(text: str) -> Html:
    return el("p", text, class_="empty")


def _more(shown: int, total: int) -> Html | None:
    return el("p", f"and {total - shown:,} more", class_="note") if total > shown else None


SECTIONS: Final[Mapping[str, Section]] = {
    "headline": headline,
    "slots": slots,
    "flights": flights,
    "waiting": waiting,
    "active": active,
    "calls": calls,
    "finished": finished,
}
"""Sections by their id, in the order in which they appear."""
