"""The daemon's HTTP server: the status page, `/livez`, `/readyz`, `/metrics`, `/requests`. Read-only."""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from slipway.core.call_errors import pause_seconds
from slipway.core.diagnostics.severity import Problem, severity_of
from slipway.http.access import RequestHandler, add_security_headers, check_host, check_token, is_authorized
from slipway.http.health import Diagnosis, LoopLagMonitor, is_alive
from slipway.http.page.routes import StatusPage
from slipway.http.requests_api import CallRates, holdings, page_state

LONGEST_PAUSE_SECONDS: Final = 15.0
"""Longest pause between two attempts to listen."""
_NEVER_PASSES: Final = frozenset({errno.EACCES, errno.EPERM, errno.EAFNOSUPPORT, errno.EINVAL})
"""Errors that only another setting can fix: no privilege for the port, no such address family, a link-local address without its
interface. A port in use may become free, and an address may appear later, as a virtual one does.
"""

_FREE_PORT: Final = "free the port, or set SLIPWAY_HTTP_PORT; 0 for no endpoint"
_OTHER_ADDRESS: Final = "set SLIPWAY_HTTP_HOST to an address of this machine; 0.0.0.0 for all of them"

log = structlog.get_logger()


class CannotListen(Exception):
    """Listening on this host and port is impossible with these settings."""


class Endpoint:
    """Listens from the start of the daemon until its end, and serves the application that was set last."""

    def __init__(self, host: str, port: int, token: str = "") -> None:
        self.host = host
        self.token = token
        self._port = port
        self._runner: web.AppRunner | None = None
        self._face: web.Server | None = None
        self._server: asyncio.Server | None = None

    def addresses(self) -> list[str]:
        """Return the addresses that it listens on."""
        return [socket.getsockname()[0] for socket in self._server.sockets] if self._server is not None else []

    @asynccontextmanager
    async def listening(self, rng: random.Random) -> AsyncIterator[None]:
        """Listen inside the context, retrying in the background with growing pauses. Port 0 turns the endpoint off.

        Raises `CannotListen` for errors that a retry cannot fix.
        """
        binding: asyncio.Task[None] | None = None
        if self._port:
            try:
                await self._listen()
            except OSError as exc:
                if exc.errno in _NEVER_PASSES:
                    raise CannotListen(f"{self.host} port {self._port}: {exc.strerror or exc}") from exc
                binding = asyncio.get_running_loop().create_task(self._keep_trying(exc, rng))
        try:
            yield
        finally:
            if binding is not None:
                binding.cancel()
            if self._server is not None:
                self._server.close()
            if self._runner is not None:
                await self._runner.cleanup()

    async def show(self, app: web.Application) -> None:
        """Serve this application from now on; connections of the one before are closed."""
        before, runner = self._runner, web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        self._runner, self._face = runner, runner.server
        if before is not None:
            await before.cleanup()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, self.host, self._port, backlog=128)

    def _protocol(self) -> asyncio.BaseProtocol:
        if self._face is None:
            return asyncio.Protocol()
        return RequestHandler(self._face, loop=asyncio.get_running_loop(), access_log=None)  # type: ignore[arg-type]

    async def _keep_trying(self, failed: OSError, rng: random.Random) -> None:
        failures = 0
        while self._server is None:
            failures += 1
            why = f"{self.host} port {self._port}: {failed.strerror or failed}"
            log.warning(
                "endpoint.waiting", message=why, remedy=_OTHER_ADDRESS if failed.errno == errno.EADDRNOTAVAIL else _FREE_PORT
            )
            await asyncio.sleep(pause_seconds(failures, rng, longest=LONGEST_PAUSE_SECONDS))
            try:
                await self._listen()
            except OSError as exc:
                failed = exc
        log.info("endpoint.listening", host=self.host, port=self._port)


def starting_application(endpoint: Endpoint, registry: CollectorRegistry, waits: Mapping[str, str]) -> web.Application:
    """Return the application that is served during the start. `waits` names what the daemon waits for."""

    async def livez(_: web.Request) -> web.Response:
        return web.json_response({"alive": True, "why": "starting"})

    async def readyz(request: web.Request) -> web.Response:
        return _readiness(request, endpoint, dict(waits) or {"daemon": "starting"}, is_ready=False)

    async def otherwise(_: web.Request) -> web.Response:
        said = "".join(f"{name}: {text}\n" for name, text in waits.items())
        return web.Response(text=f"Slipway is starting.\n{said}", status=HTTPStatus.SERVICE_UNAVAILABLE)

    app = _application(endpoint)
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), _metrics(registry), web.get("/{path:.*}", otherwise)])
    return app


def application(
    endpoint: Endpoint,
    diagnosis: Diagnosis,
    pulse: LoopLagMonitor,
    registry: CollectorRegistry,
    lines: Callable[[], CallRates],
    page: StatusPage,
) -> web.Application:
    """Return the application that is served while the daemon receives messages."""
    started_at = asyncio.get_running_loop().time()
    slipway, readiness = diagnosis.slipway, diagnosis.readiness

    async def livez(_: web.Request) -> web.Response:
        is_well, sentence = is_alive(slipway, pulse, started_at)
        return web.json_response({"alive": is_well, "why": sentence}, status=200 if is_well else 503)

    async def readyz(request: web.Request) -> web.Response:
        found, _ = await asyncio.gather(readiness.failures(), diagnosis.backlogs.refresh())
        failures = {"daemon": "stopping"} if slipway.is_stopping else found
        is_ready = not slipway.is_stopping and readiness.is_ready(failures)
        return _readiness(request, endpoint, failures, diagnosis.problems(), is_ready=is_ready)

    async def requests(request: web.Request) -> web.Response:
        asked = request.query
        await diagnosis.backlogs.refresh()
        page = holdings(slipway, lines(), asked.get("about"), asked.get("after"))
        return web.json_response(page | page_state(diagnosis))

    app = _application(endpoint)
    metrics = _metrics(registry, diagnosis.backlogs.refresh)
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), metrics, web.get("/requests", requests)])
    page.join(app)
    return app


def _application(endpoint: Endpoint) -> web.Application:
    """Return an application without routes, whose every response has the security headers."""
    checks = [check_host(endpoint.host, endpoint.addresses), *([check_token(endpoint.token)] if endpoint.token else [])]
    app = web.Application(middlewares=checks)
    app.on_response_prepare.append(add_security_headers)
    return app


def _readiness(
    request: web.Request, endpoint: Endpoint, failures: Mapping[str, str], problems: Sequence[Problem] = (), *, is_ready: bool
) -> web.Response:
    """Answer a readiness probe. Without the token, if there is one, the texts are not shown."""
    document: dict[str, object] = {"ready": is_ready, "severity": severity_of(problems).value}
    if endpoint.token and not is_authorized(request.headers.get("Authorization"), endpoint.token):
        document["troubles"] = dict.fromkeys(failures, "shown with the token")
    else:
        document |= {"troubles": failures, "problems": [problem.to_json() for problem in problems]}
    return web.json_response(document, status=HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE)


def _metrics(registry: CollectorRegistry, refresh: Callable[[], Awaitable[None]] | None = None) -> web.RouteDef:
    async def metrics(_: web.Request) -> web.Response:
        if refresh is not None:
            await refresh()
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return web.get("/metrics", metrics)
