"""Reading answers: from AWS's dictionaries to plain values, or `UnknownResult` where something that must be there is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.aws.adapters.error_translation import translate_entry
from slipway.core.bedrock.errors import CallFailed, UnknownResult

Parsed = Mapping[str, Any]


def text_of(answer: Parsed, key: str, operation: str) -> str:
    """Answer a text that must be there."""
    value = answer.get(key)
    if not isinstance(value, str) or not value:
        raise unreadable(operation, f"an answer without {key}")
    return value


def unreadable(operation: str, said: str) -> UnknownResult:
    """Return the failure of a call whose answer is not what it must be."""
    return UnknownResult(operation, "UnreadableAnswer", said)


def texts_of(answer: Parsed, key: str, operation: str) -> dict[str, str]:
    """Return an object that must be there, of texts alone."""
    value = answer.get(key)
    if not isinstance(value, Mapping) or not all(isinstance(text, str) for text in value.values()):
        raise unreadable(operation, f"an answer without {key}")
    return dict(value)


def objects_of(answer: Parsed, key: str, operation: str, *, may_lack: bool = False) -> list[Parsed]:
    """Return a list of objects that must be there, unless it `may_lack`, as lists do that AWS leaves out when empty."""
    value = answer.get(key)
    if value is None and may_lack:
        return []
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        raise unreadable(operation, f"an answer without {key}")
    return value


def number_of(value: object, operation: str) -> int:
    """Return a whole number, which AWS writes as a text."""
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]  # what is none is told by trying
    except (TypeError, ValueError, OverflowError) as exc:
        raise unreadable(operation, f"{value!r:.100} is no number") from exc


def batch_of(answer: Parsed, size: int, operation: str) -> list[CallFailed | None]:
    """Answer for each entry of a batch, whose id is its place, None where it was applied, else what it met.

    A batch partly fails with HTTP 200; an entry that is in neither list is `UnknownResult`.
    """
    applied, failed = (objects_of(answer, key, operation, may_lack=True) for key in ("Successful", "Failed"))
    answers: dict[str, CallFailed | None] = {text_of(entry, "Id", operation): None for entry in applied}
    answers |= {text_of(entry, "Id", operation): translate_entry(operation, entry) for entry in failed}
    missing = unreadable(operation, "an answer without this entry")
    return [answers.get(str(place), missing) for place in range(size)]
