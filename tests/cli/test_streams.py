"""Commands whose output nobody takes, as real processes: a full disk, a pipe that is closed, no stream at all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from slipway.cli.output import Exit
from tests.e2e.commands import environment

SETTINGS = {
    "SLIPWAY_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/q",
    "SLIPWAY_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:t",
}
COMMANDS = [("config", "-o", "json"), ("schema", "request"), ("--help",)]


def full() -> IO[str]:
    return Path("/dev/full").open("w", encoding="utf-8")


def closed_pipe() -> IO[str]:
    """Return a pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w")


def ran(*words: str, out: IO[str] | int = subprocess.PIPE, err: IO[str] | int = subprocess.PIPE) -> tuple[int, str]:
    """Run a command; answer its exit code, and what it said on standard error."""
    command = [sys.executable, "-m", "slipway", *words]
    process = subprocess.run(command, stdout=out, stderr=err, text=True, env=environment(None, **SETTINGS), check=False)
    return process.returncode, process.stderr or ""


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("opened", [full, closed_pipe])
def test_output_that_nobody_takes_ends_a_command_with_a_code_and_no_traceback(
    words: tuple[str, ...], opened: Callable[[], IO[str]]
) -> None:
    with opened() as out:
        code, said = ran(*words, out=out)
    assert code == Exit.OUTPUT_LOST
    expected = "slipway: standard output cannot be written (No space left on device); what was done is done\n"
    assert said == (expected if opened is full else "")


@pytest.mark.parametrize("opened", [full, closed_pipe])
def test_what_cannot_be_said_on_standard_error_changes_no_exit_code(opened: Callable[[], IO[str]]) -> None:
    with opened() as err:
        assert ran("config", err=err)[0] == Exit.OK
    with opened() as err:
        assert ran("config", "--nonsense", err=err)[0] == Exit.USAGE
    with opened() as err:
        assert ran("config", "--config", "/nonexistent", err=err)[0] == Exit.USAGE


@pytest.mark.parametrize(("closing", "code"), [(">&-", Exit.OUTPUT_LOST), ("2>&-", Exit.OK), (">&- 2>&-", Exit.OUTPUT_LOST)])
def test_a_stream_that_is_closed_from_the_start_takes_nothing(closing: str, code: Exit) -> None:
    command = f"exec {sys.executable} -m slipway config {closing}"
    process = subprocess.run(  # noqa: S602  a constant
        command, shell=True, capture_output=True, text=True, env=environment(None, **SETTINGS), check=False
    )
    assert process.returncode == code
    assert "Traceback" not in process.stderr


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """As `slipway schema event | head -1`: more is written than a pipe holds."""
    command = [sys.executable, "-m", "slipway", "schema", "asyncapi"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(None, **SETTINGS)
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "{\n"
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() in {Exit.OK, Exit.OUTPUT_LOST}
    process.stderr.close()
