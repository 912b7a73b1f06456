"""Which lines of the product a run has reached: what tells a fuzzer that an input is interesting. Any Python from 3.11."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType, ModuleType
from typing import Any

Trace = Callable[[FrameType, str, object], Any]


class Reached:
    """Notes lines of some modules as they are reached for the first time; hardly any cost once all of a function is known."""

    def __init__(self, modules: list[ModuleType]) -> None:
        self._files = frozenset(module.__file__ for module in modules)
        self._unseen: dict[CodeType, set[int]] = {}
        self.lines = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Within, what is reached is noted."""
        before = sys.gettrace()
        sys.settrace(self._called)
        try:
            yield
        finally:
            sys.settrace(before)

    def _called(self, frame: FrameType, event: str, argument: object) -> Trace | None:
        code = frame.f_code
        if code.co_filename not in self._files:
            return None
        unseen = self._unseen.get(code)
        if unseen is None:
            unseen = self._unseen[code] = {line for _, _, line in code.co_lines() if line is not None}
        return self._stepped if unseen else None

    def _stepped(self, frame: FrameType, event: str, argument: object) -> Trace | None:
        unseen = self._unseen[frame.f_code]
        if frame.f_lineno in unseen:
            unseen.discard(frame.f_lineno)
            self.lines += 1
        return self._stepped if unseen else None


def steps_of(act: Callable[[], object], within: str) -> int:
    """Return how many lines of the files whose path holds `within` an act goes through. The act must not raise."""
    steps = 0

    def stepped(frame: FrameType, event: str, argument: object) -> Trace:
        nonlocal steps
        steps += event == "line"
        return stepped

    def called(frame: FrameType, event: str, argument: object) -> Trace | None:
        return stepped if within in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(called)
    try:
        act()
    finally:
        sys.settrace(before)
    return steps
