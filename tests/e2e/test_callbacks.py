"""The askers themselves: a state machine that waits for a deployment, and an EventBridge rule that brings about one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from slipway.local.behaviour import Behaviour
from tests.e2e.daemons import MODEL, daemon, listening
from tests.e2e.ministack import ACCOUNT, REGION, Ministack
from tests.support.readme import ROOT

QUICK = Behaviour(max_creating=50, max_total=500, creation_seconds=(1.0, 2.0))
TRIGGERS = """
[[trigger]]
name = "tuned"
pattern = '{ "source": ["com.example.tuning"], "detail": { "state": [{ "prefix": "COMPL" }] } }'
[trigger.request]
modelDeploymentName = "{detail.run}"
customizationJob = "{detail.job}"
"""


def machine(queue_url: str) -> dict[str, Any]:
    """The state machine of config/deploy, which deploys, and goes on with what came of it; with this queue."""
    sample: dict[str, Any] = json.loads((ROOT / "config" / "deploy" / "state-machine.json").read_text("utf-8"))
    sample["States"]["Deploy"]["Parameters"]["QueueUrl"] = queue_url
    return sample


async def test_a_state_machine_waits_for_a_deployment_and_goes_on_with_its_arn(tmp_path: Path) -> None:
    asked = {"modelDeploymentName": "bot", "modelArn": MODEL, "requestId": "from-states"}
    async with Ministack(tmp_path, QUICK) as aws, daemon(aws) as process, listening(aws) as results:
        ended = await aws.run_machine(machine(aws.queue_url), asked)
        (made,) = aws.bedrock.account().made
        assert ended["status"] == "SUCCEEDED", ended
        assert json.loads(ended["output"]) == {"modelId": made.arn}
        await results.until(lambda: {outcome for outcome, _ in results.outcomes().get("from-states", ())} == {"Active"})
        await process.wait_for_page("/metrics", lambda text: 'slipway_replies_total{reply="TaskSucceeded"} 1.0' in text)


async def test_a_state_machine_fails_with_bedrocks_own_words(tmp_path: Path) -> None:
    asked = {"modelDeploymentName": "fails-always", "modelArn": MODEL}
    async with Ministack(tmp_path, QUICK) as aws, daemon(aws):
        ended = await aws.run_machine(machine(aws.queue_url), asked)
        assert (ended["status"], ended["error"]) == ("FAILED", "DeploymentFailed")
        assert ended["cause"] == QUICK.failure_message


async def test_an_event_that_a_rule_of_eventbridge_puts_into_the_queue_ends_as_a_deployment(tmp_path: Path) -> None:
    triggers = tmp_path / "triggers.toml"
    triggers.write_text(TRIGGERS, "utf-8")
    job = MODEL.replace("custom-model", "model-customization-job")

    def an_event(run: str, state: str) -> dict[str, str]:
        detail = {"run": run, "state": state, "job": job}
        return {"Source": "com.example.tuning", "DetailType": "Tuning Ended", "Detail": json.dumps(detail)}

    async with (
        Ministack(tmp_path, QUICK) as aws,
        daemon(aws, SLIPWAY_TRIGGERS=str(triggers)) as process,
        listening(aws) as results,
    ):
        await aws.events.put_rule(Name="tuned", EventPattern=json.dumps({"source": ["com.example.tuning"]}))
        queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:slipway-requests"
        await aws.events.put_targets(Rule="tuned", Targets=[{"Id": "slipway", "Arn": queue}])
        put = await aws.events.put_events(Entries=[an_event("run.7", "COMPLETED"), an_event("run.8", "ABORTED")])
        assert put["FailedEntryCount"] == 0
        first, _ = (entry["EventId"] for entry in put["Entries"])
        await results.until(lambda: bool(results.outcomes()))
        await process.until(lambda: bool(process.lines("event.unmatched")))
        assert {outcome for outcome, _ in results.outcomes()[first]} == {"Active"}
        (made,) = aws.bedrock.account().made
        assert (made.name, made.first_model_arn) == ("run-7", MODEL)
        await process.wait_for_page("/metrics", lambda text: "slipway_events_unmatched_total 1.0" in text)
