"""Running a world without a sound, and without a garbage collector whose times are its own."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog


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


def _drop(*_: object) -> Any:
    raise structlog.DropEvent
