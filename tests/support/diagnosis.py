"""A diagnosis of a simulated daemon: without readiness checks, and with queues whose counts are given."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from slipway.core.diagnostics.status import Backlog
from slipway.http.health import Backlogs, CallHistory, Diagnosis, Readiness
from slipway.worker.runtime.worker import Worker


def diagnosis_of(
    slipway: Worker, calls: Mapping[tuple[str, str], int] | None = None, queues: Mapping[str, Backlog | None] | None = None
) -> Diagnosis:
    """Return the diagnosis. Call it within the event loop."""

    def check(name: str) -> Callable[[], Awaitable[Backlog | None]]:
        async def ask() -> Backlog | None:
            return (queues or {})[name]

        return ask

    history = CallHistory(calls if calls is not None else {}, asyncio.get_running_loop().time)
    return Diagnosis(slipway, history, Readiness({}, {}), Backlogs({name: check(name) for name in queues or {}}))
