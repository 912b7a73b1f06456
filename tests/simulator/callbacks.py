"""Strict askers: a state machine's tasks that hear one answer and no second, a pipeline's steps, queues that keep copies."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, assert_never

from slipway.core.call_errors import CallFailed, Conflicting, Denied, Refused, ResourceMissing
from slipway.core.events.callbacks import Callback, EventCopy, StepFailed, StepSucceeded, TaskFailed, TaskSucceeded
from tests.simulator.callers import Callers
from tests.simulator.wire_faults import Wire

OPERATIONS: dict[type[Callback], str] = {
    TaskSucceeded: "SendTaskSuccess",
    TaskFailed: "SendTaskFailure",
    StepSucceeded: "SendPipelineExecutionStepSuccess",
    StepFailed: "SendPipelineExecutionStepFailure",
    EventCopy: "SendMessage",
}


@dataclass
class Waiting:
    """Somebody who waits at a token."""

    heard: Callback | None = None
    heard_at: float = 0.0
    heartbeats: list[float] = field(default_factory=list)
    is_over: bool = False
    """Gone without an answer: timed out, or stopped."""

    def leave(self) -> None:
        """Wait no more."""
        self.is_over = True


class CallbackServer:
    """Everybody who waits, and what they heard."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.is_denied = False
        """Whether Slipway may not send copies of events."""
        self.tasks: dict[str, Waiting] = {}
        self.steps: dict[str, Waiting] = {}
        self.copies: list[tuple[str, str, dict[str, Any]]] = []
        """To whom, the event's id, and the event."""

    def hear(self, reply: Callback) -> None:
        """Take an answer, or say why not, as AWS does."""
        operation = OPERATIONS[type(reply)]
        match reply:
            case TaskSucceeded(token=token, output=output):
                json.loads(output)
                if len(output.encode()) > 262_144:
                    raise Refused(operation, "InvalidOutput")
                self._hear_task(operation, token, reply)
            case TaskFailed(token=token, error=error, cause=cause):
                if len(error) > 256 or len(cause) > 32_768:
                    raise Refused(operation, "ValidationException")
                self._hear_task(operation, token, reply)
            case StepSucceeded(parameters=parameters):
                if len(parameters) > 50 or any(len(name) > 256 or len(value) > 1024 for name, value in parameters):
                    raise Refused(operation, "ValidationException")
                self._hear_step(operation, reply)
            case StepFailed(reason=reason):
                if len(reason) > 256:
                    raise Refused(operation, "ValidationException")
                self._hear_step(operation, reply)
            case EventCopy(address=to, publication=publication):
                self.copies.append((to, publication.event_id, json.loads(publication.body)))
            case _:
                assert_never(reply)

    def beat(self, token: str) -> None:
        """Take a heartbeat."""
        self._task("SendTaskHeartbeat", token).heartbeats.append(self._clock())

    def _task(self, operation: str, token: str) -> Waiting:
        waiting = self.tasks.get(token)
        if waiting is None:
            raise Refused(operation, "TaskDoesNotExist")
        if waiting.heard is not None or waiting.is_over:
            raise Refused(operation, "TaskTimedOut")
        return waiting

    def _hear_task(self, operation: str, token: str, reply: Callback) -> None:
        waiting = self._task(operation, token)
        waiting.heard, waiting.heard_at = reply, self._clock()

    def _hear_step(self, operation: str, reply: StepSucceeded | StepFailed) -> None:
        if not 32 <= len(reply.idempotency_token) <= 128:
            raise Refused(operation, "ValidationException")
        waiting = self.steps.get(reply.token)
        if waiting is None or waiting.is_over:
            raise ResourceMissing(operation, "ResourceNotFound")
        if waiting.heard not in {None, reply}:
            raise Conflicting(operation, "ConflictException")
        waiting.heard, waiting.heard_at = reply, self._clock()


class CallbackClient:
    """Where one Slipway answers: over the wire, paced and repeated as real calls are."""

    def __init__(self, askers: CallbackServer, wire: Wire, callers: Callers) -> None:
        self._askers = askers
        self._wire = wire
        self._call = callers.replying.call

    async def reply(self, reply: Callback) -> None:
        """Say it."""
        operation = OPERATIONS[type(reply)]

        def apply() -> None:
            if self._askers.is_denied and isinstance(reply, EventCopy):
                self._wire.watching.happened("reply denied")
                raise Denied(operation, "AccessDenied", "no permission to send to this queue")
            try:
                self._askers.hear(reply)
            except CallFailed:
                self._wire.watching.happened("nobody waits any more")
                raise
            self._wire.watching.replied(reply, self._wire.sender)

        await self._call(operation, lambda: self._wire.call(operation, apply))

    async def heartbeat(self, task_token: str) -> None:
        """Tell that a task is being worked on."""
        operation = "SendTaskHeartbeat"
        await self._call(operation, lambda: self._wire.call(operation, lambda: self._askers.beat(task_token)))
