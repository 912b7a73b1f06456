"""Serialization: from AWS's dictionaries to plain values, and message attributes of SQS and SNS in both directions.

A response without a required field is `UnknownResult`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.aws.adapters.error_translation import translate_entry
from slipway.core.call_errors import CallFailed, UnknownResult
from slipway.core.sqs.messages import TEXT, AnyAttribute, Attribute

Parsed = Mapping[str, Any]


def text_of(answer: Parsed, key: str, operation: str) -> str:
    """Return a required text."""
    value = answer.get(key)
    if not isinstance(value, str) or not value:
        raise unreadable(operation, f"an answer without {key}")
    return value


def unreadable(operation: str, said: str) -> UnknownResult:
    """Return the failure of a call whose response is invalid."""
    return UnknownResult(operation, "UnreadableAnswer", said)


def texts_of(answer: Parsed, key: str, operation: str) -> dict[str, str]:
    """Return a required object whose values are texts."""
    value = answer.get(key)
    if not isinstance(value, Mapping) or not all(isinstance(text, str) for text in value.values()):
        raise unreadable(operation, f"an answer without {key}")
    return dict(value)


def objects_of(answer: Parsed, key: str, operation: str, *, may_lack: bool = False) -> list[Parsed]:
    """Return a required list of objects. With `may_lack` it may be absent, as AWS omits some empty lists."""
    value = answer.get(key)
    if value is None and may_lack:
        return []
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        raise unreadable(operation, f"an answer without {key}")
    return value


def number_of(value: object, operation: str) -> int:
    """Return an integer that AWS writes as text."""
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]  # conversion is the check
    except (TypeError, ValueError, OverflowError) as exc:
        raise unreadable(operation, f"{value!r:.100} is not a number") from exc


def batch_of(answer: Parsed, size: int, operation: str) -> list[CallFailed | None]:
    """Return for each entry of a batch, whose id is its index, None if it was applied, else its failure.

    A batch can partly fail with HTTP 200. An entry in neither list is `UnknownResult`.
    """
    applied, failed = (objects_of(answer, key, operation, may_lack=True) for key in ("Successful", "Failed"))
    answers: dict[str, CallFailed | None] = {text_of(entry, "Id", operation): None for entry in applied}
    answers |= {text_of(entry, "Id", operation): translate_entry(operation, entry) for entry in failed}
    missing = unreadable(operation, "an answer without this entry")
    return [answers.get(str(place), missing) for place in range(size)]


def read_attributes(message: Parsed) -> dict[str, AnyAttribute]:
    """Return the attributes of a received message, without those that cannot be read or sent again."""
    given = message.get("MessageAttributes")
    return {name: read for name, value in given.items() if (read := _read(value))} if isinstance(given, Mapping) else {}


def write_attributes(attributes: Mapping[str, AnyAttribute]) -> dict[str, dict[str, str | bytes]]:
    """Return the attributes of a message to send, without empty values, which SQS and SNS refuse."""
    written: dict[str, dict[str, str | bytes]] = {}
    for name, attribute in attributes.items():
        data_type, value = (TEXT, attribute) if isinstance(attribute, str) else (attribute.data_type, attribute.value)
        if value:
            written[name] = {"DataType": data_type, "BinaryValue" if isinstance(value, bytes) else "StringValue": value}
    return written


def _read(value: object) -> AnyAttribute | None:
    match value:
        case {"BinaryValue": bytes(data), "DataType": str(data_type)} if data_type.startswith("Binary"):
            return Attribute(data_type, data)
        case {"StringValue": str(text), "DataType": str(data_type)} if not data_type.startswith((TEXT, "Number")):
            return None
        case {"StringValue": str(text), "DataType": str(data_type)} if data_type != TEXT:
            return Attribute(data_type, text)
        case {"StringValue": str(text)}:
            return text
    return None
