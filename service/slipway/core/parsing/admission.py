"""Admission of a request: read from its message, allowed by the settings, permitted to its sender."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slipway.core.parsing.callback_tokens import check_reply_target
from slipway.core.parsing.parse import DEFAULT_TIMEOUT_SECONDS, parse_request
from slipway.core.requests.models import AnyRequest
from slipway.core.requests.targets import Targets
from slipway.core.rules.permissions import PermissionRule, check_permission
from slipway.core.rules.triggers import Trigger
from slipway.core.sqs.messages import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The settings that decide whether a message is a request that may be done."""

    targets: Targets
    timeout: float = DEFAULT_TIMEOUT_SECONDS
    triggers: Sequence[Trigger] = ()
    reply_to: Sequence[str] = ()
    permissions: Sequence[PermissionRule] = ()
    own_sender: str | None = None

    def admit(self, message: Message, sender: str | None) -> AnyRequest:
        """Return the request of a message from this sender.

        Raises `RequestRejected`, `NoMatchingTrigger` and `PipelineStopping`.
        """
        request = parse_request(message, self.targets, self.timeout, self.triggers)
        check_reply_target(request.reply_target, self.reply_to, request.request_id)
        return check_permission(request, sender, self.permissions, self.own_sender)
