"""The commands of the AWS CLI that the documentation shows, for tests: any API call, and CloudFormation as far as needed.

The local AWS stand-in has no CloudFormation: `describe-stacks` prints the stand-in's settings, as the stack's output `Settings`
does, or the URL of its dead-letter queue. The other commands only check their template, which is tested with an emulator
elsewhere.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
import jmespath
from botocore import xform_name
from botocore.model import Shape


def main(words: Sequence[str]) -> None:
    service, operation, *rest = words
    if (service, operation) == ("cloudformation", "wait"):
        assert rest[0] == "stack-delete-complete"
        return
    options = _options(rest)
    query, output = options.pop("query", None), options.pop("output", ["json"])
    if service == "cloudformation":
        _cloudformation(operation, options, query)
        return
    client = boto3.client(service)
    name = client.meta.method_to_api_mapping[operation.replace("-", "_")]
    members = client.meta.service_model.operation_model(name).input_shape.members
    by_option = {xform_name(member, "-"): (member, shape) for member, shape in members.items()}
    if "endpoint" in by_option:  # renamed by the CLI because of its own --endpoint-url
        by_option["notification-endpoint"] = by_option["endpoint"]
    given = {by_option[option][0]: _value(by_option[option][1], values) for option, values in options.items()}
    answer = getattr(client, operation.replace("-", "_"))(**given)
    answer.pop("ResponseMetadata")
    found = jmespath.search(query[0], answer) if query else answer
    sys.stdout.write(f"{found if output == ['text'] else json.dumps(found)}\n")


def _options(words: Sequence[str]) -> dict[str, list[str]]:
    options: dict[str, list[str]] = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name = word.removeprefix("--")
            options[name] = []
        else:
            options[name].append(word)
    return options


def _value(shape: Shape, words: list[str]) -> Any:
    match shape.type_name:
        case "list":
            return words
        case "map" if words[0].startswith("{"):
            return json.loads(words[0])
        case "map":
            return dict(pair.split("=", 1) for pair in words[0].split(","))
        case "integer":
            return int(words[0])
        case _:
            return words[0]


def _cloudformation(operation: str, options: dict[str, list[str]], query: list[str] | None) -> None:
    if operation == "describe-stacks" and query is not None and "'DeadLettersUrl'" in query[0]:
        sqs, queue = boto3.client("sqs"), os.environ["STAND_IN_SLIPWAY_QUEUE_URL"]
        attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["RedrivePolicy"])["Attributes"]
        name = json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"].rpartition(":")[2]
        sys.stdout.write(f"{sqs.get_queue_url(QueueName=name)['QueueUrl']}\n")
    elif operation == "describe-stacks":
        names = ("SLIPWAY_QUEUE_URL", "SLIPWAY_TOPIC_ARN")
        sys.stdout.write("".join(f"{name}={os.environ[f'STAND_IN_{name}']}\n" for name in names))
    elif operation == "deploy":
        assert Path(options["template-file"][0]).is_file()
    else:
        assert operation == "delete-stack"


if __name__ == "__main__":
    main(sys.argv[1:])
