"""Guards around the SDK's response parsers: whatever they raise means that the response is unreadable.

A JSON list instead of an object, for example, is an AttributeError in botocore's parser. That is a property of the response,
not of this program: outside the parser, the same error would be a bug (see `error_translation`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

from aiobotocore.session import AioSession
from botocore.utils import parse_timestamp

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
            raise UnreadableAnswer("an error whose code is no text")
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
