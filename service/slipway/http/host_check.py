"""Whose name a caller used. A page on loopback is asked by people of this machine, and their browsers visit others' pages too.

Such a page may have its own name lead to loopback (DNS rebinding), and then read what is served there as if it were its own.
The browser still says whose name was asked for: so a daemon that listens on loopback alone answers to loopback's names only,
and to the configured one.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from slipway.http.page.layout import HEADERS

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[0-9a-z._-]+)(?::\d{0,5})?", re.IGNORECASE)


def is_allowed_host(said: str | None, *, bound: Sequence[str], configured: str) -> bool:
    """Answer whether a call with this `Host` is for a daemon that listens on the addresses `bound`.

    One that anybody else may reach is called by names that it cannot know, and answers to all. A call without a `Host` is
    from no browser.
    """
    if said is None or not all(_is_loopback(address) for address in bound):
        return True
    found = _HOST.fullmatch(said.strip())
    if found is None:
        return False
    name = found[1].strip("[]").removesuffix(".").lower()
    return name in {"localhost", configured.strip("[]").lower()} or name.endswith(".localhost") or _is_loopback(name)


def check_host(configured: str, bound: Callable[[], Sequence[str]]) -> Middleware:
    """Answer what lets through only calls by the daemon's own names; any other is told what to do, and no more."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if is_allowed_host(request.headers.get("Host"), bound=bound(), configured=configured):
            return await handler(request)
        text = (
            "Host is no name of this daemon, which listens on loopback only; ask http://127.0.0.1 or http://localhost at this "
            "port, have a proxy in front of it say one of these, or set SLIPWAY_HTTP_HOST\n"
        )
        return web.Response(status=HTTPStatus.MISDIRECTED_REQUEST, text=text, headers=HEADERS)

    return check


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
