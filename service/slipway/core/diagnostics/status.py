"""The requests API's values: requests in progress and finished requests, and their JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from slipway.core.lifecycle.outcomes import OutcomeKind, Reason
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
        """Return the JSON object."""
        return {"reason": self.reason, "message": self.text, "since": format_time(self.since), "times": self.times}

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Wait:
        """Parse the JSON object."""
        return cls(fields["reason"], fields["message"], parse_time(fields["since"]), fields["times"])


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestStatus:
    """A message that a daemon has leased, and the request in it. Times are seconds since the epoch, by the queue's clock."""

    message_id: str
    receive_count: int
    received_at: float
    """When the request was first received, in any of its messages."""
    now: float
    lease_seconds: float
    """Remaining time of the lease, if it is not extended."""
    waits_for: str | None = None
    """The reason of the current wait; None during a call."""
    why: str = ""
    prospect: Eta = NOTHING_KNOWN
    """Estimates for this daemon's queue for slots, or for its predecessors here."""
    waited: tuple[Wait, ...] = ()
    """The latest waits, the most recent one last."""
    request_id: str | None = None
    """None, like all that follows, until the message is parsed."""
    action: str = ""
    name: str = ""
    model_arn: str = ""
    if_exists: str = "adopt"
    """`ifExists` of a deploy request."""
    tenant: str | None = None
    priority: int = 0
    target: str | None = None
    """None for the default target."""
    arn: str | None = None
    """The ARN of its deployment, once it is known."""
    deadline: float | None = None

    @property
    def state(self) -> str:
        """Return its state: Creating, Updating, Waiting, or Working during a call."""
        return _STATES.get(self.waits_for or "", "Waiting") if self.waits_for else "Working"

    @property
    def place(self) -> int | None:
        """Return the queue position, from 1."""
        return self.prospect.place

    def to_json(self) -> dict[str, object]:
        """Return the JSON object. It never has a body or a receipt handle."""
        fields: dict[str, object] = {
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
        return {key: value for key, value in fields.items() if value is not None} | {
            "waited": [wait.to_json() for wait in self.waited]
        }

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> RequestStatus:
        """Parse the JSON object. Raises KeyError, TypeError or ValueError if it is invalid."""
        return cls(
            message_id=fields["messageId"],
            receive_count=fields["receiveCount"],
            received_at=parse_time(fields["receivedAt"]),
            now=parse_time(fields["now"]),
            lease_seconds=fields["leaseSeconds"],
            waits_for=fields.get("waitsFor"),
            why=fields["why"],
            prospect=Eta(fields.get("place"), fields.get("secondsToSlot"), fields.get("secondsToEnd")),
            waited=tuple(Wait.of(wait) for wait in fields["waited"]),
            request_id=fields.get("requestId"),
            action=fields.get("action", ""),
            name=fields.get("modelDeploymentName", ""),
            model_arn=fields.get("modelArn", ""),
            if_exists=fields["ifExists"],
            tenant=fields.get("tenant"),
            target=fields.get("target"),
            priority=fields["priority"],
            arn=fields.get("customModelDeploymentArn"),
            deadline=parse_time(fields["deadline"]) if "deadline" in fields else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRequest:
    """A request whose outcome a daemon has published. `at` is by the queue's clock."""

    request_id: str
    message_id: str
    """Id of the request's first message."""
    outcome: str
    event_id: str
    at: float
    action: str = ""
    name: str = ""
    target: str | None = None
    """None for the default target."""
    arn: str | None = None
    reason: str | None = None
    text: str | None = None

    @property
    def is_failure(self) -> bool:
        """Return whether its request was not fulfilled, and no one asked for that."""
        return self.outcome in {OutcomeKind.FAILED.value, OutcomeKind.TIMED_OUT.value, OutcomeKind.REJECTED.value}

    def is_about(self, word: str) -> bool:
        """Return whether a word is its id, message id, deployment name or ARN."""
        return word in {self.request_id, self.message_id, self.name, self.arn}

    def to_json(self) -> dict[str, object]:
        """Return the JSON object, with the keys of its event."""
        fields = {
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
        return {key: value for key, value in fields.items() if value is not None}

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> FinishedRequest:
        """Parse the JSON object. Raises KeyError, TypeError or ValueError if it is invalid."""
        return cls(
            request_id=fields["requestId"],
            message_id=fields["messageId"],
            outcome=fields["outcome"],
            event_id=fields["eventId"],
            at=parse_time(fields["finishedAt"]),
            action=fields.get("action", ""),
            name=fields.get("modelDeploymentName", ""),
            target=fields.get("target"),
            arn=fields.get("customModelDeploymentArn"),
            reason=fields.get("reason"),
            text=fields.get("message"),
        )


@dataclass(frozen=True, slots=True)
class Backlog:
    """The queue's message counts, approximate like all counts of SQS."""

    visible: int
    in_flight: int
    delayed: int

    def unaccounted(self, held: int) -> int:
        """Return how many requests may be elsewhere than among the `held` ones in progress."""
        return self.visible + self.delayed + max(0, self.in_flight - held)
