"""Writing the log never raises into the work, nor stops it: what cannot be written is dropped and counted."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import io
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO, cast

import pytest
import structlog

from slipway import logs
from slipway.logs import BackgroundWriter, Losses
from tests.e2e.commands import own_logs


@contextmanager
def _pipe() -> Iterator[tuple[int, TextIO]]:
    """A pipe: the descriptor to read from, and the stream to write to."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        yield reader, stream


class Refusing(io.StringIO):
    """A stream whose writes fail."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def write(self, _: str) -> int:
        raise OSError(self._number, os.strerror(self._number))


def _say() -> None:
    structlog.get_logger().info("request.accepted")


def _fault() -> None:
    try:
        int("x")
    except ValueError:
        structlog.get_logger().exception("request.faulted")


def _library() -> None:
    logging.getLogger("asyncio").error("Task exception was never retrieved")


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("log", [_say, _fault, _library])
def test_a_stream_that_refuses_fails_nothing_and_is_counted(number: int, form: str, log: Callable[[], None]) -> None:
    with own_logs():
        logs.configure("info", form, Refusing(number))
        before = logs.LOST.lines
        log()
        assert logs.LOST.lines == before + 1


def test_what_cannot_be_rendered_fails_nothing_and_is_counted() -> None:
    class Unsayable:
        def __repr__(self) -> str:
            raise RuntimeError

    with own_logs():
        logs.configure("info", "json", stream := io.StringIO())
        before = logs.LOST.lines
        structlog.get_logger().info("request.accepted", what=Unsayable())
        assert (logs.LOST.lines, stream.getvalue()) == (before + 1, "")


def test_a_reader_that_has_gone_fails_nothing_and_is_counted() -> None:
    losses = Losses()
    with _pipe() as (reader, stream):
        writer = BackgroundWriter(stream, losses=losses)
        os.close(reader)
        for _ in range(3):
            writer.write("a line\n")
        assert writer.drain()
        assert losses.lines == 3


def test_a_reader_that_does_not_read_stops_nothing_and_what_is_too_much_is_counted() -> None:
    losses = Losses()
    with _pipe() as (reader, stream):
        size = fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, 4096)
        writer = BackgroundWriter(stream, losses=losses, largest_backlog=10_000)
        lines = [f"{number:>99}\n" for number in range(1000)]
        for line in lines:
            writer.write(line)
        assert not writer.drain(0.05)
        assert 1000 - (size + 10_000) // 100 - 1 <= losses.lines < 1000
        kept = 1000 - losses.lines
        with os.fdopen(reader, encoding="utf-8") as read:
            assert [read.readline() for _ in range(kept)] == lines[:kept], "in order, and each of them whole"
            assert writer.drain()
            writer.write("after\n")
            assert read.readline() == "after\n"


def test_a_full_disk_loses_what_is_written_meanwhile_and_no_more() -> None:
    losses = Losses()
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        writer = BackgroundWriter(full, losses=losses)
        writer.write("a line\n")
        assert writer.drain()
        assert losses.lines == 1
        with _pipe() as (reader, stream):
            os.dup2(stream.fileno(), full.fileno())  # there is room again
            writer.write("after\n")
            assert writer.drain()
            assert os.read(reader, 100) == b"after\n"
            os.close(reader)
    assert losses.lines == 1


def test_a_line_that_was_cut_off_does_not_spoil_the_next() -> None:
    losses = Losses()
    with _pipe() as (reader, stream):
        fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, 4096)
        writer = BackgroundWriter(stream, losses=losses)
        writer.write("x" * 6000 + "\n")
        while os.read(reader, 1) != b"x":
            pass
        os.close(reader)  # in the middle of it
        assert writer.drain()
        new_reader, new_writer = os.pipe()
        os.dup2(new_writer, stream.fileno())
        writer.write("after\n")
        assert writer.drain()
        assert os.read(new_reader, 100) == b"\nafter\n"
        os.close(new_reader)
        os.close(new_writer)


def test_a_descriptor_that_does_not_block_is_waited_for() -> None:
    losses = Losses()
    with _pipe() as (reader, stream):
        os.set_blocking(stream.fileno(), False)
        writer = BackgroundWriter(stream, losses=losses)
        writer.write("x" * 200_000 + "\n")
        with os.fdopen(reader, encoding="utf-8") as read:
            assert len(read.readline()) == 200_001
        assert losses.lines == 0


def test_without_a_standard_output_everything_is_dropped_and_counted() -> None:
    losses = Losses()
    writer = BackgroundWriter(None, losses=losses)
    writer.write("a line\n")
    assert writer.drain()
    assert losses.lines == 1
    assert not writer.isatty()


def test_standard_error_and_complaints_of_the_event_loop_are_written_apart_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pipe that nobody reads would otherwise stop the event loop in the middle of one."""
    with _pipe() as (reader, out), _pipe() as (other, err), own_logs():
        monkeypatch.setattr("sys.stdout", out)
        monkeypatch.setattr("sys.stderr", err)
        logs.detach_streams()
        import sys  # noqa: PLC0415  its streams are what is looked at

        logs.configure("info", "json")

        async def complain() -> None:
            asyncio.get_running_loop().call_exception_handler({"message": "something was never retrieved"})

        asyncio.run(complain())
        sys.stderr.write("a warning\n")
        for stream in (sys.stdout, sys.stderr):
            assert cast("BackgroundWriter", stream).drain()
        assert b"never retrieved" in os.read(reader, 10_000)
        assert b"a warning" in os.read(other, 10_000)
        os.close(reader)
        os.close(other)


def test_a_terminal_is_shown_nothing_that_acts_on_it() -> None:
    with own_logs():
        logs.configure("info", "console", stream := io.StringIO())
        structlog.get_logger().info("request.finished", error="red \x1b[31m, \x9b2J, \x07 and \u202e")
    said = stream.getvalue()
    assert "red  [31m,  2J,   and  " in said
