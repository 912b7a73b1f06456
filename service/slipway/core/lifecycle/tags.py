"""What Slipway writes on a deployment, as tags, for whoever takes a request over: there is no other memory.

A tag's value has at most 256 letters, digits, spaces and _.:/=+@-; times are ISO 8601, for people read them too.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from slipway.core.lifecycle.outcomes import SmokeTestResult
from slipway.core.requests.models import Deploy, Request
from slipway.core.time_format import format_time, parse_time

REQUEST_TAG: Final = "slipway:request"
"""The id of the request that made it: how a successor knows that it is Slipway's. No proof: see the owner."""
OWNER_TAG: Final = "slipway:owner"
"""What proves that a request is the one that made it, which no sender can choose: see `ownership.owner_of`."""
RECEIVED_TAG: Final = "slipway:received"
"""When that request was first received, by the queue's clock: what was asked for later is not undone by what came before."""
ATTEMPT_TAG: Final = "slipway:attempt"
"""Which attempt of the request made it; not there for the first."""
UPDATE_TAG: Final = "slipway:update"
"""Whose update the latest is: a key made of the request, and when that was first received."""
FORMER_TAG: Final = "slipway:former"
"""The model that was served before that update."""
EXPIRES_TAG: Final = "slipway:expires"
"""When it is to be deleted; somebody may write another time."""
SMOKE_TAG: Final = "slipway:smoke"
"""What came of the latest smoke test, and whose it was: asked twice, a model may answer otherwise."""


_LONGEST_VALUE: Final = 256
_ROUNDING_SECONDS: Final = 0.001
_AGAIN: Final = "again"
_BY: Final = "by:"
_PASSED: Final = "passed"
_FAILED: Final = "failed"
_NOT_FOR_TAGS = re.compile(r"[^A-Za-z0-9_.:/=+@-]+")


@dataclass(frozen=True, slots=True)
class UpdateTag:
    """What an update writes before it begins."""

    key: str
    received: float
    former: str | None
    """The model that was served before; None where its ARN is too long for a tag."""
    had_failed_update: bool = False
    """Bedrock told of an update to the same model already: what it tells of that is not this one."""
    by: str = ""
    """The request's `requestId` and payload: see `ownership.correlation`. Empty where a version wrote it that had no owners."""

    @property
    def tags(self) -> dict[str, str]:
        """The tags that say so."""
        former = self.former if self.former and len(self.former) <= _LONGEST_VALUE else ""
        words = [self.key, format_time(self.received), *([_AGAIN] if self.had_failed_update else [])]
        words += [f"{_BY}{self.by}"] if self.by else []
        return {UPDATE_TAG: " ".join(words), FORMER_TAG: former}

    @classmethod
    def of(cls, tags: Mapping[str, str]) -> Self | None:
        """Read what was written; None where nothing was, or a person has spoilt it."""
        match tags.get(UPDATE_TAG, "").split():
            case [key, time, *rest] if (received := _seconds(time)) is not None:
                by = next((word.removeprefix(_BY) for word in rest if word.startswith(_BY)), "")
                return cls(key, received, tags.get(FORMER_TAG) or None, _AGAIN in rest, by)
        return None

    def is_later_than(self, received: float) -> bool:
        """Whether its request was first received after this time."""
        return self.received > received + _ROUNDING_SECONDS


@dataclass(frozen=True, slots=True)
class SmokeTestTag:
    """What a smoke test writes when it has ended."""

    key: str
    smoke_result: SmokeTestResult

    @property
    def tags(self) -> dict[str, str]:
        """The tag that says so: as much of the answer as fits, without what no tag can hold."""
        word = _PASSED if self.smoke_result.passed else _FAILED
        text = " ".join(_NOT_FOR_TAGS.sub(" ", self.smoke_result.text).split())
        return {SMOKE_TAG: f"{self.key} {word} {text}"[:_LONGEST_VALUE].rstrip()}

    @classmethod
    def of(cls, tags: Mapping[str, str]) -> Self | None:
        """Read what was written; None where nothing was, or a person has spoilt it."""
        match tags.get(SMOKE_TAG, "").split(" ", 2):
            case [key, ("passed" | "failed") as word, *rest]:
                return cls(key, SmokeTestResult(word == _PASSED, rest[0] if rest else ""))
        return None


def update_key(request: Request) -> str:
    """Answer what tells an update, or a smoke test, from all others: the same for ever for the same request."""
    return _key(request.payload_identity)


def former_key(request: Request) -> str:
    """Return the same as a version made it that knew no owners."""
    return _key(request.payload_identity_without_owner)


def _key(payload_identity: list[str]) -> str:
    return hashlib.sha256(json.dumps(payload_identity).encode()).hexdigest()[:20]


@dataclass(frozen=True, slots=True)
class DeploymentTags:
    """What a deployment's tags say of it. Times are seconds since the epoch."""

    request: str | None = None
    """None where Slipway did not make it."""
    received: float | None = None
    update: UpdateTag | None = None
    attempt: int = 1
    smoke: SmokeTestTag | None = None
    expires: float | None = None
    owner: str | None = None
    """None where Slipway did not make it, or a version did that wrote no owner."""

    @classmethod
    def of(cls, tags: Mapping[str, str]) -> Self:
        """Read a deployment's tags. What a person has spoilt is as if it were not there."""
        return cls(
            tags.get(REQUEST_TAG),
            _seconds(tags.get(RECEIVED_TAG)),
            UpdateTag.of(tags),
            _number(tags.get(ATTEMPT_TAG)),
            SmokeTestTag.of(tags),
            _seconds(tags.get(EXPIRES_TAG)),
            tags.get(OWNER_TAG),
        )

    def is_of_former_version(self, request_id: str, received: float) -> bool:
        """Return whether a version that wrote no owner made it for the request with this id that was first received then.

        Valid only where `received` is SQS's own word: then no other sender can have chosen it.
        """
        return self.owner is None and self.request == request_id and is_same_second(self.received, received)

    def is_later_than(self, received: float) -> bool:
        """Whether it was made, or updated, for a request that was first received after this time."""
        return self.is_made_after(received) or (self.update is not None and self.update.is_later_than(received))

    def is_made_after(self, received: float) -> bool:
        """Whether it was made for a request that was first received after this time."""
        return self.received is not None and self.received > received + _ROUNDING_SECONDS


def is_same_second(written: float | None, received: float) -> bool:
    """Return whether a time that was written in a tag is this one, as far as a tag can hold it."""
    return written is not None and abs(written - received) <= _ROUNDING_SECONDS


def wanted_tags(request: Deploy, received: float, attempt: int = 1) -> list[tuple[str, str]]:
    """Answer all tags that the deployment gets: the requester's, then Slipway's. The same whoever asks, and whenever.

    `received` is when the request was first received.
    """
    own = [(REQUEST_TAG, request.request_id), (RECEIVED_TAG, format_time(received))]
    if request.owner:
        own.append((OWNER_TAG, request.owner))
    if attempt > 1:
        own.append((ATTEMPT_TAG, str(attempt)))
    if request.expires_after is not None:
        own.append((EXPIRES_TAG, format_time(received + request.expires_after)))
    return [*request.tags, *own]


def _number(text: str | None) -> int:
    return int(text) if text and re.fullmatch(r"[0-9]{1,3}", text) else 1


def _seconds(text: str | None) -> float | None:
    try:
        return parse_time(text) if text else None
    except ValueError:
        return None
