"""Who may read what is served: the `Host` check, the security headers, and the token."""

from __future__ import annotations

import asyncio
import base64
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from slipway.http.access import HEADERS, check_host, is_allowed_host, is_authorized
from slipway.http.server import Endpoint, starting_application

LOOPBACK = ("127.0.0.1",)


@pytest.mark.parametrize(
    "said",
    [
        "localhost", "LocalHost:8080", "localhost.", "slipway.localhost:8080", "127.0.0.1", "127.0.0.1:8080", "127.8.9.10:1",
        "[::1]", "[::1]:8080", " localhost:8080 ", "localhost:",
    ],
)  # fmt: skip
def test_a_daemon_on_loopback_answers_to_loopbacks_names(said: str) -> None:
    assert is_allowed_host(said, bound=LOOPBACK, configured="127.0.0.1")
    assert is_allowed_host(said, bound=("::1",), configured="::1")


@pytest.mark.parametrize(
    "said",
    [
        "", "evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "evil-localhost",
        "evil@localhost", "localhost@evil.example", "localhost/evil", "localhost:8080:8080", "[::1", "::1", "10.0.0.1",
        "[fe80::1]", "localhost, evil.example", "local\x00host", "127.1", "\uff11\uff12\uff17.0.0.1", ".localhost@evil",
    ],
)  # fmt: skip
def test_and_to_no_others(said: str) -> None:
    assert not is_allowed_host(said, bound=LOOPBACK, configured="127.0.0.1")
    assert not is_allowed_host(said, bound=("127.0.0.1", "::1"), configured="localhost")


def test_the_configured_name_is_its_own_too() -> None:
    assert is_allowed_host("Page.Internal:80", bound=LOOPBACK, configured="page.internal")
    assert not is_allowed_host("other.internal:80", bound=LOOPBACK, configured="page.internal")


@pytest.mark.parametrize("bound", [("0.0.0.0",), ("10.0.0.1",), ("127.0.0.1", "10.0.0.1"), ("::",)])  # noqa: S104
def test_what_anybody_may_reach_is_called_by_names_that_it_cannot_know(bound: tuple[str, ...]) -> None:
    assert is_allowed_host("slipway.prod.internal", bound=bound, configured=bound[0])


def test_a_call_without_a_host_is_from_no_browser() -> None:
    assert is_allowed_host(None, bound=LOOPBACK, configured="127.0.0.1")


@asynccontextmanager
async def an_endpoint(host: str) -> AsyncIterator[int]:
    """Within, something answers there, at the port that this is."""

    async def secret(_: web.Request) -> web.Response:
        return web.Response(text="the secret")

    app = web.Application(middlewares=[check_host(host, lambda: [address[0] for address in runner.addresses])])
    app.add_routes([web.get("/", secret)])
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, 0).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def asked(port: int, *lines: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write("".join(f"{line}\r\n" for line in (*lines, "Connection: close", "")).encode())
    said = (await reader.read()).decode()
    writer.close()
    return said


async def test_a_strangers_name_is_told_what_to_do_and_nothing_else() -> None:
    async with an_endpoint("127.0.0.1") as port:
        assert "the secret" in await asked(port, "GET / HTTP/1.1", f"Host: 127.0.0.1:{port}")
        assert "the secret" in await asked(port, "GET / HTTP/1.0")
        for path in ("/", "/nowhere"):
            said = await asked(port, f"GET {path} HTTP/1.1", f"Host: evil.example:{port}")
            assert said.startswith("HTTP/1.1 421 ")
            assert "SLIPWAY_HTTP_HOST" in said
            assert "secret" not in said


async def test_what_listens_on_all_interfaces_answers_to_any_name() -> None:
    async with an_endpoint("0.0.0.0") as port:  # noqa: S104  that is the case
        assert "the secret" in await asked(port, "GET / HTTP/1.1", "Host: slipway.prod.internal")


TOKEN = "0123456789abcdef"


@asynccontextmanager
async def starting(token: str = "") -> AsyncIterator[int]:
    """Within, a daemon that starts answers at this port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    endpoint = Endpoint("127.0.0.1", port, token)
    await endpoint.show(starting_application(endpoint, CollectorRegistry(), {"queue": "no answer from queue-name"}))
    async with endpoint.listening(random.Random(1)):
        yield port


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("GET /livez HTTP/1.1", "Host: localhost"), 200),
        (("GET /readyz HTTP/1.1", "Host: localhost"), 503),
        (("GET /metrics HTTP/1.1", "Host: localhost"), 200),
        (("GET / HTTP/1.1", "Host: localhost"), 503),
        (("POST /livez HTTP/1.1", "Host: localhost"), 405),
        (("GET / HTTP/1.1", "Host: evil.example"), 421),
        (("nonsense",), 400),
        (("GET / HTTP/1.1", "Host: localhost", f"X: {'x' * 10_000}"), 400),
    ],
)
async def test_every_response_has_the_security_headers_and_no_version_of_a_server(lines: tuple[str, ...], status: int) -> None:
    async with starting() as port:
        said = (await asked(port, *lines)).partition("\r\n\r\n")[0]
    assert said.startswith((f"HTTP/1.1 {status} ", f"HTTP/1.0 {status} ")), said
    for name, value in HEADERS.items():
        assert f"\r\n{name}: {value}" in said, name
    assert said.count("Server:") == 1
    assert not {"python", "aiohttp"} & set(said.lower().replace("/", " ").split())


@pytest.mark.parametrize(
    ("header", "is_right"),
    [
        (f"Bearer {TOKEN}", True),
        (f"bearer  {TOKEN} ", True),
        (f"Basic {base64.b64encode(f'me:{TOKEN}'.encode()).decode()}", True),
        (f"Basic {base64.b64encode(f':{TOKEN}'.encode()).decode()}", True),
        (f"Basic {base64.b64encode(TOKEN.encode()).decode()}", False),
        (f"Basic {base64.b64encode(f'{TOKEN}:me'.encode()).decode()}", False),
        ("Basic !!!", False),
        ("Basic", False),
        ("Bearer", False),
        (f"Bearer {TOKEN}x", False),
        (f"Bearer {TOKEN[:-1]}", False),
        (f"Bearer {TOKEN[:-1]}\udcff", False),
        (TOKEN, False),
        ("", False),
        (None, False),
    ],
)
def test_the_token_is_a_bearer_token_or_a_password(header: str | None, is_right: bool) -> None:  # noqa: FBT001  a parameter
    assert is_authorized(header, TOKEN) is is_right


async def test_without_the_token_only_probes_are_answered() -> None:
    async with starting(TOKEN) as port:
        for path in (
            "/",
            "/metrics",
            "/requests",
            "/request?about=x",
            "/live",
            "/assets/page.css",
            "/livez/../metrics",
            "//livez",
        ):
            said = await asked(port, f"GET {path} HTTP/1.1", "Host: localhost")
            assert said.startswith("HTTP/1.1 401 "), path
            assert "WWW-Authenticate: Basic" in said
            assert "SLIPWAY_HTTP_TOKEN" in said
        assert (await asked(port, "GET /livez HTTP/1.1", "Host: localhost")).startswith("HTTP/1.1 200 ")
        assert "queue-name" not in await asked(port, "GET /readyz HTTP/1.1", "Host: localhost")
        right = f"Authorization: Bearer {TOKEN}"
        assert (await asked(port, "GET /metrics HTTP/1.1", "Host: localhost", right)).startswith("HTTP/1.1 200 ")
        assert "queue-name" in await asked(port, "GET /readyz HTTP/1.1", "Host: localhost", right)
