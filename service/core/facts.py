"""What is known of a deploy request, here and now: what `decide` decides on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from service.core.calls import CallFailed, Conflicting, Missing, QuotaFull, Refused
from service.core.carried import NOTHING_DECIDED, Carried
from service.core.deployments import Created, Deployment, ModelState
from service.core.marks import Marks
from service.core.outcomes import Verdict
from service.core.steps import Absent, Seen, Sent, Sight


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of one request here and now. Each `after_…` answers the facts that follow from an answer."""

    sight: Sight = None
    """What the last look showed; None when it has not been looked, or the look is stale."""
    attempt: Created | CallFailed | None = None
    model: ModelState | None = None
    in_doubt: bool = False
    """Something may exist that we have not seen: a redelivery, or an answer that may have been applied."""
    refusals: int = 0
    troubles: int = 0
    """Waits in a row without progress: what backs off."""
    is_model_proven: bool = False
    """The model was Active before the last create: a refusal is not because it was not."""
    is_mine: bool = False
    """This delivery made the deployment itself."""
    received: float = math.inf
    """When the request was first received, in seconds since the epoch."""
    carried: Carried = NOTHING_DECIDED
    removal: Sent | CallFailed | None = None
    """The answer to the delete of what is to make way."""
    verdict: Verdict | None = None
    """What came of the smoke test."""

    def after_create(self, attempt: Created | CallFailed) -> Facts:
        """What is known after a create. Every look is stale now, unless nothing can have come of the create."""
        unknown = isinstance(attempt, CallFailed) and attempt.may_have_applied
        refused = isinstance(attempt, Refused | Missing | Conflicting)
        trouble = isinstance(attempt, CallFailed) and not isinstance(attempt, QuotaFull)
        return replace(
            self,
            sight=None,
            attempt=attempt,
            removal=None,
            model=None,
            in_doubt=self.in_doubt or unknown,
            refusals=self.refusals + refused,
            troubles=self.troubles + 1 if trouble else 0,
            is_mine=isinstance(attempt, Created),
        )

    def after_look(self, sight: Seen | Absent) -> Facts:
        """What is known after Get (and, where it found something, its tags)."""
        return replace(self, sight=sight, removal=None if isinstance(sight, Absent) else self.removal)

    def after_removal(self, removal: Sent | CallFailed) -> Facts:
        """What is known after a delete: every look is stale now."""
        return replace(self, sight=None, attempt=None, removal=removal, in_doubt=True, troubles=self.troubles + 1)

    def after_test(self, verdict: Verdict) -> Facts:
        """What is known after the smoke test."""
        return replace(self, verdict=verdict)

    def after_watch(self, deployment: Deployment, marks: Marks) -> Facts:
        """What is known when the watcher says that the creation has ended."""
        return replace(self, sight=Seen(deployment, marks), troubles=0)

    def after_model(self, model: ModelState) -> Facts:
        """What is known after GetCustomModel."""
        return replace(self, model=model)

    def after_pause(self) -> Facts:
        """Time has passed: look and try afresh, remembering how often."""
        proven = self.is_model_proven or self.model is ModelState.ACTIVE
        return replace(self, sight=None, attempt=None, removal=None, model=None, is_model_proven=proven)

    def after_trouble(self) -> Facts:
        """A look itself failed: nothing new is known, but it has been tried."""
        return replace(self, troubles=self.troubles + 1)
