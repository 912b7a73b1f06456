"""Keeping credentials fresh beside the calls, not within them.

botocore refreshes within whichever call comes first when they last for less than a quarter of an hour: a refresh that
takes long fails that call, and one that takes longer than any call may is cut off each time, and never ends. Here it is a
task of its own. Calls go on with the credentials in hand while these are valid, and wait for it only when they are not.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import structlog
from aiobotocore.credentials import AioRefreshableCredentials
from botocore.exceptions import CredentialRetrievalError

MANDATORY_REFRESH_SECONDS: Final = 30
"""While credentials are valid for longer, no call waits for new ones, nor fails for want of them."""
LONGEST_REFRESH_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 15.0
"""Between two refreshes while nobody has to wait for them."""

log = structlog.get_logger()


class Keeper:
    """Stands in for how these credentials refresh themselves."""

    def __init__(self, credentials: AioRefreshableCredentials) -> None:
        self._credentials = credentials
        self._refreshing: asyncio.Task[None] | None = None
        self._not_before = 0.0
        credentials._refresh = self.refresh  # noqa: SLF001  it has no other switch
        # What it says of each failure, with a traceback, is said here in a line.
        logging.getLogger("aiobotocore.credentials").setLevel(logging.ERROR)

    async def refresh(self) -> None:
        """Return when there are credentials to sign with. Raises `CredentialRetrievalError` when there are none."""
        if not self._credentials.refresh_needed():
            return
        is_urgent = self._credentials.refresh_needed(MANDATORY_REFRESH_SECONDS)
        loop = asyncio.get_running_loop()
        task = self._refreshing
        if task is None or task.done():
            if not is_urgent and loop.time() < self._not_before:
                return
            task = self._refreshing = loop.create_task(self._refresh())
            task.add_done_callback(_looked_at)
        if is_urgent:
            await asyncio.shield(task)  # whose call is over does not end it: others wait too

    async def _refresh(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(LONGEST_REFRESH_SECONDS):
                await self._credentials._protected_refresh(is_mandatory=True)  # noqa: SLF001  as above
        except Exception as exc:
            self._not_before = loop.time() + PAUSE_SECONDS
            left = round(self.seconds_left(), 3)
            log.warning("credentials.refresh_failed", error=repr(exc), seconds_left=left, method=self._credentials.method)
            raise CredentialRetrievalError(provider=self._credentials.method, error_msg=repr(exc)) from exc
        # Some last for no longer than it takes until they are to be refreshed: not all the time, then.
        self._not_before = loop.time() + max(PAUSE_SECONDS, self.seconds_left() / 3)

    def seconds_left(self) -> float:
        """Answer how long the credentials in hand are valid yet; 0 before the first ones."""
        expiry = self._credentials._expiry_time  # noqa: SLF001  as above
        return 0.0 if expiry is None else float(self._credentials._seconds_remaining())  # noqa: SLF001  as above


def _looked_at(task: asyncio.Task[None]) -> None:
    """A refresh that nobody waits for fails without a word: it has said it itself."""
    if not task.cancelled():
        task.exception()
