"""The tags that Slipway writes on a deployment. They are its only state outside the queue.

A tag's value has at most 256 letters, digits, spaces and _.:/=+@-. Times are ISO 8601 in UTC.
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
"""Id of the request that created the deployment. It says that Slipway created it, and does not prove ownership."""
OWNER_TAG: Final = "slipway:owner"
"""Proof of the request that created the deployment, which no sender can choose: see `ownership.owner_of`."""
RECEIVED_TAG: Final = "slipway:received"
"""When that request was first received, by the queue's clock: an earlier request does not undo a later one."""
ATTEMPT_TAG: Final = "slipway:attempt"
"""Number of the attempt that created the deployment; absent for the first."""
UPDATE_TAG: Final = "slipway:update"
"""The latest update: a key made from its request, and when that request was first received."""
FORMER_TAG: Final = "slipway:former"
"""The model that was served before that update."""
EXPIRES_TAG: Final = "slipway:expires"
"""When the deployment is deleted. A person may change it."""
SMOKE_TAG: Final = "slipway:smoke"
"""The result of the latest smoke test, and the key of its request: asked twice, a model may answer differently."""

_LONGEST_VALUE: Final = 256
_ROUNDING_SECONDS: Final = 0.001
_AGAIN: Final = "again"
_BY: Final = "by:"
_PASSED: Final = "passed"
_FAILED: Final = "failed"
_NOT_FOR_TAGS = re.compile(r"[^A-Za-z0-9_.:/=+@-]+")


@dataclass(frozen=True, slots=True)
class UpdateTag:
    """The tag that an update writes before it begins."""

    key: str
    received: float
    former: str | None
    """The model that was served before; None if its ARN is too long for a tag."""
    had_failed_update: bool = False
    """Get showed a failed update to the same model before: such a failure is not of this update."""
    by: str = ""
    """The request's `requestId` and payload: see `ownership.correlation`. Empty if a version without owner tags wrote it."""

    @property
    def tags(self) -> dict[str, str]:
        """Return the tags to write."""
        former = self.former if self.former and len(self.former) <= _LONGEST_VALUE else ""
        words = [self.key, format_time(self.received), *([_AGAIN] if self.had_failed_update else [])]
        words += [f"{_BY}{self.by}"] if self.by else []
        return {UPDATE_TAG: " ".join(words), FORMER_TAG: former}

    @classmethod
    def of(cls, tags: Mapping[str, str]) -> Self | None:
        """Read a deployment's tags; None if there is no valid update tag."""
        match tags.get(UPDATE_TAG, "").split():
            case [key, time, *rest] if (received := _seconds(time)) is not None:
                by = next((word.removeprefix(_BY) for word in rest if word.startswith(_BY)), "")
                return cls(key, received, tags.get(FORMER_TAG) or None, _AGAIN in rest, by)
        return None

    def is_later_than(self, received: float) -> bool:
        """Return whether the update's request was first received after this time."""
        return self.received > received + _ROUNDING_SECONDS


@dataclass(frozen=True, slots=True)
class SmokeTestTag:
    """The tag that a smoke test writes when it has ended."""

    key: str
    smoke_result: SmokeTestResult

    @property
    def tags(self) -> dict[str, str]:
        """Return the tag to write, with as much of the answer as fits and without characters that no tag can hold."""
        word = _PASSED if self.smoke_result.passed else _FAILED
        text = " ".join(_NOT_FOR_TAGS.sub(" ", self.smoke_result.text).split())
        return {SMOKE_TAG: f"{self.key} {word} {text}"[:_LONGEST_VALUE].rstrip()}

    @classmethod
    def of(cls, tags: Mapping[str, str]) -> Self | None:
        """Read a deployment's tags; None if there is no valid smoke test tag."""
        match tags.get(SMOKE_TAG, "").split(" ", 2):
            case [key, ("passed" | "failed") as word, *rest]:
                return cls(key, SmokeTestResult(word == _PASSED, rest[0] if rest else ""))
        return None


def update_key(request: Request) -> str:
    """Return the key of a request's update or smoke test: always the same for the same request."""
    return _key(request.payload_identity)


def former_key(request: Request) -> str:
    """Return the key as a version without owner tags wrote it."""
    return _key(request.payload_identity_without_owner)


def _key(payload_identity: list[str]) -> str:
    return hashlib.sha256(json.dumps(payload_identity).encode()).hexdigest()[:20]


@dataclass(frozen=True, slots=True)
class DeploymentTags:
    """The Slipway tags of a deployment. Times are seconds since the epoch."""

    request: str | None = None
    """None if Slipway did not create the deployment."""
    received: float | None = None
    update: UpdateTag | None = None
    attempt: int = 1
    smoke: SmokeTestTag | None = None
    expires: float | None = None
    owner: str | None = None
    """None if Slipway did not create the deployment, or a version without owner tags did."""

    @classmethod
    def of(cls, tags: Mapping[str, str]) -> Self:
        """Read a deployment's tags. An invalid value is ignored."""
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
        """Return whether a version without owner tags created it for the request with this id and first-received time.

        Valid only if `received` comes from SQS: then no other sender can have chosen it.
        """
        return self.owner is None and self.request == request_id and is_same_second(self.received, received)

    def is_later_than(self, received: float) -> bool:
        """Return whether the deployment was created or updated for a request that was first received after this time."""
        return self.is_made_after(received) or (self.update is not None and self.update.is_later_than(received))

    def is_made_after(self, received: float) -> bool:
        """Return whether the deployment was created for a request that was first received after this time."""
        return self.received is not None and self.received > received + _ROUNDING_SECONDS


def is_same_second(written: float | None, received: float) -> bool:
    """Return whether the time in a tag is this one, at the precision of a tag."""
    return written is not None and abs(written - received) <= _ROUNDING_SECONDS


def wanted_tags(request: Deploy, received: float, attempt: int = 1) -> list[tuple[str, str]]:
    """Return all tags of a new deployment: the request's own, then Slipway's. The same in every delivery of the request.

    `received` is when the request was first received, in seconds since the epoch.
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
