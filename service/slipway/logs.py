"""Logging: events with facts as keys, as JSON lines for programs, or in colours for a person at a terminal.

Writing a log line never raises into the calling code, and never blocks the event loop: a line that cannot be written is
dropped and counted.
"""

from __future__ import annotations

import atexit
import io
import json
import logging
import os
import re
import select
import socket
import sys
from queue import SimpleQueue
from threading import Event, RLock, Thread
from typing import Any, Final, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor

LARGEST_BACKLOG_BYTES: Final = 4 * 1024 * 1024
"""Most bytes of lines that wait for a slow reader; further lines are dropped."""
SERVICE_NAME: Final = "slipway"
COLUMNS: Final = 120
"""Of a line on a terminal."""
INDENT: Final = 9
"""Of the lines that continue it: as long as the time."""
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_IMPLIED: Final = frozenset({"message_id", "event_id", "receive_count", "service", "replica"})
DRAIN_SECONDS: Final = 1.0
"""Longest time that the end of the process waits for lines to be written."""


class Losses:
    """Counts the log lines of this process that were not written."""

    def __init__(self) -> None:
        self.lines = 0

    def add(self) -> None:
        """Count one."""
        self.lines += 1


LOST: Final = Losses()


class BackgroundWriter(io.TextIOBase):
    """A text stream that a separate thread writes to a file descriptor, in order: `write` never blocks and never raises.

    Bytes beyond `largest_backlog` are dropped, and so are bytes that cannot be written (EPIPE, ENOSPC, EIO). Both count as
    lost. A signal handler or a finalizer may log during `write`, hence the reentrant lock and queue.
    """

    def __init__(self, stream: TextIO | None, *, losses: Losses = LOST, largest_backlog: int = LARGEST_BACKLOG_BYTES) -> None:
        super().__init__()
        self._stream = stream
        self._losses = losses
        self._largest_backlog = largest_backlog
        self._backlog = 0
        self._lock = RLock()
        self._queue: SimpleQueue[bytes | Event] = SimpleQueue()
        self._is_torn = False
        if stream is not None:
            Thread(target=self._run, args=(stream.fileno(),), name="log", daemon=True).start()
            atexit.register(self.drain)

    def write(self, text: str) -> int:
        """Queue a text to be written; return its length."""
        data = text.encode(errors="backslashreplace")
        with self._lock:
            if self._stream is None or self._backlog + len(data) > self._largest_backlog:
                self._losses.add()
            else:
                self._backlog += len(data)
                self._queue.put(data)
        return len(text)

    def drain(self, seconds: float = DRAIN_SECONDS) -> bool:
        """Wait at most so long until all queued text is written or dropped; return whether it is."""
        if self._stream is None:
            return True
        done = Event()
        self._queue.put(done)
        return done.wait(seconds)

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        """Return the file descriptor. Raises OSError if there is none."""
        return super().fileno() if self._stream is None else self._stream.fileno()

    def _run(self, descriptor: int) -> None:
        while True:
            data = self._queue.get()
            if isinstance(data, Event):
                data.set()
                continue
            self._write(descriptor, data)
            with self._lock:
                self._backlog -= len(data)

    def _write(self, descriptor: int, data: bytes) -> None:
        left = memoryview(b"\n" + data if self._is_torn else data)
        whole = len(left)
        while left:
            try:
                left = left[os.write(descriptor, left) :]
            except BlockingIOError:
                select.select((), (descriptor,), ())
            except OSError:
                self._losses.add()
                self._is_torn = self._is_torn if len(left) == whole else True
                return
        self._is_torn = False


def detach_streams() -> None:
    """Replace standard output and standard error with background writers, for logs, warnings and tracebacks."""
    sys.stdout = cast("TextIO", BackgroundWriter(sys.stdout))
    sys.stderr = cast("TextIO", BackgroundWriter(sys.stderr))


def never_raising(level: int) -> type[Any]:
    """Return a class of bound loggers for this level and above; a failure to process or write an entry is only counted."""

    class NeverRaising(structlog.make_filtering_bound_logger(level)):  # type: ignore[misc]  # a class made at run time
        def _proxy_to_logger(self, method_name: str, event: str | None = None, *args: Any, **facts: Any) -> Any:  # noqa: ANN401  as structlog has it
            try:
                return super()._proxy_to_logger(method_name, event, *args, **facts)
            except Exception:  # noqa: BLE001  whatever a processor or a stream raises
                LOST.add()

    return NeverRaising


def configure(level: str, form: str, stream: TextIO | None = None) -> None:
    """Set up logging for the process. `form` is `json`, `console`, or `auto`: console only on a terminal.

    Message bodies, receipt handles and credentials are never logged: they are not in the repr of the values that hold them,
    and tracebacks do not show local variables.
    """
    stream = sys.stdout if stream is None else stream
    is_console = form == "console" or (form == "auto" and stream.isatty())
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S")
        if is_console
        else structlog.processors.TimeStamper(utc=True, fmt="iso"),
        _without_empty,
    ]
    renderer: list[Processor]
    if is_console:
        plain_console = structlog.dev.ConsoleRenderer(
            exception_formatter=structlog.dev.plain_traceback, pad_event_to=0, pad_level=False, sort_keys=False
        )
        renderer = [_printable, _without_implied, _wrapped(plain_console)]
    else:
        plain = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        renderer = [
            _event_first,
            _add_place(socket.gethostname()),
            structlog.processors.ExceptionRenderer(plain),
            structlog.processors.JSONRenderer(serializer=_written),
        ]
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=never_raising(number),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    _route_libraries(shared, renderer, stream)


_ENCODER: Final = json.JSONEncoder(default=repr)
"""Created once: `json.dumps` with an argument creates an encoder for each line."""


def _written(entry: EventDict, **_: object) -> str:
    return _ENCODER.encode(entry)


def _printable(_: object, __: str, entry: EventDict) -> EventDict:
    """Replace control characters: texts come from AWS and from senders, and must not act on a terminal."""
    return {key: _harmless(value) if isinstance(value, str) else value for key, value in entry.items()}


def _harmless(text: str) -> str:
    return text if text.isprintable() else "".join(character if character.isprintable() else " " for character in text)


def _without_empty(_: object, __: str, entry: EventDict) -> EventDict:
    """Omit fields that hold nothing."""
    return {key: value for key, value in entry.items() if value is not None and value != ""}


def _add_place(replica: str) -> Processor:
    """Return a processor that adds the service and the replica, which an aggregator of logs needs."""

    def add(_: object, __: str, entry: EventDict) -> EventDict:
        return {**entry, "service": SERVICE_NAME, "replica": replica}

    return add


def _without_implied(_: object, __: str, entry: EventDict) -> EventDict:
    """Omit from a line for a terminal the ids that the request's id implies."""
    return {key: value for key, value in entry.items() if key not in _IMPLIED} if "request_id" in entry else entry


def _wrapped(renderer: Processor) -> Processor:
    """Return a renderer whose first line is wrapped between words and indented, so that it fits the columns of a terminal.

    What follows it, a traceback, stays as it is.
    """

    def render(logger: object, name: str, entry: EventDict) -> str:
        first, newline, rest = str(renderer(logger, name, entry)).partition("\n")
        lines, width = [""], 0
        for word in first.split(" "):
            length = len(_COLOUR.sub("", word))
            if width + length > COLUMNS and width > INDENT:
                lines.append(" " * INDENT)
                width = INDENT
            lines[-1] += f"{word} "
            width += length + 1
        return "\n".join(line.rstrip() for line in lines) + newline + rest

    return render


def _event_first(_: object, __: str, entry: EventDict) -> EventDict:
    """Move time, level and event to the beginning of a line, for people who read JSON."""
    first: EventDict = {key: entry.pop(key, None) for key in ("timestamp", "level", "event")}
    return {**first, **entry}


class _Handler(logging.StreamHandler[TextIO]):
    """A handler that counts a line that it cannot write; `logging` would print a traceback."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802  as logging has it
        """Count the line as lost."""
        LOST.add()


def _route_libraries(shared: list[Processor], renderer: list[Processor], stream: TextIO) -> None:
    """Write warnings of libraries in the same form."""
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
    )
    handler = _Handler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
