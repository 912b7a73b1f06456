"""Parsing of Slipway's events, as a topic delivers them: bare or in an SNS envelope, received or archived."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from slipway.core.lifecycle.outcomes import OutcomeKind
from slipway.core.time_format import parse_time

PREFIX: Final = "slipway.deployment."
_ENDS: Final = frozenset(kind.value for kind in OutcomeKind)


class NotAnEvent(Exception):
    """A text is not an event of Slipway. The message has the problem and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedEvent:
    """The content of an event. `at` is when it was published, in seconds since the epoch."""

    event_id: str
    at: float
    request_id: str
    outcome: str
    action: str = ""
    name: str = ""
    model_arn: str = ""
    arn: str | None = None
    reason: str | None = None
    text: str | None = None
    target: str | None = None
    """None for the default target."""

    @property
    def is_terminal(self) -> bool:
        """Return whether the event is the end of its request, and not progress."""
        return self.outcome in _ENDS


def read_event(text: str) -> ParsedEvent | None:
    """Return the content of an event; None if it is not Slipway's. Raises NotAnEvent."""
    event = _object(text, "it")
    if event.get("Type") == "Notification" and isinstance(event.get("Message"), str):
        event = _object(str(event["Message"]), "Message of the SNS envelope")
    if not isinstance(event.get("type"), str) or "specversion" not in event:
        raise NotAnEvent("it is not a CloudEvent; give events as the topic delivers them, bare or in an SNS envelope")
    if not str(event["type"]).startswith(PREFIX):
        return None
    data = event.get("data")
    try:
        if not isinstance(data, dict):
            raise TypeError("data is not an object")  # noqa: TRY301  reported with the others below
        return ParsedEvent(
            event_id=str(event["id"]),
            at=parse_time(str(event["time"])),
            request_id=str(data["requestId"]),
            outcome=str(data["outcome"]),
            action=str(data.get("action", "")),
            name=str(data.get("modelDeploymentName", "")),
            model_arn=str(data.get("modelArn", "")),
            arn=data.get("customModelDeploymentArn"),
            reason=data.get("reason"),
            # Bedrock's own message of a Failed deployment is more specific.
            text=data.get("failureMessage") or data.get("message"),
            target=data.get("target"),
        )
    except (KeyError, TypeError, ValueError) as wrong:
        text = f"it has the type of a Slipway event but not its form ({wrong!r}); give it as it was published"
        raise NotAnEvent(text) from None


def read_archive(lines: Iterable[str]) -> Iterator[ParsedEvent]:
    """Yield Slipway's events from an archive with one event per line. Raises NotAnEvent with the line number."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            event = read_event(line)
        except NotAnEvent as wrong:
            raise NotAnEvent(f"line {number}: {wrong}") from None
        if event is not None:
            yield event


def _object(text: str, place: str) -> Mapping[str, object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise NotAnEvent(f"{place} is not JSON; give one event per line, as JSON") from None
    if not isinstance(value, dict):
        raise NotAnEvent(f"{place} is JSON, but not an object; give one event per line, as a JSON object")
    return value
