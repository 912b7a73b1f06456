"""The JSON Schema of events, and the AsyncAPI 3.0 document of the whole contract.

The document describes Slipway's side: it receives requests from a queue and sends events to a topic and to reply addresses.
Schemas lose their `$schema` and `$id` in it: they use nothing that AsyncAPI's own dialect, a superset of draft 07, does
not have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from slipway.core.events.publish import DATA_SCHEMA, LONGEST_ATTRIBUTE, LONGEST_TEXT, SCHEMA_ID, Progress, event_type
from slipway.core.events.trace_context import TRACEPARENT
from slipway.core.lifecycle.outcomes import OutcomeKind, Reason
from slipway.core.requests.fields import ACTIONS, REPLY_TO
from slipway.core.requests.models import request_schema
from slipway.core.schema.rejection import RejectionCode

WORDS: Final = (*(kind.value for kind in OutcomeKind), *(progress.value for progress in Progress))

_TIME: Final = {"type": "string", "format": "date-time"}
_TEXT: Final = {"type": "string", "maxLength": LONGEST_TEXT}


def event_schema() -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of every published event."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Slipway event",
        "description": "CloudEvents 1.0, structured JSON. An event that arrives twice has the same id both times.",
        "type": "object",
        "required": ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data"],
        "additionalProperties": False,
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "format": "uuid", "description": "UUIDv5 of the request and its outcome."},
            "source": {"type": "string", "pattern": "^urn:slipway:[0-9]{12}:[a-z0-9-]+$"},
            "type": {"enum": [event_type(word) for word in WORDS]},
            "subject": {"type": "string", "description": "The request's id, as in data.requestId."},
            "time": _TIME,
            "datacontenttype": {"const": "application/json"},
            "dataschema": {"const": DATA_SCHEMA, "description": "The schema of data: a part of `slipway schema event`."},
            "traceparent": {
                "type": "string",
                "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
                "description": "The span that published it, if tracing is on: W3C Trace Context.",
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
            "messageId": {
                "type": "string",
                "description": "Only if the request could not be read: the id of its first message.",
            },
            "action": {"enum": list(ACTIONS)},
            "outcome": {"enum": list(WORDS), "description": "Outcome or progress of the request."},
            "reason": {"enum": [reason.value for reason in Reason], "description": "The reason, one word for programs."},
            "code": {"enum": [code.value for code in RejectionCode], "description": "Rejected only: the kind of problem."},
            "message": _TEXT | {"description": "The reason, a sentence for people. Cut with a mark if it is too long."},
            "modelDeploymentName": {"type": "string"},
            "cancels": {"type": "string", "description": "Of a cancel: the id of the request to cancel."},
            "modelArn": {
                "type": "string",
                "description": "The requested model, once it is known; of a delete, the model that was served.",
            },
            "customizationJob": {"type": "string", "description": "The customization job that the request names."},
            "trigger": {"type": "string", "description": "The trigger that made the request from an upstream event."},
            "formerModelArn": {"type": "string", "description": "The model that was served before an update."},
            "customModelDeploymentArn": {"type": "string"},
            "console": {
                "type": "string",
                "format": "uri",
                "description": "The custom models of the deployment's Region in the AWS console.",
            },
            "deploymentStatus": {"type": "string", "description": "The deployment's status as Bedrock returned it."},
            "createdAt": _TIME,
            "lastUpdatedAt": _TIME,
            "failureMessage": _TEXT | {"description": "Bedrock's failure message. Cut with a mark if it is too long."},
            "adopted": {"type": "boolean", "description": "The deployment is older than this delivery of the request."},
            "smokeTest": {
                "type": "object",
                "required": ["passed", "text"],
                "additionalProperties": False,
                "properties": {
                    "passed": {"type": "boolean"},
                    "text": _TEXT
                    | {"description": "The model's answer, or why there is none. Cut with a mark if it is too long."},
                },
            },
            "attempt": {"type": "integer", "minimum": 1, "description": "Number of the attempt, if the request has retries."},
            "alreadyGone": {"type": "boolean", "description": "There was nothing to delete."},
            "tenant": {"type": "string"},
            "target": {"type": "string", "description": "The request's target, unless it is the default."},
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
                "description": "Waiting only: the estimates that are known.",
                "minProperties": 1,
                "additionalProperties": False,
                "properties": {
                    "place": {"type": "integer", "minimum": 1, "description": "Queue position; 1 is next."},
                    "secondsToSlot": {"type": "integer", "minimum": 0, "description": "Estimated time until a free slot."},
                    "secondsToEnd": {"type": "integer", "minimum": 0, "description": "Estimated time until the request ends."},
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
                    "secondsWaited": {
                        "type": "number",
                        "minimum": 0,
                        "description": "Of a deploy: from its receipt until Bedrock created the deployment.",
                    },
                    "secondsInCreation": {
                        "type": "number",
                        "minimum": 0,
                        "description": "Of a deploy: from then until Bedrock reported Active or Failed.",
                    },
                },
            },
        },
    }


VERSION: Final = "3.0.0"
CLOUDEVENTS: Final = "application/cloudevents+json"

SUMMARIES: Final = {
    OutcomeKind.ACTIVE: "Bedrock reports the deployment as Active.",
    OutcomeKind.FAILED: "Bedrock reports a failure, or there is a conflict: see reason and message.",
    OutcomeKind.UPDATED: "The deployment serves the requested model.",
    OutcomeKind.ROLLED_BACK: "The update failed, and the deployment serves its former model.",
    OutcomeKind.DELETED: "Bedrock no longer finds the deployment.",
    OutcomeKind.CANCELLED: "The request was cancelled; its deployment was kept or deleted, as the cancel says.",
    OutcomeKind.CANCEL_TAKEN: "The outcome of a cancel: the process that works on the other request has it.",
    OutcomeKind.TIMED_OUT: "The deadline passed; reason says what the request waited for.",
    OutcomeKind.REJECTED: "The request is invalid: the message has the field, the problem and the remedy.",
    Progress.ACCEPTED: "The request is valid. Progress is published only with the setting progress_events.",
    Progress.WAITING: "The request waits for a creation slot.",
    Progress.CREATING: "Bedrock accepted the creation.",
    Progress.RETRYING: "The deployment failed; the request's next attempt follows.",
}
_ENDINGS: Final = tuple(kind.value for kind in OutcomeKind)


def asyncapi_document(version: str) -> dict[str, object]:
    """Return the AsyncAPI document. `version` is Slipway's own."""
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Slipway",
            "version": version,
            "description": "Reads model-deployment requests from an SQS queue, creates the deployments in Amazon Bedrock, and "
            "publishes every outcome to SNS. An event may arrive twice, with the same id.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"sqs": _server("sqs"), "sns": _server("sns")},
        "channels": {"requests": _requests(), "events": _events(), "replies": _replies()},
        "operations": {"receiveRequest": _receive(), "announce": _announce()},
        "components": {
            "messages": {"request": _request_message()} | {_key(word): _event_message(word) for word in WORDS},
            "schemas": {
                "request": _without_draft(request_schema()),
                "event": _without_draft(event_schema()),
                "attributes": _attributes(),
            },
        },
    }


def _server(service: str) -> dict[str, object]:
    region = {"description": "The Region that the queue, the topic and the models are in.", "examples": ["us-east-1"]}
    return {"host": f"{service}.{{region}}.amazonaws.com", "protocol": service, "variables": {"region": region}}


def _requests() -> dict[str, object]:
    # As docs/how-to/run.md recommends: the visibility timeout is set with each receive, and some receives stay in reserve.
    queue = {
        "name": "slipway-requests",
        "fifoQueue": False,
        "messageRetentionPeriod": 1_209_600,
        "redrivePolicy": {"deadLetterQueue": {"name": "slipway-dead-letters"}, "maxReceiveCount": 10},
    }
    return {
        "address": "slipway-requests",
        "title": "Requests",
        "description": "Standard, or FIFO for order within each group. The queue's URL is the setting queue_url.",
        "servers": [_ref("servers", "sqs")],
        "messages": {"request": _ref("components", "messages", "request")},
        "bindings": {"sqs": {"queue": queue, "bindingVersion": "0.2.0"}},
    }


def _events() -> dict[str, object]:
    topic = {"name": "slipway-events", "ordering": {"type": "standard", "contentBasedDeduplication": False}}
    return {
        "address": "slipway-events",
        "title": "Events",
        "description": "The topic's ARN is the setting topic_arn. On a FIFO topic the event's id is the deduplication id, and "
        "the deployment's name the group. Filter on the message attributes.",
        "servers": [_ref("servers", "sns")],
        "messages": {_key(word): _ref("components", "messages", _key(word)) for word in WORDS},
        "bindings": {"sns": topic | {"bindingVersion": "0.1.0"}},
    }


def _replies() -> dict[str, object]:
    return {
        "address": None,
        "title": "Replies",
        "description": f"Address in the request's {REPLY_TO.name}, if the setting reply_to allows it; gets the outcome.",
        "servers": [_ref("servers", "sqs"), _ref("servers", "sns")],
        "messages": {_key(word): _ref("components", "messages", _key(word)) for word in _ENDINGS},
    }


def _receive() -> dict[str, object]:
    return {
        "action": "receive",
        "channel": _ref("channels", "requests"),
        "summary": "Receive a request. Its message is deleted after its outcome was published, never before.",
        "messages": [_ref("channels", "requests", "messages", "request")],
        "reply": {
            "address": {"location": f"$message.payload#/{REPLY_TO.name}", "description": REPLY_TO.doc},
            "channel": _ref("channels", "replies"),
            "messages": [_ref("channels", "replies", "messages", _key(word)) for word in _ENDINGS],
        },
    }


def _announce() -> dict[str, object]:
    return {
        "action": "send",
        "channel": _ref("channels", "events"),
        "summary": "Publish the outcome of each request and, with the setting progress_events, its progress.",
        "messages": [_ref("channels", "events", "messages", _key(word)) for word in WORDS],
    }


def _request_message() -> dict[str, object]:
    examples = request_schema()["examples"]
    return {
        "name": "request",
        "title": "Request",
        "summary": "Bare, or in an SNS envelope, or an EventBridge event, or several of these nested.",
        "contentType": "application/json",
        "payload": _ref("components", "schemas", "request"),
        "examples": [
            {"name": action, "payload": example}
            for action, example in zip(ACTIONS, examples if isinstance(examples, Sequence) else (), strict=True)
        ],
    }


def _event_message(word: str) -> dict[str, object]:
    exact = {"properties": {"type": {"const": event_type(word)}, "data": {"properties": {"outcome": {"const": word}}}}}
    return {
        "name": event_type(word),
        "title": word,
        "summary": SUMMARIES[_BY_WORD[word]],
        "contentType": CLOUDEVENTS,
        "headers": _ref("components", "schemas", "attributes"),
        "payload": {"allOf": [_ref("components", "schemas", "event"), exact]},
    }


def _attributes() -> dict[str, object]:
    """Return the schema of an event's message attributes: Strings, each present only if it has a value."""
    text = {"type": "string", "maxLength": LONGEST_ATTRIBUTE}
    return {
        "type": "object",
        "required": ["outcome", "account", "region"],
        "additionalProperties": False,
        "properties": {
            "outcome": {"enum": list(WORDS)},
            "action": {"enum": list(ACTIONS)},
            "deploymentName": text,
            "requestId": text,
            "tenant": text,
            "target": text,
            "account": text,
            "region": text,
            "reason": {"enum": [reason.value for reason in Reason]},
            TRACEPARENT: text,
        },
    }


_BY_WORD: Final = {kind.value: kind for kind in SUMMARIES}


def _without_draft(schema: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in schema.items() if key not in {"$schema", "$id"}}


def _key(word: str) -> str:
    return word[0].lower() + word[1:]


def _ref(*path: str) -> dict[str, str]:
    return {"$ref": f"#/{'/'.join(path)}"}
