"""Whatever call a request waits for when its deadline comes, the outcome says for what, in AWS's words."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from slipway.core.lifecycle.tags import RECEIVED_TAG, REQUEST_TAG
from tests.simulator.bedrock import Rules
from tests.simulator.simulation import MODEL, OTHER_MODEL, World
from tests.simulator.virtual_loop import run
from tests.simulator.wire_faults import Fault

OURS = {REQUEST_TAG: "r-0", RECEIVED_TAG: "2025-01-01T00:00:00.000Z"}
TEST = {"prompt": "x"}
DEPLOY: dict[str, object] = {"modelDeploymentName": "bot", "modelArn": MODEL}
EXISTING: dict[str, object] = {"customModelDeploymentIdentifier": "old"}
JOB = MODEL.replace("custom-model", "model-customization-job")

THROTTLED: dict[str, dict[str, object]] = {
    "Converse": DEPLOY | {"smokeTest": TEST},
    "TagResource": DEPLOY | {"smokeTest": TEST},
    "CreateCustomModelDeployment": DEPLOY,
    "GetCustomModelDeployment": {"action": "delete"} | EXISTING,
    "ListTagsForResource": {"action": "delete"} | EXISTING,
    "DeleteCustomModelDeployment": {"action": "delete"} | EXISTING,
    "UpdateCustomModelDeployment": {"action": "update", "modelArn": OTHER_MODEL} | EXISTING,
    "GetModelCustomizationJob": {"modelDeploymentName": "bot", "customizationJob": JOB},
}


@pytest.mark.parametrize("timeout", [61.0, 61.4, 62.0, 63.0, 65.0, 70.0, 80.0, 100.0])
@pytest.mark.parametrize("operation", THROTTLED)
def test_a_call_that_is_throttled_up_to_the_deadline_is_named(operation: str, timeout: float) -> None:
    async def main() -> None:
        world = World(
            rules=Rules(creation_seconds=(30.0, 30.0)),
            terms={"sweep_interval": 5.0},
            plan=lambda called, _: Fault.THROTTLED if called == operation else None,
        )
        old = world.account.add("old", MODEL, OURS)
        old.ends = old.created
        world.start()
        world.send(THROTTLED[operation] | {"requestId": "r-1", "timeout": timeout})
        await world.all_answered()
        said: Mapping[str, str] = world.outcome_of("r-1")
        assert (said["outcome"], said.get("reason")) == ("TimedOut", "Throttled"), said
        assert operation in said["message"] or "rate limit" in said["message"], said
        assert "ThrottlingException" in said["message"] or "rate limit" in said["message"], said
        assert "not begun" not in said["message"], said
        await world.stop()

    run(main())
