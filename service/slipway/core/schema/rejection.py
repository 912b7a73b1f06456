"""Rejections of a request: the exception with its code and reason, and where to send it; and errors with a remedy."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


@dataclass(frozen=True, slots=True)
class ReplyTo:
    """Where to send the outcome besides the topic: a Step Functions task, a SageMaker pipeline step, a queue or a topic."""

    task_token: str | None = field(default=None, repr=False)
    callback_token: str | None = field(default=None, repr=False)
    reply_to: str | None = None
    """A queue's URL or a topic's ARN."""


NO_REPLY: Final = ReplyTo()
LONGEST_REASON: Final = 1000
LONGEST_SHOWN: Final = 60


class RejectionCode(StrEnum):
    """Kind of problem of a message. The reason beside it has the remedy."""

    TOO_LARGE = "TooLarge"
    NOT_JSON = "NotJson"
    DUPLICATE_KEY = "DuplicateKey"
    INVALID_NUMBER = "InvalidNumber"
    INVALID_TEXT = "InvalidText"
    TOO_DEEP = "TooDeep"
    NOT_AN_OBJECT = "NotAnObject"
    INVALID_ENVELOPE = "InvalidEnvelope"
    UNSUPPORTED_EVENT = "UnsupportedEvent"
    TRIGGER_UNFILLED = "TriggerUnfilled"
    REPLY_NOT_ALLOWED = "ReplyNotAllowed"
    NOT_PERMITTED = "NotPermitted"
    UNKNOWN_KEY = "UnknownKey"
    MISSING_FIELD = "MissingField"
    INVALID_FIELD = "InvalidField"
    WRONG_PARTITION = "WrongPartition"
    WRONG_ACCOUNT = "WrongAccount"
    WRONG_REGION = "WrongRegion"
    NOT_ALLOWED = "NotAllowed"
    REQUEST_ID_REUSED = "RequestIdReused"


class RequestRejected(Exception):
    """A message is not a valid, permitted request. The same body would be rejected again.

    `reason` has the field, the problem and the remedy, in at most 1,000 printable characters for any value. `request_id` is the
    sender's own id, if it could be read and is valid; `reply_target` is where the rejection is sent besides the topic.
    """

    def __init__(
        self,
        code: RejectionCode,
        reason: str,
        field: str | None = None,
        request_id: str | None = None,
        reply_target: ReplyTo = NO_REPLY,
    ) -> None:
        self.code = code
        self.reason = reason if len(reason) <= LONGEST_REASON else reason[: LONGEST_REASON - 1] + "…"
        self.field = field
        self.reply_target = reply_target
        self.request_id = request_id
        super().__init__(self.reason)


class ErrorWithRemedy(Exception):
    """An error that a person can correct. `problem` names the place and the problem; `remedy` may be empty."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem}; {remedy}" if remedy else problem)


def quote(value: str) -> str:
    """Quote a text for a reason or a log: at most 60 characters, control characters escaped."""
    escaped = "".join(_escaped(character) for character in value[:LONGEST_SHOWN])
    room = LONGEST_SHOWN - len('""')
    return f'"{escaped}"' if len(escaped) <= room and len(value) <= LONGEST_SHOWN else f'"{escaped[: room - 1]}…"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\u{ord(character):04x}"
