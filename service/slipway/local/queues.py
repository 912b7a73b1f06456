"""SQS and SNS on loopback, by moto, in a process of their own.

Of the emulators that can be had, moto is the one whose tested version pip resolves beside aioboto3 15.5.0.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from types import TracebackType
from typing import Final, Literal, Self

LONGEST_START_SECONDS: Final = 60.0

Dates = Literal["answer", "arrival", "none", "old"]
"""The `Date` of an answer: when it leaves, when its call arrived (LocalStack does so, also with a long poll), none, or an hour
before it leaves (as through a proxy). What SQS does is not documented."""
OLD_SECONDS: Final = 3600.0


class Queues:
    """`async with Queues() as queues`: SQS and SNS answer at `queues.url` until it is left, or this process ends.

    The socket is opened here, so that a port that is taken is an OSError here, and before anything is started.
    """

    def __init__(self, port: int = 0, *, dates: Dates = "answer") -> None:
        self._port = port
        self._dates = dates
        self._process: asyncio.subprocess.Process | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        with socket.create_server(("127.0.0.1", self._port), backlog=1024) as listener:
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            descriptor = listener.fileno()
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "slipway.local.moto_server",
                str(descriptor),
                self._dates,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                pass_fds=[descriptor],
                env={name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_"))},
                start_new_session=True,  # Ctrl-C is for the parent, which ends this one when it is done with it
            )
        try:
            async with asyncio.timeout(LONGEST_START_SECONDS):
                await self._until_it_serves()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def _until_it_serves(self) -> None:
        process = self._process
        if process is None or process.stdout is None or await process.stdout.readline() != b"serving\n":
            raise RuntimeError("SQS and SNS did not start; what they said is above")

    async def _end(self) -> None:
        process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()
            await process.wait()
