"""`slipway deploy` and its like: put a request on the queue, and, where it is asked for, follow it to its end."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from slipway.aws.operator.deployment_listing import Filters
from slipway.aws.operator.event_listener import EventListener
from slipway.aws.operator.operator_session import OperatorSession, OperatorSettings
from slipway.cli.exit_codes import Exit
from slipway.cli.output import is_terminal, print_json, print_line, print_table
from slipway.cli.request_options import option_of
from slipway.cli.runner import CommandError, error_text, say
from slipway.client import Client, RequestRejected, StatusChange, Ticket
from slipway.client.daemons import query_failures
from slipway.core.bedrock.deployments import Status
from slipway.core.bedrock.errors import CallFailed, UnknownResult
from slipway.settings.load import Settings

if TYPE_CHECKING:
    from slipway.cli.live_display import LiveLine

_EXITS: Final = {
    "Active": Exit.OK,
    "Updated": Exit.OK,
    "Deleted": Exit.OK,
    "CancelTaken": Exit.OK,
    "TimedOut": Exit.TIMED_OUT,
    "Rejected": Exit.REJECTED,
    "Cancelled": Exit.CANCELLED,
    "Unheard": Exit.UNAVAILABLE,
}
USUAL_FROM: Final = 20
"""Of how many deployments it is reckoned how long a creation takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowOptions:
    """How a request is followed, if it is."""

    wait: bool = False
    at_most: float | None = None
    daemons: Sequence[str] = ()
    events_queue: str | None = None
    as_json: bool = False


async def submit_request(visit: OperatorSession, settings: Settings, body: Mapping[str, object], manner: FollowOptions) -> Exit:
    """Send it; follow it. What is None in the body was not given."""
    daemons = await _daemons(settings, manner.daemons)
    listener = await _listener(visit, manner.events_queue) if manner.events_queue else None
    client = Client(visit, settings, daemons, listener)
    given = {key: value for key, value in body.items() if value is not None}
    request_id = given.setdefault("requestId", str(uuid.uuid4()))
    try:
        ticket = await client.submit(given)
    except RequestRejected as wrong:
        raise CommandError(f"{option_of(wrong.field or '')}: {wrong.reason}; nothing was sent") from wrong
    except UnknownResult as lost:
        remedy = f"see slipway explain {request_id}, or ask again with --request-id {request_id}: both are one request"
        raise CommandError(f"{'; '.join(error_text(lost))}; it may have been sent all the same: {remedy}") from lost
    except asyncio.CancelledError:
        say(f"stopped while it was sent, so that it may be on the queue; see: slipway explain {request_id}")
        return Exit.STOPPED_WATCHING
    if not manner.wait:
        _say_sent(ticket, manner)
        return Exit.OK
    return await _follow(client, ticket, manner)


async def _daemons(settings: Settings, named: Sequence[str]) -> Sequence[str]:
    """Those that were named, each of which must answer; else the one on this machine, whenever it does."""
    for url in named:
        await query_failures(url)
    return named or list(settings.own_daemon)


async def _listener(visit: OperatorSession, url: str) -> EventListener:
    """One that can read its queue: what is heard too late is not heard."""
    listener = visit.listen_to(url)
    try:
        await listener.listen(0)
    except CallFailed as failed:
        remedy = "name a queue that is subscribed to the topic, and that you may read"
        raise CommandError(
            f"--events-queue {url} cannot be read ({error_text(failed)[0]}); {remedy}; nothing was sent"
        ) from failed
    return listener


def _say_sent(ticket: Ticket, manner: FollowOptions) -> None:
    if manner.as_json:
        print_json({"requestId": ticket.request_id, "messageId": ticket.message_id, "modelDeploymentName": ticket.name})
    elif is_terminal():
        print_line(f"Sent, as request {ticket.request_id}.\nWhat becomes of it: slipway explain {ticket.request_id}")
    else:
        print_line(ticket.request_id)


async def _follow(client: Client, ticket: Ticket, manner: FollowOptions) -> Exit:
    shown = await _shown(client, ticket, manner)
    last: StatusChange | None = None
    try:
        with shown:
            async with asyncio.timeout(manner.at_most):
                async for last in client.follow(ticket):
                    shown.show(last)
    except TimeoutError:
        say("--at-most is over; the request goes on")
        say(f"see: slipway explain {ticket.request_id}")
        return Exit.UNAVAILABLE
    except CallFailed as failed:
        say("; ".join((*error_text(failed), "the request goes on")))
        say(f"see: slipway explain {ticket.request_id}")
        return Exit.USAGE
    except asyncio.CancelledError:
        say("stopped watching; the request goes on")
        say(f"see: slipway explain {ticket.request_id}")
        return Exit.STOPPED_WATCHING
    return _EXITS.get(last.state if last else "Unheard", Exit.FAILURE)


async def _shown(client: Client, ticket: Ticket, manner: FollowOptions) -> LiveLine | _Lines:
    if manner.as_json or not is_terminal():
        return _Lines(ticket, manner)
    from slipway.cli.live_display import LiveLine

    return LiveLine(ticket, await _usual(client.visit.places.get(ticket.request.target)))


async def _usual(place: OperatorSettings | None) -> float | None:
    """Answer how many seconds a creation takes there, by the latest ones; None where there are none to go by."""
    if place is None:
        return None
    try:
        page = await place.catalogue.page(Filters(status=Status.ACTIVE), size=USUAL_FROM)
    except CallFailed:
        return None
    took = [one.updated_at - one.created_at for one in page.deployments if one.updated_at is not None]
    return median(took) if took else None


class _Lines:
    """One line for each change, for programs."""

    def __init__(self, ticket: Ticket, manner: FollowOptions) -> None:
        self._request_id = ticket.request_id
        self._as_json = manner.as_json
        self._last: tuple[str, ...] = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, news: StatusChange) -> None:
        """Print what is new."""
        if self._as_json:
            said = {
                "requestId": self._request_id,
                "state": news.state,
                "isEnd": news.is_terminal,
                "reason": news.reason,
                "message": news.text,
                "customModelDeploymentArn": news.arn,
                **news.prospect.to_json(),
                "source": news.source,
            }
            print_json({key: value for key, value in said.items() if value is not None})
        elif (row := (news.state, news.reason or "", news.arn or "", news.text or "")) != self._last:
            self._last = row
            print_table((), [row])
        sys.stdout.flush()
