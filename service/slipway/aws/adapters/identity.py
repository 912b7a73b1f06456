"""Slipway's own identity at AWS."""

from __future__ import annotations

from typing import Final

from slipway.aws.adapters.replies import Open
from slipway.aws.adapters.responses import text_of
from slipway.aws.adapters.retry import Caller

STS: Final = "sts"
_OPERATION: Final = "GetCallerIdentity"
"""A call that no policy can deny."""


class Identity:
    """Calls of STS, with a client that the first call opens. Every failure is a `CallFailed`."""

    def __init__(self, open_client: Open, caller: Caller) -> None:
        self._open = open_client
        self._call = caller.call

    async def own_sender(self) -> str:
        """Return the `SenderId` of messages that Slipway sends. Safe to repeat."""
        sts = await self._open(STS)

        async def send() -> str:
            return text_of(await sts.get_caller_identity(), "UserId", _OPERATION)

        return await self._call(_OPERATION, send)
