"""HTTP transport and response parsing for the SDK: host names are verified, redirects are not followed, nothing is sent twice.

aiobotocore follows redirects, which would send the session token wherever they point, and its older versions do not check
that a certificate belongs to the host. botocore parses an empty, HTML or truncated 200 as a success without fields, which for a
receive looks the same as an empty queue.

Whatever the SDK's response parsers raise means that the response is unreadable. A JSON list instead of an object, for example,
is an AttributeError in botocore's parser; outside the parser, the same error would be a bug (see `error_translation`).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache, lru_cache
from http import HTTPStatus
from ssl import SSLContext
from typing import Any, Final, Self

from aiobotocore.awsrequest import AioAWSResponse
from aiobotocore.session import AioSession
from aiohttp import ClientSession, ClientTimeout, TCPConnector
from botocore.httpsession import ProxyConfiguration, create_urllib3_context, get_cert_path
from botocore.utils import parse_timestamp
from multidict import CIMultiDict
from yarl import URL

_FACTORY = "response_parser_factory"


class UnreadableAnswer(Exception):
    """A response is not the expected document."""


def guard_parsers(session: AioSession) -> None:
    """Make a session's clients parse timestamps fast, and raise `UnreadableAnswer` for unreadable responses."""
    factory = session.get_component(_FACTORY)
    factory.set_parser_defaults(timestamp_parser=read_timestamp)
    session.register_component(_FACTORY, _Parsers(factory))


class _Parsers:
    """The session's parsers, each created once: they keep no state between responses."""

    def __init__(self, factory: Any) -> None:  # noqa: ANN401  the SDK's own object, here and below
        self._factory = factory
        self._made: dict[str, _Parser] = {}

    def create_parser(self, protocol_name: str) -> _Parser:
        """Return the parser of a protocol."""
        if protocol_name not in self._made:
            self._made[protocol_name] = _Parser(self._factory.create_parser(protocol_name))
        return self._made[protocol_name]


class _Parser:
    def __init__(self, parser: Any) -> None:  # noqa: ANN401  as above
        self._parser = parser

    async def parse(self, response: Any, shape: Any) -> Any:  # noqa: ANN401  as above
        """Return the parsed response. Raises `UnreadableAnswer`."""
        try:
            parsed = await self._parser.parse(response, shape)
        except Exception as exc:
            raise UnreadableAnswer(repr(exc)) from exc
        if not isinstance(parsed.get("Error", {}).get("Code", ""), str | int):  # the client looks an exception up by it
            raise UnreadableAnswer("an error whose code is not a text")
        return parsed


def read_timestamp(value: str | float) -> datetime:
    """Return the same time as botocore's parser, always with a time zone, UTC by default.

    Raises ValueError. ISO 8601 and numbers, the only forms that SQS, SNS and Bedrock send, are fast.
    """
    if isinstance(value, str):
        if value[4:5] == "-" == value[7:8] and value[10:11] == "T":
            try:
                return _aware(datetime.fromisoformat(value))
            except ValueError:
                pass
    else:
        try:
            return datetime.fromtimestamp(value, UTC)
        except (OverflowError, OSError, ValueError):
            pass
    return _aware(parse_timestamp(value))


@lru_cache(maxsize=4)
def read_http_date(value: str) -> float:
    """Return the seconds since the epoch of an HTTP `Date`. Raises ValueError."""
    return parsedate_to_datetime(value).timestamp()


def _aware(time: datetime) -> datetime:
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


LARGEST_CHECKED: Final = 64 * 1024
"""Bytes. Of a longer body only both ends are checked: parsing a large List response twice is slow."""


class StrictHttpSession:
    """An HTTP session for `AioConfig(http_session_cls=...)`. Errors of aiohttp are passed on.

    aiobotocore's own class has no public switch for redirects, nor (before 3.9) for the check of the host name.
    """

    _session: ClientSession

    def __init__(
        self,
        *,
        verify: bool | str | None = None,
        proxies: dict[str, str] | None = None,
        proxies_config: dict[str, str] | None = None,
        timeout: tuple[float, float],
        max_pool_connections: int,
        connector_args: dict[str, Any] | None = None,
        **_: object,
    ) -> None:
        connect_seconds, read_seconds = timeout
        self._timeout = ClientTimeout(sock_connect=connect_seconds, sock_read=read_seconds)
        self._proxies = ProxyConfiguration(proxies=proxies, proxies_settings=proxies_config)
        self._certificates: str = get_cert_path(verify or True)
        self._connector_args = {"limit": max_pool_connections} | (connector_args or {})

    async def __aenter__(self) -> Self:
        self._session = ClientSession(
            connector=self.make_connector(**self._connector_args),
            timeout=self._timeout,
            skip_auto_headers={"Content-Type"},
            auto_decompress=False,
        )
        # aiohttp repeats a GET by itself when a kept connection turns out to be broken: `calling` is the one retry layer.
        self._session._retry_connection = False  # noqa: SLF001  it has no other switch
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections. Safe to repeat."""
        await self._session.close()

    def make_connector(self, **how: Any) -> TCPConnector:  # noqa: ANN401  aiohttp's own arguments
        """Return the pool of connections."""
        return TCPConnector(ssl=trust(self._certificates), **how)

    async def send(self, request: Any) -> AioAWSResponse:  # noqa: ANN401  botocore's prepared request
        """Send a request and return its complete response, unless it is streamed."""
        headers = CIMultiDict((name, _text(value)) for name, value in request.headers.items())
        headers["Accept-Encoding"] = "identity"
        response = await self._session.request(
            request.method,
            URL(request.url, encoded=True),
            headers=headers,
            data=request.body,
            allow_redirects=False,
            proxy=self._proxies.proxy_url_for(request.url),
            proxy_headers=self._proxies.proxy_headers_for(request.url),
        )
        received = {_text(name).lower(): _text(value) for name, value in response.raw_headers}
        answer = AioAWSResponse(str(response.url), response.status, received, response)
        if not request.stream_output:
            await answer.content
        return answer


@cache
def trust(certificates: str) -> SSLContext:
    """Return the TLS context for these authorities: one for all clients, as loading them blocks the event loop."""
    context: SSLContext = create_urllib3_context()
    context.check_hostname = True  # urllib3, whose context it is, checks the name elsewhere
    context.load_verify_locations(certificates)
    return context


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def check_body(response_dict: dict[str, Any], operation_model: Any, **_: object) -> None:  # noqa: ANN401  SDK objects
    """Raise `UnreadableAnswer` for a success that is not a JSON object, or is empty but must have fields (`before-parse`)."""
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
