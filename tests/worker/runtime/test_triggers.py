"""Upstream events, in virtual time: what a rule makes of them is deployed once, when its model is there."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

from slipway.core.bedrock import ModelState
from slipway.settings.load import load_triggers
from tests.simulator.bedrock import USUAL, Rules, request_of
from tests.simulator.simulation import World
from tests.simulator.virtual_loop import run
from tests.simulator.wire_faults import Fault
from tests.support.bodies import ARN
from tests.support.readme import ROOT, SAMPLES
from tests.worker.kills import Story

TRIGGERS = load_triggers(str(ROOT / "config" / "triggers.toml"))
EVENT = Path(SAMPLES / "bedrock-job-completed.json").read_text("utf-8")
EVENT_ID: str = json.loads(EVENT)["id"]
JOB: str = json.loads(EVENT)["detail"]["jobName"]
MODEL = f"{ARN[:-12]}{hashlib.sha256(JOB.encode()).hexdigest()[:12]}"
"""That the stand-in gives to a job of this name."""
NAME = "support-tune-2026-11-23"


def a_world(rules: Rules = USUAL, **more: Any) -> World:
    terms = {"triggers": TRIGGERS} | more.pop("terms", {})
    return World(rules=rules, terms=terms, **more)


def test_a_completed_job_becomes_a_deployment_of_its_model() -> None:
    async def main() -> None:
        world = a_world()
        world.start()
        world.sqs.put(EVENT)
        await world.all_answered()
        (made,) = world.account.made
        assert (made.name, made.first_model_arn, request_of(made)) == (NAME, MODEL, EVENT_ID)
        data = world.event(NAME)
        assert (data["outcome"], data["trigger"]) == ("Active", "bedrock-customization-completed")
        assert (data["customizationJob"], data["modelArn"]) == (JOB, MODEL)
        await world.stop()

    run(main())


def test_an_event_delivered_twice_is_one_deployment_and_one_result() -> None:
    async def main() -> None:
        world = a_world()
        for name in ("a", "b"):
            world.start(name)
            world.sqs.put(EVENT)
        await world.all_answered()
        assert len(world.account.made) == 1
        assert world.outcomes() == {NAME: "Active"}
        for name in ("a", "b"):
            await world.stop(name)

    run(main())


def test_an_event_that_no_rule_matches_is_counted_and_done_with() -> None:
    async def main() -> None:
        world = a_world()
        replica = world.start()
        world.sqs.put(EVENT.replace('"Completed"', '"InProgress"'))
        await world.all_answered()
        assert (world.topic.notices, world.dead.all, world.account.made) == ([], [], [])
        assert replica.slipway.counters.events_unmatched == 1
        assert replica.slipway.counters.settlements == {"Done": 1}
        await world.stop()

    run(main())


def test_without_triggers_an_event_of_aws_is_rejected() -> None:
    async def main() -> None:
        world = World()
        world.start()
        world.sqs.put(EVENT)
        await world.all_answered()
        assert [notice.event["data"]["code"] for notice in world.topic.terminal()] == ["UnsupportedEvent"]
        await world.stop()

    run(main())


def test_the_job_then_the_model_are_waited_for_without_a_create_that_is_refused() -> None:
    async def main() -> None:
        world = a_world(
            Rules(jobs={JOB: "InProgress"}, models={MODEL: ModelState.CREATING}, creation_seconds=(300.0, 900.0)),
            terms={"progress_events": True},
        )
        world.start()
        world.sqs.put(EVENT)
        await asyncio.sleep(900)
        world.account.rule(jobs={})
        await asyncio.sleep(900)
        assert world.wire.calls["CreateCustomModelDeployment"] == 0
        assert world.wire.calls["GetModelCustomizationJob"] + world.wire.calls["GetCustomModel"] < 60
        assert {notice.event["data"].get("reason") for notice in world.progress(NAME)} == {None, "ModelNotActive"}
        world.account.rule(models={})
        await world.all_answered()
        assert world.outcomes() == {NAME: "Active"}
        assert world.wire.calls["CreateCustomModelDeployment"] == 1
        await world.stop()

    run(main())


def test_a_model_that_does_not_come_is_a_time_out_that_says_so() -> None:
    async def main() -> None:
        world = a_world(Rules(jobs={JOB: "InProgress"}), terms={"timeout": 1800.0})
        world.start()
        world.sqs.put(EVENT)
        await world.all_answered()
        data = world.event(NAME)
        assert (data["outcome"], data["reason"]) == ("TimedOut", "ModelNotActive")
        job = MODEL.replace(":custom-model/", ":model-customization-job/")
        assert f"the customization job {job} is InProgress" in data["message"]
        assert "modelArn" not in data
        await world.stop()

    run(main())


def test_a_job_that_failed_is_a_failed_request() -> None:
    async def main() -> None:
        world = a_world(Rules(jobs={JOB: "Failed"}))
        world.start()
        world.sqs.put(EVENT)
        await world.all_answered()
        data = world.event(NAME)
        assert (data["outcome"], data["reason"]) == ("Failed", "ModelFailed")
        assert data["message"].endswith("is Failed: The training data could not be read.")
        await world.stop()

    run(main())


def test_a_request_may_name_the_job_itself_while_it_runs() -> None:
    async def main() -> None:
        world = World(rules=Rules(jobs={"tune-7": "InProgress"}))
        world.start()
        world.sqs.put(json.dumps({"modelDeploymentName": "bot", "customizationJob": "tune-7"}))
        await asyncio.sleep(600)
        assert not world.account.made
        world.account.rule(jobs={})
        await world.all_answered()
        data = world.event("bot")
        assert (data["outcome"], data["customizationJob"]) == ("Active", "tune-7")
        assert data["modelArn"] == world.account.made[0].first_model_arn
        await world.stop()

    run(main())


def test_killed_before_any_step_there_is_one_deployment_and_one_result() -> None:
    def check(world: World) -> None:
        assert len(world.account.made) == 1
        assert world.outcomes() == {NAME: "Active"}

    Story(a_world, lambda world: world.sqs.put(EVENT), check).survives_every_kill()


def test_a_job_that_cannot_be_asked_for_any_more_does_not_make_a_conflict_of_our_own_deployment() -> None:
    """The first owner has created it; the second is denied the job until the deadline, and looks once more."""

    async def main() -> None:
        denied = False
        world = a_world(
            Rules(creation_seconds=(600.0, 600.0)),
            plan=lambda operation, _: Fault.DENIED if denied and operation == "GetModelCustomizationJob" else None,
            terms={"timeout": 1800.0},
        )
        world.start("a")
        world.sqs.put(EVENT)
        await world.until(lambda: len(world.account.made) == 1)
        denied = True
        world.kill("a")
        world.start("b")
        await world.all_answered()
        assert world.outcomes() == {NAME: "Active"}
        await world.stop("b")

    run(main())
