"""`GET /requests`: requests in progress and finished ones, slots, and rates of AWS calls. Read-only."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from heapq import nsmallest
from typing import Final

from slipway.core.diagnostics.severity import severity_of
from slipway.core.diagnostics.status import RequestStatus, Wait
from slipway.core.lifecycle.outcomes import Reason
from slipway.core.lifecycle.steps import reason_for
from slipway.core.requests.models import Deploy, IfExists, Update
from slipway.core.requests.targets import DEFAULT
from slipway.http.health import Diagnosis
from slipway.worker.kernel.lease import Lease
from slipway.worker.runtime.target_runtime import TargetRuntime
from slipway.worker.runtime.worker import Worker

PAGE: Final = 500
"""Requests in one response: as many as can be written without delaying the event loop."""
_SWEPT: Final = frozenset({Reason.IN_CREATION, Reason.NO_SLOT})

CallRates = Mapping[tuple[str, str | None], tuple[float | None, int]]
"""By operation and target (None for the default): calls per second (None without a limit), and how many calls wait."""


def holdings(slipway: Worker, rates: CallRates, about: str | None = None, after: str | None = None) -> dict[str, object]:
    """Return one page as JSON. `about` filters by an id, name or ARN; `after` is the `next` of the previous page.

    Finished requests are on the last page only, so that a request which ends between two pages is on one of them.
    """
    places = slipway.request_order.queue_positions() | slipway.slot_positions()
    holds = (lease for lease in slipway.held_leases if about is None or is_about(lease, about))
    page = nsmallest(PAGE + 1, (lease for lease in holds if after is None or _cursor(lease) > after), key=_cursor)
    is_last = len(page) <= PAGE
    ended = (entry.finished for entry in slipway.history) if is_last else ()
    finished = [one.to_json() for one in ended if about is None or one.is_about(about)]
    return {
        "requests": [request_status(lease, slipway, places.get(lease.message.message_id)).to_json() for lease in page[:PAGE]],
        "finished": finished,
        "next": None if is_last else _cursor(page[PAGE - 1]),
        "held": len(slipway.held_leases),
        "isStopping": slipway.is_stopping,
        **_of_site(slipway.runtimes[DEFAULT]),
        "targets": {name: _of_site(site) for name, site in slipway.runtimes.items() if name != DEFAULT},
        "calls": dict(sorted(_call_rate(*call, *rate) for call, rate in rates.items())),
    }


def page_state(diagnosis: Diagnosis) -> dict[str, object]:
    """Return the state of the daemon itself as JSON: severity, problems, and the message counts of the queues, as known."""
    problems = diagnosis.problems()
    return {
        "severity": severity_of(problems).value,
        "problems": [problem.to_json() for problem in problems],
        "queues": {
            name: {"visible": backlog.visible, "inFlight": backlog.in_flight, "delayed": backlog.delayed}
            for name, backlog in diagnosis.backlogs.known().items()
        },
    }


def _call_rate(operation: str, target: str | None, rate: float | None, waiting: int) -> tuple[str, dict[str, object]]:
    """Return the name of a kind of call, and how fast it is called."""
    pace: dict[str, object] = {"perSecond": rate, "waiting": waiting}
    return (operation, pace) if target is None else (f"{operation} in {target}", pace | {"target": target})


def _of_site(site: TargetRuntime) -> dict[str, object]:
    slots, trouble, quota = site.slots, site.watcher.last_failure, site.slots.quota
    counts = slots.known_counts()
    return {
        "slots": {
            "own": site.watcher.in_flight,
            "creating": None if counts is None else counts.creating,
            "total": None if counts is None else counts.total,
            "limitCreating": quota.limit_in_creation or None,
            "limitTotal": quota.limit_in_total or None,
            "waiting": slots.waiting,
            "quota": quota.describe(slots.counts),
        },
        "sweepTrouble": str(trouble) if trouble else None,
    }


def _cursor(lease: Lease) -> str:
    """Return a text that sorts by age, the oldest first."""
    return f"{lease.delivery.first_received_at:017.6f} {lease.message.message_id}"


def is_about(lease: Lease, word: str) -> bool:
    """Return whether a word is the id of the request or message, or the name or ARN of the deployment."""
    request_id = lease.request and lease.request.request_id
    return word in {request_id, lease.message.message_id, lease.what, lease.arn}


def request_status(lease: Lease, slipway: Worker, place: int | None) -> RequestStatus:
    """Return the status of one request in progress, with the current reason why it waits."""
    message, request = lease.message, lease.request
    received_at = lease.delivery.first_received_at
    why, text = lease.why, lease.wait_text
    site = slipway.runtime_of(lease)
    created_at = site.watcher.created_at(lease.arn) if lease.arn else None
    passed = None if created_at is None else lease.now() - created_at
    if why in _SWEPT and (trouble := site.watcher.last_failure) is not None:
        why, text = reason_for(trouble), f"{text}; the last sweep failed: {trouble}"
    elif why is Reason.NO_SLOT:
        why, text = site.slots.why()  # as it is now, not as it was when the wait began
    elif why is Reason.IN_CREATION and lease.arn is not None and site.watcher.is_missing(lease.arn):
        why, text = Reason.DEPLOYMENT_MISSING, f"{lease.arn} was created and is no longer found"
    held = RequestStatus(
        message_id=message.message_id,
        receive_count=message.receive_count,
        received_at=received_at,
        now=lease.now(),
        lease_seconds=lease.lease_until - asyncio.get_running_loop().time(),
        waits_for=why.value if why else None,
        why=text,
        prospect=site.outlook.view(lease).of(lease.why, place, passed),
        waited=tuple(Wait(wait.reason.value, wait.text, wait.since, wait.times) for wait in lease.waited),
        arn=lease.arn,
    )
    if request is None:
        return held
    return replace(
        held,
        request_id=request.request_id,
        action=request.action,
        name=request.name,
        model_arn=request.model_arn if isinstance(request, Deploy | Update) else "",
        if_exists=request.if_exists.value if isinstance(request, Deploy) else IfExists.ADOPT.value,
        tenant=request.tenant,
        target=request.target_label,
        priority=request.priority,
        deadline=received_at + request.timeout,
    )
