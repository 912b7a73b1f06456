"""What is sent, and what is understood, is what it is with botocore's own way from a request to its answer."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError

from service.aws.exchanging import Exchanging
from service.core.calls import CallFailed
from tests.aws.conftest import Open, make_caller
from tests.aws.servers import Behaviour, Seen, answer, serving
from tests.aws.test_wire_matrix import OPERATIONS, Adapters, Operation

OF_ITS_OWN = ("amz-sdk-invocation-id", "authorization", "x-amz-date", "host")
"""What differs between two calls, or two servers."""

every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda each: each.name)


def without_shortcut(patch: pytest.MonkeyPatch) -> None:
    for name in ("_make_request", "_make_api_call"):
        patch.delattr(Exchanging, name)


async def sent(operation: Operation, clients_at: Open) -> list[Seen]:
    async with serving(answer(operation.status, operation.good)) as server, clients_at(server.url) as clients:
        with suppress(CallFailed):  # of those that begin with another call, the answer to it is enough
            await operation.call(Adapters.of(clients, make_caller(attempts=1)))
        return server.seen


def comparable(seen: Seen) -> tuple[Seen, set[str]]:
    kept = {name: value for name, value in seen.headers.items() if name not in OF_ITS_OWN}
    return dataclasses.replace(seen, headers=kept), seen.headers.keys() & set(OF_ITS_OWN)


@every_operation
async def test_a_request_is_sent_as_botocore_sends_it(
    operation: Operation, clients_at: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = await sent(operation, clients_at)
    with monkeypatch.context() as patch:
        without_shortcut(patch)
        botocores = await sent(operation, clients_at)
    assert ours
    assert [comparable(seen) for seen in ours] == [comparable(seen) for seen in botocores]
    assert all("authorization" in seen.headers for seen in ours)


async def asked(clients_at: Open, behaviour: Behaviour) -> Any:
    async with serving(behaviour) as server, clients_at(server.url) as clients:
        try:
            return await clients.bedrock.get_custom_model_deployment(customModelDeploymentIdentifier="n")
        except ClientError as error:
            return type(error).__name__, str(error), error.response


@pytest.mark.parametrize("name", ["CreateCustomModelDeployment", "GetCustomModelDeployment", "ReceiveMessage", "PublishBatch"])
@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "ValidationException"), (404, "ResourceNotFoundException"), (429, "ThrottlingException"), (500, "Oh")],
)
async def test_an_error_is_read_as_botocore_reads_it(
    name: str, status: int, code: str, clients_at: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    behaviour = OPERATIONS[name].error(status, code)
    ours = await asked(clients_at, behaviour)
    with monkeypatch.context() as patch:
        without_shortcut(patch)
        assert ours == await asked(clients_at, behaviour)
    assert ours[2]["ResponseMetadata"]["HTTPStatusCode"] == status


async def test_an_answer_is_read_as_botocore_reads_it(clients_at: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    behaviour = answer(200, OPERATIONS["GetCustomModelDeployment"].good, headers={"x-amzn-RequestId": "r"})
    ours = await asked(clients_at, behaviour)
    with monkeypatch.context() as patch:
        without_shortcut(patch)
        assert ours == await asked(clients_at, behaviour)
    assert ours["ResponseMetadata"]["RequestId"] == "r"
