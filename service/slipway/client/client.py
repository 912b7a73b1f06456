"""Submitting requests, and following them. See `slipway.core.diagnostics.follow` for what an end is known by."""

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
from slipway.aws.operator.event_listener import EventListener
from slipway.aws.operator.operator_session import OperatorSession, open_operator_session
from slipway.client.daemons import DaemonAnswer, DaemonUnreachable, query_all
from slipway.core.bedrock.errors import CallFailed, Throttled, UnknownResult
from slipway.core.diagnostics.follow import StatusChange, StatusSnapshot, Ticket, is_change, is_outcome_true, status_change
from slipway.core.diagnostics.predict import ExistingDeployment
from slipway.core.diagnostics.status import FinishedRequest
from slipway.core.events.parse import NotAnEvent, ParsedEvent, read_event
from slipway.core.parsing.parse import parse_request
from slipway.core.requests.models import AnyRequest, Cancel
from slipway.core.requests.targets import with_assumed_target
from slipway.core.sqs.messages import Message, group_of
from slipway.settings.load import Settings, load

FASTEST_SECONDS = 1.0
SLOWEST_SECONDS = 15.0
MOST_FAILURES = 3
"""Looks in a row at which nobody answered: then the last failure is raised."""
MOST_READ_AT_ONCE = 50
CLOCK_SLACK_SECONDS = 2.0
"""AWS tells when something was sent in whole seconds."""


@dataclass(slots=True)
class _Following:
    """What is remembered between two looks at one request."""

    began: float
    told: ParsedEvent | None = None
    quiet_since: float | None = None
    was_otherwise: bool = False
    failures: int = 0
    has_daemons: bool = False
    """Whether the daemons answered at the last look: then one may ask again soon."""


@dataclass(frozen=True, slots=True)
class Client:
    """One queue, with what may be asked about the requests in it. `daemons` are URLs, of as many replicas as answer."""

    visit: OperatorSession
    settings: Settings
    daemons: Sequence[str] = ()
    listener: EventListener | None = None
    """Where events are heard, if anywhere: a queue that is subscribed to the topic, and the caller's own."""

    async def submit(self, body: Mapping[str, object]) -> Ticket:
        """Put a request on the queue: its body, as a dictionary. One without a `requestId` gets one.

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
        """Answer how a request is getting on, whenever that changes, or an estimate of it does; the last news is its end.

        Stop iterating at any time: only watching stops. Raises `CallFailed` or `DaemonUnreachable` when nobody can be asked.
        """
        loop = asyncio.get_running_loop()
        following = _Following(loop.time())
        last, told_at = None, loop.time()
        while True:
            now = await self._look(ticket, following)
            if now is not None and is_change(now, last, loop.time() - told_at):
                last, told_at = now, loop.time()
                yield now
                if now.is_terminal:
                    return
            await self._pause(ticket, following, loop.time())

    async def _look(self, ticket: Ticket, following: _Following) -> StatusChange | None:
        """Ask whoever knows most first; None when nobody answers, this time."""
        if following.told is not None:
            return status_change(ticket, StatusSnapshot(told=following.told))
        failed: Exception | None = None
        said: DaemonAnswer | None = None
        try:
            following.has_daemons = False
            said = await query_all(self.daemons, ticket.request_id)
            following.has_daemons = bool(self.daemons)
            held = next((one for one in said.held if one.request_id == ticket.request_id), None)
            finished = next((one for one in said.finished if _is_its_end(one, ticket)), None)
            if held is not None or finished is not None:
                following.failures, following.quiet_since = 0, None
                return status_change(ticket, StatusSnapshot(held=held, finished=finished))
        except DaemonUnreachable as exc:
            failed = exc  # restarting, perhaps: Bedrock knows too
        try:
            glimpse = await self._look_at_aws(ticket, following)
        except CallFailed as exc:
            following.failures += 1
            if following.failures >= MOST_FAILURES and self.listener is None:
                raise exc from failed
            return None
        following.failures = 0
        return status_change(ticket, glimpse)

    async def _look_at_aws(self, ticket: Ticket, following: _Following) -> StatusSnapshot:
        now = asyncio.get_running_loop().time()
        # Of a cancel Bedrock shows nothing; where a target is that the settings do not have, only the daemon knows.
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
        """Let time pass, hearing meanwhile. The longer it has taken, the less often is asked."""
        longer = 0.0 if following.has_daemons else (now - following.began) / 20
        seconds = min(SLOWEST_SECONDS, FASTEST_SECONDS + longer)
        if self.listener is None:
            return await asyncio.sleep(seconds)
        for _ in range(MOST_READ_AT_ONCE):
            try:
                bodies = await self.listener.listen(max(1, round(seconds)))
            except (Throttled, UnknownResult):
                return await asyncio.sleep(seconds)
            for body in bodies:
                following.told = following.told or _end_in(body, ticket)
            if following.told is not None or not bodies:
                return None
        return None


def _end_in(body: str, ticket: Ticket) -> ParsedEvent | None:
    try:
        told = read_event(body)
    except NotAnEvent:
        return None
    return told if told is not None and told.is_terminal and _is_its_end(told, ticket) else None


def _is_its_end(end: ParsedEvent | FinishedRequest, ticket: Ticket) -> bool:
    """Whether it is this request's, and not that of an earlier one with the same id."""
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
