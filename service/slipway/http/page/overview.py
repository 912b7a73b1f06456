"""Sections of the overview, each a function of the snapshot and the calls of the last hour."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Final

from slipway.core.diagnostics.severity import Problem, Severity, severity_of
from slipway.core.diagnostics.status import RequestStatus
from slipway.core.lifecycle.outcomes import Reason
from slipway.core.time_format import columns, format_duration, format_duration_roughly
from slipway.http.health import ANSWERED, FAILED, KINDS, MINUTES, THROTTLED, LastHour
from slipway.http.page.elements import Child, Html, bars, cells, count, el, format_clock, join, link, model, waits_for
from slipway.http.page.snapshot import FINISHED_ROWS, WAITING_ROWS, Account, Flight, View
from slipway.worker.publishing.publisher import HistoryEntry

Section = Callable[[View, LastHour], Html]

LEAST_COLUMNS: Final = 8
"""Least number of columns of the histogram."""
LEAST_SAMPLES: Final = 20
"""Fewer make no histogram: two percentiles say more."""


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
    lead = f"{count(view.held, 'request')} in progress in this replica" if view.held else "Receiving from the queue"
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


def tiles(view: View, _: LastHour) -> Html:
    """Return the figures that an operator looks at first. What is not known is shown as such."""
    oldest = "none" if view.oldest_seconds is None else format_duration(view.oldest_seconds)
    used, of = _quota_used(view)
    dead = "—" if view.dead_letters is None else f"{view.dead_letters:,}"
    figures = (
        ("Creating", f"{view.in_flight:,}", "deployments", ""),
        ("Waiting", f"{view.waiting:,}", "requests", ""),
        ("Oldest", oldest, "since first received" if view.oldest_seconds is not None else "in progress", ""),
        ("Failed", f"{view.failed_today:,}", "in 24 h, this replica", "bad" if view.failed_today else ""),
        ("Quota used", used, of, ""),
        (
            "Dead letters",
            dead,
            "in the queue" if view.dead_letters is not None else "not known yet",
            "bad" if view.dead_letters else "",
        ),
    )
    drawn = [
        el("div", el("dt", title), el("dd", el("b", value, class_=look or None), el("span", note)), class_="tile")
        for title, value, note, look in figures
    ]
    return el(
        "section",
        el("h2", "Figures", id="tiles-title", class_="quiet"),
        el("dl", *drawn),
        id="tiles",
        aria_labelledby="tiles-title",
    )


def _quota_used(view: View) -> tuple[str, str]:
    """Return how much of the fullest account's total quota is used, and of what."""
    counted = [account for account in view.accounts if account.is_counted]
    if not counted:
        return "—", "not counted yet"

    def fullness(account: Account) -> float:
        return account.counts.total / (account.quota.limit_in_total or account.counts.total + 1)

    fullest = max(counted, key=fullness)
    place = f" in {fullest.name}" if len(view.accounts) > 1 else ""
    limit = fullest.quota.limit_in_total
    return f"{fullest.counts.total:,}", f"of {limit:,} deployments{place}" if limit else f"limit not known{place}"


def slots(view: View, _: LastHour) -> Html:
    """Return the slots of each target as a picture, as far as they are known."""
    pictures = [_account(account, is_one_of_many=len(view.accounts) > 1) for account in view.accounts]
    words = (("own", "in creation by Slipway"), ("others", "in creation by others"), ("rest", "existing"), ("free", "free"))
    is_counted = any(account.is_counted for account in view.accounts)
    legend = el("p", *_legend(*words), class_="legend") if is_counted else None
    return _section("slots", "Slots", None, *pictures, legend)


def _account(account: Account, *, is_one_of_many: bool) -> Html:
    quota, counts = account.quota, account.counts
    title = el("h3", account.name, el("span", account.where, class_="note")) if is_one_of_many else None
    kinds = [("own", account.own), ("others", max(0, counts.creating - account.own))]
    creating = _line("In creation", kinds, quota.max_creating, quota.limit_in_creation)
    if not account.is_counted:
        note = el("p", "Deployments of others have not been counted yet.", class_="note")
        return join(title, creating, note)
    rest = ("rest", max(0, counts.total - counts.creating))
    return join(title, creating, _line("In total", [*kinds, rest], quota.max_total, quota.limit_in_total))


def _line(title: str, kinds: list[tuple[str, int]], configured: int, limit: int) -> Html:
    used = sum(number for _, number in kinds)
    said = f"{used:,} of {limit:,}" if limit else f"{used:,}"
    source = "limit not known" if not limit else "limit set" if limit == configured else "limit learned"
    free = [("free", max(0, limit - used)), ("open", int(not limit))]
    picture = cells([*kinds, *free], f"{title}: {said}, {source}")
    return el(
        "div",
        el("span", title, class_="label"),
        picture,
        el("span", el("b", said), f" {source}", class_="figure"),
        class_="slots",
    )


def _legend(*kinds: tuple[str, str]) -> list[Html]:
    return [el("span", el("span", class_=f"cell {look}"), f" {word}", class_="key") for look, word in kinds]


def _table(heads: Sequence[tuple[str, str]], rows: Sequence[Html], label: str) -> Html:
    """Return a table. Each head has a class, which its cells have too; `opt` is hidden on a small screen."""
    row = el("tr", *(el("th", word, scope="col", class_=look or None) for word, look in heads))
    return el("div", el("table", el("thead", row), el("tbody", *rows), aria_label=label), class_="scroll")


def flights(view: View, _: LastHour) -> Html:
    """Return the deployments in creation, with their progress by the estimate of their end."""
    usual = view.accounts[0].usual_seconds if len(view.accounts) == 1 else None
    note = f"usually {format_duration(usual)}" if usual else None
    if not view.flights:
        return _section("flights", "In creation", None, _empty("No deployment is in creation."))
    rows = [_flight_row(flight) for flight in view.flights]
    heads = (("Name", ""), ("Tenant", "opt"), ("Model", "opt"), ("Age", "number"), ("Progress", ""))
    return _section(
        "flights", "In creation", note, _table(heads, rows, "Deployments in creation"), _more(len(rows), view.in_flight)
    )


def _flight_row(flight: Flight) -> Html:
    held, usual, left = flight.held, flight.usual, flight.held.prospect.to_end
    late = usual is not None and flight.seconds > usual
    progress: Child = el("span", "no estimate yet", class_="why")
    if left is not None:
        # One figure from one estimate: the bar and the text cannot contradict each other, and it is full only at the end.
        share = min(99, round(flight.seconds / max(1.0, flight.seconds + left) * 100))
        said = "longer than usual" if late else f"{format_duration_roughly(left)} left"
        bar = el(
            "progress", f"{share} %", max=100, value=share, aria_label=f"{share} %, {said}", class_="late" if late else None
        )
        progress = join(bar, el("span", said, class_="why"))
    if held.waits_for != Reason.IN_CREATION.value:
        progress = join(progress, el("p", held.why, class_="why"))
    return el(
        "tr",
        el("td", link(held)),
        el("td", held.tenant, class_="opt"),
        el("td", model(held.model_arn), class_="opt"),
        el("td", format_duration(flight.seconds), class_="number"),
        el("td", progress, class_="progress"),
        id=f"f-{held.message_id}",
    )


def waiting(view: View, _: LastHour) -> Html:
    """Return the waiting requests in order, with their reasons."""
    if not view.waiting:
        return _section("waiting", "Waiting", None, _empty("No request waits."))
    reasons = sorted(view.reasons.items(), key=lambda pair: -pair[1])
    note = ", ".join(f"{number:,} {waits_for(reason)}" for reason, number in reasons)
    rows = [_waiting_row(held) for held in view.waiting_rows]
    heads = (
        ("#", "place"),
        ("Name", ""),
        ("Action", "opt"),
        ("Tenant", "opt"),
        ("Priority", "opt number"),
        ("Model", "opt"),
        ("Age", "number"),
        ("Waits", "reason"),
    )
    shown = _table(heads, rows, "Waiting requests") if rows else _empty("No more requests wait here.")
    pages = _pages("waiting", view.waiting_from, len(view.waiting_rows), view.waiting, WAITING_ROWS)
    # A later page stays as it is while the rest of the page is live.
    return _section("waiting", "Waiting", note, shown, pages, is_still=view.waiting_from > 0)


def _waiting_row(held: RequestStatus) -> Html:
    is_in_line = held.waits_for == Reason.NO_SLOT.value
    to_slot = held.prospect.to_slot
    reason = waits_for(held.waits_for) if held.waits_for else "being processed"
    detail = f", {format_duration_roughly(to_slot)}" if to_slot is not None else ""
    why = None if is_in_line or not held.why else el("p", held.why, class_="why")
    return el(
        "tr",
        el("td", f"{held.place:,}" if held.place and is_in_line else "", class_="place"),
        el("td", link(held)),
        el("td", held.action, class_="opt"),
        el("td", held.tenant, class_="opt"),
        el("td", str(held.priority), class_="opt number"),
        el("td", model(held.model_arn), class_="opt"),
        el("td", format_duration(held.now - held.received_at), class_="number"),
        el("td", reason, detail, why, class_="reason"),
        id=f"w-{held.message_id}",
    )


def _pages(name: str, start: int, shown: int, total: int, most: int) -> Html | None:
    """Return links to the previous and next page of a section."""
    if total <= most and not start:
        return None
    links: list[Child] = [el("span", f"{start + 1:,} to {start + shown:,} of {total:,}")]
    if start:
        links.append(el("a", "Previous", href=f"/?{name}={max(0, start - most)}#{name}", rel="prev"))
    if start + shown < total:
        links.append(el("a", "Next", href=f"/?{name}={start + shown}#{name}", rel="next"))
    return el("nav", *links, class_="pages", aria_label=f"Pages: {name}")


def finished(view: View, _: LastHour) -> Html:
    """Return the latest outcomes, the newest first."""
    if not view.finished:
        text = "No more requests are remembered." if view.finished_from else "No request has finished in this replica yet."
        return _section("finished", "Finished", None, _empty(text))
    rows = [_finished_row(entry, view.now) for entry in view.finished]
    heads = (("Outcome", ""), ("Name", ""), ("Took", "number opt"), ("Ended (UTC)", "number"))
    pages = _pages("finished", view.finished_from, len(view.finished), view.finished_total, FINISHED_ROWS)
    table = _table(heads, rows, "Finished requests")
    return _section("finished", "Finished", "newest first", table, pages, is_still=view.finished_from > 0)


def _finished_row(entry: HistoryEntry, now: float) -> Html:
    one = entry.finished
    chip = el("span", one.outcome, class_=f"chip {LOOKS.get(one.outcome, 'bad')}")
    text = el("p", el("b", one.reason), ": " if one.text else None, one.text, class_="why") if one.reason else None
    return el(
        "tr",
        el("td", chip),
        el("td", link(one), text),
        el("td", format_duration(one.at - entry.received_at), class_="number opt"),
        el("td", format_clock(one.at, now), class_="number"),
        id=f"e-{one.event_id}",
    )


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
    """Return how long the latest deployments took to become Active: a histogram only if there are enough for one."""
    seconds = view.active_seconds
    if not seconds:
        return _section("active", "Time to Active", None, _empty("No request has become Active in this replica yet."))
    middle, high = percentile(seconds, 0.5), percentile(seconds, 0.95)
    figures = el(
        "p",
        "p50 ",
        el("b", format_duration(middle)),
        " · p95 ",
        el("b", format_duration(high)),
        f" · longest {format_duration(max(seconds))}",
        class_="figures",
    )
    note = f"the last {count(len(seconds), 'request')}, from first receipt"
    if len(seconds) < LEAST_SAMPLES:
        return _section("active", "Time to Active", note, figures)
    said = f"{count(len(seconds), 'request')} became Active, half of them within {format_duration(middle)}"
    sorted_in = columns(seconds)
    free = max(0, LEAST_COLUMNS - len(sorted_in))
    first, last = sorted_in[0], sorted_in[-1]
    picture = bars([*([(ANSWERED, column.count)] for column in sorted_in), *[()] * free], said)
    end = last.most + free * (last.most - last.least)
    axis = el("p", el("span", format_duration(first.least)), el("span", format_duration(end)), class_="scale")
    return _section("active", "Time to Active", note, figures, picture, axis)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that this share of the values does not exceed."""
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]


def _section(name: str, title: str, note: Child, *content: Child, is_still: bool = False) -> Html:
    head = el("header", el("h2", title, id=f"{name}-title"), el("p", note, class_="note") if note else None)
    return el("section", head, *content, id=name, aria_labelledby=f"{name}-title", data_still=is_still)


def _empty(text: str) -> Html:
    return el("p", text, class_="empty")


def _more(shown: int, total: int) -> Html | None:
    return el("p", f"and {total - shown:,} more", class_="note") if total > shown else None


SECTIONS: Final[Mapping[str, Section]] = {
    "headline": headline,
    "tiles": tiles,
    "slots": slots,
    "flights": flights,
    "finished": finished,
    "waiting": waiting,
    "active": active,
    "calls": calls,
}
"""Sections by their id, in the order in which they appear."""
