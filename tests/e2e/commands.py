"""Commands as real processes, in a pipe and at a terminal; and within this one, where that makes no difference."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import pty
import re
import signal
import struct
import sys
import termios
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import structlog
from typer.testing import CliRunner

from slipway.cli.main import app
from slipway.local.stack import LocalAws

LONGEST_SECONDS = 90.0


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, read."""
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        """The rows of the table that it printed, without the heading."""
        return [re.split(r" {3,}", line) for line in self.out.splitlines()[1:]]

    @property
    def facts(self) -> dict[str, str]:
        """The names and values that it printed."""
        return dict(re.split(r" {3,}", line, maxsplit=1) for line in self.out.splitlines())

    @property
    def lines(self) -> list[list[str]]:
        """The lines of the stream that it printed, cut at the tabs."""
        return [line.split("\t") for line in self.out.splitlines()]


def environment(box: LocalAws | None, **more: str) -> dict[str, str]:
    """Return what a command finds in its environment: the box, and nothing of this machine's AWS, nor of its terminal."""
    ours = ("AWS_", "SLIPWAY_", "COLUMNS", "LINES")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    nothing = {
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return kept | nothing | (box.environment() if box else {}) | more


async def slipway(box: LocalAws | None, *words: str, stdin: str = "", **more: str) -> Ran:
    """Run a command in a pipe, to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "slipway",
        *words,
        env=environment(box, **more),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(LONGEST_SECONDS):
        out, err = await process.communicate(stdin.encode())
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


async def typed(box: LocalAws | None, *words: str, stdin: str = "", without: Collection[str] = (), **more: str) -> Ran:
    """Run a command in a pipe, in this process: a second cheaper than one of its own. One at a time."""
    found = {name: value for name, value in environment(box, **more).items() if name not in without}
    return await asyncio.to_thread(_invoke, words, stdin, found)


def _invoke(words: tuple[str, ...], stdin: str, found: dict[str, str]) -> Ran:
    nothing = dict.fromkeys(name for name in os.environ if name.startswith(("AWS_", "SLIPWAY_")))
    before = dict(os.environ)
    try:
        with own_logs():
            result = CliRunner().invoke(app, list(words), input=stdin, env=nothing | found)
    finally:  # a command changes the variables of its process
        os.environ.clear()
        os.environ.update(before)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


@contextmanager
def own_logs() -> Iterator[None]:
    """Within, the process may log somewhere else."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        structlog.configure(**before)
        root.handlers[:] = handlers
        root.setLevel(level)


def _hear_ctrl_c() -> None:
    """Hear Ctrl-C, as at any terminal: who runs the tests in the background has all of their children ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A command at a terminal of its own, 120 columns wide."""

    def __init__(self, box: LocalAws | None, *words: str, **more: str) -> None:
        self._words = words
        self._environment = environment(box, **({"TERM": "xterm-256color"} | more))
        self._ours, self._theirs = pty.openpty()
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self._changed = asyncio.Event()
        self.screen = ""
        """Everything that was written to it."""

    async def start(self) -> None:
        """Start the command."""
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "slipway",
            *self._words,
            env=self._environment,
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            start_new_session=True,
            preexec_fn=_hear_ctrl_c,
        )
        os.close(self._theirs)
        asyncio.get_running_loop().add_reader(self._ours, self._read)

    def _read(self) -> None:
        with suppress(OSError):
            written = os.read(self._ours, 65_536)
            if written:
                self.screen += written.decode(errors="replace")
                self._changed.set()
                return
        asyncio.get_running_loop().remove_reader(self._ours)
        self._changed.set()

    async def until(self, fact: Callable[[str], bool]) -> None:
        """Wait until the screen shows something."""
        async with asyncio.timeout(LONGEST_SECONDS):
            while not fact(self.screen):
                self._changed.clear()
                await self._changed.wait()

    async def end(self, number: int | None = None) -> int:
        """Send a signal, if any; wait for the end, and answer the exit code."""
        if number is not None:
            self.process.send_signal(number)
        async with asyncio.timeout(LONGEST_SECONDS):
            code = await self.process.wait()
        self._read_rest()
        return code

    def _read_rest(self) -> None:
        loop = asyncio.get_running_loop()
        while loop.remove_reader(self._ours):
            loop.add_reader(self._ours, self._read)
            self._read()
        os.close(self._ours)

    async def kill(self) -> None:
        """End it however it is; safe to repeat."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()


async def at_terminal(box: LocalAws | None, *words: str, **more: str) -> tuple[int, str]:
    """Run a command at a terminal, to its end; answer its exit code, and all that it showed."""
    terminal = Terminal(box, *words, **more)
    await terminal.start()
    code = await terminal.end()
    return code, terminal.screen
