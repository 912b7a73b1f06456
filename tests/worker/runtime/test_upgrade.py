"""Requests in progress while a version that knew no owners is replaced: its tags and continuations, as it wrote them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from slipway.core.events.publish import Times, announce_outcome
from slipway.core.lifecycle.outcomes import Outcome, OutcomeKind
from slipway.core.lifecycle.tags import EXPIRES_TAG, FORMER_TAG, RECEIVED_TAG, REQUEST_TAG, UPDATE_TAG, former_key
from slipway.core.parsing import parse_request
from slipway.core.sqs.messages import CONTINUATION, Message
from slipway.core.time_format import format_time
from tests.simulator.bedrock import USUAL
from tests.simulator.simulation import HOME, MODEL, OTHER_MODEL, World
from tests.simulator.sqs import EPOCH, OWN_ROLE, SOMEBODY, Letter
from tests.simulator.virtual_loop import run

BODY: dict[str, Any] = {"modelDeploymentName": "bot", "modelArn": MODEL, "requestId": "r-1"}
STRANGER = "AROASTRANGER:eve"
RECEIVED = EPOCH + 0.25
"""When the former version received the request first."""
QUICK = replace(USUAL, creation_seconds=(0.0, 0.0))


def former_tags(**more: str) -> dict[str, str]:
    """Return what the former version wrote on a deployment."""
    return {REQUEST_TAG: "r-1", RECEIVED_TAG: format_time(RECEIVED)} | more


def continued(world: World, body: dict[str, Any], sender: str = f"{OWN_ROLE}:former", **decided: object) -> Letter:
    """Send a continuation as the former version did."""
    told = {"origin": "m-former", "firstReceivedAt": RECEIVED, "hops": 1} | decided
    return world.send(body, sender=sender, attributes={CONTINUATION: json.dumps(told)})


def former_event_id(body: dict[str, Any], kind: OutcomeKind) -> str:
    """Return the id under which the former version announced an outcome."""
    request = parse_request(Message("m-former", json.dumps(body), "", 1, EPOCH, EPOCH, sender=SOMEBODY), HOME)
    outcome = Outcome(kind)
    return announce_outcome(replace(request, owner=""), outcome, Times(EPOCH, EPOCH, None), "x").event_id


async def a_world(rules: Any = QUICK, **tags: str) -> World:
    world = World(rules=rules)
    world.account.add("bot", MODEL, former_tags(**tags))
    await world.until(lambda: world.account.now() > RECEIVED + 1)
    return world


def said(world: World) -> list[tuple[str, str, str | None]]:
    return [(each.event_id, each.event["data"]["outcome"], each.event["data"].get("reason")) for each in world.topic.terminal()]


def test_an_outcome_that_the_former_version_may_have_announced_is_announced_under_the_same_id() -> None:
    async def main() -> None:
        world = await a_world()
        world.start()
        continued(world, BODY)
        await world.all_answered()
        assert said(world) == [(former_event_id(BODY, OutcomeKind.ACTIVE), "Active", None)]
        assert len(world.account.made) == 1
        await world.stop()

    run(main())


@pytest.mark.parametrize(
    ("decided", "existing", "outcome"),
    [
        ({"attempt": 2}, 1, "Active"),
        ({"failure": "no capacity"}, 0, "Failed"),
        ({"cancelled": "delete"}, 0, "Cancelled"),
        ({"cancelled": "keep"}, 1, "Cancelled"),
    ],
)
@pytest.mark.parametrize("sender", [f"{OWN_ROLE}:former", STRANGER])
def test_what_the_former_version_decided_is_done_to_what_it_made(
    sender: str, decided: dict[str, object], existing: int, outcome: str
) -> None:
    """A stranger may write the same continuation, the time of the first receipt included: it gives no ownership."""

    async def main() -> None:
        world = await a_world()
        (made,) = world.account.existing()
        world.start()
        continued(world, BODY | {"retries": 1, "onFailure": "delete"}, sender, **decided)
        await world.all_answered()
        if sender == STRANGER:
            assert world.account.existing() == [made]
        else:
            assert [each[1] for each in said(world)] == [outcome]
            assert len(world.account.existing()) == existing
            assert (made in world.account.existing()) is (decided.get("cancelled") == "keep")
        await world.stop()

    run(main())


def test_another_message_under_the_same_id_only_adopts_what_the_former_version_made() -> None:
    async def main() -> None:
        world = await a_world()
        (made,) = world.account.existing()
        world.start()
        world.send(BODY | {"smokeTest": {"prompt": "x", "expect": "zzz"}, "onFailure": "delete", "retries": 1})
        await world.all_answered()
        assert [each[1:] for each in said(world)] == [("Failed", "SmokeTestFailed")]
        assert world.account.existing() == [made]
        await world.stop()

    run(main())


def test_an_update_that_the_former_version_had_begun_turns_back_to_the_model_of_before() -> None:
    async def main() -> None:
        test = {"prompt": "x", "expect": "zzz"}
        about = {"action": "update", "customModelDeploymentIdentifier": "bot", "modelArn": MODEL, "requestId": "u-1"}
        body = about | {"rollback": True, "smokeTest": test}
        request = parse_request(Message("m-former", json.dumps(body), "", 1, EPOCH, EPOCH, sender=SOMEBODY), HOME)
        mark = {UPDATE_TAG: f"{former_key(request)} {format_time(RECEIVED)}", FORMER_TAG: OTHER_MODEL}
        world = await a_world(**{REQUEST_TAG: "r-0"} | mark)
        world.start()
        continued(world, body)
        await world.all_answered()
        assert said(world) == [(former_event_id(body, OutcomeKind.ROLLED_BACK), "RolledBack", "SmokeTestFailed")]
        (one,) = world.account.existing()
        assert one.model_arn(world.account.now()) == OTHER_MODEL
        await world.stop()

    run(main())


def test_what_the_former_version_made_still_expires_and_is_still_deleted() -> None:
    async def main() -> None:
        world = await a_world(**{EXPIRES_TAG: format_time(EPOCH + 600)})
        world.start(reap_interval=60.0)
        await world.until(lambda: not world.account.existing(), 3600)
        await world.all_answered()
        assert [each[1:] for each in said(world)] == [("Deleted", "Expired")]
        world.account.add("bot", MODEL, former_tags())
        world.send({"action": "delete", "customModelDeploymentIdentifier": "bot", "requestId": "d-1"})
        await world.all_answered()
        assert world.outcome_of("d-1")["outcome"] == "Deleted"
        assert not world.account.existing()
        await world.stop()

    run(main())
