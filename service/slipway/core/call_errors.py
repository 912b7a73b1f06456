"""Failures of calls to AWS, sorted by what a caller does about them, and the backoff between retries.

The class says whether the call may have been applied nevertheless: only with `UnknownResult` (a connection error, timeout, 5xx
or unreadable response). After it, observe before acting again.
"""

from __future__ import annotations

import random
from typing import Final


class CallFailed(Exception):
    """A call failed. `code` is the service's error code, or the kind of network failure."""

    may_have_applied = False

    def __init__(self, operation: str, code: str, text: str = "") -> None:
        super().__init__(f"{operation}: {code}: {text}" if text else f"{operation}: {code}")
        self.operation = operation
        self.code = code
        self.text = text


class Throttled(CallFailed):
    """The call was throttled. Not applied; the rate limit has been lowered; retry."""


class QuotaFull(CallFailed):
    """The account's quota is used up. Not applied; wait for a slot."""


class Denied(CallFailed):
    """Credentials or permissions are missing now. Not applied; the operator must fix them; keep retrying."""


class ResourceMissing(CallFailed):
    """The named resource does not exist. Not applied."""


class Conflicting(CallFailed):
    """The state of the named resource does not allow the call, or a name is taken. Not applied."""


class Refused(CallFailed):
    """The service rejects the call as invalid. Not applied; the same call would be refused again."""


class ReceiptExpired(CallFailed):
    """The receipt handle is no longer valid: the message was received again, or deleted. Not applied."""


class UnknownResult(CallFailed):
    """There is no readable response: the call may have been applied, or may still be. Observe before acting again."""

    may_have_applied = True


class EndlessListing(UnknownResult):
    """The pages of a listing do not end. What its pages showed is true; an item that they did not show may exist."""


FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0


def pause_seconds(failures: int, rng: random.Random, longest: float = LONGEST_PAUSE_SECONDS) -> float:
    """Return a wait in seconds that doubles with each failure in a row, up to `longest`; half of it is jitter."""
    full_wait = min(longest, FIRST_PAUSE_SECONDS * 2.0 ** min(max(failures, 0), 30))
    return full_wait * (0.5 + rng.random() / 2)
