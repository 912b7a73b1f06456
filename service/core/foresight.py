"""How what holds a name will end a request to deploy under it: by the daemon's own decision, so that the two never differ."""

from __future__ import annotations

from dataclasses import dataclass

from service.core.actions import Deploy
from service.core.decide import Facts, decide
from service.core.deployments import Deployment
from service.core.marks import Marks
from service.core.outcomes import Outcome
from service.core.steps import Ended, Seen


@dataclass(frozen=True, slots=True)
class Existing:
    """A deployment, and what its tag says of its request; None where Slipway did not make it."""

    deployment: Deployment
    request_tag: str | None


def foresee(request_id: str, model_arn: str, there: Existing) -> Outcome | None:
    """Answer the outcome that a deploy request for the name of what is there has at once; None where it will wait.

    `model_arn` is empty where only the job is known that makes it: then what is another request's may be adopted, or not.
    """
    if not model_arn and there.request_tag is not None:
        if there.request_tag != request_id:
            return None
        model_arn = there.deployment.model_arn
    request = Deploy(identity=request_id, request_id=request_id, name=there.deployment.name, model_arn=model_arn, timeout=1.0)
    step = decide(request, Facts(sight=Seen(there.deployment, Marks(there.request_tag))))
    return step.outcome if isinstance(step, Ended) else None
