"""Who may read what is served: security headers, the optional token, and the check of the `Host` header.

The check of the `Host` is against DNS rebinding.
A web page in a browser on this machine can make its own host name resolve to loopback, and then read what is served there.
The browser still sends that host name. A daemon that listens only on loopback therefore answers only to the host names of
loopback and to the configured one.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware
from aiohttp.web_request import BaseRequest

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "X-Frame-Options": "DENY",
    "Server": "slipway",
}
"""Headers of every response: nothing is loaded from elsewhere, no inline script runs, no other page may frame it. Without
`Server` aiohttp would add its version and Python's."""

OPEN_PATHS: Final = frozenset({"/livez", "/readyz"})
"""Paths that need no token: probes of containers send none."""

_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[0-9a-z._-]+)(?::\d{0,5})?", re.IGNORECASE)


class RequestHandler(web.RequestHandler):
    """One connection. Also the answer to what is not valid HTTP, which no application sees, has the security headers."""

    __slots__ = ()

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer an error of the protocol."""
        response = super().handle_error(request, status, exc, message)
        response.headers.update(HEADERS)
        return response


async def add_security_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Add the headers that the response does not set itself. For an application's `on_response_prepare`."""
    for name, value in HEADERS.items():
        if name == "Server" or name not in response.headers:
            response.headers[name] = value


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
        return web.Response(status=HTTPStatus.MISDIRECTED_REQUEST, text=text)

    return check


def is_authorized(header: str | None, token: str) -> bool:
    """Return whether an `Authorization` header presents the token: `Bearer`, or `Basic` with the token as the password.

    A browser cannot send a bearer token, and asks its user for a password. The user name is ignored.
    """
    scheme, _, credentials = (header or "").partition(" ")
    given = credentials.strip().encode(errors="replace")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).partition(b":")[2]
        except ValueError:
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given, token.encode())


def check_token(token: str) -> Middleware:
    """Return middleware that answers requests without the token with 401, except to the paths of probes."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in OPEN_PATHS or is_authorized(request.headers.get("Authorization"), token):
            return await handler(request)
        text = "the token is missing or wrong; send Authorization: Bearer TOKEN, with the value of SLIPWAY_HTTP_TOKEN\n"
        headers = {"WWW-Authenticate": 'Basic realm="Slipway: any user name, and the token as the password", charset="UTF-8"'}
        return web.Response(status=HTTPStatus.UNAUTHORIZED, text=text, headers=headers)

    return check


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
