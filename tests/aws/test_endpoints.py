"""An endpoint that is asked for once is right for every call only if the rules ask for nothing that differs between calls."""

from __future__ import annotations

import os
from typing import Any

import pytest
from botocore.loaders import Loader

from service.aws.clients import Clients, open_clients
from service.core.targets import DEFAULT

SERVICES = ("sqs", "sns", "bedrock", "bedrock-runtime", "stepfunctions", "sagemaker", "sts")
SAME_FOR_ALL_CALLS = {"Region", "UseDualStack", "UseFIPS", "Endpoint", "UseGlobalEndpoint"}


@pytest.mark.parametrize("service", SERVICES)
def test_the_rules_ask_for_nothing_of_a_call(service: str) -> None:
    rules = Loader().load_service_model(service, "endpoint-rule-set-1")
    assert rules["parameters"].keys() <= SAME_FOR_ALL_CALLS


@pytest.fixture
def regions(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {"REGION": "eu-central-1", "ACCESS_KEY_ID": "AKID", "SECRET_ACCESS_KEY": "made-up"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)


async def endpoint_of(client: Any, operation: str) -> str:
    model = client.meta.service_model.operation_model(operation)
    return str((await client._resolve_endpoint_ruleset(model, {}, {}))[0])  # noqa: SLF001  the SDK says it nowhere else


@pytest.mark.usefixtures("regions")
async def test_each_client_keeps_an_endpoint_of_its_own() -> None:
    queue, topic = "https://sqs.us-west-2.amazonaws.com/123456789012/q", "arn:aws:sns:us-east-1:123456789012:t"
    async with open_clients(queue_url=queue, topic_arn=topic, version="0", most_polls=1) as clients:
        for _ in range(2):
            assert await endpoint_of(clients.receive, "ReceiveMessage") == "https://sqs.us-west-2.amazonaws.com"
            assert (
                await endpoint_of(clients.bedrocks[DEFAULT], "GetCustomModel") == "https://bedrock.eu-central-1.amazonaws.com"
            )
            assert await endpoint_of(clients.topic, "Publish") == "https://sns.us-east-1.amazonaws.com"


@pytest.mark.usefixtures("regions")
async def test_no_client_looks_whether_to_try_again() -> None:
    topic = "arn:aws:sns:eu-central-1:123456789012:t"
    queue = "https://sqs.eu-central-1.amazonaws.com/123456789012/q"
    async with open_clients(queue_url=queue, topic_arn=topic, version="0", most_polls=1) as clients:
        for each in await every_client(clients):
            event = f"needs-retry.{each.meta.service_model.service_id.hyphenize()}.Anything"
            assert await each.meta.events.emit(event) == []


async def every_client(clients: Clients) -> list[Any]:
    others = [await clients.open(service) for service in ("stepfunctions", "sagemaker", "bedrock-runtime", "sts")]
    return [clients.receive, clients.custody, clients.topic, *clients.bedrocks.values(), *others]
