"""Texts that several sections use: reasons to wait, times, names and links."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from slipway.core.diagnostics.status import FinishedRequest, RequestStatus
from slipway.core.lifecycle.outcomes import Reason
from slipway.core.time_format import format_time
from slipway.http.page.markup import Html, el

FOR: Final = {
    Reason.NO_SLOT.value: "for a slot",
    Reason.PREDECESSOR.value: "for an earlier request",
    Reason.MODEL_NOT_ACTIVE.value: "for the model",
    Reason.NAME_RESERVED.value: "for its name",
    Reason.THROTTLED.value: "because AWS throttles calls",
    Reason.ACCESS_DENIED.value: "for permission",
    Reason.NO_ANSWER.value: "for an answer from AWS",
    Reason.IN_CREATION.value: "for its creation in Bedrock",
    Reason.UPDATING.value: "for its update in Bedrock",
    Reason.SMOKE_TEST.value: "for its smoke test",
    Reason.RETRYING.value: "for its next attempt or its outcome",
    Reason.BUSY.value: "because its deployment is busy",
    Reason.DEPLOYMENT_MISSING.value: "for a missing deployment",
}
"""What a request waits for, by reason. Other reasons are shown as they are."""


def waits_for(reason: str) -> str:
    """Return what a request waits for, as it follows the word "waits"."""
    return FOR.get(reason, f"for {reason}")


def named(one: RequestStatus | FinishedRequest) -> str:
    """Return the title of a request: the deployment's name, else the request's id, else the message's id."""
    return one.name or one.request_id or one.message_id


def link(one: RequestStatus | FinishedRequest) -> Html:
    """Return a link to the request's page."""
    return el("a", named(one), href=address(one.request_id or one.message_id), class_="name")


def address(about: str) -> str:
    """Return the path of the page about a request."""
    return f"/request?{urlencode({'about': about})}"


def format_clock(at: float) -> Html:
    """Return a time of day in UTC, with the full time in its attributes."""
    return el("time", f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}", datetime=format_time(at), title=format_time(at))


def count(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, in singular or plural."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
