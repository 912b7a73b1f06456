"""Asking running daemons what they hold, over their HTTP endpoint."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from slipway.core.bedrock.errors import EndlessListing
from slipway.core.bedrock.pager import Pager
from slipway.core.diagnostics.status import FinishedRequest, RequestStatus
from slipway.core.schema.rejection import quote

SECONDS: Final = 5.0
"""How long one answer may take."""


class DaemonUnreachable(Exception):
    """A daemon did not answer, or not as a Slipway does. The message is a sentence that names its URL, and says what to do."""


@dataclass(frozen=True, slots=True)
class DaemonAnswer:
    """What one daemon says. `extras` is the rest of its answer: slots, calls, troubles."""

    held: tuple[RequestStatus, ...]
    finished: tuple[FinishedRequest, ...]
    extras: Mapping[str, Any]


async def query_requests(url: str, about: str | None = None) -> DaemonAnswer:
    """Answer what the daemon at this URL holds and has finished lately, all of it, or what is `about` one thing.

    Raises `DaemonUnreachable`.
    """
    held: dict[str, RequestStatus] = {}
    said = DaemonAnswer((), (), {})

    async def fetch(after: str | None) -> Mapping[str, Any]:
        given = {name: value for name, value in (("about", about), ("after", after)) if value is not None}
        return await _get(url, "requests", given)

    try:
        async for page in Pager("/requests", fetch, lambda page: page["next"]):
            held |= {one.message_id: one for one in map(RequestStatus.of, page["requests"])}
            said = DaemonAnswer(tuple(held.values()), tuple(map(FinishedRequest.of, page["finished"])), page)
    except (KeyError, TypeError, ValueError, EndlessListing) as wrong:
        text = f"{url} answers, but not as this version of Slipway does ({wrong!r}); give a daemon's own address"
        raise DaemonUnreachable(text) from wrong
    return said


async def query_all(urls: Sequence[str], about: str | None = None) -> DaemonAnswer:
    """Answer what several daemons say together; `extras` is the last one's. Raises `DaemonUnreachable` if one is not."""
    answers = [await query_requests(url, about) for url in urls]
    held = {one.message_id: one for said in answers for one in said.held}
    finished = tuple(one for said in answers for one in said.finished)
    return DaemonAnswer(tuple(held.values()), finished, answers[-1].extras if answers else {})


async def query_targets(url: str) -> Sequence[str]:
    """Return the targets of a daemon beside the default. Raises `DaemonUnreachable`."""
    return list((await query_requests(url, "")).extras.get("targets", {}))


async def query_failures(url: str) -> Mapping[str, str]:
    """Answer what a daemon says keeps it from its work; empty when nothing does. Raises `DaemonUnreachable`."""
    page = await _get(url, "readyz", {}, HTTPStatus.SERVICE_UNAVAILABLE)
    failures = page.get("troubles")
    return failures if isinstance(failures, dict) else {}


async def _get(url: str, page_name: str, given: Mapping[str, str], *also: HTTPStatus) -> Mapping[str, Any]:
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as session,
            session.get(f"{url.rstrip('/')}/{page_name}", params=given, allow_redirects=False) as answer,
        ):
            if answer.status not in {HTTPStatus.OK, *also}:
                raise DaemonUnreachable(
                    f"{url} answers HTTP {answer.status}; give the address of a daemon's health and metrics"
                )
            page = await answer.json()
    except TimeoutError as wrong:
        remedy = "look at its log, or give its own address"
        raise DaemonUnreachable(f"no daemon answers at {url} within {SECONDS:g} s; {remedy}") from wrong
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as wrong:
        raise DaemonUnreachable(f"{quote(url)} is no daemon's address; give one like http://127.0.0.1:8080") from wrong
    except (aiohttp.ClientError, ValueError, OSError) as wrong:
        raise DaemonUnreachable(f"no daemon answers at {url} ({_why(wrong)}); start it, or give its own address") from wrong
    if not isinstance(page, dict):
        raise DaemonUnreachable(f"{url} answers, but not as Slipway does; give the address of a daemon's health and metrics")
    return page


def _why(wrong: Exception) -> str:
    """Say it as the system does: aiohttp adds what nobody has asked."""
    cause = wrong.os_error if isinstance(wrong, aiohttp.ClientConnectorError) else wrong
    if not isinstance(cause, OSError):
        return str(cause) or type(cause).__name__
    if cause.errno is not None and cause.errno > 0:  # a name that is not found has a negative number
        return os.strerror(cause.errno)
    return cause.strerror or str(cause)
