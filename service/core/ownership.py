"""Whose a deployment is: what Slipway did not make, it touches only when the request and the settings both say so."""

from __future__ import annotations

from service.core.deployments import Deployment
from service.core.outcomes import Ending, Outcome, Reason


def not_ours(deployment: Deployment, *, is_forced: bool, may_force: bool) -> Outcome | None:
    """Answer how a request ends that is about what Slipway did not make; None where force is said, and allowed."""
    if is_forced and may_force:
        return None
    whose = f"{deployment.name!r} was not made by Slipway"
    if is_forced:
        text = f"{whose}, and the setting allow_force is false; have it set, or do it by hand"
        return Outcome(Ending.FAILED, Reason.FORCE_NOT_ALLOWED, text, deployment)
    text = f"{whose}; say force, where the settings allow it, or do it by hand"
    return Outcome(Ending.FAILED, Reason.NOT_OURS, text, deployment)
