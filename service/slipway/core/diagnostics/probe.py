"""The probe of undocumented Bedrock behaviour: the questions, the calls that were made, and the findings.

Slipway handles every answer that its authors foresaw. Where it relies on one, an account with another answer is `odd`. A
finding also has the matching settings of the local AWS stand-in, so that `slipway local` behaves like the account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from slipway.core.bedrock import Deployment, ModelState, Status
from slipway.core.call_errors import CallFailed, Conflicting, Denied, QuotaFull, Refused, ResourceMissing
from slipway.core.lifecycle.deploy import TOKEN_KNOWN, is_name_taken

Terms = Mapping[str, object]


class Question(Enum):
    """A question, and the part of Slipway that depends on its answer."""

    LEFTOVER = "Has an earlier probe left deployments?", "unused slots"
    UNKNOWN_NAME = "What does Get return for a name that does not exist?", "a deployment is gone when Get does not find it"
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
class ProbeCall:
    """One call: its arguments, the seconds since the first call (`at`), and its result."""

    operation: str
    asked: str
    at: float
    said: str = ""
    failed: CallFailed | None = None

    @property
    def text(self) -> str:
        """Return the call and its result in one line."""
        answer = f"{self.failed.code}: {self.failed.text}" if self.failed else self.said or "OK"
        return f"{self.operation} ({self.asked}) at {self.at:.1f} s: {answer}"


@dataclass(frozen=True, slots=True)
class ProbeFinding:
    """The answer to one question. Without an answer, `why` says why there is none."""

    question: Question
    answer: str | None
    evidence: tuple[ProbeCall, ...] = ()
    terms: Terms = field(default_factory=dict)
    is_odd: bool = False
    """Slipway expects another answer."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """A change between two observations, in seconds since the start. `low` is None if the first one showed it."""

    low: float | None
    high: float

    @property
    def likely(self) -> float:
        """Return the middle of the span."""
        return 0.0 if self.low is None else round((self.low + self.high) / 2, 1)

    @property
    def text(self) -> str:
        """Return the span in words."""
        return f"within {self.high:.1f} s" if self.low is None else f"between {self.low:.1f} and {self.high:.1f} s"


def span_of(looks: Sequence[ProbeCall], begun: float, last: ProbeCall) -> TimeSpan:
    """Return when a change was observed: `looks` did not show it yet, `last` did."""
    return TimeSpan(looks[-1].at - begun if looks else None, last.at - begun)


def terms_of(findings: Sequence[ProbeFinding]) -> dict[str, object]:
    """Return the stand-in's settings from all findings; the later one if two findings have the same."""
    return {term: value for finding in findings for term, value in finding.terms.items()}


def unasked(findings: Sequence[ProbeFinding], why: str) -> list[ProbeFinding]:
    """Return the questions without a finding."""
    asked = {finding.question for finding in findings}
    return [ProbeFinding(question, None, why=why) for question in Question if question not in asked]


def in_order(findings: Sequence[ProbeFinding]) -> list[ProbeFinding]:
    """Return the findings in the order of the questions."""
    places = {question: place for place, question in enumerate(Question)}
    return sorted(findings, key=lambda finding: places[finding.question])


MOST_WORDS: Final = 5
"""Most names listed in an answer."""


def of_span(
    question: Question, span: TimeSpan | None, evidence: Sequence[ProbeCall], *terms: str, why: str = ""
) -> ProbeFinding:
    """Return how long a change took. `terms` are the stand-in's settings for it. Without a span it was not observed."""
    if span is None:
        return ProbeFinding(question, None, _ends_of(evidence), why=why)
    return ProbeFinding(question, span.text, _ends_of(evidence), dict.fromkeys(terms, span.likely))


def of_leftovers(names: Sequence[str]) -> ProbeFinding:
    """Return whether earlier probes left deployments."""
    answer = f"{len(names)}: {_some(names)}" if names else "no"
    return ProbeFinding(Question.LEFTOVER, answer, is_odd=bool(names))


def of_nobody(call: ProbeCall, *, is_found: bool) -> ProbeFinding:
    """Return what Get returns for a name that does not exist. The adapter turns `ResourceMissing` into no deployment."""
    if is_found or call.failed is not None:
        return ProbeFinding(Question.UNKNOWN_NAME, call.text, (call,), is_odd=not isinstance(call.failed, Denied))
    return ProbeFinding(Question.UNKNOWN_NAME, "ResourceNotFoundException, as documented", (call,))


def of_pages(asked: int, sizes: Sequence[int], evidence: Sequence[ProbeCall]) -> ProbeFinding:
    """Return the page size of List, of which `asked` were requested."""
    full = [size for size in sizes[:-1] if size]
    if not full:
        why = f"one page holds all {sum(sizes)} deployments that there are"
        return ProbeFinding(Question.PAGE, None, tuple(evidence), why=why)
    least, most = min(full), max(full)
    answer = f"{most}, where {asked} were asked for" if least == most else f"{least} to {most}, where {asked} were asked for"
    return ProbeFinding(Question.PAGE, answer, tuple(evidence), {"page_size": most})


def of_words(deployments: Sequence[Deployment], evidence: Sequence[ProbeCall]) -> ProbeFinding:
    """Return whether there is an unknown status."""
    unknown = sorted({deployment.status_text for deployment in deployments if deployment.status is Status.UNKNOWN})
    if unknown:
        return ProbeFinding(Question.WORDS, _some(unknown), tuple(evidence), {"status_text": unknown[0]}, is_odd=True)
    if not deployments:
        return ProbeFinding(Question.WORDS, None, tuple(evidence), why="there is no deployment")
    words = sorted({deployment.status_text for deployment in deployments})
    return ProbeFinding(Question.WORDS, f"no: {_some(words)}", tuple(evidence))


def of_creations(seconds: Sequence[float], evidence: Sequence[ProbeCall]) -> ProbeFinding:
    """Return how long creations took, by createdAt and lastUpdatedAt."""
    if not seconds:
        return ProbeFinding(Question.CREATION, None, tuple(evidence), why="no creation was seen to its end")
    low, high = round(min(seconds), 1), round(max(seconds), 1)
    answer = f"{low:.0f} to {high:.0f} s, of {len(seconds)}" if len(seconds) > 1 else f"{low:.1f} s"
    return ProbeFinding(Question.CREATION, answer, tuple(evidence), {"creation_seconds": [low, high]})


def of_taken(call: ProbeCall) -> ProbeFinding:
    """Return the result of a create with a taken name and a new token."""
    if call.failed is None:
        return ProbeFinding(Question.TAKEN, "nothing: two deployments have one name", (call,), is_odd=True)
    if isinstance(call.failed, QuotaFull):
        return ProbeFinding(Question.TAKEN, None, (call,), why="the account is full, and says that first")
    is_known = is_name_taken(call.failed)
    terms = {"taken_code": call.failed.code, "taken_text": call.failed.text}
    note = "" if is_known else "; Slipway does not take it for a taken name, where it does not see what has it"
    is_odd = not is_known or not isinstance(call.failed, Refused | Conflicting)
    return ProbeFinding(Question.TAKEN, f"{call.failed.code}: {call.failed.text}{note}", (call,), terms, is_odd)


def of_token(taken: ProbeCall, again: ProbeCall, other: ProbeCall, arn: str) -> ProbeFinding:
    """Return the result of two repeated creates with the token of the deployment `arn`: the same, and one with another name.

    `taken` is the result of a create with this name and a new token.
    """
    seen = (again, other)

    def found(answer: str, terms: Terms, *, is_odd: bool = False) -> ProbeFinding:
        return ProbeFinding(Question.TOKEN, answer, seen, terms, is_odd)

    if is_same_refusal(again, taken):
        return found("as if there were no token: it is not remembered at all", {"token_seconds": 0.0})
    if isinstance(again.failed, QuotaFull):
        return ProbeFinding(Question.TOKEN, None, seen, why="the account is full, and says that first")
    if again.failed is not None:
        is_known = isinstance(again.failed, Conflicting) or TOKEN_KNOWN.search(again.failed.text) is not None
        text = "" if is_known else "; Slipway does not take it for a known token"
        return found(f"{again.failed.code}: {again.failed.text}{text}", {"token_answer": "error"}, is_odd=not is_known)
    if again.said != arn:
        return found("another deployment: one token made two", {}, is_odd=True)
    if other.failed is not None:
        text = f"the same ARN; with another name {other.failed.code}: {other.failed.text}"
        return found(text, {} if isinstance(other.failed, QuotaFull) else {"token_answer": "same"})
    if other.said == arn:
        return found("the earlier ARN, whatever else is asked for", {"token_answer": "any"})
    return found("the same ARN; with another name it is as if there were no token", {})


def of_token_age(before: ProbeFinding, call: ProbeCall, taken: ProbeCall, made: ProbeCall) -> ProbeFinding:
    """Return the result of a repeated create after the delete. `before` is the finding of the repeats before that."""
    if before.terms.get("token_seconds") == 0.0:
        return ProbeFinding(Question.TOKEN_AGE, "no: it never was", before.evidence, before.terms)
    if isinstance(call.failed, QuotaFull):
        return ProbeFinding(Question.TOKEN_AGE, None, (call,), why="the account is full, and says that first")
    since = span_of(before.evidence, made.at, call)
    if is_same_refusal(call, taken) or (call.failed is None and call.said != made.said):
        text = f"no: it was forgotten {since.text} after the create"
        return ProbeFinding(Question.TOKEN_AGE, text, (*before.evidence, call), {"token_seconds": since.likely})
    text = f"with {call.failed.code}" if call.failed else "with the ARN of what is gone"
    return ProbeFinding(Question.TOKEN_AGE, f"yes, for {since.high:.0f} s at least, and answered {text}", (call,))


def of_busy_delete(call: ProbeCall) -> ProbeFinding:
    """Return the result of a delete during creation."""
    if call.failed is None:
        return ProbeFinding(Question.DELETE_BUSY, "nothing: it is deleted", (call,), {"delete_conflicts": False})
    is_odd = not isinstance(call.failed, Conflicting | Refused)
    answer = f"{call.failed.code}: {call.failed.text}"
    return ProbeFinding(Question.DELETE_BUSY, answer, (call,), {} if is_odd else {"delete_conflicts": True}, is_odd)


def of_quota(refused: ProbeCall | None, made: int, creating: int, total: int, later: ProbeCall | None) -> ProbeFinding:
    """Return the quota: `made` creates were accepted, until `refused` with these counts in creation and in total.

    `later` is a create after one of the creations had ended: if it was accepted, the limit was not the total.
    """
    if refused is None:
        answer = f"at least {made} at once" if made > 1 else None
        return ProbeFinding(Question.QUOTA, answer, why="" if answer else "one was made at a time: --slots makes more at once")
    seen = (refused,) if later is None else (refused, later)
    full = f"{creating} in creation, {total} in all"
    if later is None or not (later.failed is None or isinstance(later.failed, QuotaFull)):
        return ProbeFinding(Question.QUOTA, f"one of them is full with {full}", seen)
    if later.failed is None:
        return ProbeFinding(Question.QUOTA, f"{creating} in creation (with {total} in all)", seen, {"max_creating": creating})
    return ProbeFinding(Question.QUOTA, f"{total} in all (with {creating} in creation)", seen, {"max_total": total})


def of_quota_first(call: ProbeCall | None) -> ProbeFinding:
    """Return the result of a create with a taken name in a full account."""
    if call is None or call.failed is None:
        return ProbeFinding(Question.QUOTA_FIRST, None, why="the account was not full")
    is_first = isinstance(call.failed, QuotaFull)
    answer = "yes" if is_first else f"no: {call.failed.code}: {call.failed.text}"
    return ProbeFinding(Question.QUOTA_FIRST, answer, (call,), {"quota_first": is_first})


def of_model(call: ProbeCall | None, state: ModelState) -> ProbeFinding:
    """Return the result of a create with a model that is not Active."""
    if call is None or call.failed is None or state is ModelState.ACTIVE:
        why = "--model named one that is"
        return ProbeFinding(Question.MODEL, None, why=why)
    answer = f"of one that is {state.value}: {call.failed.code}: {call.failed.text}"
    is_odd = not isinstance(call.failed, Refused | ResourceMissing | Conflicting)
    terms = {} if state is ModelState.MISSING else {"model_code": call.failed.code, "model_text": call.failed.text}
    return ProbeFinding(Question.MODEL, answer, (call,), terms, is_odd)


def of_busy_update(call: ProbeCall) -> ProbeFinding:
    """Return the result of a second update during another one."""
    answer = "nothing: it is taken on" if call.failed is None else f"{call.failed.code}: {call.failed.text}"
    is_odd = not (call.failed is None or isinstance(call.failed, Refused | Conflicting))
    return ProbeFinding(Question.UPDATE_BUSY, answer, (call,), is_odd=is_odd)


def of_failed_name(call: ProbeCall) -> ProbeFinding:
    """Return the result of a create with the name of a Failed deployment."""
    if isinstance(call.failed, QuotaFull):
        return ProbeFinding(Question.FAILED_NAME, None, (call,), why="the account is full, and says that first")
    answer = "no" if call.failed is None else f"yes: {call.failed.code}: {call.failed.text}"
    return ProbeFinding(Question.FAILED_NAME, answer, (call,), {"failed_holds_name": call.failed is not None})


def is_same_refusal(call: ProbeCall, other: ProbeCall | None) -> bool:
    """Return whether two calls failed with the same code and text."""
    if other is None or call.failed is None or other.failed is None:
        return False
    return (call.failed.code, call.failed.text) == (other.failed.code, other.failed.text)


def _ends_of(calls: Sequence[ProbeCall]) -> tuple[ProbeCall, ...]:
    """Return the first and the last two calls: those between have the same result as the last but one."""
    return tuple(calls) if len(calls) < 4 else (calls[0], *calls[-2:])  # noqa: PLR2004  one more than these three


def _some(words: Sequence[str]) -> str:
    more = len(words) - MOST_WORDS
    return ", ".join(words[:MOST_WORDS]) + (f" and {more} more" if more > 0 else "")
