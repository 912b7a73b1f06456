"""Where calls go: the SDK works it out of its rules anew for each call, 30 us, and here it is asked once by each client."""

from __future__ import annotations

from typing import Any

from aiobotocore.session import AioSession

from service.aws.exchanging import Exchanging


def settle_endpoints(session: AioSession) -> None:
    """Let the clients of this session, made from now on, ask the rules for their endpoint once.

    The rules of the services that Slipway calls know nothing but the Region and settings, which a client keeps for life.
    """
    session.register("creating-client-class", _settle)


def _settle(base_classes: list[type], **_: object) -> None:
    base_classes[:0] = [_Settled, Exchanging]


class _Settled:
    """What an SDK's client is, too."""

    _settled: tuple[Any, ...] | None = None

    async def _resolve_endpoint_ruleset(self, *asked: object, **how: object) -> tuple[Any, ...]:
        if self._settled is not None:
            return self._settled
        found: tuple[Any, ...] = await super()._resolve_endpoint_ruleset(*asked, **how)  # type: ignore[misc]  # as above
        _, _, properties = found
        if "authSchemes" not in properties:  # they are put into the context of each call
            self._settled = found
        return found
