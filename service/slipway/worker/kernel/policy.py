"""The settings that the worker needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from slipway.core.requests.targets import DEFAULT, Target, Targets
from slipway.core.rules.permissions import PermissionRule
from slipway.core.rules.triggers import Trigger


@dataclass(frozen=True, slots=True)
class WorkerPolicy:
    """The settings that the worker needs. Times in seconds."""

    targets: Targets
    max_held: int
    sweep_interval: float
    timeout: float
    visibility_timeout: int
    progress_events: bool
    allow_force: bool
    is_topic_fifo: bool
    reap_interval: float = 0.0
    """Time between two searches for expired deployments; 0 for none."""
    reply_to: tuple[str, ...] = ()
    """Allowed `replyTo` targets: queue URLs and topic ARNs, `*` for any."""
    tenant_weights: Mapping[str, int] = field(default_factory=dict)
    """The weight of each tenant in the fair queue; 1 if it is not listed."""
    triggers: tuple[Trigger, ...] = ()
    """Rules that make requests of upstream events; without any, events of AWS itself are rejected."""
    permissions: tuple[PermissionRule, ...] = ()
    """Permission rules; without any, every sender may request anything."""
    own_sender: str | None = None
    """Slipway's own `SenderId`; None without permission rules if STS did not return it."""

    @property
    def home(self) -> Target:
        """The default target."""
        return self.targets[DEFAULT]
