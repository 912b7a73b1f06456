"""What the operator has decided, as far as the flow needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from slipway.core.requests.targets import DEFAULT, Target, Targets
from slipway.core.rules.permissions import PermissionRule
from slipway.core.rules.triggers import Trigger


@dataclass(frozen=True, slots=True)
class WorkerPolicy:
    """What the operator has decided. Times in seconds."""

    targets: Targets
    max_held: int
    sweep_interval: float
    timeout: float
    visibility_timeout: int
    progress_events: bool
    allow_force: bool
    is_topic_fifo: bool
    reap_interval: float = 0.0
    """Time between two looks for what has expired; 0 for none."""
    reply_to: tuple[str, ...] = ()
    """Where `replyTo` may point: queue URLs and topic ARNs, a star for anything."""
    tenant_weights: Mapping[str, int] = field(default_factory=dict)
    """How many turns each tenant has to another's one, in the line for slots; 1 where it is not named."""
    triggers: tuple[Trigger, ...] = ()
    """Rules that make requests of upstream events; without any, events of AWS itself are rejected."""
    permissions: tuple[PermissionRule, ...] = ()
    """Who may ask for what; without any rule, everybody for anything."""
    own_sender: str | None = None
    """Slipway's own `SenderId`; None where there are no permissions and STS did not tell it."""

    @property
    def home(self) -> Target:
        """The default target."""
        return self.targets[DEFAULT]
