"""HTTP without surprises: nothing is sent elsewhere or twice, and what is not JSON is not taken for an empty answer.

aiobotocore follows redirects, and the session token would go to wherever they point; and it does not look whose
certificate a server shows. botocore reads an empty, HTML or truncated 200 as a success without fields, which for a
receive looks the same as an empty queue.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from ssl import SSLContext
from threading import Thread
from types import MappingProxyType
from typing import Any, Final

from aiobotocore.httpsession import AIOHTTPSession
from aiohttp import TCPConnector
from botocore.httpsession import create_urllib3_context, get_cert_path

LARGEST_CHECKED: Final = 64 * 1024
"""Beyond this only the ends of a body are looked at: reading a List of 1,000 twice would cost 4 ms."""


class StraightSession(AIOHTTPSession):  # type: ignore[misc]  # aiobotocore has no types
    """aiobotocore's session, except that a 3xx is the answer, and that nothing is sent anywhere else, nor twice."""

    def __init__(self, *how: Any, **named: Any) -> None:  # noqa: ANN401  handed through
        super().__init__(*how, **named)
        if not named.get("proxies"):
            self._proxy_config = _Direct()

    async def _get_session(self, proxy_url: str | None) -> _NoRedirects:
        session = await super()._get_session(proxy_url)
        # aiohttp repeats a GET by itself when a kept connection turns out to be broken: `calling` is the one retry layer.
        session._retry_connection = False  # noqa: SLF001  it has no other switch
        return _NoRedirects(session)

    def _create_connector(self, proxy_url: str | None) -> TCPConnector:  # noqa: ARG002  through a proxy nobody is trusted more
        trusted = _trust(get_cert_path(self._verify or True))
        return TCPConnector(limit=self._max_pool_connections, ssl=trusted, **self._connector_args)


def prepare() -> None:
    """Begin to read the authorities that are trusted by default, beside whatever else a start does.

    A thread of its own, as OpenSSL takes 35 ms for them in which Python may go on.
    """
    Thread(target=_trust, args=(get_cert_path(verify=True),), name="trust", daemon=True).start()


@cache
def _trust(certificates: str) -> SSLContext:
    """Answer the TLS context for these authorities: one for all clients, as reading them blocks for 35 ms.

    aiobotocore's own takes a certificate of any host for AWS's, as urllib3, whose it is, looks at the name elsewhere;
    and through a proxy it takes any certificate at all.
    """
    context: SSLContext = create_urllib3_context()
    context.check_hostname = True
    context.load_verify_locations(certificates)
    return context


class _Direct:
    """The way to everywhere, where there is no proxy: botocore parses each URL three times to find that out."""

    settings: Final[Mapping[str, object]] = MappingProxyType({})

    def proxy_url_for(self, url: str) -> None:
        """Answer that there is none."""

    def proxy_headers_for(self, url: str) -> dict[str, str]:  # noqa: ARG002  as botocore calls it
        """Answer none."""
        return {}


class _NoRedirects:
    __slots__ = ("_session",)

    def __init__(self, session: Any) -> None:  # noqa: ANN401  the SDK's own object, handed through
        self._session = session

    def request(self, method: str, **how: object) -> Any:  # noqa: ANN401  as above
        return self._session.request(method, allow_redirects=False, **how)


class UnreadableAnswer(Exception):
    """A success without the document that it must have."""


def check_body(response_dict: dict[str, Any], operation_model: Any, **_: object) -> None:  # noqa: ANN401  SDK objects
    """Raise `UnreadableAnswer` for a success that is no JSON object, or empty and to have fields. A `before-parse` hook."""
    shape = operation_model.output_shape
    if response_dict["status_code"] >= HTTPStatus.MULTIPLE_CHOICES or shape is None:
        return
    body: bytes = response_dict["body"]
    is_empty_enough = not body and not shape.members
    if not is_empty_enough and not _is_object(body.strip()):
        raise UnreadableAnswer(f"HTTP {response_dict['status_code']} with {len(body)} bytes that are not a JSON object")


def _is_object(body: bytes) -> bool:
    if not (body.startswith(b"{") and body.endswith(b"}")):
        return False
    if len(body) > LARGEST_CHECKED:
        return True
    try:
        json.loads(body)
    except ValueError:
        return False
    return True
