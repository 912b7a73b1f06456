"""What AWS documents nowhere: the questions, the calls that were made to answer them, and what was found.

Slipway holds for any answer, as far as anybody could think of one; where it relies on one, an account that answers otherwise
is `odd`. An answer is also said in the terms of AWS in a box, so that `slipway local` behaves as the account does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from service.core.calls import CallFailed

Terms = Mapping[str, object]


class Question(Enum):
    """What is asked, and what of Slipway the answer touches."""

    LEFTOVER = "Has an earlier probe left anything?", "slots that nobody needs"
    NOBODY = "What does Get say of a name that nobody has?", "a deployment is gone when Get says so"
    PAGE = "How many does a page of List hold at most?", "sweep_interval: a sweep is a call for each page"
    WORDS = "Is there a status that Slipway does not know?", "an unknown status is a wait"
    BOUND = "Is a deployment listed that was created just at createdAfter?", "a sweep asks for a little earlier than needed"
    GET_LAG = "How long does Get not find what was just created?", "what is absent just after a create is waited for"
    LIST_LAG = "How long does List not show what was just created?", "what a sweep misses is confirmed by Get"
    TAKEN = "What does Create say when the name is taken?", "decide: refused, so look by name"
    TOKEN = "What does a repeat with the same token answer?", "a create is repeated with its own token; never relied on alone"
    TOKEN_AGE = "Is a token remembered after its deployment was deleted?", "a later attempt has a token of its own"
    DELETE_BUSY = "What does Delete say while a deployment is being created?", "a delete of what is in creation waits"
    QUOTA = "How many may be in creation at once, or exist?", "max_creating, max_total: else learned from refusals"
    QUOTA_FIRST = "Does a full account look at the quota before the name?", "an attempt on a full account is no look by name"
    MODEL = "What does Create say of a model that is not Active?", "a model that is not Active is waited for"
    CREATION = "How long does a creation take?", "timeout, and the estimates"
    READY = "How long does an Active deployment not answer yet?", "smokeTest waits so long"
    UPDATE = "How long does an update take?", "timeout of an update"
    DETAILS = "How long does Get not show an update that has begun?", "an update is known by its model, not by being there"
    UPDATE_BUSY = "What does Update say while an update is under way?", "updates of one deployment are done one after the other"
    FAILED_NAME = "Does a Failed deployment hold its name?", "retries, ifExists: the leftover is deleted first"
    GONE = "How long does Get still find what was deleted?", "a delete ends when Get says that it is gone"
    RESERVED = "How long does a deleted name stay taken?", "ifExists replace, retries: a reserved name is waited for"

    def __init__(self, text: str, touches: str) -> None:
        self.text = text
        self.touches = touches


@dataclass(frozen=True, slots=True)
class Call:
    """One call that was made: what was asked, `at` how many seconds since the first one, and what came of it."""

    operation: str
    asked: str
    at: float
    said: str = ""
    failed: CallFailed | None = None

    @property
    def text(self) -> str:
        """Say all that in a line."""
        answer = f"{self.failed.code}: {self.failed.text}" if self.failed else self.said or "OK"
        return f"{self.operation} ({self.asked}) at {self.at:.1f} s: {answer}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One question, and what was seen. Without an answer, `why` says what would have shown it."""

    question: Question
    answer: str | None
    evidence: tuple[Call, ...] = ()
    terms: Terms = field(default_factory=dict)
    is_odd: bool = False
    """Slipway relies on another answer."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """Something became so between two looks, in seconds since it began. `low` is None where it was so at the first."""

    low: float | None
    high: float

    @property
    def likely(self) -> float:
        """Answer one number for it: the middle."""
        return 0.0 if self.low is None else round((self.low + self.high) / 2, 1)

    @property
    def text(self) -> str:
        """Say it."""
        return f"within {self.high:.1f} s" if self.low is None else f"between {self.low:.1f} and {self.high:.1f} s"


def span_of(looks: Sequence[Call], begun: float, last: Call) -> Span:
    """Answer when it became so: `looks` came before, and showed that it was not; `last` did."""
    return Span(looks[-1].at - begun if looks else None, last.at - begun)


def terms_of(findings: Sequence[Finding]) -> dict[str, object]:
    """Answer the terms of AWS in a box that say all that was found; of one that is said twice, the later."""
    return {term: value for finding in findings for term, value in finding.terms.items()}


def unasked(findings: Sequence[Finding], why: str) -> list[Finding]:
    """Answer the questions about which there is no finding."""
    asked = {finding.question for finding in findings}
    return [Finding(question, None, why=why) for question in Question if question not in asked]


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    """Answer them as the questions are listed."""
    places = {question: place for place, question in enumerate(Question)}
    return sorted(findings, key=lambda finding: places[finding.question])
