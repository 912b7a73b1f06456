"""What a daemon says of the requests that it holds, and of those that it has finished: values, and their form as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from slipway.core.lifecycle.outcomes import Reason
from slipway.core.scheduling.eta import NOTHING_KNOWN, Eta
from slipway.core.time_format import format_time, parse_time

_STATES: Final = {Reason.IN_CREATION.value: "Creating", Reason.UPDATING.value: "Updating"}


@dataclass(frozen=True, slots=True)
class Wait:
    """One wait, or several in a row for the same reason."""

    reason: str
    text: str
    since: float
    times: int

    def to_json(self) -> dict[str, object]:
        """Write it."""
        return {"reason": self.reason, "message": self.text, "since": format_time(self.since), "times": self.times}

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Wait:
        """Read it."""
        return cls(given["reason"], given["message"], parse_time(given["since"]), given["times"])


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestStatus:
    """A message that a daemon holds, and the request in it. Times are seconds since the epoch, by the queue's clock."""

    message_id: str
    receive_count: int
    received_at: float
    """When the request was first received, under whatever message."""
    now: float
    lease_seconds: float
    """How long the lease still holds, if it is not extended before."""
    waits_for: str | None = None
    """The reason of the wait that is going on; None while something is being done, or asked."""
    why: str = ""
    prospect: Eta = NOTHING_KNOWN
    """In this daemon's line for a slot, or behind its predecessors here."""
    waited: tuple[Wait, ...] = ()
    """The latest waits, the last of them last."""
    request_id: str | None = None
    """None, as all that follows, while the message is not understood."""
    action: str = ""
    name: str = ""
    model_arn: str = ""
    if_exists: str = "adopt"
    """What a deploy request wants done where its name is taken."""
    tenant: str | None = None
    priority: int = 0
    target: str | None = None
    """None for the default."""
    arn: str | None = None
    """The deployment that it is about, once it is known."""
    deadline: float | None = None

    @property
    def state(self) -> str:
        """How far it is, in one word: Creating, Updating, Waiting, or Working, while it is asked or done."""
        return _STATES.get(self.waits_for or "", "Waiting") if self.waits_for else "Working"

    @property
    def place(self) -> int | None:
        """In that line, from 1."""
        return self.prospect.place

    def to_json(self) -> dict[str, object]:
        """Write it, with the ages that a person would reckon. Never a body, nor a receipt."""
        said: dict[str, object] = {
            "requestId": self.request_id,
            "messageId": self.message_id,
            "action": self.action or None,
            "modelDeploymentName": self.name or None,
            "modelArn": self.model_arn or None,
            "ifExists": self.if_exists,
            "customModelDeploymentArn": self.arn,
            "tenant": self.tenant,
            "target": self.target,
            "priority": self.priority,
            "receiveCount": self.receive_count,
            "receivedAt": format_time(self.received_at),
            "now": format_time(self.now),
            "ageSeconds": round(max(0.0, self.now - self.received_at), 3),
            "deadline": None if self.deadline is None else format_time(self.deadline),
            "leaseSeconds": round(self.lease_seconds, 3),
            "waitsFor": self.waits_for,
            "why": self.why,
            **self.prospect.to_json(),
        }
        return {key: value for key, value in said.items() if value is not None} | {
            "waited": [wait.to_json() for wait in self.waited]
        }

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> RequestStatus:
        """Read it. Raises KeyError, TypeError or ValueError for what no daemon writes."""
        return cls(
            message_id=given["messageId"],
            receive_count=given["receiveCount"],
            received_at=parse_time(given["receivedAt"]),
            now=parse_time(given["now"]),
            lease_seconds=given["leaseSeconds"],
            waits_for=given.get("waitsFor"),
            why=given["why"],
            prospect=Eta(given.get("place"), given.get("secondsToSlot"), given.get("secondsToEnd")),
            waited=tuple(Wait.of(wait) for wait in given["waited"]),
            request_id=given.get("requestId"),
            action=given.get("action", ""),
            name=given.get("modelDeploymentName", ""),
            model_arn=given.get("modelArn", ""),
            if_exists=given["ifExists"],
            tenant=given.get("tenant"),
            target=given.get("target"),
            priority=given["priority"],
            arn=given.get("customModelDeploymentArn"),
            deadline=parse_time(given["deadline"]) if "deadline" in given else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRequest:
    """A request whose outcome a daemon has published. `at` is by the queue's clock."""

    request_id: str
    message_id: str
    """Of the message that brought the request first."""
    outcome: str
    event_id: str
    at: float
    action: str = ""
    name: str = ""
    target: str | None = None
    """None for the default."""
    arn: str | None = None
    reason: str | None = None
    text: str | None = None

    def is_about(self, word: str) -> bool:
        """Whether a person who says this word may mean it."""
        return word in {self.request_id, self.message_id, self.name, self.arn}

    def to_json(self) -> dict[str, object]:
        """Write it, by the names that its event has."""
        said = {
            "requestId": self.request_id,
            "messageId": self.message_id,
            "action": self.action or None,
            "modelDeploymentName": self.name or None,
            "target": self.target,
            "customModelDeploymentArn": self.arn,
            "outcome": self.outcome,
            "reason": self.reason,
            "message": self.text,
            "eventId": self.event_id,
            "finishedAt": format_time(self.at),
        }
        return {key: value for key, value in said.items() if value is not None}

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> FinishedRequest:
        """Read it. Raises KeyError, TypeError or ValueError for what no daemon writes."""
        return cls(
            request_id=given["requestId"],
            message_id=given["messageId"],
            outcome=given["outcome"],
            event_id=given["eventId"],
            at=parse_time(given["finishedAt"]),
            action=given.get("action", ""),
            name=given.get("modelDeploymentName", ""),
            target=given.get("target"),
            arn=given.get("customModelDeploymentArn"),
            reason=given.get("reason"),
            text=given.get("message"),
        )
