"""Slipway's own identity at AWS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from slipway.aws.adapters.retry import Caller
from slipway.aws.adapters.serialization import text_of
from slipway.aws.sdk.clients import Open

STS: Final = "sts"
_OPERATION: Final = "GetCallerIdentity"
"""A call that no policy can deny."""


@dataclass(frozen=True, slots=True)
class CallerIdentity:
    """Who calls AWS with the daemon's credentials."""

    sender: str
    """What SQS calls the sender of its messages."""
    account: str


class Identity:
    """Calls of STS, with a client that the first call opens. Every failure is a `CallFailed`."""

    def __init__(self, open_client: Open, caller: Caller) -> None:
        self._open = open_client
        self._call = caller.call

    async def get(self) -> CallerIdentity:
        """Return whose credentials these are. Safe to repeat."""
        sts = await self._open(STS)

        async def send() -> CallerIdentity:
            answer = await sts.get_caller_identity()
            return CallerIdentity(text_of(answer, "UserId", _OPERATION), text_of(answer, "Account", _OPERATION))

        return await self._call(_OPERATION, send)
