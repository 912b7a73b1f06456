"""Attacks on what another sender's request made, in virtual time: by ARN, by id, by session, by event, by forgery."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from slipway.core.lifecycle.tags import OWNER_TAG, SMOKE_TAG
from slipway.core.rules.permissions import PermissionRule
from slipway.core.rules.triggers import Trigger, read_triggers
from slipway.core.sqs.messages import CONTINUATION
from tests.simulator.bedrock import USUAL, tag_of
from tests.simulator.simulation import MODEL, OTHER_MODEL, World
from tests.simulator.sqs import EPOCH
from tests.simulator.virtual_loop import run
from tests.worker.actions.test_ownership import BODY, RULES, STRANGER, TEAM, TEST, a_world, events
from tests.worker.kills import Story

QUICK = replace(USUAL, creation_seconds=(30.0, 30.0))
DUMB = replace(QUICK, dull_models="m$")


def _about(action: str, identifier: str, request_id: str, **more: object) -> dict[str, object]:
    return {"action": action, "customModelDeploymentIdentifier": identifier, "requestId": request_id} | more


@pytest.mark.parametrize("names", [("a*",), ("arn*",), ("*l*",), ("bot-*", "*-x")], ids=str)
@pytest.mark.parametrize("action", ["delete", "update"])
def test_a_pattern_of_names_permits_no_arn(action: str, names: tuple[str, ...]) -> None:
    """An ARN begins with "arn" and holds any letters: no pattern of names but "*" tells whose deployment it is."""

    async def main() -> None:
        world = a_world(*RULES[:1], PermissionRule(name="a-team", names=names))
        world.start()
        world.send(BODY, sender=TEAM)
        await world.all_answered()
        (made,) = world.account.existing()
        more = {"modelArn": OTHER_MODEL} if action == "update" else {}
        letter = world.send(_about(action, made.arn, "x-1", **more), sender=STRANGER)
        await world.all_answered()
        assert events(world, letter) == [("Rejected", "NotPermitted")]
        assert world.account.existing() == [made]
        await world.stop()

    run(main())


def test_sessions_of_one_role_that_have_different_rules_do_not_cancel_each_others_requests() -> None:
    async def main() -> None:
        rules = (
            PermissionRule(name="alice", senders=("AROACI:alice",)),
            PermissionRule(name="others", actions=("deploy", "cancel")),
        )
        world = a_world(*rules)
        world.start()
        world.send(BODY, sender="AROACI:alice")
        await world.until(lambda: bool(world.account.made))
        cancel = {"action": "cancel", "cancels": "r-1", "requestId": "c-1", "timeout": 60}
        world.send(cancel, sender="AROACI:bob")
        await world.all_answered()
        assert world.outcome_of("r-1")["outcome"] == "Active"
        assert world.outcome_of("c-1")["reason"] == "NothingToCancel"
        await world.stop()

    run(main())


@pytest.mark.parametrize("action", ["delete", "update"])
@pytest.mark.parametrize("sender", [TEAM, STRANGER])
def test_the_id_of_a_deploy_is_refused_to_what_changes_its_deployment(action: str, sender: str) -> None:
    async def main() -> None:
        world = a_world()
        world.start()
        world.send(BODY, sender=TEAM)
        await world.all_answered()
        (made,) = world.account.existing()
        more = {"modelArn": OTHER_MODEL} if action == "update" else {}
        letter = world.send(_about(action, "bot", "r-1", **more), sender=sender)
        await world.all_answered()
        assert events(world, letter) == [("Rejected", "RequestIdReused")]
        assert world.account.existing() == [made]
        assert made.model_arn(world.account.now()) == MODEL
        await world.stop()

    run(main())


@pytest.mark.parametrize("sender", [TEAM, STRANGER])
@pytest.mark.parametrize("more", [{"modelArn": MODEL}, {"rollback": True}, {"smokeTest": TEST}], ids=str)
def test_the_id_of_an_update_is_refused_to_another_update(sender: str, more: dict[str, object]) -> None:
    async def main() -> None:
        world = World(rules=QUICK)
        world.start()
        world.send(BODY, sender=TEAM)
        await world.all_answered()
        world.send(_about("update", "bot", "u-1", modelArn=OTHER_MODEL), sender=TEAM)
        await world.all_answered()
        letter = world.send(_about("update", "bot", "u-1", **{"modelArn": OTHER_MODEL} | more), sender=sender)
        await world.all_answered()
        assert events(world, letter) == [("Rejected", "RequestIdReused")]
        (one,) = world.account.existing()
        assert one.model_arn(world.account.now()) == OTHER_MODEL
        again = world.send(_about("update", "bot", "u-1", modelArn=OTHER_MODEL), sender=TEAM)
        deleted = world.send(_about("delete", "bot", "u-1"), sender=sender)
        await world.all_answered()
        assert events(world, again) == [], "the same request, under the event id that it had"
        assert events(world, deleted) == [("Rejected", "RequestIdReused")]
        await world.stop()

    run(main())


def test_an_update_is_refused_the_id_of_an_update_over_every_kill() -> None:
    def ask(world: World) -> None:
        world.ask("bot", requestId="r-1")
        world.send(_about("update", "bot", "u-1", modelArn=OTHER_MODEL, rollback=True))
        world.send(_about("update", "bot", "u-1", modelArn=MODEL))

    def check(world: World) -> None:
        said = {each.event_id: each.event["data"] for each in world.topic.terminal()}
        assert sorted(data["outcome"] for data in said.values()) == ["Active", "Rejected", "Updated"]

    assert Story(lambda: World(rules=QUICK), ask, check).survives_every_kill(stride=3) > 20


@pytest.mark.parametrize("request_id", ["r-1", "r-9"], ids=["a copy", "another request"])
@pytest.mark.parametrize("passes", [True, False])
def test_an_adopter_writes_nothing_on_what_it_adopts(request_id: str, *, passes: bool) -> None:
    async def main() -> None:
        test = {"prompt": "Reply with the word ready.", "expect": "ready" if passes else "zzz", "gate": True}
        world = World(rules=QUICK)
        world.start()
        body = BODY | {"smokeTest": test}
        world.send(body, sender=TEAM)
        await world.all_answered()
        (made,) = world.account.existing()
        before = [dict(tag) for tag in made.tags]
        written = world.wire.calls["TagResource"]
        world.send(body | {"requestId": request_id}, sender=STRANGER)
        await world.all_answered()
        assert world.account.existing() == [made]
        assert made.tags == before
        assert world.wire.calls["TagResource"] == written
        said = [each.event["data"] for each in world.topic.terminal()]
        assert [(data["requestId"], data["outcome"]) for data in said] == [
            ("r-1", "Active" if passes else "Failed"),
            (request_id, "Active" if passes else "Failed"),
        ]
        assert said[1]["adopted"] is True
        assert said[1]["smokeTest"]["passed"] is passes
        await world.stop()

    run(main())


def test_an_adopters_smoke_test_says_the_same_over_every_kill() -> None:
    """A model that answers otherwise each time makes no request end in two ways."""

    def begin() -> World:
        return World(rules=replace(QUICK, creation_seconds=(5.0, 5.0)))

    def ask(world: World) -> None:
        world.send(BODY, sender=TEAM)
        world.send(BODY | {"requestId": "r-2", "smokeTest": TEST | {"expect": "ready"}}, sender=STRANGER)

    def check(world: World) -> None:
        world.outcome_of("r-2")
        (made,) = world.account.existing()
        assert tag_of(made, SMOKE_TAG) is None

    assert Story(begin, ask, check).survives_every_kill(stride=2) > 10


def _trigger(**request: str) -> tuple[Trigger, ...]:
    rule = {"name": "t", "pattern": {"source": ["acme"]}, "request": request}
    return read_triggers({"trigger": [rule]})


def _event(event_id: str, **detail: object) -> dict[str, object]:
    return {
        "version": "0",
        "id": event_id,
        "source": "acme",
        "detail-type": "x",
        "account": "123456789012",
        "time": "2026-11-23T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": detail,
    }


@pytest.mark.parametrize("chosen", ["{detail.run}", None])
def test_an_event_that_chooses_an_id_owns_nothing_of_another_event(chosen: str | None) -> None:
    """All that comes by EventBridge has one sender: the payload tells the requests apart."""

    async def main() -> None:
        more = {} if chosen is None else {"requestId": chosen}
        trigger = _trigger(
            modelDeploymentName="bot",
            modelArn=MODEL,
            onFailure="{detail.onFailure}",
            smokeTest={"prompt": "x", "expect": "{detail.expect}"},  # type: ignore[arg-type]
            **more,
        )
        world = World(rules=QUICK, terms={"triggers": trigger})
        world.start()
        world.send(_event("e-1", run="r-1", onFailure="keep", expect="ready"), sender="AIDAEVENTS")
        await world.all_answered()
        (made,) = world.account.existing()
        event_id = "e-2" if chosen else "e-1"
        letter = world.send(_event(event_id, run="r-1", onFailure="delete", expect="zzz"), sender="AIDAEVENTS")
        await world.all_answered()
        assert world.account.existing() == [made]
        assert events(world, letter) == [("Rejected", "RequestIdReused")]
        await world.stop()

    run(main())


def test_a_forged_continuation_drops_nobody_elses_cancel() -> None:
    """Without rules anybody may write one: the first message's id in it is no proof that it is of the same cancel."""

    async def main() -> None:
        world = a_world()
        world.start()
        cancel = {"action": "cancel", "cancels": "r-1", "requestId": "c-1", "timeout": 300}
        letter = world.send(cancel, sender=TEAM)
        told = {"origin": letter.message_id, "firstReceivedAt": EPOCH, "hops": 90_000}
        world.send(cancel, sender=STRANGER, attributes={CONTINUATION: json.dumps(told)})
        await world.until(lambda: world.sqs.now() > EPOCH + 100)
        assert letter.message_id in world.sqs.letters, "it is still to be done"
        world.send(BODY, sender=TEAM)
        await world.all_answered()
        assert "Cancelled" in [each.event["data"]["outcome"] for each in world.topic.terminal()]
        await world.stop()

    run(main())


def test_an_update_in_place_of_another_sender_with_the_same_ids_is_another_update() -> None:
    """`ifExists: update` marks what it updates: under one id, two senders' marks are not taken for each other's."""

    async def main() -> None:
        world = World(rules=DUMB)
        world.start()
        world.send(BODY | {"requestId": "r-0"}, sender=TEAM)
        await world.all_answered()
        update: dict[str, Any] = BODY | {"modelArn": OTHER_MODEL, "ifExists": "update", "smokeTest": TEST, "requestId": "r-1"}
        world.send(update, sender=TEAM)
        await world.all_answered()
        (made,) = world.account.existing()
        first = tag_of(made, "slipway:update")
        assert first is not None
        assert tag_of(made, OWNER_TAG) is not None
        world.send(BODY | {"modelArn": MODEL, "ifExists": "update", "requestId": "r-2"}, sender=TEAM)
        await world.all_answered()
        world.send(update, sender=STRANGER)
        await world.all_answered()
        second = tag_of(made, "slipway:update")
        assert second is not None
        assert first.split()[0] != second.split()[0]
        await world.stop()

    run(main())
