"""The settings that the worker needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from slipway.core.requests.targets import DEFAULT, Target, Targets
from slipway.core.rules.permissions import PermissionRule
from slipway.core.rules.triggers import Trigger


@dataclass(slots=True)
class OwnSender:
    """The daemon's own `SenderId`, which may become known while the worker runs; None as long as STS has not answered."""

    sender: str | None = None


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
    own: OwnSender = field(default_factory=OwnSender)
    """Known from the start if there are permission rules."""

    @property
    def own_sender(self) -> str | None:
        """Slipway's own `SenderId`; None as long as STS has not returned it."""
        return self.own.sender

    @property
    def home(self) -> Target:
        """The default target."""
        return self.targets[DEFAULT]
