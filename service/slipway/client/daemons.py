"""Queries of running daemons over HTTP: requests in progress, targets, failures."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from slipway.core.bedrock import Pager
from slipway.core.call_errors import EndlessListing
from slipway.core.diagnostics.status import FinishedRequest, RequestStatus
from slipway.core.schema.rejection import quote

SECONDS: Final = 5.0
"""Timeout of one query."""


class DaemonUnreachable(Exception):
    """A daemon did not answer, or the answer is not Slipway's. The message names its URL and the remedy."""


@dataclass(frozen=True, slots=True)
class DaemonAnswer:
    """The answer of one daemon, or of several. `extras` is the rest of it: slots, calls, failures."""

    held: tuple[RequestStatus, ...]
    finished: tuple[FinishedRequest, ...]
    extras: Mapping[str, Any]


async def query_requests(url: str, about: str | None = None, *, token: str = "") -> DaemonAnswer:
    """Return the requests that a daemon has in progress or finished lately, all or those `about` one id, name or ARN.

    Raises `DaemonUnreachable`.
    """
    held: dict[str, RequestStatus] = {}
    reported = DaemonAnswer((), (), {})

    async def fetch(after: str | None) -> Mapping[str, Any]:
        given = {name: value for name, value in (("about", about), ("after", after)) if value is not None}
        return await _get(url, "requests", given, token)

    try:
        async for page in Pager("/requests", fetch, lambda page: page["next"]):
            held |= {one.message_id: one for one in map(RequestStatus.of, page["requests"])}
            reported = DaemonAnswer(tuple(held.values()), tuple(map(FinishedRequest.of, page["finished"])), page)
    except (KeyError, TypeError, ValueError, EndlessListing) as wrong:
        text = f"{url} is not a Slipway daemon of this version ({wrong!r}); give a daemon's own address"
        raise DaemonUnreachable(text) from wrong
    return reported


async def query_all(urls: Sequence[str], about: str | None = None, *, token: str = "") -> DaemonAnswer:
    """Return the answers of several daemons together; `extras` is the last one's. Raises `DaemonUnreachable`."""
    answers = [await query_requests(url, about, token=token) for url in urls]
    held = {one.message_id: one for reported in answers for one in reported.held}
    finished = tuple(one for reported in answers for one in reported.finished)
    return DaemonAnswer(tuple(held.values()), finished, answers[-1].extras if answers else {})


async def query_targets(url: str, *, token: str = "") -> Sequence[str]:
    """Return the targets of a daemon beside the default. Raises `DaemonUnreachable`."""
    return list((await query_requests(url, "", token=token)).extras.get("targets", {}))


async def query_failures(url: str, *, token: str = "") -> Mapping[str, str]:
    """Return the failures that a daemon reports by name; none if it is ready. Raises `DaemonUnreachable`."""
    page = await _get(url, "readyz", {}, token, HTTPStatus.SERVICE_UNAVAILABLE)
    failures = page.get("troubles")
    return failures if isinstance(failures, dict) else {}


async def _get(url: str, page_name: str, given: Mapping[str, str], token: str, *also: HTTPStatus) -> Mapping[str, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as session,
            session.get(f"{url.rstrip('/')}/{page_name}", params=given, headers=headers, allow_redirects=False) as answer,
        ):
            if answer.status == HTTPStatus.UNAUTHORIZED:
                raise DaemonUnreachable(f"{url} wants another token; set SLIPWAY_HTTP_TOKEN to that of the daemon")
            if answer.status not in {HTTPStatus.OK, *also}:
                raise DaemonUnreachable(
                    f"{url} answers HTTP {answer.status}; give the address of a daemon's health and metrics"
                )
            page = await answer.json()
    except TimeoutError as wrong:
        remedy = "read its log, or give its own address"
        raise DaemonUnreachable(f"no daemon answers at {url} within {SECONDS:g} s; {remedy}") from wrong
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as wrong:
        raise DaemonUnreachable(f"{quote(url)} is not a daemon's address; give one like http://127.0.0.1:8080") from wrong
    except (aiohttp.ClientError, ValueError, OSError) as wrong:
        raise DaemonUnreachable(f"no daemon answers at {url} ({_why(wrong)}); start it, or give its own address") from wrong
    if not isinstance(page, dict):
        raise DaemonUnreachable(f"{url} is not a Slipway daemon; give the address of a daemon's health and metrics")
    return page


def _why(wrong: Exception) -> str:
    """Return the system's own text, without what aiohttp adds."""
    cause = wrong.os_error if isinstance(wrong, aiohttp.ClientConnectorError) else wrong
    if not isinstance(cause, OSError):
        return str(cause) or type(cause).__name__
    if cause.errno is not None and cause.errno > 0:  # of an unknown host it is negative
        return os.strerror(cause.errno)
    return cause.strerror or str(cause)
