"""Standard output and standard error of a command: a full disk or a closed pipe ends it without a traceback."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, NoReturn, TextIO, cast

from slipway.cli.exit_codes import Exit

CLOSED_BY_READER: Final = (errno.EPIPE, errno.ECONNRESET)
"""The reader has what it wants, like `head`: nothing to report."""


@contextmanager
def checked_streams() -> Iterator[None]:
    """Within, a failed write to standard output ends the command with `Exit.OUTPUT_LOST`; to standard error it is dropped."""
    sys.stdout, sys.stderr = cast("TextIO", _Output(sys.stdout)), cast("TextIO", _Errors(sys.stderr))
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stdout.flush()


class _Stream:
    """A text stream whose failures are handled where they occur, whatever writes to it."""

    def __init__(self, stream: TextIO | None) -> None:
        # A stream that was closed before the start takes nothing, as one that is open for reading only.
        self._stream = stream or open(os.devnull, encoding="utf-8")  # noqa: PTH123,SIM115  open until the process ends

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever the stream has
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text; return its length."""
        try:
            return self._stream.write(text)
        except OSError as failed:
            self._lose(failed)
            return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        try:
            self._stream.flush()
        except OSError as failed:
            self._lose(failed)

    def _lose(self, failed: OSError) -> None:
        raise NotImplementedError

    def _discard(self) -> None:
        """Drop what is buffered, so that the end of the process does not write it again."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        with suppress(OSError):
            self._stream.flush()


class _Errors(_Stream):
    """Standard error: what cannot be written changes nothing."""

    def _lose(self, failed: OSError) -> None:  # noqa: ARG002  there is nobody left to report it to
        self._discard()


class _Output(_Stream):
    """Standard output: what cannot be written ends the command."""

    def _lose(self, failed: OSError) -> NoReturn:
        self._discard()
        if failed.errno not in CLOSED_BY_READER:
            why = failed.strerror or "it is closed"
            sys.stderr.write(f"slipway: standard output cannot be written ({why}); what was done is done\n")
        raise SystemExit(Exit.OUTPUT_LOST) from failed
