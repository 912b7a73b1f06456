"""Logs are events with facts as keys: JSON lines for programs, colours for a person at a terminal."""

from __future__ import annotations

import json
import logging
import sys
from typing import Final, TextIO

import structlog
from structlog.typing import EventDict, Processor


def configure(level: str, form: str, stream: TextIO = sys.stdout) -> None:
    """Set up logging for the process. `form` is `json`, `console`, or `auto`: console only on a terminal.

    Message bodies, receipts and credentials are never logged: the values that carry them do not show them in their repr,
    and tracebacks do not show local variables.
    """
    is_console = form == "console" or (form == "auto" and stream.isatty())
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[Processor]
    if is_console:
        renderer = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    else:
        plain = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        renderer = [
            _event_first,
            structlog.processors.ExceptionRenderer(plain),
            structlog.processors.JSONRenderer(serializer=_written),
        ]
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    _route_libraries(shared, renderer, stream)


_ENCODER: Final = json.JSONEncoder(default=repr)
"""Made once: `json.dumps` with an argument makes one for each line, a third of what rendering it takes."""


def _written(entry: EventDict, **_: object) -> str:
    return _ENCODER.encode(entry)


def _event_first(_: object, __: str, entry: EventDict) -> EventDict:
    """When, how bad and what stand at the beginning of a line, for people who read JSON."""
    first: EventDict = {key: entry.pop(key, None) for key in ("timestamp", "level", "event")}
    return {**first, **entry}


def _route_libraries(shared: list[Processor], renderer: list[Processor], stream: TextIO) -> None:
    """Warnings of the libraries below come out in the same form."""
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
