"""By whose name a daemon on loopback may be called: by its own, and by none that a stranger's page lets lead here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from slipway.http.host_check import check_host, is_allowed_host

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
