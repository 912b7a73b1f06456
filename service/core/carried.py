"""What a request takes along to its next message, beside where it began: what nobody could find out otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

MOST_ATTEMPTS: Final = 100
LONGEST_FAILURE: Final = 500
KEEP: Final = "keep"
DELETE: Final = "delete"


@dataclass(frozen=True, slots=True)
class Carried:
    """What was decided under an earlier message, before it was acted on."""

    attempt: int = 1
    """Which attempt to make a deployment this is: those before have failed, and what is left of them goes."""
    failure: str | None = None
    """Why the last attempt has failed: all that is left to do is to take away what it made."""
    has_failed_test: bool = False
    """It was not Bedrock that said so, but the smoke test."""
    cancelled: str | None = None
    """Somebody wants it no more, and its deployment `keep` or `delete`."""

    tested: tuple[bool, str] | None = None
    """What came of the smoke test of a deployment that is only adopted: whether it passed, and the answer."""

    @property
    def is_over(self) -> bool:
        """Whether nothing is to be made any more."""
        return self.failure is not None or self.cancelled is not None

    @property
    def may_delete(self) -> bool:
        """Whether something may be deleted because of what was decided."""
        return replace(self, tested=None) != Carried() and self.cancelled != KEEP

    @property
    def in_words(self) -> str:
        """What was decided, for whoever asks why the request is not done yet."""
        if self.cancelled is not None:
            return f"it is cancelled, and its deployment is {'deleted' if self.cancelled == DELETE else 'kept'}"
        if self.failure is not None:
            return "its last attempt has failed, and what that made is deleted"
        return f"attempt {self.attempt} is made, and what the one before has made is deleted"

    def to_json(self) -> dict[str, object]:
        """Write it; nothing where there is nothing to say."""
        said: dict[str, object] = {}
        if self.attempt > 1:
            said["attempt"] = self.attempt
        if self.failure is not None:
            said["failure"] = self.failure[:LONGEST_FAILURE]
        if self.has_failed_test:
            said["failedTest"] = True
        if self.cancelled is not None:
            said["cancelled"] = self.cancelled
        if self.tested is not None:
            has_passed, answer = self.tested
            said["tested"] = {"passed": has_passed, "answer": answer[:LONGEST_FAILURE]}
        return said

    @classmethod
    def of(cls, given: Mapping[Any, object]) -> Carried:
        """Read it; what is not as it would be written is as if it were not there."""
        made = cls()
        match given.get("attempt"):
            case int(attempt) if 1 < attempt <= MOST_ATTEMPTS:
                made = replace(made, attempt=attempt)
        match given.get("failure"):
            case str(failure) if 0 < len(failure) <= LONGEST_FAILURE:
                made = replace(made, failure=failure, has_failed_test=given.get("failedTest") is True)
        match given.get("cancelled"):
            case ("keep" | "delete") as cancelled:
                made = replace(made, cancelled=cancelled)
        match given.get("tested"):
            case {"passed": bool(has_passed), "answer": str(answer)} if len(answer) <= LONGEST_FAILURE:
                made = replace(made, tested=(has_passed, answer))
        return made


NOTHING_DECIDED: Final = Carried()
"""What most requests take along: one value for all of them."""
