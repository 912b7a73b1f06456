"""How what holds a name will end a request to deploy under it: by the daemon's own decision, so that the two never differ."""

from __future__ import annotations

from dataclasses import dataclass

from slipway.core.bedrock.deployments import Deployment
from slipway.core.lifecycle.deploy import DeployFacts, decide
from slipway.core.lifecycle.outcomes import Outcome
from slipway.core.lifecycle.steps import ABSENCES_TO_BELIEVE, Finish, Found
from slipway.core.lifecycle.tags import DeploymentTags
from slipway.core.requests.models import Deploy


@dataclass(frozen=True, slots=True)
class ExistingDeployment:
    """A deployment, and what its tags say of it."""

    deployment: Deployment
    slipway_tags: DeploymentTags

    @property
    def request_tag(self) -> str | None:
        """The request that it was made for; None where Slipway did not make it."""
        return self.slipway_tags.request


def predict_outcome(request: Deploy, received: float, there: ExistingDeployment) -> Outcome | None:
    """Answer the outcome that a request first received then has at once for what is there; None where something is done.

    Where only the job is known that makes its model, nothing is said of what another request made: it may be adopted.
    """
    if not request.model_arn and there.request_tag not in {None, request.request_id}:
        return None
    step = decide(
        request,
        DeployFacts(
            observation=Found(there.deployment, there.slipway_tags), received=received, times_found=ABSENCES_TO_BELIEVE
        ),
    )
    return step.outcome if isinstance(step, Finish) else None
