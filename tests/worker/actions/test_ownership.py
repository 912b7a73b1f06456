"""Ownership in virtual time: what one sender's request made, no other sender's request changes, whatever id it carries."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from slipway.core.lifecycle.tags import OWNER_TAG, REQUEST_TAG
from slipway.core.parsing import client_token, parse_request
from slipway.core.requests.models import Deploy
from slipway.core.rules.permissions import PermissionRule
from slipway.core.sqs.messages import CONTINUATION, Message
from tests.simulator.bedrock import USUAL, request_of, tag_of
from tests.simulator.simulation import HOME, MODEL, OTHER_MODEL, World
from tests.simulator.sqs import EPOCH, SOMEBODY, Letter
from tests.simulator.virtual_loop import run
from tests.simulator.wire_faults import Fault
from tests.worker.kills import Story

TEAM, STRANGER = "AROATEAM:monday", "AROASTRANGER:eve"
BODY: dict[str, Any] = {"modelDeploymentName": "bot", "modelArn": MODEL, "requestId": "r-1"}
RULES = (
    PermissionRule(name="team", senders=("AROATEAM:*",), names=("bot*",)),
    PermissionRule(name="everybody-else", actions=("deploy", "cancel")),
)
TEST = {"prompt": "x", "expect": "zzz"}


def a_world(*rules: PermissionRule, **terms: Any) -> World:
    return World(rules=replace(USUAL, creation_seconds=(300.0, 300.0)), terms={"permissions": rules} | terms)


def events(world: World, letter: Letter) -> list[tuple[str, str | None]]:
    """Return how the request in a message ended, each time that it was said: outcome, and reason or code."""
    said = {each.event_id: each.event["data"] for each in world.topic.terminal()}
    mine = [data for data in said.values() if data.get("messageId") == letter.message_id]
    return [(data["outcome"], data.get("code") or data.get("reason")) for data in mine]


def of_request(world: World, request_id: str) -> list[str]:
    said = {each.event_id: each.event["data"] for each in world.topic.terminal()}
    return [data["outcome"] for data in said.values() if data["requestId"] == request_id]


@pytest.mark.parametrize("rules", [RULES, ()], ids=["rules", "no rules"])
@pytest.mark.parametrize("more", [{"onFailure": "delete", "smokeTest": TEST}, {"retries": 3, "smokeTest": TEST}], ids=str)
def test_a_stranger_who_copies_an_id_deletes_nothing(rules: tuple[PermissionRule, ...], more: dict[str, Any]) -> None:
    async def main() -> None:
        world = a_world(*rules)
        world.start()
        world.send(BODY, sender=TEAM)
        await world.all_answered()
        (made,) = world.account.existing()
        letter = world.send(BODY | more, sender=STRANGER)
        await world.all_answered()
        assert world.account.existing() == [made]
        assert events(world, letter) == [("Rejected", "NotPermitted" if rules else "RequestIdReused")]
        assert of_request(world, "r-1") == ["Active", "Rejected"]
        await world.stop()

    run(main())


@pytest.mark.parametrize("rules", [RULES, ()], ids=["rules", "no rules"])
def test_a_stranger_who_copies_a_whole_payload_only_adopts(rules: tuple[PermissionRule, ...]) -> None:
    """The copy may say `onFailure: delete` where its sender may delete: the deployment is another's all the same."""

    async def main() -> None:
        body = BODY | {"onFailure": "delete", "retries": 1}
        every = tuple(replace(rule, actions=()) for rule in rules)
        world = World(rules=replace(USUAL, creation_seconds=(300.0, 300.0), failing=1.0), terms={"permissions": every})
        world.start()
        world.send(BODY | {"modelDeploymentName": "bot-0", "requestId": "r-0"}, sender=TEAM)
        world.send(body | {"retries": 0, "onFailure": "keep"}, sender=TEAM)
        await world.all_answered()
        made = world.account.existing()
        assert len(made) == 2
        world.send(body | {"retries": 0, "onFailure": "keep"}, sender=STRANGER)
        await world.all_answered()
        assert world.account.existing() == made
        endings = [each.event["data"] for each in world.topic.terminal() if each.event["data"]["requestId"] == "r-1"]
        assert [data["outcome"] for data in endings] == ["Failed", "Failed"]
        assert endings[1]["adopted"] is True
        await world.stop()

    run(main())


@pytest.mark.parametrize("rules", [RULES, ()], ids=["rules", "no rules"])
def test_a_stranger_who_deploys_and_cancels_under_anothers_id_deletes_nothing(rules: tuple[PermissionRule, ...]) -> None:
    async def main() -> None:
        world = a_world(*rules)
        world.start()
        world.start("b")
        world.send(BODY | {"requestId": "r-2"}, sender=TEAM)
        await world.until(lambda: bool(world.account.made))
        world.send(BODY | {"requestId": "r-2"}, sender=STRANGER)
        cancel = {"action": "cancel", "cancels": "r-2", "requestId": "c-1", "deployment": "delete", "timeout": 60}
        letter = world.send(cancel, sender=STRANGER)
        await world.all_answered()
        if rules:
            assert events(world, letter) == [("Rejected", "NotPermitted")]
            assert [request_of(one) for one in world.account.existing()] == ["r-2"]
            assert "Cancelled" not in of_request(world, "r-2")
        await world.stop()
        await world.stop("b")

    run(main())


@pytest.mark.parametrize(
    ("sender", "delete", "outcome"),
    [
        ("AROATEAM:tuesday", False, "Cancelled"),
        ("AROATEAM:tuesday", True, "Cancelled"),
        (STRANGER, False, "Active"),
        (STRANGER, True, "Active"),
        ("AROAADMIN:x", False, "Cancelled"),
        ("AROAADMIN:x", True, "Cancelled"),
    ],
)
def test_a_cancel_reaches_its_senders_own_and_what_that_may_delete(sender: str, outcome: str, *, delete: bool) -> None:
    async def main() -> None:
        world = a_world(PermissionRule(name="admin", senders=("AROAADMIN:*",)), *RULES)
        world.start()
        world.send(BODY, sender=TEAM)
        await world.until(lambda: bool(world.account.made))
        said = {"deployment": "delete"} if delete else {}
        world.send({"action": "cancel", "cancels": "r-1", "requestId": "c-1", "timeout": 60} | said, sender=sender)
        await world.all_answered()
        assert world.outcome_of("r-1")["outcome"] == outcome
        assert len(world.account.existing()) == (0 if delete and outcome == "Cancelled" else 1)
        await world.stop()

    run(main())


@pytest.mark.parametrize("rules", [RULES, ()], ids=["rules", "no rules"])
def test_a_forged_continuation_gives_no_ownership(rules: tuple[PermissionRule, ...]) -> None:
    """Not even of a payload that is the same to the letter."""

    async def main() -> None:
        world = a_world(*rules)
        world.start()
        first = world.send(BODY, sender=TEAM)
        await world.all_answered()
        (made,) = world.account.existing()
        for claim in ({"failure": "no capacity"}, {"cancelled": "delete"}, {"attempt": 2}):
            told = {"origin": first.message_id, "firstReceivedAt": EPOCH + 900, "hops": 3, "sender": TEAM} | claim
            world.send(BODY, sender=STRANGER, attributes={CONTINUATION: json.dumps(told)})
            await world.all_answered()
        assert world.account.existing() == [made]
        await world.stop()

    run(main())


def test_the_same_id_with_another_payload_is_refused_and_answers_who_waits() -> None:
    async def main() -> None:
        world = World()
        world.start()
        world.ask("bot", requestId="r-1")
        await world.all_answered()
        letter = world.ask("bot", OTHER_MODEL, requestId="r-1", ifExists="replace")
        await world.all_answered()
        assert events(world, letter) == [("Rejected", "RequestIdReused")]
        assert [one.first_model_arn for one in world.account.existing()] == [MODEL]
        again = world.ask("bot", requestId="r-1", timeout="PT1H", priority=3, tenant="b")
        await world.all_answered()
        assert events(world, again) == [], "how it is handled does not make it another request"
        assert of_request(world, "r-1") == ["Active", "Rejected"]
        await world.stop()

    run(main())


def failing_once(**more: Any) -> World:
    return World(rules=replace(USUAL, creation_seconds=(60.0, 60.0), failing_attempts=1), **more)


def test_two_copies_of_one_payload_are_one_request_over_every_kill() -> None:
    """Either may try again and clean up: both are proved to be of the sender that made it."""

    def ask(world: World) -> None:
        world.start("beside")
        for session in ("one", "two"):
            world.send(BODY | {"retries": 1, "onFailure": "delete"}, sender=f"AROATEAM:{session}")

    def check(world: World) -> None:
        assert world.outcome_of("r-1")["outcome"] == "Active"
        (one,) = world.account.existing()
        assert len(world.account.made) == 2, "one for each attempt"
        assert str(tag_of(one, OWNER_TAG)).count(".") == 1

    assert Story(failing_once, ask, check).survives_every_kill(stride=5) > 60


def test_what_a_version_without_owners_made_is_adopted_and_never_changed() -> None:
    async def main() -> None:
        world = World(rules=replace(USUAL, creation_seconds=(0.0, 0.0)))
        made = world.account.add("bot", MODEL, {REQUEST_TAG: "r-1"})
        world.start()
        world.ask("bot", requestId="r-1", smokeTest=TEST, onFailure="delete", retries=2)
        await world.all_answered()
        assert world.outcome_of("r-1")["reason"] == "SmokeTestFailed"
        assert world.account.existing() == [made]
        await world.stop()

    run(main())


# Tags that are shown late.


def test_a_successor_that_does_not_see_its_tags_yet_knows_its_own_after_every_kill() -> None:
    def begin() -> World:
        rules = replace(USUAL, creation_seconds=(300.0, 300.0), tag_lag_seconds=14.0)
        return World(rules=rules, terms={"visibility_timeout": 10})

    def check(world: World) -> None:
        assert world.outcome_of("r-1")["outcome"] == "Active"
        assert len(world.account.made) == 1

    assert Story(begin, lambda world: world.ask("bot", requestId="r-1"), check).survives_every_kill() > 5


def test_an_update_whose_mark_is_shown_late_is_not_written_round_and_round() -> None:
    async def main() -> None:
        world = World(rules=replace(USUAL, creation_seconds=(0.0, 0.0)))
        world.account.add("bot", MODEL, {REQUEST_TAG: "r-0"})
        world.account.rule(tag_lag_seconds=5.0)
        world.start()
        await world.until(lambda: world.account.now() > world.account.made[0].created + 6)
        asked = {"action": "update", "customModelDeploymentIdentifier": "bot", "modelArn": OTHER_MODEL, "requestId": "u-1"}
        world.send(asked)
        await world.all_answered(600)
        assert world.outcome_of("u-1")["outcome"] == "Updated"
        assert world.wire.calls["TagResource"] <= 2
        await world.stop()

    run(main())


# Tokens that are remembered for what is gone.


@pytest.mark.parametrize("answer", ["same", "any", "error"])
@pytest.mark.parametrize("reserved", [0.0, 60.0])
def test_what_was_deleted_and_is_sent_again_is_made_again(answer: Any, reserved: float) -> None:
    async def main() -> None:
        rules = replace(USUAL, token_seconds=86_400.0, token_answer=answer, name_reserved_seconds=reserved)
        world = World(rules=rules)
        world.start()
        for number in range(1, 4):
            world.ask("bot", requestId="r-1")
            took = await world.until(lambda number=number: len(world.account.made) == number, 900)  # type: ignore[misc]
            assert took < 600
            await world.all_answered(2000)
            assert world.outcome_of("r-1")["outcome"] == "Active"
            world.send({"action": "delete", "customModelDeploymentIdentifier": "bot", "requestId": f"d-{number}"})
            await world.all_answered(600)
            assert not world.account.existing()
        await world.stop()

    run(main())


@pytest.mark.parametrize("status", ["Active", "Failed"])
def test_what_list_still_shows_of_a_deployment_that_is_gone_is_no_outcome_of_a_create(status: str) -> None:
    async def main() -> None:
        rules = replace(USUAL, token_seconds=86_400.0, list_lag_seconds=90.0, creation_seconds=(60.0, 60.0))
        world = World(rules=replace(rules, failing=float(status == "Failed")), terms={"max_creating": 1})
        world.start()
        world.ask("bot", requestId="r-1")
        await world.all_answered(900)
        assert world.outcome_of("r-1")["outcome"] == status
        await asyncio.sleep(300)  # until List shows it as it is
        world.account.delete("bot")
        world.account.rule(failing=0.0)
        world.ask("bot", requestId="r-1")
        world.ask("other")  # waits for a slot: sweeps list everything
        await world.all_answered(900)
        there = {one.name: one.arn for one in world.account.existing()}
        ends = [each.event["data"] for each in world.topic.terminal() if each.event["data"]["modelDeploymentName"] == "bot"]
        assert [end["outcome"] for end in ends] == [status, "Active"]
        assert ends[-1]["customModelDeploymentArn"] == there["bot"]
        await world.stop()

    run(main())


def test_what_was_deleted_and_is_sent_again_is_made_once_over_every_kill() -> None:
    asked = {"modelDeploymentName": "bot", "modelArn": MODEL, "requestId": "r-1"}
    first = Message("m-0", json.dumps(asked), "", 1, EPOCH, EPOCH, sender=SOMEBODY)
    request = parse_request(first, HOME)
    assert isinstance(request, Deploy)

    def begin() -> World:
        world = World(rules=replace(USUAL, token_seconds=86_400.0, creation_seconds=(60.0, 60.0)))
        for void in range(2):
            world.account.model.add(EPOCH, "bot", MODEL, token=client_token(request, 0, void))
            world.account.delete("bot")
        return world

    def check(world: World) -> None:
        assert world.outcome_of("r-1")["outcome"] == "Active"
        assert len(world.account.made) == 3, "two that are gone, and one"

    assert Story(begin, lambda world: world.send(asked), check).survives_every_kill(stride=2) > 20


def test_a_create_whose_answer_is_lost_is_not_made_again_because_of_a_void_token() -> None:
    async def main() -> None:
        world = World(plan=lambda op, n: Fault.RESPONSE_LOST if op.startswith("Create") and n < 3 else None)
        world.start()
        world.ask("bot", requestId="r-1")
        await world.all_answered(3600)
        assert len(world.account.made) == 1
        await world.stop()

    run(main())


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "ValidationException", "ConflictException"])
@pytest.mark.parametrize(
    "text", ["The specified custom model does not exist.", "Could not find the model", "no longer exists; name in use"]
)
def test_a_model_that_does_not_exist_is_no_name_that_is_taken(code: str, text: str) -> None:
    async def main() -> None:
        world = World(rules=replace(USUAL, models={MODEL: "Missing"}, missing_code=code, missing_text=text))
        world.start()
        world.ask("bot", requestId="r-1")
        await world.all_answered(120)
        assert world.outcome_of("r-1")["reason"] == "ModelNotFound"
        await world.stop()

    run(main())
