"""The contract in one document: AsyncAPI 3.0, made from the schemas that requests and events are checked against.

It is said from Slipway's side: it receives requests from a queue, and sends events to a topic and answers to who asked.
Schemas lose their `$schema` here: they hold nothing that AsyncAPI's own dialect (a superset of draft 07) does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from slipway.core.events.publish import LONGEST_ATTRIBUTE, Progress, event_type
from slipway.core.events.schema import WORDS, event_schema
from slipway.core.events.trace_context import TRACEPARENT
from slipway.core.lifecycle.outcomes import OutcomeKind, Reason
from slipway.core.requests.actions import request_schema
from slipway.core.requests.fields import ACTIONS, REPLY_TO

VERSION: Final = "3.0.0"
CLOUDEVENTS: Final = "application/cloudevents+json"

SUMMARIES: Final = {
    OutcomeKind.ACTIVE: "The deployment is Active, as Bedrock has said.",
    OutcomeKind.FAILED: "Bedrock's verdict, or a conflict: reason and message say which.",
    OutcomeKind.UPDATED: "The deployment serves the other model.",
    OutcomeKind.ROLLED_BACK: "The update failed, and the deployment serves the model that it served before.",
    OutcomeKind.DELETED: "The deployment is gone, as Bedrock has said.",
    OutcomeKind.CANCELLED: "It was asked to be: what had been begun is kept or deleted, as the asker wished.",
    OutcomeKind.CANCEL_TAKEN: "The end of a cancel: it was handed to whoever holds the request that is not wanted any more.",
    OutcomeKind.TIMED_OUT: "The deadline came first; reason says what was waited for at the end.",
    OutcomeKind.REJECTED: "The request could not be understood: the field, the problem and the remedy.",
    Progress.ACCEPTED: "The request was understood. Only with the setting progress_events, as all that follow.",
    Progress.WAITING: "The request waits in line for a slot.",
    Progress.CREATING: "Bedrock has taken the creation on.",
    Progress.RETRYING: "The deployment failed, and is made once more, as the request asks.",
}
_ENDINGS: Final = tuple(kind.value for kind in OutcomeKind)


def asyncapi_document(version: str) -> dict[str, object]:
    """Answer the document. `version` is Slipway's own."""
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Slipway",
            "version": version,
            "description": "Takes deployment requests from an SQS queue, makes them true in Amazon Bedrock, and tells SNS how "
            "each one ended. An event may arrive twice, and has the same id both times.",
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
    # What docs/how-to/run.md asks of a queue: visibility is set with each receive, and some receives are kept in hand.
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
        "description": f"Where the request's {REPLY_TO.name} says, if the setting reply_to allows it: the event of its end.",
        "servers": [_ref("servers", "sqs"), _ref("servers", "sns")],
        "messages": {_key(word): _ref("components", "messages", _key(word)) for word in _ENDINGS},
    }


def _receive() -> dict[str, object]:
    return {
        "action": "receive",
        "channel": _ref("channels", "requests"),
        "summary": "Take a request on; its message is deleted when its outcome has been published, and not before.",
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
        "summary": "Tell how each request ended, and with the setting progress_events also how far it is.",
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
    """The message attributes of an event: Strings, and only those that there is something to say of."""
    text = {"type": "string", "maxLength": LONGEST_ATTRIBUTE}
    return {
        "type": "object",
        "required": ["eventType", "status", "requestId"],
        "additionalProperties": False,
        "properties": {
            "eventType": {"enum": [event_type(word) for word in WORDS]},
            "status": {"enum": list(WORDS)},
            "action": {"enum": list(ACTIONS)},
            "deploymentName": text,
            "requestId": text,
            "tenant": text,
            "reason": {"enum": [reason.value for reason in Reason]},
            TRACEPARENT: text,
        },
    }


_BY_WORD: Final = {kind.value: kind for kind in SUMMARIES}


def _without_draft(schema: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in schema.items() if key != "$schema"}


def _key(word: str) -> str:
    return word[0].lower() + word[1:]


def _ref(*path: str) -> dict[str, str]:
    return {"$ref": f"#/{'/'.join(path)}"}
