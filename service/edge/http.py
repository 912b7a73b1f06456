"""The daemon's HTTP face: the status page, `/livez`, `/readyz`, `/metrics`, `/requests`. Nothing can be changed here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from service.edge.holdings import Lines, holdings
from service.edge.hosts import only_by_own_names
from service.edge.page.routes import StatusPage
from service.edge.vitals import Pulse, Readiness, is_alive
from service.flow.run import Slipway


@asynccontextmanager
async def serving(
    host: str,
    port: int,
    slipway: Slipway,
    pulse: Pulse,
    readiness: Readiness,
    registry: CollectorRegistry,
    lines: Callable[[], Lines],
    page: StatusPage,
) -> AsyncIterator[None]:
    """Within, the endpoint answers; with port 0 there is none. Raises OSError when the port cannot be had."""
    if not port:
        yield
        return
    started_at = asyncio.get_running_loop().time()

    async def livez(_: web.Request) -> web.Response:
        is_well, sentence = is_alive(slipway, pulse, started_at)
        return web.json_response({"alive": is_well, "why": sentence}, status=200 if is_well else 503)

    async def readyz(_: web.Request) -> web.Response:
        troubles = {"daemon": "stopping"} if slipway.is_stopping else await readiness.troubles()
        is_ready = not slipway.is_stopping and readiness.is_ready(troubles)
        return web.json_response({"ready": is_ready, "troubles": troubles}, status=200 if is_ready else 503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def requests(request: web.Request) -> web.Response:
        asked = request.query
        return web.json_response(holdings(slipway, lines(), asked.get("about"), asked.get("after")))

    def bound() -> list[str]:
        return [address[0] for address in runner.addresses]

    app = web.Application(middlewares=[only_by_own_names(host, bound)])
    app.add_routes(
        [web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics), web.get("/requests", requests)]
    )
    page.join(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()
