"""Reading answers: from AWS's dictionaries to plain values, or `Unknown` where something that must be there is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from service.aws.errors import translate_entry
from service.aws.timestamps import read_http_date
from service.core.calls import CallFailed, Unknown

Parsed = Mapping[str, Any]
Clock = Callable[[], float]


def text_of(answer: Parsed, key: str, operation: str) -> str:
    """Answer a text that must be there."""
    value = answer.get(key)
    if not isinstance(value, str) or not value:
        raise Unknown(operation, "UnreadableAnswer", f"an answer without {key}")
    return value


def list_of(answer: Parsed, key: str, operation: str) -> list[Any]:
    """Answer a list that must be there."""
    value = answer.get(key)
    if not isinstance(value, list):
        raise Unknown(operation, "UnreadableAnswer", f"an answer without {key}")
    return value


def server_time(answer: Parsed, clock: Clock) -> float:
    """Answer when AWS gave the answer, by its own clock; by ours where it does not say."""
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        return read_http_date(date)
    except (ValueError, TypeError):
        return clock()


def batch_of(answer: Parsed, size: int, operation: str) -> list[CallFailed | None]:
    """Answer for each entry of a batch, whose id is its place, None where it was applied, else what it met.

    A batch partly fails with HTTP 200; an entry that is in neither list is `Unknown`.
    """
    answers: dict[str, CallFailed | None] = {entry["Id"]: None for entry in answer.get("Successful", ())}
    answers |= {entry["Id"]: translate_entry(operation, entry) for entry in answer.get("Failed", ())}
    missing = Unknown(operation, "UnreadableAnswer", "an answer without this entry")
    return [answers.get(str(place), missing) for place in range(size)]
