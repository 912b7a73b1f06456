"""The smoke test: one question to a deployment, and what its answer, or the lack of one, says.

What came of it is written on the deployment before anything is made of it: asked again by a successor, the model might
answer otherwise, and one request would end in two ways.
"""

from __future__ import annotations

from typing import Final

from service.core.actions import Request, SmokeTest
from service.core.calls import CallFailed, Conflicting, Missing, Refused
from service.core.marks import Marks, update_key
from service.core.outcomes import Reason, Verdict
from service.core.steps import Pause, reason_for

REFUSALS_BELIEVED: Final = 10
"""A deployment that is Active does not always answer yet: so often the service's refusal is not believed."""
LONGEST_ANSWER: Final = 1000


def recorded(marks: Marks, request: Request) -> Verdict | None:
    """Answer what came of this request's smoke test, as an earlier owner wrote it down."""
    return marks.smoke.verdict if marks.smoke is not None and marks.smoke.key == update_key(request) else None


def judge(test: SmokeTest, answer: str | CallFailed, refusals: int) -> Verdict | Pause:
    """Say what an answer means, or that it is too early for one. `refusals` counts this one too, if it is one."""
    if isinstance(answer, str):
        return Verdict(_is_expected(test, answer), answer[:LONGEST_ANSWER])
    match answer:
        case Refused() | Missing() if refusals >= REFUSALS_BELIEVED:
            return Verdict(passed=False, text=f"no answer: {answer}")
        case Refused() | Missing() | Conflicting():
            return Pause(Reason.SMOKE_TEST, f"the deployment does not answer yet: {answer}")
        case _:
            return Pause(reason_for(answer), f"the smoke test waits: {answer}")


def _is_expected(test: SmokeTest, answer: str) -> bool:
    if test.expect is None:
        return bool(answer.strip())
    return test.expect.casefold() in answer.casefold()
