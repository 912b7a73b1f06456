"""The smoke test: one prompt to a deployment, and the verdict on its answer or failure.

The result is recorded before it has any effect: the model might answer a second prompt differently, and one request would have
two outcomes. The request that created or updated the deployment records it in a tag; one that adopted it, in a continuation.
"""

from __future__ import annotations

from typing import Final

from slipway.core.call_errors import CallFailed, Conflicting, Refused, ResourceMissing
from slipway.core.lifecycle.outcomes import Reason, SmokeTestResult
from slipway.core.lifecycle.steps import Pause, reason_for
from slipway.core.lifecycle.tags import DeploymentTags, former_key, update_key
from slipway.core.requests.models import Request, SmokeTest

REFUSALS_TO_BELIEVE: Final = 10
"""Refusals after which the test fails. A deployment may refuse calls for a while after it becomes Active."""
LONGEST_ANSWER: Final = 1000


def recorded_result(tags: DeploymentTags, request: Request, *, is_former_version: bool = False) -> SmokeTestResult | None:
    """Return the result of this request's smoke test from the deployment's tags; None if there is none.

    With `is_former_version`, a version without owner tags may have written it.
    """
    keys = {update_key(request), former_key(request)} if is_former_version else {update_key(request)}
    return tags.smoke.smoke_result if tags.smoke is not None and tags.smoke.key in keys else None


def judge(test: SmokeTest, answer: str | CallFailed, refusals: int) -> SmokeTestResult | Pause:
    """Return the result that follows from an answer, or a pause before the next try. `refusals` includes this one."""
    if isinstance(answer, str):
        return SmokeTestResult(_is_expected(test, answer), answer[:LONGEST_ANSWER])
    match answer:
        case Refused() | ResourceMissing() if refusals >= REFUSALS_TO_BELIEVE:
            return SmokeTestResult(passed=False, text=f"no answer: {answer}")
        case Refused() | ResourceMissing() | Conflicting():
            return Pause(Reason.SMOKE_TEST, f"the deployment does not answer yet: {answer}")
        case _:
            return Pause(reason_for(answer), f"the smoke test waits: {answer}")


def _is_expected(test: SmokeTest, answer: str) -> bool:
    if test.expect is None:
        return bool(answer.strip())
    return test.expect.casefold() in answer.casefold()
