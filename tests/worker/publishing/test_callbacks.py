"""Answers where the question came from, in virtual time: after the event, before the delete, once; nobody there is no harm."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import pytest

from slipway.core.events.callbacks import Callback, EventCopy, StepFailed, StepSucceeded, TaskFailed, TaskSucceeded
from slipway.core.events.publish import Publication
from tests.simulator.bedrock import USUAL, Rules
from tests.simulator.callbacks import Waiting
from tests.simulator.observer import Watching
from tests.simulator.simulation import MODEL, World
from tests.simulator.sqs import Letter
from tests.simulator.virtual_loop import run
from tests.simulator.wire_faults import Fault
from tests.worker.kills import Story

TASK, STEP = "AQCEAAAAKgAAAAMAAAAA", "Qk3vX9aZ1b"
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/answers"
TERMS: dict[str, Any] = {"reply_to": ("https://sqs.us-east-1.amazonaws.com/123456789012/*",)}
BODY: dict[str, Any] = {"modelDeploymentName": "bot", "modelArn": MODEL, "requestId": "r-1"}


def a_world(rules: Rules = USUAL, **more: Any) -> World:
    world = World(rules=rules, terms=TERMS | more.pop("terms", {}), **more)
    world.askers.tasks[TASK] = Waiting()
    world.askers.steps[STEP] = Waiting()
    return world


def heard(world: World) -> tuple[Callback | None, Callback | None]:
    return world.askers.tasks[TASK].heard, world.askers.steps[STEP].heard


def test_a_task_waits_for_the_deployment_hears_heartbeats_and_goes_on_with_its_arn() -> None:
    async def main() -> None:
        world = a_world()
        world.start()
        world.send(BODY | {"TaskToken": TASK})
        await world.all_answered()
        task = world.askers.tasks[TASK]
        assert isinstance(task.heard, TaskSucceeded)
        output = json.loads(task.heard.output)
        assert (output["outcome"], output["customModelDeploymentArn"]) == ("Active", world.account.made[0].arn)
        gaps = [after - before for before, after in zip(task.heartbeats, [*task.heartbeats[1:], task.heard_at], strict=True)]
        assert len(gaps) >= 10
        assert max(gaps) <= 32
        await world.stop()

    run(main())


def test_many_tasks_wait_and_none_is_forgotten() -> None:
    async def main() -> None:
        quick = Rules(max_creating=1000, max_total=1000, creation_seconds=(200.0, 250.0))
        world = a_world(quick, terms={"max_held": 500})
        world.start()
        for number in range(400):
            world.askers.tasks[f"t-{number}"] = Waiting()
            world.send(BODY | {"modelDeploymentName": f"bot-{number}", "requestId": f"r-{number}", "taskToken": f"t-{number}"})
        await world.all_answered()
        for number in range(400):
            task = world.askers.tasks[f"t-{number}"]
            heard_at = [*task.heartbeats, task.heard_at]
            assert isinstance(task.heard, TaskSucceeded)
            assert len(heard_at) > 6
            assert max(after - before for before, after in itertools.pairwise(heard_at)) < 40
        assert world.wire.calls["SendTaskHeartbeat"] < 400 * 12
        await world.stop()

    run(main())


def test_a_task_fails_with_bedrocks_own_words() -> None:
    async def main() -> None:
        world = a_world(Rules(failing=1.0))
        world.start()
        world.send({"Input": BODY, "TaskToken": TASK})
        await world.all_answered()
        task, _ = heard(world)
        assert isinstance(task, TaskFailed)
        assert (task.error, task.cause) == ("DeploymentFailed", world.event("bot")["failureMessage"])
        await world.stop()

    run(main())


def test_a_pipelines_step_hears_it_too() -> None:
    async def main() -> None:
        world = a_world()
        world.start()
        world.send({"token": STEP, "status": "Executing", "pipelineExecutionArn": "arn", "arguments": BODY | {"priority": "7"}})
        await world.all_answered()
        _, step = heard(world)
        assert isinstance(step, StepSucceeded)
        assert dict(step.parameters)["customModelDeploymentArn"] == world.account.made[0].arn
        await world.stop()

    run(main())


def test_a_copy_goes_where_the_settings_allow_it_and_nowhere_else() -> None:
    async def main() -> None:
        world = a_world()
        world.start()
        world.send(BODY | {"replyTo": QUEUE})
        world.send(BODY | {"modelDeploymentName": "other", "replyTo": QUEUE.replace("123456789012", "999999999999")})
        await world.all_answered()
        ((to, event_id, event),) = world.askers.copies
        assert (to, event["data"]["outcome"]) == (QUEUE, "Active")
        assert event_id == next(each.event_id for each in world.topic.terminal() if each.event["data"]["outcome"] == "Active")
        (rejected,) = [each.event["data"] for each in world.topic.terminal() if each.event["data"]["outcome"] == "Rejected"]
        assert rejected["code"] == "ReplyNotAllowed"
        assert "have the setting reply_to allow it" in rejected["message"]
        await world.stop()

    run(main())


def test_whoever_asked_wrongly_is_told_so() -> None:
    async def main() -> None:
        world = a_world()
        world.start()
        world.send({"modelArn": MODEL, "taskToken": TASK, "callbackToken": STEP})
        await world.all_answered()
        task, step = heard(world)
        assert isinstance(task, TaskFailed)
        assert isinstance(step, StepFailed)
        assert task.error == "NotUnderstood"
        assert task.cause.startswith("modelDeploymentName is missing")
        await world.stop()

    run(main())


def test_nobody_at_the_token_any_more_changes_nothing() -> None:
    async def main() -> None:
        world = a_world()
        replica = world.start()
        world.send(BODY | {"taskToken": TASK})
        await world.until(lambda: len(world.askers.tasks[TASK].heartbeats) == 2)
        world.askers.tasks[TASK].is_over = True
        await world.all_answered()
        assert world.outcomes() == {"bot": "Active"}
        assert replica.slipway.counters.replies == {"NobodyThere": 1}
        assert world.wire.calls["SendTaskHeartbeat"] == 3, "and nobody is told any more that the work goes on"
        await world.stop()

    run(main())


def test_a_reply_that_cannot_be_made_does_not_hold_the_request_for_ever() -> None:
    async def main() -> None:
        world = a_world(plan=lambda operation, _: Fault.DENIED if operation.startswith("SendTask") else None)
        replica = world.start()
        world.send(BODY | {"taskToken": TASK})
        await world.all_answered()
        assert world.outcomes() == {"bot": "Active"}
        assert replica.slipway.counters.replies == {"GivenUp": 1}
        await world.stop()

    run(main())


def test_replies_that_are_denied_do_not_hold_up_a_delete_while_all_places_are_taken() -> None:
    async def main() -> None:
        world = a_world(Rules(creation_seconds=(20.0, 20.0)), terms={"max_held": 4})
        world.askers.is_denied = True
        world.start()
        for number in range(8):
            world.send(BODY | {"modelDeploymentName": f"bot-{number}", "requestId": f"r-{number}", "replyTo": QUEUE})
        await world.until(lambda: len(world.topic.terminal()) >= 3)
        world.send({"action": "delete", "customModelDeploymentIdentifier": "nothing", "requestId": "d-1"})
        await world.until(lambda: any(one.event["data"]["requestId"] == "d-1" for one in world.topic.terminal()), 240)
        await world.all_answered()
        assert not world.dead.all
        await world.stop()

    run(main())


def test_an_outage_of_minutes_is_waited_out() -> None:
    async def main() -> None:
        began = asyncio.get_running_loop().time()

        def plan(operation: str, _: int) -> Fault | None:
            is_out = asyncio.get_running_loop().time() - began < 1500
            return Fault.RESPONSE_LOST if operation == "SendTaskSuccess" and is_out else None

        world = a_world(plan=plan)
        world.start()
        world.send(BODY | {"taskToken": TASK})
        await world.all_answered()
        assert isinstance(heard(world)[0], TaskSucceeded)
        await world.stop()

    run(main())


class Order(Watching):
    """What happened in which order."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def published(self, publication: Publication, process: str | None) -> None:
        self.seen.append("published")

    def replied(self, reply: Callback, process: str | None) -> None:
        self.seen.append("copied" if isinstance(reply, EventCopy) else "replied")

    def deleted(self, letter: Letter, process: str | None) -> None:
        self.seen.append("deleted")


def test_first_the_event_then_the_replies_then_the_delete() -> None:
    async def main() -> None:
        world, order = a_world(), Order()
        world.watch(order)
        world.start()
        world.send(BODY | {"taskToken": TASK, "callbackToken": STEP, "replyTo": QUEUE})
        await world.all_answered()
        assert order.seen == ["published", "replied", "replied", "copied", "deleted"]
        await world.stop()

    run(main())


@pytest.mark.parametrize("fails", [False, True])
def test_killed_before_any_step_each_asker_hears_one_answer_and_the_same(*, fails: bool) -> None:
    def check(world: World) -> None:
        assert world.outcomes() == {"bot": "Failed" if fails else "Active"}
        task, step = heard(world)
        assert isinstance(task, TaskFailed if fails else TaskSucceeded)
        assert isinstance(step, StepFailed if fails else StepSucceeded)
        said = {each.event_id for each in world.topic.terminal()}
        assert {event_id for _, event_id, _ in world.askers.copies} == said

    asked = BODY | {"taskToken": TASK, "callbackToken": STEP, "replyTo": QUEUE}
    rules = Rules(failing=1.0 if fails else 0.0, creation_seconds=(40.0, 40.0))
    Story(lambda: a_world(rules), lambda world: world.send(asked), check).survives_every_kill()


def test_given_back_on_sigterm_the_next_process_answers() -> None:
    async def main() -> None:
        world = a_world()
        world.start("a")
        world.send(BODY | {"taskToken": TASK})
        await world.until(lambda: len(world.askers.tasks[TASK].heartbeats) == 2)
        await world.stop("a")
        world.start("b")
        await world.all_answered()
        assert isinstance(heard(world)[0], TaskSucceeded)
        await world.stop("b")

    run(main())


def test_handed_on_for_longer_than_twelve_hours_the_token_goes_along() -> None:
    async def main() -> None:
        world = a_world(Rules(max_total=0))
        world.start()
        world.send(BODY | {"taskToken": TASK, "timeout": "PT20H"})
        await world.all_answered(200_000)
        assert len(world.sqs.all) == 2
        task, _ = heard(world)
        assert isinstance(task, TaskFailed)
        assert task.error == "NoSlot"
        await world.stop()

    run(main())
