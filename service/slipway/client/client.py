"""The client: submits requests and follows them. `slipway.core.diagnostics.follow` says how it knows an outcome."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from slipway import __version__
from slipway.aws.operator.operator_session import OperatorSession, open_operator_session
from slipway.aws.operator.queues import EventListener
from slipway.client.daemons import DaemonAnswer, DaemonUnreachable, query_all
from slipway.core.call_errors import CallFailed, Throttled, UnknownResult
from slipway.core.diagnostics.explain import ExistingDeployment
from slipway.core.diagnostics.follow import StatusChange, StatusSnapshot, Ticket, is_change, is_outcome_true, status_change
from slipway.core.diagnostics.status import FinishedRequest
from slipway.core.events.parse import NotAnEvent, ParsedEvent, read_event
from slipway.core.parsing import parse_request
from slipway.core.requests.models import AnyRequest, Cancel
from slipway.core.requests.targets import with_assumed_target
from slipway.core.sqs.messages import Message, group_of
from slipway.settings.load import Settings, load

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
            return status_change(ticket, StatusSnapshot(told=following.event))
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
