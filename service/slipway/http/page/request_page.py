"""One request's own page: what is known of it, and what happened to it when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from slipway.core.diagnostics.status import FinishedRequest, RequestStatus, Wait
from slipway.core.lifecycle.outcomes import Reason
from slipway.core.time_format import format_duration, format_duration_roughly
from slipway.http.page.elements import Child, Html, count, el, format_clock, join, link, named, waits_for
from slipway.http.page.overview import LOOKS
from slipway.http.requests_api import is_about, request_status
from slipway.worker.publishing.publisher import HistoryEntry
from slipway.worker.runtime.worker import Worker

MOST_FOUND: Final = 50
"""Most requests of a kind (in progress, finished) in the list of a search."""
CODES: Final = frozenset({"Request", "Message", "Deployment", "Model", "Event"})
"""Facts in a fixed-width font, to be copied."""


@dataclass(frozen=True, slots=True)
class FoundRequests:
    """Requests found by an id, name or ARN: in progress, and finished, the newest first."""

    held: tuple[RequestStatus, ...]
    ended: tuple[HistoryEntry, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing was found."""
        return not self.held and not self.ended


def find_requests(slipway: Worker, about: str) -> FoundRequests:
    """Return the requests with this request id, message id, deployment name or ARN."""
    holds = [lease for lease in slipway.held_leases if is_about(lease, about)]
    places = slipway.request_order.queue_positions() | slipway.slot_positions() if holds else {}
    held = tuple(request_status(lease, slipway, places.get(lease.message.message_id)) for lease in holds)
    return FoundRequests(held, tuple(entry for entry in reversed(tuple(slipway.history)) if entry.finished.is_about(about)))


def search_requests(slipway: Worker, prefix: str) -> FoundRequests:
    """Return the first requests whose name, id, message id or ARN begins with this, ignoring case."""
    start = prefix.lower()

    def matches(*words: str | None) -> bool:
        return any(word is not None and word.lower().startswith(start) for word in words)

    held = (
        lease
        for lease in slipway.held_leases
        if matches(lease.what, lease.request.request_id if lease.request else None, lease.message.message_id, lease.arn)
    )
    ended = (
        entry
        for entry in reversed(slipway.history)
        if matches(entry.finished.name, entry.finished.request_id, entry.finished.message_id, entry.finished.arn)
    )
    return FoundRequests(
        tuple(request_status(lease, slipway, None) for lease in islice(held, MOST_FOUND)), tuple(islice(ended, MOST_FOUND))
    )


def request(found: FoundRequests, about: str) -> Html:
    """Return all found requests: one after the other if they are about one deployment, else as a list of links."""
    names = {*map(named, found.held), *(named(entry.finished) for entry in found.ended)}
    if len(names) > 1:
        return _list(found, about)
    if found.is_empty:
        text = (
            "It may still be in the queue, in progress in another replica, or no longer remembered by this one. "
            "The events on the topic are the record."
        )
        return el(
            "section",
            el("h1", "Not found in this replica"),
            el("p", el("code", about)),
            el("p", text, class_="lead"),
            id="request",
        )
    return el("section", *map(_held, found.held), *map(_ended, found.ended), id="request")


def _list(found: FoundRequests, about: str) -> Html:
    rows = [_found_row(one, one.state, f"{format_duration(one.now - one.received_at)} old") for one in found.held]
    ends = (entry.finished for entry in found.ended)
    rows += [_found_row(end, end.outcome, format_clock(end.at, 0.0)) for end in ends]
    heads = el("tr", *(el("th", word, scope="col") for word in ("Name", "Action", "Status", "Request", "When (UTC)")))
    is_cut = MOST_FOUND in {len(found.held), len(found.ended)}
    note = f"Only the first {MOST_FOUND} in progress and finished are shown: search for more of the name."
    table = el("table", el("thead", heads), el("tbody", *rows))
    title = el("h1", f"{count(len(rows), 'request')} for ", el("q", about))
    lead = el("p", note, class_="lead") if is_cut else None
    return el("section", title, lead, el("div", table, class_="scroll"), id="request")


def _found_row(one: RequestStatus | FinishedRequest, state: str, when: Child) -> Html:
    chip = el("span", state, class_=f"chip {LOOKS.get(state, 'bad')}") if isinstance(one, FinishedRequest) else state
    cells = (link(one), one.action, chip, el("code", one.request_id or one.message_id), when)
    return el("tr", *(el("td", cell) for cell in cells))


def _held(held: RequestStatus) -> Html:
    if held.waits_for == "InCreation":
        state = "In creation"
    else:
        state = f"Waits {waits_for(held.waits_for)}" if held.waits_for else "Being processed"
    steps = [_step(held.received_at, "Received", _deliveries(held.receive_count)), *map(_wait, held.waited[:-1])]
    steps += [_wait(wait, is_over=wait.reason != held.waits_for) for wait in held.waited[-1:]]
    steps.append(_step(held.now, "Now", held.why or state, look="now"))
    if held.deadline is not None:
        left = held.deadline - held.now
        said = f"in {format_duration(left)}" if left > 0 else "passed"
        steps.append(_step(held.deadline, "Deadline", said, look="ahead"))
    facts = {
        "Queue position": _place(held),
        "Slot": f"in {format_duration_roughly(held.prospect.to_slot)}" if held.prospect.to_slot is not None else None,
        "End": f"in {format_duration_roughly(held.prospect.to_end)}" if held.prospect.to_end is not None else None,
        "Target": held.target,
        "Model": held.model_arn,
        "Priority": str(held.priority) if held.priority else None,
        "Tenant": held.tenant,
        "Lease": f"{format_duration(held.lease_seconds)} left unless extended",
    }
    return _article(held, state, "mild", facts, steps)


def _place(held: RequestStatus) -> str | None:
    """Return its position in the fair queue, or among the requests for the same deployment."""
    if held.place is None:
        return None
    before = held.waits_for == Reason.PREDECESSOR.value
    return f"{held.place:,} {'earlier requests for this deployment' if before else 'in the queue for a slot'}, in this replica"


def _ended(entry: HistoryEntry) -> Html:
    one = entry.finished
    steps = [_step(entry.received_at, "Received", _deliveries(entry.receive_count)), *map(_wait, entry.waited)]
    text = join(el("b", one.reason), ": " if one.text else None, one.text) if one.reason else None
    look = LOOKS.get(one.outcome, "bad")
    steps.append(_step(one.at, one.outcome, text, look=look))
    facts = {"Took": format_duration(one.at - entry.received_at), "Event": one.event_id}
    return _article(one, one.outcome, look, facts, steps)


def _article(
    one: RequestStatus | FinishedRequest, state: str, look: str, facts: Mapping[str, str | None], steps: list[Html]
) -> Html:
    known = {"Request": one.request_id, "Message": one.message_id, "Action": one.action, "Deployment": one.arn, **facts}
    pairs = [
        join(el("dt", key), el("dd", el("code", value) if key in CODES else value)) for key, value in known.items() if value
    ]
    return el(
        "article",
        el("header", el("h1", named(one)), el("p", state, class_=f"chip {look}"), class_="title"),
        el("ol", *steps, class_="timeline"),
        el("dl", *pairs),
        id=f"a-{one.message_id}",
    )


def _deliveries(number: int) -> str | None:
    return f"delivered {count(number, 'time')}" if number > 1 else None


def _wait(wait: Wait, *, is_over: bool = True) -> Html:
    if wait.reason == "InCreation":
        return _step(wait.since, "In creation", wait.text)
    often = f", {wait.times:,} times in a row" if wait.times > 1 else ""
    return _step(wait.since, f"{'Waited' if is_over else 'Waits'} {waits_for(wait.reason)}{often}", wait.text)


def _step(at: float, title: str, text: Child, look: str = "past") -> Html:
    said = el("p", text, class_="why") if text else None
    return el("li", format_clock(at), el("div", el("b", title), said), class_=look)
