"""Check of the `Host` header, against DNS rebinding.

A web page in a browser on this machine can make its own host name resolve to loopback, and then read what is served there.
The browser still sends that host name. A daemon that listens only on loopback therefore answers only to the host names of
loopback and to the configured one.
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
    """Return whether a request with this `Host` is for a daemon that listens on the addresses `bound`.

    A daemon that listens on other addresses cannot know its host names and answers to all. Browsers always send a `Host`.
    """
    if said is None or not all(_is_loopback(address) for address in bound):
        return True
    found = _HOST.fullmatch(said.strip())
    if found is None:
        return False
    name = found[1].strip("[]").removesuffix(".").lower()
    return name in {"localhost", configured.strip("[]").lower()} or name.endswith(".localhost") or _is_loopback(name)


def check_host(configured: str, bound: Callable[[], Sequence[str]]) -> Middleware:
    """Return middleware that admits the daemon's own host names only and answers others with 421."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if is_allowed_host(request.headers.get("Host"), bound=bound(), configured=configured):
            return await handler(request)
        text = (
            "Host: not a name of this daemon, which listens on loopback only. Use http://127.0.0.1 or http://localhost with "
            "this port, configure a proxy to send one of these, or set SLIPWAY_HTTP_HOST\n"
        )
        return web.Response(status=HTTPStatus.MISDIRECTED_REQUEST, text=text, headers=HEADERS)

    return check


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
