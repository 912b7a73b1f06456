"""The JSON Schema of events, made from the words that the events are made of."""

from __future__ import annotations

from typing import Final

from slipway.core.events.publish import LONGEST_TEXT, Progress, event_type
from slipway.core.lifecycle.outcomes import OutcomeKind, Reason
from slipway.core.requests.fields import ACTIONS
from slipway.core.schema.rejection import RejectionCode

WORDS: Final = (*(kind.value for kind in OutcomeKind), *(progress.value for progress in Progress))

_TIME: Final = {"type": "string", "format": "date-time"}
_TEXT: Final = {"type": "string", "maxLength": LONGEST_TEXT}


def event_schema() -> dict[str, object]:
    """Answer the schema (draft 2020-12) that every event Slipway publishes is valid against."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Slipway event",
        "description": "CloudEvents 1.0, structured JSON. An event that arrives twice has the same id both times.",
        "type": "object",
        "required": ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"],
        "additionalProperties": False,
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "format": "uuid", "description": "UUIDv5 of what was asked and how it ended."},
            "source": {"type": "string", "pattern": "^urn:slipway:[0-9]{12}:[a-z0-9-]+$"},
            "type": {"enum": [event_type(word) for word in WORDS]},
            "subject": {"type": "string", "description": "The deployment's ARN, else its name, else the request's id."},
            "time": _TIME,
            "datacontenttype": {"const": "application/json"},
            "traceparent": {
                "type": "string",
                "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
                "description": "Where it comes from in the request's trace, where Slipway traces: W3C Trace Context.",
            },
            "data": _data(),
        },
    }


def _data() -> dict[str, object]:
    return {
        "type": "object",
        "required": ["requestId", "outcome", "times"],
        "additionalProperties": False,
        "properties": {
            "requestId": {"type": "string", "description": "The request's own id, else that of its first message."},
            "messageId": {"type": "string", "description": "Of what could not be read: the id of the message that came first."},
            "action": {"enum": list(ACTIONS)},
            "outcome": {"enum": list(WORDS), "description": "How the request ended, or how far it is."},
            "reason": {"enum": [reason.value for reason in Reason], "description": "Why, in one word for programs."},
            "code": {"enum": [code.value for code in RejectionCode], "description": "Rejected only: what is wrong with it."},
            "message": _TEXT | {"description": "Why, in a sentence for people. Cut with a mark where it is too long."},
            "modelDeploymentName": {"type": "string"},
            "cancels": {"type": "string", "description": "Of a cancel: the id of the request that it is about."},
            "modelArn": {
                "type": "string",
                "description": "The model that was asked for, once it is known; of a delete, that was served.",
            },
            "customizationJob": {"type": "string", "description": "The job whose model was asked for."},
            "trigger": {"type": "string", "description": "The rule that made the request of an upstream event."},
            "formerModelArn": {"type": "string", "description": "The model that was served before an update."},
            "customModelDeploymentArn": {"type": "string"},
            "status": {"type": "string", "description": "Bedrock's own word for the deployment's status."},
            "createdAt": _TIME,
            "lastUpdatedAt": _TIME,
            "failureMessage": _TEXT | {"description": "Bedrock's own words. Cut with a mark where they are too long."},
            "adopted": {"type": "boolean", "description": "The deployment existed before this delivery looked."},
            "smokeTest": {
                "type": "object",
                "required": ["passed", "text"],
                "additionalProperties": False,
                "properties": {
                    "passed": {"type": "boolean"},
                    "text": _TEXT
                    | {"description": "The model's answer, or why there is none. Cut with a mark where too long."},
                },
            },
            "attempt": {"type": "integer", "minimum": 1, "description": "Which attempt, where the request asks for retries."},
            "alreadyGone": {"type": "boolean", "description": "There was nothing to delete."},
            "tenant": {"type": "string"},
            "target": {"type": "string", "description": "The target that was named, where that is not the default."},
            "tags": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["key", "value"],
                    "properties": {"key": {"type": "string"}, "value": {"type": "string"}},
                },
            },
            "waiting": {
                "type": "object",
                "description": "Waiting only: what can be said of how long it will be. What is not known is left out.",
                "minProperties": 1,
                "additionalProperties": False,
                "properties": {
                    "place": {"type": "integer", "minimum": 1, "description": "In the line that it waits in; 1 goes next."},
                    "secondsToSlot": {"type": "integer", "minimum": 0, "description": "An estimate, from creations so far."},
                    "secondsToEnd": {"type": "integer", "minimum": 0, "description": "The same, until it has ended."},
                },
            },
            "times": {
                "type": "object",
                "required": ["receivedAt", "secondsSinceReceived"],
                "additionalProperties": False,
                "properties": {
                    "receivedAt": _TIME | {"description": "When the request was first received."},
                    "secondsSinceReceived": {"type": "number", "minimum": 0},
                    "deadline": _TIME,
                },
            },
        },
    }
