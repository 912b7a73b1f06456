"""A log that cannot be written stops nothing: real daemons whose standard output is closed, full, or not read."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from slipway.local.behaviour import Behaviour
from slipway.local.stack import LocalAws
from tests.e2e.daemons import Daemon, a_request, listening

QUICK = Behaviour(max_creating=50, max_total=500, creation_seconds=(0.5, 1.0))
LOST = "slipway_log_lines_lost_total "


@contextmanager
def _closed_pipe() -> Iterator[int]:
    """As `slipway serve | head -1`, when head has ended."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@contextmanager
def _full_pipe() -> Iterator[int]:
    """A pipe whose reader is there, and reads nothing; it is full already."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    while True:
        try:
            os.write(writer, b"x" * 4096)
        except BlockingIOError:
            break
    os.set_blocking(writer, True)
    yield writer
    os.close(reader)
    os.close(writer)


@contextmanager
def _full_disk() -> Iterator[int]:
    with Path("/dev/full").open("wb") as full:
        yield full.fileno()


@asynccontextmanager
async def _daemon(box: LocalAws, output: int, **settings: str) -> AsyncIterator[Daemon]:
    made = Daemon(box, settings)
    await made.start(output)
    try:
        yield made
    finally:
        await made.end(signal.SIGKILL)


async def _lost(process: Daemon) -> float:
    text = (await process.ask("/metrics"))[1]
    return float(next(line for line in text.splitlines() if line.startswith(LOST)).split()[1])


@pytest.mark.parametrize("kind", ["closed", "full disk", "not read"])
async def test_requests_go_on_it_is_counted_and_sigterm_ends_it(kind: str) -> None:
    outputs = {"closed": _closed_pipe, "full disk": _full_disk, "not read": _full_pipe}
    with outputs[kind]() as output:
        async with LocalAws(terms=QUICK) as box, _daemon(box, output) as process, listening(box) as results:
            for number in range(3):
                await box.send(a_request(f"bot-{number}"))
            await results.until(lambda: len(results.outcomes()) == 3)
            assert {kind for said in results.outcomes().values() for kind, _ in said} == {"Active"}
            assert (await process.ask("/livez"))[0] == 200
            if kind != "not read":  # there the lines wait, and are not lost yet
                assert await _lost(process) >= 7, "one of the start, and two of each request"
            process.process.send_signal(signal.SIGTERM)
            await process.wait_for_page("/readyz", lambda text: "stopping" in text)
            code, took = await process.end(signal.SIGTERM)
            assert code == 0
            assert took < 12, "the second signal ends it almost at once"


async def test_a_log_that_can_be_written_again_goes_on() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    filled = 0
    while True:
        try:
            filled += os.write(writer, b"x" * 4095 + b"\n")
        except BlockingIOError:
            break
    os.set_blocking(writer, True)
    async with LocalAws(terms=QUICK) as box, _daemon(box, writer) as process, listening(box) as results:
        await box.send(a_request("bot"))
        await results.until(lambda: bool(results.outcomes()))
        os.close(writer)
        with os.fdopen(reader, "rb") as read:
            await asyncio.to_thread(read.read, filled)
            first = await asyncio.to_thread(read.readline)
            assert b'"daemon.started"' in first, "in order, and nothing was lost"
            await process.end(signal.SIGKILL)
            assert b'"request.finished"' in await asyncio.to_thread(read.read)
