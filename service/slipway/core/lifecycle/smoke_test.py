"""The smoke test: one question to a deployment, and what its answer, or the lack of one, says.

The verdict is written down before anything is made of it: asked again by a successor, the model might answer otherwise, and
one request would end in two ways. It is written on the deployment by the request that made or updates it. A request that only
adopts writes nothing there: its verdict is carried in a new message.
"""

from __future__ import annotations

from typing import Final

from slipway.core.bedrock.errors import CallFailed, Conflicting, Refused, ResourceMissing
from slipway.core.lifecycle.outcomes import Reason, SmokeTestResult
from slipway.core.lifecycle.steps import Pause, reason_for
from slipway.core.lifecycle.tags import DeploymentTags, former_key, update_key
from slipway.core.requests.models import Request, SmokeTest

REFUSALS_TO_BELIEVE: Final = 10
"""A deployment that is Active does not always answer yet: so often the service's refusal is not believed."""
LONGEST_ANSWER: Final = 1000


def recorded_result(slipway_tags: DeploymentTags, request: Request, *, is_former: bool = False) -> SmokeTestResult | None:
    """Return what came of this request's smoke test, as it was written on the deployment.

    `is_former` says that a version may have written it that knew no owners.
    """
    keys = {update_key(request), former_key(request)} if is_former else {update_key(request)}
    return slipway_tags.smoke.smoke_result if slipway_tags.smoke is not None and slipway_tags.smoke.key in keys else None


def judge(test: SmokeTest, answer: str | CallFailed, refusals: int) -> SmokeTestResult | Pause:
    """Say what an answer means, or that it is too early for one. `refusals` counts this one too, if it is one."""
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
