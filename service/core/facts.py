"""What is known of a deploy request, here and now: what `decide` decides on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from service.core.calls import CallFailed, Conflicting, Missing, QuotaFull, Refused
from service.core.carried import NOTHING_DECIDED, Carried
from service.core.deployments import Created, Deployment, ModelState
from service.core.marks import Marks
from service.core.outcomes import Verdict
from service.core.steps import ABSENCES_BELIEVED, Absent, Seen, Sent, Sight


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
    looks: int = 0
    """Looks in a row that showed a deployment, as far as they are counted: a tag that is not shown is believed to be absent
    after `ABSENCES_BELIEVED`, like a deployment."""
    lost: str | None = None
    """The ARN that a create was answered with, and that neither List nor Get has shown since."""
    misses: int = 0
    """Looks, by that ARN and by the name, that did not show it."""
    voids: int = 0
    """How many tokens Bedrock remembered for a deployment that is gone."""
    is_receipt_proved: bool = False
    """`received` is SQS's own word, or Slipway's: no other sender can have chosen it."""

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
        if isinstance(sight, Absent):
            misses = min(self.misses + 1, ABSENCES_BELIEVED) if self.lost is not None else 0
            return replace(self, sight=sight, removal=None, looks=0, misses=misses)
        return replace(self, sight=sight, lost=None, looks=min(self.looks + 1, ABSENCES_BELIEVED))

    def after_listing(self) -> Facts:
        """Return what is known when the list shows a deployment of the request's name: it is to be looked at."""
        return replace(self, sight=None, in_doubt=True)

    def after_missing(self, arn: str) -> Facts:
        """What is known when a create was answered, and Get does not show what it is said to have made."""
        return replace(self, sight=None, attempt=None, is_mine=False, in_doubt=True, lost=arn, misses=0)

    def after_void(self) -> Facts:
        """The token is spent: the next create is made with another."""
        return replace(self, attempt=None, model=None, in_doubt=True, lost=None, refusals=0, voids=self.voids + 1)

    def after_removal(self, removal: Sent | CallFailed) -> Facts:
        """What is known after a delete: every look is stale now."""
        return replace(self, sight=None, attempt=None, removal=removal, in_doubt=True, troubles=self.troubles + 1)

    def after_test(self, verdict: Verdict) -> Facts:
        """What is known after the smoke test."""
        return replace(self, verdict=verdict)

    def after_watch(self, deployment: Deployment, marks: Marks) -> Facts:
        """What is known when the watcher says that the creation has ended."""
        # Nobody can have tested it before it was Active: that no verdict is shown is no lag.
        return replace(self, sight=Seen(deployment, marks), troubles=0, looks=ABSENCES_BELIEVED)

    def after_model(self, model: ModelState) -> Facts:
        """What is known after GetCustomModel."""
        return replace(self, model=model)

    def after_pause(self) -> Facts:
        """Time has passed: look and try afresh, remembering how often."""
        proven = self.is_model_proven or self.model is ModelState.ACTIVE
        troubles = self.troubles + (self.attempt is None and self.removal is None)  # those were counted when they failed
        return replace(self, sight=None, attempt=None, removal=None, model=None, is_model_proven=proven, troubles=troubles)

    def after_trouble(self) -> Facts:
        """A look itself failed: nothing new is known, but it has been tried."""
        return replace(self, troubles=self.troubles + 1)
