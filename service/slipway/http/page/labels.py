"""The words of the page: what is waited for, said for people; times, names and links as they are shown everywhere."""

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
    Reason.THROTTLED.value: "for AWS to take more calls",
    Reason.ACCESS_DENIED.value: "for permission",
    Reason.NO_ANSWER.value: "for an answer of AWS",
    Reason.IN_CREATION.value: "for Bedrock, which creates it",
    Reason.UPDATING.value: "for Bedrock, which updates it",
    Reason.SMOKE_TEST.value: "for its smoke test",
    Reason.RETRYING.value: "for its next attempt, or its end",
    Reason.BUSY.value: "for Bedrock, which is busy with it",
    Reason.DEPLOYMENT_MISSING.value: "for a deployment that is not found",
}
"""What a request waits for, by the word for programs; a word that is not here is shown itself."""


def waits_for(reason: str) -> str:
    """Say what is waited for, as it follows `waits`."""
    return FOR.get(reason, f"for {reason}")


def named(one: RequestStatus | FinishedRequest) -> str:
    """Answer what a request is called by people: the deployment's name, else the request's id, else the message's."""
    return one.name or one.request_id or one.message_id


def link(one: RequestStatus | FinishedRequest) -> Html:
    """Answer a link to the request's own page."""
    return el("a", named(one), href=address(one.request_id or one.message_id), class_="name")


def address(about: str) -> str:
    """Answer where the page about something is."""
    return f"/request?{urlencode({'about': about})}"


def format_clock(at: float) -> Html:
    """Show a time of day, in UTC, with the whole time for machines."""
    return el("time", f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}", datetime=format_time(at), title=format_time(at))


def count(number: int, noun: str, plural: str = "") -> str:
    """Say how many, with the noun as it then is."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
