"""Batched calls: entries are collected for a moment and sent together, and each gets its own result."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from slipway.core.call_errors import CallFailed

E = TypeVar("E")

BATCH_SIZE: Final = 10
"""SQS and SNS take at most ten entries at once."""

Send = Callable[[Sequence[E]], Awaitable[Sequence[CallFailed | None]]]


class Batches(Generic[E]):
    """Collects entries into calls of at most ten, `linger` seconds after the first one or when full.

    The result of an entry is None if it was applied, else the failure of the entry or of the whole call. A programming error in
    the call is raised to each. At most `parallel` calls are in flight; entries that arrive meanwhile fill the next batches.
    """

    def __init__(
        self,
        send: Send[E],
        *,
        linger: float,
        parallel: int,
        size: Callable[[E], int] = lambda _: 0,
        largest: int = 0,
    ) -> None:
        self._send = send
        self._linger = linger
        self._parallel = parallel
        self._size = size
        self._largest = largest
        self._pending: deque[tuple[E, asyncio.Future[CallFailed | None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._calls: set[asyncio.Task[None]] = set()

    def put(self, entry: E) -> asyncio.Future[CallFailed | None]:
        """Add an entry; return a future for its result. An entry whose future is done is not sent."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[CallFailed | None] = loop.create_future()
        self._pending.append((entry, answer))
        if len(self._pending) >= BATCH_SIZE:
            self._flush()
        elif self._timer is None and len(self._calls) < self._parallel:
            self._timer = loop.call_later(self._linger, self._flush)
        return answer

    async def drain(self) -> None:
        """Return when every entry has its result."""
        self._flush()
        while self._calls:
            await asyncio.wait(self._calls)
            self._flush()

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._pending and len(self._calls) < self._parallel:
            if batch := self._take():
                task = asyncio.get_running_loop().create_task(self._call(batch))
                self._calls.add(task)
                task.add_done_callback(self._called)

    def _take(self) -> list[tuple[E, asyncio.Future[CallFailed | None]]]:
        batch: list[tuple[E, asyncio.Future[CallFailed | None]]] = []
        room = self._largest
        while self._pending and len(batch) < BATCH_SIZE:
            entry, answer = self._pending[0]
            if answer.done():
                self._pending.popleft()
                continue
            size = self._size(entry)
            if batch and size > room:
                break
            room -= size
            batch.append(self._pending.popleft())
        return batch

    async def _call(self, batch: list[tuple[E, asyncio.Future[CallFailed | None]]]) -> None:
        answers: Sequence[CallFailed | None]
        try:
            answers = await self._send([entry for entry, _ in batch])
        except CallFailed as failed:
            answers = [failed.with_traceback(None)] * len(batch)  # a traceback would hold this frame, which holds the failure
        except Exception as bug:  # noqa: BLE001  every entry must get its result
            for _, future in batch:
                if not future.done():
                    future.set_exception(bug)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)

    def _called(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        if self._pending:
            self._flush()
