"""Running a world without a sound, and without a garbage collector whose times are its own."""

from __future__ import annotations

import errno
import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from slipway.logs import LOST, never_raising
from tests.simulation.kinds import chance


@contextmanager
def quietly(*, is_told: bool = False) -> Iterator[None]:
    """Without logs, and without a garbage collector that would close what the dead have left, at a time of its own."""
    before, was_collecting = structlog.get_config(), gc.isenabled()
    if not is_told:
        structlog.configure(processors=[_drop], wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    gc.disable()
    try:
        yield
    finally:
        structlog.configure(**before)
        if was_collecting:
            gc.enable()


class FailingLog:
    """Counts the lines that could not be written, and those that the service has counted as lost."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lines = 0
        self._lost_before = LOST.lines
        self.raised = 0

    @property
    def counted(self) -> int:
        """The lines that the service has counted as lost."""
        return LOST.lines - self._lost_before

    def write(self, *_: object) -> Any:
        """Fail as a full disk or a closed pipe does; at other lines write nothing."""
        self._lines += 1
        if chance(self._seed, "log", self._lines) < 0.5:
            self.raised += 1
            raise OSError(errno.ENOSPC, "No space left on device")
        raise structlog.DropEvent


@contextmanager
def failing_log(seed: int) -> Iterator[FailingLog]:
    """Within, half of all log lines cannot be written."""
    before, log = structlog.get_config(), FailingLog(seed)
    structlog.configure(processors=[log.write], wrapper_class=never_raising(logging.INFO))
    try:
        yield log
    finally:
        structlog.configure(**before)


def _drop(*_: object) -> Any:
    raise structlog.DropEvent
