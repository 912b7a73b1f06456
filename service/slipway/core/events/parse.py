"""An event, read back: as it came out of the topic, bare or in SNS's envelope, archived or just received."""

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
    """A text that is no event of Slipway's; one sentence says why, and what to give instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedEvent:
    """What an event says. `at` is when it was announced, in seconds since the epoch."""

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
    """None for the default."""

    @property
    def is_terminal(self) -> bool:
        """Whether the request has ended with it; else it is progress."""
        return self.outcome in _ENDS


def read_event(text: str) -> ParsedEvent | None:
    """Answer what an event says; None for an event of somebody else. Raises NotAnEvent."""
    event = _object(text, "it")
    if event.get("Type") == "Notification" and isinstance(event.get("Message"), str):
        event = _object(str(event["Message"]), "Message of the SNS envelope")
    if not isinstance(event.get("type"), str) or "specversion" not in event:
        raise NotAnEvent("it is no CloudEvent; give events as the topic's subscribers get them, bare or in SNS's envelope")
    if not str(event["type"]).startswith(PREFIX):
        return None
    data = event.get("data")
    try:
        if not isinstance(data, dict):
            raise TypeError("data is no object")  # noqa: TRY301  told with the others, just below
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
            # Of a Failed deployment Bedrock's own words say more.
            text=data.get("failureMessage") or data.get("message"),
            target=data.get("target"),
        )
    except (KeyError, TypeError, ValueError) as wrong:
        text = f"it has the type of an event of Slipway's, and not its form ({wrong!r}); give it as it was published"
        raise NotAnEvent(text) from None


def read_archive(lines: Iterable[str]) -> Iterator[ParsedEvent]:
    """Answer Slipway's events in an archive of one event a line. Raises NotAnEvent, with the line's number."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            told = read_event(line)
        except NotAnEvent as wrong:
            raise NotAnEvent(f"line {number}: {wrong}") from None
        if told is not None:
            yield told


def _object(text: str, place: str) -> Mapping[str, object]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise NotAnEvent(f"{place} is not JSON; give one event a line, as JSON") from None
    if not isinstance(found, dict):
        raise NotAnEvent(f"{place} is JSON, but no object; give one event a line, as a JSON object")
    return found
