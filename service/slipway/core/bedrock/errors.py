"""What a call to AWS may mean when it did not simply succeed, sorted by what one does about it.

A success is *applied*. Each failure says, by its class, whether the call may have been applied all the same: only
`UnknownResult` may have been (any connection error, time-out, 5xx, or an answer that cannot be read). Look before acting again.
"""

from __future__ import annotations


class CallFailed(Exception):
    """A call that did not succeed. `code` is the service's error code, or the kind of trouble on the wire."""

    may_have_applied = False

    def __init__(self, operation: str, code: str, text: str = "") -> None:
        super().__init__(f"{operation}: {code}: {text}" if text else f"{operation}: {code}")
        self.operation = operation
        self.code = code
        self.text = text


class Throttled(CallFailed):
    """Too fast. Not applied; the limiter has slowed down already; try again."""


class QuotaFull(CallFailed):
    """The account has no slot. Not applied; wait for one."""


class Denied(CallFailed):
    """Credentials or permissions are not right *now*. Not applied; somebody else's to mend; be patient."""


class ResourceMissing(CallFailed):
    """What the call names does not exist. Not applied."""


class Conflicting(CallFailed):
    """What the call names is in a state that does not allow it, or a name is taken. Not applied."""


class Refused(CallFailed):
    """The service says that the call itself is wrong. Not applied; the same call would be refused again."""


class ReceiptExpired(CallFailed):
    """The receipt handle no longer holds the message: it was received again, or deleted. Not applied."""


class UnknownResult(CallFailed):
    """No readable answer: the call may have been applied, or may be yet. Look before acting again."""

    may_have_applied = True


class EndlessListing(UnknownResult):
    """A listing whose pages do not come to an end. What its pages showed is true; what they did not show is not known."""
