"""Who waits for the answer: a Step Functions task, a SageMaker pipeline, a queue or a topic; or nobody."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


@dataclass(frozen=True, slots=True)
class ReplyTo:
    """Where the answer is to go, beside the topic: to nobody, or to several."""

    task_token: str | None = field(default=None, repr=False)
    callback_token: str | None = field(default=None, repr=False)
    reply_to: str | None = None
    """A queue's URL or a topic's ARN."""


NO_REPLY: Final = ReplyTo()


LONGEST_REASON: Final = 1000
LONGEST_SHOWN: Final = 60


class RejectionCode(StrEnum):
    """What is wrong with a message. What one does about it is in the sentence beside it."""

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
    """A message that asks for nothing Slipway can do, and never will: the same body would be rejected again.

    `reason` names the field, what is wrong with its value and the remedy, in at most 1,000 printable characters,
    however hostile the value. `request_id` is the asker's own id where one could be read and is valid;
    `reply_target` is who waits for the answer all the same.
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


def quote(value: str) -> str:
    """Quote a text for a reason or a log: at most 60 characters, and none that acts on a terminal or a log."""
    safe = "".join(_escaped(character) for character in value[:LONGEST_SHOWN])
    room = LONGEST_SHOWN - len('""')
    return f'"{safe}"' if len(safe) <= room and len(value) <= LONGEST_SHOWN else f'"{safe[: room - 1]}…"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\u{ord(character):04x}"
