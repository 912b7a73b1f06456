"""`slipway local` in the background, and the file with its variables."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import Path

from tests.e2e.commands import slipway


async def _end(process_id: int) -> None:
    """Stop a process that is not a child of this one, and wait until it has ended."""
    handle, ended = os.pidfd_open(process_id), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(handle, ended.set)
    try:
        os.kill(process_id, signal.SIGTERM)
        async with asyncio.timeout(60):
            await ended.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)


async def test_in_the_background_it_serves_until_it_is_stopped_and_its_file_has_its_variables(tmp_path: Path) -> None:
    file = tmp_path / "local.env"
    ran = await slipway(None, "local", "--detach", "--port", "0", "--bedrock-port", "0", "--env-file", str(file))
    assert (ran.code, ran.err) == (0, "")
    found = re.search(r"To stop it: kill ([0-9]+)\n$", ran.out)
    assert found
    try:
        variables = dict(line.split("=", 1) for line in file.read_text().splitlines())
        for name, value in variables.items():
            assert f"export {name}={value}\n" in ran.out
        listed = await slipway(None, "list", "-o", "json", **variables)
        assert (listed.code, listed.json["deployments"]) == (0, [])
        port = variables["AWS_ENDPOINT_URL"].rpartition(":")[2]
        again = await slipway(None, "local", "--detach", "--port", port, "--bedrock-port", "0")
        assert (again.code, again.out) == (2, "")
        assert f"port {port} or 0 is in use; choose others with --port and --bedrock-port" in again.err
    finally:
        await _end(int(found[1]))
    gone = await slipway(None, "list", **variables)
    assert (gone.code, gone.out) == (2, "")
    assert "cannot connect to 127.0.0.1:" in gone.err


async def test_a_file_that_cannot_be_written_is_named() -> None:
    ran = await slipway(None, "local", "--port", "0", "--bedrock-port", "0", "--env-file", "/nonexistent/local.env")
    assert (ran.code, ran.out) == (2, "")
    assert (
        ran.err
        == "slipway: --env-file: /nonexistent/local.env cannot be written (No such file or directory); name a file that can\n"
    )
