"""What AWS documents nowhere: the questions, the calls that were made to answer them, and what was found.

Slipway holds for any answer, as far as anybody could think of one; where it relies on one, an account that answers otherwise
is `odd`. An answer is also said in the terms of AWS in a box, so that `slipway local` behaves as the account does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from slipway.core.bedrock.deployments import Deployment, ModelState, Status
from slipway.core.bedrock.errors import CallFailed, Conflicting, Denied, QuotaFull, Refused, ResourceMissing
from slipway.core.lifecycle.deploy import TOKEN_KNOWN, is_name_taken

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
class ProbeCall:
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
class ProbeFinding:
    """One question, and what was seen. Without an answer, `why` says what would have shown it."""

    question: Question
    answer: str | None
    evidence: tuple[ProbeCall, ...] = ()
    terms: Terms = field(default_factory=dict)
    is_odd: bool = False
    """Slipway relies on another answer."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class TimeSpan:
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


def span_of(looks: Sequence[ProbeCall], begun: float, last: ProbeCall) -> TimeSpan:
    """Answer when it became so: `looks` came before, and showed that it was not; `last` did."""
    return TimeSpan(looks[-1].at - begun if looks else None, last.at - begun)


def terms_of(findings: Sequence[ProbeFinding]) -> dict[str, object]:
    """Answer the terms of AWS in a box that say all that was found; of one that is said twice, the later."""
    return {term: value for finding in findings for term, value in finding.terms.items()}


def unasked(findings: Sequence[ProbeFinding], why: str) -> list[ProbeFinding]:
    """Answer the questions about which there is no finding."""
    asked = {finding.question for finding in findings}
    return [ProbeFinding(question, None, why=why) for question in Question if question not in asked]


def in_order(findings: Sequence[ProbeFinding]) -> list[ProbeFinding]:
    """Answer them as the questions are listed."""
    places = {question: place for place, question in enumerate(Question)}
    return sorted(findings, key=lambda finding: places[finding.question])


MOST_WORDS: Final = 5
"""Of what is listed in an answer."""


def of_span(
    question: Question, span: TimeSpan | None, evidence: Sequence[ProbeCall], *terms: str, why: str = ""
) -> ProbeFinding:
    """Answer how long something took; `terms` are those of the box that say so. No span: it was not seen, and why."""
    if span is None:
        return ProbeFinding(question, None, _ends_of(evidence), why=why)
    return ProbeFinding(question, span.text, _ends_of(evidence), dict.fromkeys(terms, span.likely))


def of_leftovers(names: Sequence[str]) -> ProbeFinding:
    """Look at what earlier probes have left."""
    said = f"{len(names)}: {_some(names)}" if names else "no"
    return ProbeFinding(Question.LEFTOVER, said, is_odd=bool(names))


def of_nobody(call: ProbeCall, *, is_found: bool) -> ProbeFinding:
    """Look at what Get says of a name that nobody has. `ResourceMissing` comes from the adapter as no deployment."""
    if is_found or call.failed is not None:
        return ProbeFinding(Question.NOBODY, call.text, (call,), is_odd=not isinstance(call.failed, Denied))
    return ProbeFinding(Question.NOBODY, "ResourceNotFoundException, as documented", (call,))


def of_pages(asked: int, sizes: Sequence[int], evidence: Sequence[ProbeCall]) -> ProbeFinding:
    """Look at how many each page had, where so many were asked for."""
    full = [size for size in sizes[:-1] if size]
    if not full:
        why = f"one page holds all {sum(sizes)} deployments that there are"
        return ProbeFinding(Question.PAGE, None, tuple(evidence), why=why)
    least, most = min(full), max(full)
    said = f"{most}, where {asked} were asked for" if least == most else f"{least} to {most}, where {asked} were asked for"
    return ProbeFinding(Question.PAGE, said, tuple(evidence), {"page_size": most})


def of_words(deployments: Sequence[Deployment], evidence: Sequence[ProbeCall]) -> ProbeFinding:
    """Look for a status that nobody knows."""
    strange = sorted({one.status_text for one in deployments if one.status is Status.UNKNOWN})
    if strange:
        return ProbeFinding(Question.WORDS, _some(strange), tuple(evidence), {"status_text": strange[0]}, is_odd=True)
    if not deployments:
        return ProbeFinding(Question.WORDS, None, tuple(evidence), why="there is no deployment")
    known = sorted({one.status_text for one in deployments})
    return ProbeFinding(Question.WORDS, f"no: {_some(known)}", tuple(evidence))


def of_creations(seconds: Sequence[float], evidence: Sequence[ProbeCall]) -> ProbeFinding:
    """Look at how long creations took, as createdAt and lastUpdatedAt tell it."""
    if not seconds:
        return ProbeFinding(Question.CREATION, None, tuple(evidence), why="no creation was seen to its end")
    low, high = round(min(seconds), 1), round(max(seconds), 1)
    said = f"{low:.0f} to {high:.0f} s, of {len(seconds)}" if len(seconds) > 1 else f"{low:.1f} s"
    return ProbeFinding(Question.CREATION, said, tuple(evidence), {"creation_seconds": [low, high]})


def of_taken(call: ProbeCall) -> ProbeFinding:
    """Look at a create with a name that is taken, and a new token."""
    if call.failed is None:
        return ProbeFinding(Question.TAKEN, "nothing: two deployments have one name", (call,), is_odd=True)
    if isinstance(call.failed, QuotaFull):
        return ProbeFinding(Question.TAKEN, None, (call,), why="the account is full, and says that first")
    is_known = is_name_taken(call.failed)
    terms = {"taken_code": call.failed.code, "taken_text": call.failed.text}
    said = "" if is_known else "; Slipway does not take it for a taken name, where it does not see what has it"
    is_odd = not is_known or not isinstance(call.failed, Refused | Conflicting)
    return ProbeFinding(Question.TAKEN, f"{call.failed.code}: {call.failed.text}{said}", (call,), terms, is_odd)


def of_token(taken: ProbeCall, again: ProbeCall, other: ProbeCall, arn: str) -> ProbeFinding:
    """Look at two repeats with the token of the deployment `arn`: the very same, and one for another name.

    `taken` is what a create with this name and a new token was answered.
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
        said = "" if is_known else "; Slipway does not take it for a known token"
        return found(f"{again.failed.code}: {again.failed.text}{said}", {"token_answer": "error"}, is_odd=not is_known)
    if again.said != arn:
        return found("another deployment: one token made two", {}, is_odd=True)
    if other.failed is not None:
        said = f"the same ARN; with another name {other.failed.code}: {other.failed.text}"
        return found(said, {} if isinstance(other.failed, QuotaFull) else {"token_answer": "same"})
    if other.said == arn:
        return found("the earlier ARN, whatever else is asked for", {"token_answer": "any"})
    return found("the same ARN; with another name it is as if there were no token", {})


def of_token_age(before: ProbeFinding, call: ProbeCall, taken: ProbeCall, made: ProbeCall) -> ProbeFinding:
    """Look at one more repeat, after the deployment was deleted. `before` is what the repeats before that had shown."""
    if before.terms.get("token_seconds") == 0.0:
        return ProbeFinding(Question.TOKEN_AGE, "no: it never was", before.evidence, before.terms)
    if isinstance(call.failed, QuotaFull):
        return ProbeFinding(Question.TOKEN_AGE, None, (call,), why="the account is full, and says that first")
    since = span_of(before.evidence, made.at, call)
    if is_same_refusal(call, taken) or (call.failed is None and call.said != made.said):
        said = f"no: it was forgotten {since.text} after the create"
        return ProbeFinding(Question.TOKEN_AGE, said, (*before.evidence, call), {"token_seconds": since.likely})
    said = f"with {call.failed.code}" if call.failed else "with the ARN of what is gone"
    return ProbeFinding(Question.TOKEN_AGE, f"yes, for {since.high:.0f} s at least, and answered {said}", (call,))


def of_busy_delete(call: ProbeCall) -> ProbeFinding:
    """Look at a delete of what is in creation."""
    if call.failed is None:
        return ProbeFinding(Question.DELETE_BUSY, "nothing: it is deleted", (call,), {"delete_conflicts": False})
    is_odd = not isinstance(call.failed, Conflicting | Refused)
    said = f"{call.failed.code}: {call.failed.text}"
    return ProbeFinding(Question.DELETE_BUSY, said, (call,), {} if is_odd else {"delete_conflicts": True}, is_odd)


def of_quota(refused: ProbeCall | None, made: int, creating: int, total: int, later: ProbeCall | None) -> ProbeFinding:
    """Look at how far the quota let one go: `made` at once, until `refused` with so many in creation, and in all.

    `later` is a create when one of these had ended: if it was taken on, the total was not what was full.
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
    """Look at a create with a taken name on a full account."""
    if call is None or call.failed is None:
        return ProbeFinding(Question.QUOTA_FIRST, None, why="the account was not full")
    is_first = isinstance(call.failed, QuotaFull)
    said = "yes" if is_first else f"no: {call.failed.code}: {call.failed.text}"
    return ProbeFinding(Question.QUOTA_FIRST, said, (call,), {"quota_first": is_first})


def of_model(call: ProbeCall | None, state: ModelState) -> ProbeFinding:
    """Look at the create, if the model is not Active."""
    if call is None or call.failed is None or state is ModelState.ACTIVE:
        why = "--model named one that is"
        return ProbeFinding(Question.MODEL, None, why=why)
    said = f"of one that is {state.value}: {call.failed.code}: {call.failed.text}"
    is_odd = not isinstance(call.failed, Refused | ResourceMissing | Conflicting)
    terms = {} if state is ModelState.MISSING else {"model_code": call.failed.code, "model_text": call.failed.text}
    return ProbeFinding(Question.MODEL, said, (call,), terms, is_odd)


def of_busy_update(call: ProbeCall) -> ProbeFinding:
    """Look at a second update beside one that is under way."""
    said = "nothing: it is taken on" if call.failed is None else f"{call.failed.code}: {call.failed.text}"
    is_odd = not (call.failed is None or isinstance(call.failed, Refused | Conflicting))
    return ProbeFinding(Question.UPDATE_BUSY, said, (call,), is_odd=is_odd)


def of_failed_name(call: ProbeCall) -> ProbeFinding:
    """Look at a create with the name of a deployment that Failed."""
    if isinstance(call.failed, QuotaFull):
        return ProbeFinding(Question.FAILED_NAME, None, (call,), why="the account is full, and says that first")
    said = "no" if call.failed is None else f"yes: {call.failed.code}: {call.failed.text}"
    return ProbeFinding(Question.FAILED_NAME, said, (call,), {"failed_holds_name": call.failed is not None})


def is_same_refusal(one: ProbeCall, other: ProbeCall | None) -> bool:
    """Answer whether two calls were refused with the same words."""
    if other is None or one.failed is None or other.failed is None:
        return False
    return (one.failed.code, one.failed.text) == (other.failed.code, other.failed.text)


def _ends_of(calls: Sequence[ProbeCall]) -> tuple[ProbeCall, ...]:
    """The first, and the last two: what lies between says the same as the last but one."""
    return tuple(calls) if len(calls) < 4 else (calls[0], *calls[-2:])  # noqa: PLR2004  as said


def _some(words: Sequence[str]) -> str:
    more = len(words) - MOST_WORDS
    return ", ".join(words[:MOST_WORDS]) + (f" and {more} more" if more > 0 else "")
