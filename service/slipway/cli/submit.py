"""`slipway deploy`, `update`, `delete` and `cancel`: send a request, and, with --wait, follow it to its outcome."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from slipway.aws.operator.deployment_listing import Filters
from slipway.aws.operator.operator_session import OperatorSession, OperatorSettings
from slipway.aws.operator.queues import EventListener
from slipway.cli.options import option_of
from slipway.cli.output import CommandError, Exit, Form, Output, is_terminal, print_cells, print_line
from slipway.cli.runner import error_text, say, unknown_target
from slipway.client import (
    Client,
    DaemonUnreachable,
    RequestRejected,
    StatusChange,
    Ticket,
    query_each,
    query_failures,
    query_targets,
)
from slipway.core.bedrock import Status
from slipway.core.call_errors import CallFailed, UnknownResult
from slipway.core.requests.models import Cancel
from slipway.core.requests.targets import DEFAULT
from slipway.core.schema.rejection import quote
from slipway.settings.load import Settings

if TYPE_CHECKING:
    from slipway.cli.live_display import LiveLine

_EXIT_CODES: Final = {
    "Active": Exit.OK,
    "Updated": Exit.OK,
    "Deleted": Exit.OK,
    "CancelTaken": Exit.OK,
    "TimedOut": Exit.TIMED_OUT,
    "Rejected": Exit.REJECTED,
    "Cancelled": Exit.CANCELLED,
    "Unheard": Exit.UNAVAILABLE,
}
RECENT_DEPLOYMENTS: Final = 20
"""The usual length of a creation is the median of so many deployments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowOptions:
    """Whether the request is sent, and how it is followed then."""

    wait: bool = False
    at_most: float | None = None
    daemons: Sequence[str] = ()
    events_queue: str | None = None
    dry_run: bool = False


def read_body(file: str | None, action: str) -> dict[str, object]:
    """Read the body of a request for this action from a file, `-` being standard input; it is empty without a file.

    Raises `CommandError`.
    """
    if file is None:
        return {}
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
        body = json.loads(text)
    except OSError as error:
        raise CommandError(
            f"--file: {quote(file)} cannot be read ({error.strerror})", "name a JSON file, or - for standard input"
        ) from error
    except (ValueError, RecursionError) as error:
        raise CommandError(
            f"--file: {quote(file)} is not JSON in UTF-8", "give one object, as slipway deploy --dry-run prints it"
        ) from error
    if not isinstance(body, dict):
        raise CommandError(
            f"--file: {quote(file)} does not hold one JSON object", "give one, as slipway deploy --dry-run prints it"
        )
    given = body.get("action", "deploy")
    if given != action:
        remedy = (
            f"use slipway {given}"
            if given in {"deploy", "update", "delete", "cancel"}
            else "use deploy, update, delete or cancel"
        )
        raise CommandError(f"--file: the action in {quote(file)} is {json.dumps(given)}, not {action}", remedy)
    return body


async def send_request(
    session: OperatorSession, settings: Settings, body: Mapping[str, object], follow: FollowOptions, output: Output
) -> Exit:
    """Check the request and send it; follow it if that is wanted. With `dry_run` print it instead."""
    daemons = await _daemons(settings, follow)
    await _check_target(body.get("target"), settings, daemons)
    listener = await _listener(session, follow.events_queue) if follow.events_queue else None
    client = Client(session, settings, daemons, listener)
    given = dict(body)
    if not follow.dry_run:
        given.setdefault("requestId", str(uuid.uuid4()))
    request_id = given.get("requestId")
    try:
        if follow.dry_run:
            return _print_unsent(settings.queue_of(client.check(given).action), given, output)
        ticket = await client.submit(given)
    except RequestRejected as wrong:
        raise CommandError(_rejection_text(wrong), "nothing was sent") from wrong
    except UnknownResult as lost:
        remedy = f"see slipway explain {request_id}, or repeat the command with --request-id {request_id}: both are one request"
        raise CommandError(f"{'; '.join(error_text(lost))}", f"the request may have been sent: {remedy}") from lost
    except asyncio.CancelledError:
        say(f"stopped while the request was sent, so it may be on the queue; see: slipway explain {request_id}")
        return Exit.STOPPED_WATCHING
    if isinstance(ticket.request, Cancel):
        await _warn_of_unknown(ticket.request.name, settings, daemons)
    if not follow.wait:
        _print_sent(ticket, output)
        return Exit.OK
    return await _follow(client, ticket, follow, output)


def _rejection_text(wrong: RequestRejected) -> str:
    """Return what is wrong with a request, under the option that gives it."""
    field = wrong.field or ""
    return f"{option_of(field)}: {wrong.reason.removeprefix(f'{field} ')}" if field else wrong.reason


async def _daemons(settings: Settings, follow: FollowOptions) -> Sequence[str]:
    """Return the daemons that were named, each of which must answer; else the one on this machine, which may start later."""
    for url in follow.daemons:
        await query_failures(url, token=settings.http_token)
    if follow.daemons or not follow.wait or follow.events_queue:
        return follow.daemons or list(settings.own_daemon)
    for url in settings.own_daemon:
        try:
            await query_failures(url, token=settings.http_token)
        except DaemonUnreachable as unreachable:
            say(f"{unreachable}, with --daemon; without a daemon the outcome is known later, and not why the request waits")
    return list(settings.own_daemon)


async def _warn_of_unknown(cancels: str, settings: Settings, daemons: Sequence[str]) -> None:
    """Say so at once if no daemon knows the request to cancel: the outcome takes minutes, as it may yet be received."""
    try:
        answers = await query_each(daemons, cancels, token=settings.http_token)
    except DaemonUnreachable:
        return
    actions = {one.action for answer in answers for one in answer.held}
    actions |= {one.action for answer in answers for one in answer.finished}
    if answers and actions <= {Cancel.action}:  # this cancel itself is about the same id
        text = "it may be a typing error, still be in the queue, or be in progress in another replica (--daemon)"
        say(f"the daemons that were asked know no request {quote(cancels)}: {text}; the cancel was sent and waits for it")


async def _check_target(target: object, settings: Settings, daemons: Sequence[str]) -> None:
    """Refuse a target that neither the settings nor a daemon knows. Other kinds than texts are for the request's check."""
    names = [each.name for each in settings.targets]
    if not isinstance(target, str) or target in names:
        return
    for url in daemons if names == [DEFAULT] else ():
        try:
            if target in (names := [DEFAULT, *await query_targets(url, token=settings.http_token)]):
                return
        except DaemonUnreachable:
            continue
    raise unknown_target(target, names)


async def _listener(session: OperatorSession, url: str) -> EventListener:
    """Return a listener whose queue can be read."""
    listener = session.listen_to(url)
    try:
        await listener.listen(0)
    except CallFailed as failed:
        remedy = "name a queue that is subscribed to the topic and that you may read"
        raise CommandError(
            f"--events-queue: {url} cannot be read ({error_text(failed)[0]})", f"{remedy}; nothing was sent"
        ) from failed
    return listener


def _print_unsent(queue_url: str, body: Mapping[str, object], output: Output) -> Exit:
    as_document = output if output.is_document else Output(Form.JSON)
    as_document.print_document(dict(body))
    say(f"dry run: the request is valid; without --dry-run it is sent to {queue_url}")
    return Exit.OK


def _print_sent(ticket: Ticket, output: Output) -> None:
    if output.is_document:
        output.print_document(
            {"requestId": ticket.request_id, "messageId": ticket.message_id, "modelDeploymentName": ticket.name}
        )
    elif is_terminal():
        print_line(f"Sent request {ticket.request_id}.\nTo see its status: slipway explain {ticket.request_id}")
    else:
        print_line(ticket.request_id)


async def _follow(client: Client, ticket: Ticket, follow: FollowOptions, output: Output) -> Exit:
    display = await _display(client, ticket, output)
    last: StatusChange | None = None
    try:
        with display:
            async with asyncio.timeout(follow.at_most):
                async for last in client.follow(ticket):
                    display.show(last)
    except TimeoutError:
        say("the time of --at-most is over; the request continues")
        say(f"see: slipway explain {ticket.request_id}")
        return Exit.UNAVAILABLE
    except CallFailed as failed:
        say("; ".join((*error_text(failed), "the request continues")))
        say(f"see: slipway explain {ticket.request_id}")
        return Exit.USAGE
    except asyncio.CancelledError:
        say("stopped watching; the request continues")
        say(f"see: slipway explain {ticket.request_id}")
        return Exit.STOPPED_WATCHING
    return _EXIT_CODES.get(last.state if last else "Unheard", Exit.FAILURE)


async def _display(client: Client, ticket: Ticket, output: Output) -> LiveLine | _Lines:
    if output.is_document or not is_terminal():
        return _Lines(ticket, output)
    from slipway.cli.live_display import LiveLine

    return LiveLine(ticket, await _usual_seconds(client.visit.places.get(ticket.request.target)))


async def _usual_seconds(place: OperatorSettings | None) -> float | None:
    """Return how long a creation in a target usually takes; None if no earlier one is known."""
    if place is None:
        return None
    try:
        page = await place.catalogue.page(Filters(status=Status.ACTIVE), size=RECENT_DEPLOYMENTS)
    except CallFailed:
        return None
    took = [one.updated_at - one.created_at for one in page.deployments if one.updated_at is not None]
    return median(took) if took else None


class _Lines:
    """Prints a line for each change, for programs."""

    def __init__(self, ticket: Ticket, output: Output) -> None:
        self._request_id = ticket.request_id
        self._output = output
        self._last: tuple[str, ...] = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, change: StatusChange) -> None:
        """Print what has changed."""
        if self._output.is_document:
            document = {
                "requestId": self._request_id,
                "state": change.state,
                "isEnd": change.is_terminal,
                "reason": change.reason,
                "message": change.text,
                "customModelDeploymentArn": change.arn,
                **change.prospect.to_json(),
                "source": change.source,
            }
            self._output.print_document(
                {key: value for key, value in document.items() if value is not None}, is_one_of_many=True
            )
        elif (row := (change.state, change.reason or "", change.arn or "", change.text or "")) != self._last:
            self._last = row
            print_cells(*row)
        sys.stdout.flush()
