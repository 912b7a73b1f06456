"""Admission of a request: read from its message, allowed by the settings, permitted to its sender."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.core.actions import AnyRequest
from service.core.asking import refuse_stranger
from service.core.messages import Message
from service.core.permissions import Rule, permit
from service.core.requests import DEFAULT_TIMEOUT_SECONDS, understand
from service.core.targets import Targets
from service.core.triggers import Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The settings that decide whether a message is a request that may be done."""

    targets: Targets
    timeout: float = DEFAULT_TIMEOUT_SECONDS
    triggers: Sequence[Trigger] = ()
    reply_to: Sequence[str] = ()
    permissions: Sequence[Rule] = ()
    own_sender: str | None = None

    def admit(self, message: Message, sender: str | None) -> AnyRequest:
        """Return the request of a message from this sender. Raises `Misunderstood`, `Unmatched` and `PipelineStopping`."""
        request = understand(message, self.targets, self.timeout, self.triggers)
        refuse_stranger(request.asker, self.reply_to, request.request_id)
        return permit(request, sender, self.permissions, self.own_sender)
