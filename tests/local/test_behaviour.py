"""What may go wrong on purpose: what a real client makes of each fault, and whether the call was applied."""

from __future__ import annotations

from typing import Any, get_args

import aiohttp
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from slipway.local.bedrock_server import BedrockStandIn
from slipway.local.behaviour import BEFORE, FaultRule, Faults, Kind
from tests.local.conftest import CREATE, MODEL, Clock


async def create(bedrock: Any, name: str = "a") -> Any:
    return await bedrock.create_custom_model_deployment(modelDeploymentName=name, modelArn=MODEL)


async def what_comes(bedrock: Any) -> str:
    try:
        answer = await create(bedrock)
    except ClientError as error:
        return f"{error.response['ResponseMetadata']['HTTPStatusCode']}"
    except BotoCoreError:
        return "no answer"
    except AttributeError:
        return "no object"
    return "an ARN" if "customModelDeploymentArn" in answer else "a success that says nothing"


@pytest.mark.parametrize(
    ("kind", "comes"),
    [
        ("error before", "500"),
        ("error after", "500"),
        ("request lost", "no answer"),
        ("response lost", "no answer"),
        ("empty", "a success that says nothing"),
        ("html", "a success that says nothing"),
        ("truncated", "a success that says nothing"),
        ("not an object", "no object"),
        ("redirect", "no answer"),
    ],
)
async def test_each_fault(standin: BedrockStandIn, bedrock: Any, kind: Kind, comes: str) -> None:
    standin.faults.failures[CREATE] = FaultRule(every=1, kind=kind)
    assert await what_comes(bedrock) == comes
    assert len(standin.account().made) == (0 if kind in BEFORE else 1)
    assert standin.faults.fired == {kind: 1}
    assert standin.account().calls == {f"{CREATE} {kind}": 1}


def test_every_kind_is_in_the_table_above() -> None:
    table = next(mark for mark in test_each_fault.pytestmark if mark.name == "parametrize")
    assert {kind for kind, _ in table.args[1]} == set(get_args(Kind))


async def test_every_nth_call_and_only_of_its_operation(standin: BedrockStandIn, bedrock: Any) -> None:
    standin.faults.failures[CREATE] = FaultRule(every=3, kind="error before")
    assert [await what_comes(bedrock) for _ in range(6)] == ["an ARN", "400", "500", "400", "400", "500"]
    assert (await bedrock.list_custom_model_deployments())["modelDeploymentSummaries"] != []


async def test_throttling_leaves_other_operations_alone(standin: BedrockStandIn, bedrock: Any, clock: Clock) -> None:
    standin.faults.failures[CREATE] = FaultRule(rate=2.0, burst=2)
    standin.terms = standin.terms.changed({"max_creating": 99, "max_total": 99})
    answers = []
    for at in range(6):
        try:
            await create(bedrock, f"a{at}")
            answers.append("OK")
        except ClientError as error:
            answers.append(f"{error.response['Error']['Code']} {error.response['ResponseMetadata']['HTTPStatusCode']}")
        clock.now += 0.25
        await bedrock.list_custom_model_deployments()
    assert answers == ["OK", "OK", "OK", "ThrottlingException 429", "OK", "ThrottlingException 429"]


async def test_faults_change_while_it_runs(url: str, bedrock: Any) -> None:
    async with aiohttp.ClientSession(url) as http:
        changed = await http.patch("/_slipway/faults", json={"*": {"every": 1, "kind": "empty"}})
        assert changed.status == 200
        assert await what_comes(bedrock) == "a success that says nothing"
        assert (await (await http.get("/_slipway/faults")).json())["fired"] == {"empty": 1}
        assert (await http.patch("/_slipway/faults", json={"*": None})).status == 200
        assert await what_comes(bedrock) == "400"  # the name is taken: the first one was applied
        refused: list[object] = [{"*": {"evry": 1}}, {"*": {"kind": "flood"}}, {"*": 1}, {"*": {"every": "3"}}, []]
        for wrong in refused:
            assert (await http.patch("/_slipway/faults", json=wrong)).status == 400


def test_the_same_seed_and_call_number_meet_the_same() -> None:
    def fate(seed: int) -> list[tuple[Kind | None, float, bool]]:
        faults = Faults(seed, {"*": FaultRule(share=0.3, latency_seconds=(0.0, 1.0), kind="empty")})
        return [faults.meet("List", float(at)) for at in range(200)]

    assert fate(1) == fate(1) != fate(2)
    assert 30 <= sum(fault == "empty" for fault, _, _ in fate(1)) <= 90
