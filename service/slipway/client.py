"""Slipway's client: submit a request, and follow it to its outcome.

async with open_client() as client:
    ticket = await client.submit({"modelDeploymentName": "bot", "modelArn": "arn:aws:bedrock:…"})
    async for change in client.follow(ticket):
        print(change.state, change.text)

`slipway.core.diagnostics.follow` says how an outcome is known. The queries of running daemons over HTTP are for the commands.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from slipway import __version__
from slipway.aws.operator.operator_session import OperatorSession, open_operator_session
from slipway.aws.operator.queues import EventListener
from slipway.core.bedrock import Pager
from slipway.core.call_errors import CallFailed, EndlessListing, Throttled, UnknownResult
from slipway.core.diagnostics.explain import ExistingDeployment
from slipway.core.diagnostics.follow import StatusChange, StatusSnapshot, Ticket, is_change, is_outcome_true, status_change
from slipway.core.diagnostics.severity import Problem, Severity, severity_of
from slipway.core.diagnostics.status import FinishedRequest, RequestStatus
from slipway.core.events.parse import NotAnEvent, ParsedEvent, read_event
from slipway.core.parsing import parse_request
from slipway.core.requests.models import AnyRequest, Cancel
from slipway.core.requests.targets import with_assumed_target
from slipway.core.schema.rejection import ErrorWithRemedy, RequestRejected, quote
from slipway.core.sqs.messages import Message, group_of
from slipway.settings.load import Settings, load

__all__ = ["Client", "RequestRejected", "StatusChange", "Ticket", "open_client"]

QUERY_TIMEOUT_SECONDS: Final = 5.0
"""Timeout of one query."""


class DaemonUnreachable(ErrorWithRemedy):
    """A daemon did not answer, or the answer is not Slipway's. The message names its URL and the remedy."""


@dataclass(frozen=True, slots=True)
class DaemonAnswer:
    """The answer of one daemon, or of several. `extras` is the rest of it: slots, calls, failures."""

    held: tuple[RequestStatus, ...]
    finished: tuple[FinishedRequest, ...]
    extras: Mapping[str, Any]
    problems: tuple[Problem, ...] = ()

    @property
    def severity(self) -> Severity:
        """Return the severity of the worst problem."""
        return severity_of(self.problems)


async def query_requests(url: str, about: str | None = None, *, token: str = "") -> DaemonAnswer:
    """Return the requests that a daemon has in progress or finished lately, all or those `about` one id, name or ARN.

    Raises `DaemonUnreachable`.
    """
    held: dict[str, RequestStatus] = {}
    reported = DaemonAnswer((), (), {})

    async def fetch(after: str | None) -> Mapping[str, Any]:
        given = {name: value for name, value in (("about", about), ("after", after)) if value is not None}
        return await _get(url, "requests", given, token)

    try:
        async for page in Pager("/requests", fetch, lambda page: page["next"]):
            held |= {one.message_id: one for one in map(RequestStatus.of, page["requests"])}
            finished, problems = map(FinishedRequest.of, page["finished"]), map(Problem.of, page["problems"])
            reported = DaemonAnswer(tuple(held.values()), tuple(finished), page, tuple(problems))
    except (KeyError, TypeError, ValueError, EndlessListing) as wrong:
        problem = f"{url} is not a Slipway daemon of this version ({wrong!r})"
        raise DaemonUnreachable(problem, "give a daemon's own address") from wrong
    return reported


async def query_each(urls: Sequence[str], about: str | None = None, *, token: str = "") -> list[DaemonAnswer]:
    """Return the answer of each daemon. Raises `DaemonUnreachable`."""
    return [await query_requests(url, about, token=token) for url in urls]


async def query_all(urls: Sequence[str], about: str | None = None, *, token: str = "") -> DaemonAnswer:
    """Return the answers of several daemons together; `extras` is the last one's. Raises `DaemonUnreachable`."""
    answers = await query_each(urls, about, token=token)
    problems = tuple(dict.fromkeys(problem for reported in answers for problem in reported.problems))
    held = {one.message_id: one for reported in answers for one in reported.held}
    finished = tuple(one for reported in answers for one in reported.finished)
    return DaemonAnswer(tuple(held.values()), finished, answers[-1].extras if answers else {}, problems)


async def query_targets(url: str, *, token: str = "") -> Sequence[str]:
    """Return the targets of a daemon beside the default. Raises `DaemonUnreachable`."""
    return list((await query_requests(url, "", token=token)).extras.get("targets", {}))


async def query_failures(url: str, *, token: str = "") -> Mapping[str, str]:
    """Return the failures that a daemon reports by name; none if it is ready. Raises `DaemonUnreachable`."""
    page = await _get(url, "readyz", {}, token, HTTPStatus.SERVICE_UNAVAILABLE)
    failures = page.get("troubles")
    return failures if isinstance(failures, dict) else {}


async def _get(url: str, page_name: str, given: Mapping[str, str], token: str, *also: HTTPStatus) -> Mapping[str, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=QUERY_TIMEOUT_SECONDS)) as session,
            session.get(f"{url.rstrip('/')}/{page_name}", params=given, headers=headers, allow_redirects=False) as answer,
        ):
            if answer.status == HTTPStatus.UNAUTHORIZED:
                raise DaemonUnreachable(f"{url} wants another token", "set SLIPWAY_HTTP_TOKEN to that of the daemon")
            if answer.status not in {HTTPStatus.OK, *also}:
                raise DaemonUnreachable(
                    f"{url} answers HTTP {answer.status}", "give the address of a daemon's health and metrics"
                )
            page = await answer.json()
    except TimeoutError as wrong:
        remedy = "read its log, or give its own address"
        raise DaemonUnreachable(f"no daemon answers at {url} within {QUERY_TIMEOUT_SECONDS:g} s", remedy) from wrong
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as wrong:
        raise DaemonUnreachable(f"{quote(url)} is not a daemon's address", "give one like http://127.0.0.1:8080") from wrong
    except (aiohttp.ClientError, ValueError, OSError) as wrong:
        raise DaemonUnreachable(f"no daemon answers at {url} ({_why(wrong)})", "start it, or give its own address") from wrong
    if not isinstance(page, dict):
        raise DaemonUnreachable(f"{url} is not a Slipway daemon", "give the address of a daemon's health and metrics")
    return page


def _why(wrong: Exception) -> str:
    """Return the system's own text, without what aiohttp adds."""
    cause = wrong.os_error if isinstance(wrong, aiohttp.ClientConnectorError) else wrong
    if not isinstance(cause, OSError):
        return str(cause) or type(cause).__name__
    if cause.errno is not None and cause.errno > 0:  # of an unknown host it is negative
        return os.strerror(cause.errno)
    return cause.strerror or str(cause)


SHORTEST_POLL_SECONDS = 1.0
LONGEST_POLL_SECONDS = 15.0
MOST_FAILURES = 3
"""Polls in a row without any answer, after which the last failure is raised."""
MOST_READS = 50
CLOCK_SLACK_SECONDS = 2.0
"""SQS rounds the time of a send to whole seconds."""


@dataclass(slots=True)
class _Following:
    """State between two polls of one request."""

    began: float
    event: ParsedEvent | None = None
    quiet_since: float | None = None
    was_otherwise: bool = False
    failures: int = 0
    has_daemons: bool = False
    """Whether the daemons answered at the last poll, so that the next one may be soon."""


@dataclass(frozen=True, slots=True)
class Client:
    """One queue, and the sources about its requests. `daemons` are the URLs of the replicas that are asked."""

    visit: OperatorSession
    settings: Settings
    daemons: Sequence[str] = ()
    listener: EventListener | None = None
    """Reads events from the caller's own queue, which is subscribed to the topic, if there is one."""

    async def submit(self, body: Mapping[str, object]) -> Ticket:
        """Send a request, given as its body. A body without a `requestId` gets one.

        Checked as the daemon would check it: raises `RequestRejected`, with the field, the problem and the remedy, and then
        nothing was sent. Raises `CallFailed` if the queue did not take it. After an `UnknownResult` it may have: the same
        body with the same `requestId` can be submitted again, and is the same request.
        """
        whole = {"requestId": str(uuid.uuid4())} | dict(body)
        text = json.dumps(whole)
        request = self.check(whole)
        deduplication_id = hashlib.sha256(text.encode()).hexdigest()
        # In the group of the request that it is about, a cancel would be received after that has ended.
        group = request.request_id if isinstance(request, Cancel) else request.name
        queue_url = self.settings.queue_of(request.action)
        message_id, sent_at = await self.visit.sender.send(
            queue_url, text, group=group_of(group), deduplication_id=deduplication_id
        )
        return Ticket(request, message_id, sent_at)

    def check(self, body: Mapping[str, object]) -> AnyRequest:
        """Return the request in a body, checked as the daemon would check it. Raises `RequestRejected`."""
        targets = with_assumed_target(self.visit.targets, body)
        return parse_request(Message("not sent yet", json.dumps(dict(body)), "", 1, 0.0, 0.0), targets, self.settings.timeout)

    async def follow(self, ticket: Ticket) -> AsyncIterator[StatusChange]:
        """Yield the status of a request whenever it or its estimate changes; the last change is its outcome.

        The caller may stop at any time; the request continues. Raises `CallFailed` or `DaemonUnreachable` if no source answers.
        """
        loop = asyncio.get_running_loop()
        following = _Following(loop.time())
        last, changed_at = None, loop.time()
        while True:
            now = await self._poll(ticket, following)
            if now is not None and is_change(now, last, loop.time() - changed_at):
                last, changed_at = now, loop.time()
                yield now
                if now.is_terminal:
                    return
            await self._pause(ticket, following, loop.time())

    async def _poll(self, ticket: Ticket, following: _Following) -> StatusChange | None:
        """Ask the daemons, then AWS; return None if neither answers this time."""
        if following.event is not None:
            return status_change(ticket, StatusSnapshot(event=following.event))
        failed: Exception | None = None
        reported: DaemonAnswer | None = None
        try:
            following.has_daemons = False
            reported = await query_all(self.daemons, ticket.request_id, token=self.settings.http_token)
            following.has_daemons = bool(self.daemons)
            held = next((one for one in reported.held if one.request_id == ticket.request_id), None)
            finished = next((one for one in reported.finished if _is_end_of(one, ticket)), None)
            if held is not None or finished is not None:
                following.failures, following.quiet_since = 0, None
                return status_change(ticket, StatusSnapshot(held=held, finished=finished))
        except DaemonUnreachable as exc:
            failed = exc  # it may be restarting; Bedrock may know the outcome
        try:
            snapshot = await self._poll_aws(ticket, following)
        except CallFailed as exc:
            following.failures += 1
            if following.failures >= MOST_FAILURES and self.listener is None:
                raise exc from failed
            return None
        following.failures = 0
        return status_change(ticket, snapshot)

    async def _poll_aws(self, ticket: Ticket, following: _Following) -> StatusSnapshot:
        now = asyncio.get_running_loop().time()
        # Bedrock shows nothing of a cancel, and only the daemon knows a target that the settings do not have.
        place = None if isinstance(ticket.request, Cancel) else self.visit.places.get(ticket.request.target)
        details = await place.catalogue.details(ticket.name) if place is not None else None
        backlog = await self.visit.inspector.backlog(self.settings.queue_of(ticket.request.action))
        if backlog.unaccounted(0):
            following.quiet_since = None
        elif following.quiet_since is None:
            following.quiet_since = now
        existing = None if details is None else ExistingDeployment(details.deployment, details.slipway_tags)
        was_otherwise, following.was_otherwise = (
            following.was_otherwise,
            following.was_otherwise or (place is not None and not is_outcome_true(ticket.request, existing)),
        )
        return StatusSnapshot(
            existing=existing,
            is_looked_at=place is not None,
            was_otherwise=was_otherwise,
            quiet_seconds=0.0 if following.quiet_since is None else now - following.quiet_since,
            waiting=backlog.visible,
        )

    async def _pause(self, ticket: Ticket, following: _Following, now: float) -> None:
        """Wait, reading events meanwhile; the longer the request takes, the longer."""
        longer = 0.0 if following.has_daemons else (now - following.began) / 20
        seconds = min(LONGEST_POLL_SECONDS, SHORTEST_POLL_SECONDS + longer)
        if self.listener is None:
            return await asyncio.sleep(seconds)
        for _ in range(MOST_READS):
            try:
                bodies = await self.listener.listen(max(1, round(seconds)))
            except (Throttled, UnknownResult):
                return await asyncio.sleep(seconds)
            for body in bodies:
                following.event = following.event or _end_in(body, ticket)
            if following.event is not None or not bodies:
                return None
        return None


def _end_in(body: str, ticket: Ticket) -> ParsedEvent | None:
    try:
        event = read_event(body)
    except NotAnEvent:
        return None
    return event if event is not None and event.is_terminal and _is_end_of(event, ticket) else None


def _is_end_of(end: ParsedEvent | FinishedRequest, ticket: Ticket) -> bool:
    """Return whether it is this request's end, and not that of an earlier request with the same id."""
    return end.request_id == ticket.request_id and end.at >= ticket.sent_at - CLOCK_SLACK_SECONDS


@asynccontextmanager
async def open_client(
    config: str | None = None, *, daemons: Sequence[str] = (), events_queue: str | None = None
) -> AsyncIterator[Client]:
    """Open a client by the environment's settings, as the daemon reads them. Raises `WrongSetting` or `NotConfigured`.

    A request may name any `target` that these settings have; where they have only the default, any that the daemon's have.
    """
    settings = load(os.environ, config)
    connection = open_operator_session(
        queue_url=settings.queue_url, topic_arn=settings.topic_arn, version=__version__, wanted=settings.targets
    )
    async with connection as visit:
        yield Client(visit, settings, daemons, visit.listen_to(events_queue) if events_queue else None)
