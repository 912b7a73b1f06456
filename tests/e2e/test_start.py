"""The start of a real daemon: what comes late is waited for, what is wrong for good ends it, and a signal always does."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from slipway.local.behaviour import Behaviour
from slipway.local.stack import LocalAws
from tests.e2e.commands import slipway
from tests.e2e.daemons import a_request, daemon, free_port, listening

QUICK = Behaviour(max_creating=50, max_total=500, creation_seconds=(0.5, 1.0))
KEYS = {
    "AccessKeyId": "AKIDEXAMPLE",
    "SecretAccessKey": "example",
    "Token": "example",
    "Expiration": "2099-01-01T00:00:00Z",
}
NONE = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_CONFIG_FILE": "/nonexistent"}
NONE |= {"AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"}


class Container:
    """A task's credentials endpoint, as ECS and EKS have one. It has no credentials until somebody sets `keys`."""

    def __init__(self) -> None:
        self.keys: dict[str, str] | None = None
        self.asked = 0
        self.url = ""

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        return web.Response(status=500) if self.keys is None else web.json_response(self.keys)


@asynccontextmanager
async def _container() -> AsyncIterator[Container]:
    made = Container()
    app = web.Application()
    app.add_routes([web.get("/keys", made.answer)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/keys"
    try:
        yield made
    finally:
        await runner.cleanup()


async def test_credentials_that_come_late_are_waited_for() -> None:
    async with (
        LocalAws(terms=QUICK) as box,
        _container() as container,
        daemon(box, **NONE, AWS_CONTAINER_CREDENTIALS_FULL_URI=container.url) as process,
        listening(box) as results,
    ):
        await box.send(a_request("bot"))
        await process.until(lambda: len(process.lines("daemon.waiting")) >= 2)
        assert (await process.ask("/livez"))[0] == 200
        status, text = await process.ask("/readyz")
        assert status == 503
        assert "credentials" in json.loads(text)["troubles"]
        container.keys = KEYS
        await results.until(lambda: bool(results.outcomes()))
        await process.wait_for_page("/readyz", lambda text: json.loads(text)["ready"])


async def test_sigterm_while_credentials_are_waited_for_ends_it_at_once() -> None:
    async with (
        LocalAws(terms=QUICK) as box,
        _container() as container,
        daemon(box, **NONE, AWS_CONTAINER_CREDENTIALS_FULL_URI=container.url) as process,
    ):
        await process.until(lambda: bool(process.lines("daemon.waiting")))
        code, took = await process.end(signal.SIGTERM)
        assert (code, took < 3) == (0, True)


async def test_no_credentials_anywhere_are_waited_for_with_what_to_do() -> None:
    """Instance metadata that does not answer yet looks the same."""
    async with LocalAws(terms=QUICK) as box, daemon(box, **NONE) as process:
        await process.until(lambda: bool(process.lines("daemon.waiting")))
        assert "set AWS_PROFILE" in process.lines("daemon.waiting")[0]["message"]
        assert (await process.end(signal.SIGTERM))[0] == 0


async def test_a_port_in_use_is_waited_for_and_requests_are_served_meanwhile() -> None:
    """As in a rolling restart on one host."""
    with socket.create_server(("127.0.0.1", 0)) as old:
        port = old.getsockname()[1]
        async with LocalAws(terms=QUICK) as box, daemon(box, SLIPWAY_HTTP_PORT=str(port)) as process, listening(box) as results:
            await box.send(a_request("bot"))
            await results.until(lambda: bool(results.outcomes()))
            assert str(port) in process.lines("endpoint.waiting")[0]["message"]
            old.close()
            await process.until(lambda: bool(process.lines("endpoint.listening")))
            process.port = port
            await process.wait_for_page("/readyz", lambda text: json.loads(text)["ready"])


async def test_sigterm_during_a_first_call_that_gets_no_answer_ends_it_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with LocalAws(terms=QUICK) as box, daemon(box, AWS_ENDPOINT_URL=url) as process:
            connection, _ = await asyncio.to_thread(silent.accept)  # the first call is under way
            with connection:
                await process.wait_for_page("/readyz", lambda text: "queue" in json.loads(text)["troubles"])
                code, took = await process.end(signal.SIGTERM)
                assert (code, took < 3) == (0, True)


async def test_a_second_signal_ends_it_while_no_call_gets_an_answer() -> None:
    async with LocalAws(terms=QUICK) as box, _between(box.environment()["AWS_ENDPOINT_URL"]) as between:
        box.bedrock.terms = replace(QUICK, creation_seconds=(600.0, 600.0))
        async with daemon(box, AWS_ENDPOINT_URL=between.url) as process:
            await box.send(a_request("bot"))
            await process.until(lambda: bool(process.lines("deployment.created")))
            between.is_silent = True
            process.process.send_signal(signal.SIGTERM)
            await process.until(lambda: bool(process.lines("daemon.stopping")))
            code, took = await process.end(signal.SIGTERM)
            assert (code, took < 6) == (0, True)


class Between:
    """Carries bytes on to a server, until it is silent."""

    def __init__(self) -> None:
        self.is_silent = False
        self.url = ""

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                if not self.is_silent:
                    writer.write(data)
            writer.close()


@asynccontextmanager
async def _between(url: str) -> AsyncIterator[Between]:
    made, tasks = Between(), set[asyncio.Task[None]]()
    port = int(url.rpartition(":")[2].strip("/"))

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", port)
        for way in ((reader, other_writer), (other_reader, writer)):
            tasks.add(asyncio.create_task(made.carry(*way)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        for task in tasks:
            task.cancel()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE\n"}, "AWS_ACCESS_KEY_ID ends with a line break"),
        ({"AWS_SECRET_ACCESS_KEY": "example\r\n"}, "AWS_SECRET_ACCESS_KEY ends with a line break"),
        ({"AWS_SESSION_TOKEN": "exa mple"}, "AWS_SESSION_TOKEN contains white space"),
        ({"AWS_REGION": "us-east-1\r"}, "AWS_REGION ends with a line break"),
        ({"AWS_ENDPOINT_URL_SNS": "http://127.0.0.1:1\n"}, "AWS_ENDPOINT_URL_SNS ends with a line break"),
        ({"AWS_PROFILE": " default"}, "AWS_PROFILE begins with white space"),
        ({"AWS_CA_BUNDLE": "/nonexistent.pem"}, "AWS_CA_BUNDLE"),
        ({"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": ""}, "missing: AWS_SECRET_ACCESS_KEY"),
        ({"SLIPWAY_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:slipway\n"}, "SLIPWAY_TOPIC_ARN"),
    ],
)
async def test_what_only_another_setting_ends_exits_with_2_and_names_it(given: dict[str, str], said: str) -> None:
    async with LocalAws(terms=QUICK) as box, daemon(box, **given) as process:
        assert (await process.end(signal.SIGCONT))[0] == 2
        assert said in str(process.entries)


async def test_keys_from_an_endpoint_that_no_header_can_carry_exit_with_2_and_name_the_source() -> None:
    async with LocalAws(terms=QUICK) as box, _container() as container:
        container.keys = KEYS | {"SecretAccessKey": "example\n"}
        async with daemon(box, **NONE, AWS_CONTAINER_CREDENTIALS_FULL_URI=container.url) as process:
            assert (await process.end(signal.SIGCONT))[0] == 2
            assert "the secret key from the credentials endpoint" in str(process.entries)
            assert "example" not in str(process.entries).replace("AKIDEXAMPLE", ""), "it may be a secret"


async def test_an_address_that_only_another_setting_makes_usable_exits_with_2() -> None:
    """A link-local address without an interface: whoever runs the daemon, root too, cannot listen there."""
    async with LocalAws(terms=QUICK) as box, daemon(box, SLIPWAY_HTTP_HOST="fe80::1") as process:
        assert (await process.end(signal.SIGCONT))[0] == 2
        (line,) = process.lines("daemon.refused")
        assert "fe80::1" in line["message"]


@pytest.mark.parametrize("host", ["203.0.113.1", "2001:db8::1"])
async def test_an_address_that_this_machine_does_not_have_is_waited_for_and_requests_are_served(host: str) -> None:
    """A virtual address may appear later."""
    async with LocalAws(terms=QUICK) as box, daemon(box, SLIPWAY_HTTP_HOST=host) as process:
        await process.until(lambda: bool(process.lines("endpoint.waiting")))
        line = process.lines("endpoint.waiting")[0]
        assert host in line["message"]
        assert "SLIPWAY_HTTP_HOST" in line["remedy"]
        await box.send(a_request("bot"))
        await process.until(lambda: [one["outcome"] for one in process.lines("request.finished")] == ["Active"])


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "::", "0.0.0.0", "localhost"])  # noqa: S104  loopback is asked
async def test_the_health_check_asks_where_serve_listens(host: str, tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "slipway.toml"
    file.write_text(f'http_host = "{host}"\nhttp_port = {port}\n', "utf-8")
    async with LocalAws(terms=QUICK) as box:
        async with daemon(box, SLIPWAY_CONFIG=str(file), SLIPWAY_HTTP_PORT=str(port)) as process:
            await process.until(lambda: bool(process.lines("daemon.started")))
            ran = await slipway(box, "health", SLIPWAY_CONFIG=str(file))
            assert (ran.code, json.loads(ran.out)["alive"]) == (0, True)
        ran = await slipway(box, "health", "--config", str(file))
        assert ran.code == 1
        assert f":{port}" in ran.out
