"""A pause that an event ends early, for the daemon and the command line alike."""

from __future__ import annotations

import asyncio
from contextlib import suppress


async def rest(seconds: float, unless: asyncio.Event) -> None:
    """Sleep, or return as soon as the event is set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await unless.wait()
