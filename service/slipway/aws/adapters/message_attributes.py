"""Message attributes of SQS and SNS, with every data type."""

from __future__ import annotations

from collections.abc import Mapping

from slipway.aws.adapters.responses import Parsed
from slipway.core.sqs.messages import TEXT, AnyAttribute, Attribute


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
