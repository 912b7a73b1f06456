"""Reading answers: from AWS's dictionaries to plain values, or `Unknown` where something that must be there is not."""

from __future__ import annotations

import asyncio
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


class AwsClock:
    """AWS's own clock, as answers tell it: an answer without a `Date` comes as long after the last one as the loop says.

    Only before there has been one is the machine's clock asked, which may be wrong, and may jump.
    """

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self._told: tuple[float, float] | None = None
        """The last `Date`, and when it came by the event loop's clock."""

    def skew(self) -> float | None:
        """Answer by how many seconds the machine's clock is ahead now; None before the first answer.

        To half a second, as a `Date` has whole ones.
        """
        if self._told is None:
            return None
        date, came_at = self._told
        return self._machine() - (date + 0.5 + asyncio.get_running_loop().time() - came_at)

    def now(self) -> float:
        """Answer the present, in seconds since the epoch: as the last answer lets it be reckoned."""
        if self._told is None:
            return self._machine()
        return self._told[0] + asyncio.get_running_loop().time() - self._told[1]

    def read(self, answer: Parsed) -> float:
        """Answer when AWS gave this answer, in seconds since the epoch."""
        now = asyncio.get_running_loop().time()
        try:
            date = read_http_date(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", ""))
        except (ValueError, TypeError):
            return self._machine() if self._told is None else self._told[0] + now - self._told[1]
        self._told = date, now
        return date


def batch_of(answer: Parsed, size: int, operation: str) -> list[CallFailed | None]:
    """Answer for each entry of a batch, whose id is its place, None where it was applied, else what it met.

    A batch partly fails with HTTP 200; an entry that is in neither list is `Unknown`.
    """
    answers: dict[str, CallFailed | None] = {entry["Id"]: None for entry in answer.get("Successful", ())}
    answers |= {entry["Id"]: translate_entry(operation, entry) for entry in answer.get("Failed", ())}
    missing = Unknown(operation, "UnreadableAnswer", "an answer without this entry")
    return [answers.get(str(place), missing) for place in range(size)]
