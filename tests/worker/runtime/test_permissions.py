"""Permission to ask, in virtual time: what is not permitted touches nothing, and nobody passes for another, kills or not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from slipway.core.lifecycle.tags import EXPIRES_TAG, REQUEST_TAG
from slipway.core.requests.models import Deploy
from slipway.core.rules.permissions import PermissionRule
from slipway.core.sqs.messages import CONTINUATION
from slipway.local.bedrock_account import StandInDeployment
from tests.simulator.bedrock import USUAL, Rules, request_of
from tests.simulator.simulation import MODEL, World
from tests.simulator.sqs import EPOCH, OWN_ROLE, SOMEBODY
from tests.simulator.virtual_loop import run
from tests.worker.kills import Story

TEAM, STRANGER = "AROATEAM:monday", "AROASTRANGER:eve"
BODY: dict[str, Any] = {"modelDeploymentName": "bot", "modelArn": MODEL, "requestId": "r-1"}
RULES = (
    PermissionRule(
        name="team",
        senders=("AROATEAM:*",),
        actions=("deploy", "cancel", "delete"),
        names=("bot*",),
        force_tags=(("team", "support"),),
    ),
    PermissionRule(name="others", senders=("AROAOTHER:*",)),
)


def a_world(rules: Rules = USUAL, permissions: tuple[PermissionRule, ...] = RULES, **terms: Any) -> World:
    return World(rules=rules, terms={"permissions": permissions} | terms)


def forged(**more: object) -> dict[str, str]:
    """What a sender may write himself, to pass for a request of the team's that Slipway has handed on."""
    told = {"origin": "m-99999", "firstReceivedAt": EPOCH + 900, "hops": 1, "sender": TEAM}
    return {CONTINUATION: json.dumps(told | more)}


def rejection(world: World) -> dict[str, Any]:
    """Return the data of the one event there is, which is a rejection; check that nothing was touched."""
    (data,) = {each.event_id: each.event["data"] for each in world.topic.notices}.values()
    assert (data["outcome"], data["code"]) == ("Rejected", "NotPermitted")
    assert not any("CustomModel" in operation for operation in world.wire.calls if operation != "ListCustomModelDeployments")
    assert world.dead.all
    return dict(data)


def tags_of(made: StandInDeployment) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in made.tags}


def test_what_a_rule_permits_is_done_with_the_tags_that_it_forces() -> None:
    async def main() -> None:
        world = a_world()
        world.start()
        world.send(BODY | {"tags": [{"key": "team", "value": "search"}, {"key": "x", "value": "y"}]}, sender=TEAM)
        await world.all_answered()
        assert world.outcomes() == {"bot": "Active"}
        (made,) = world.account.made
        assert (tags_of(made)["team"], tags_of(made)["x"]) == ("support", "y")
        assert world.event("bot")["tags"] == [{"key": "x", "value": "y"}, {"key": "team", "value": "support"}]
        await world.stop()

    run(main())


@pytest.mark.parametrize(
    ("body", "sender", "said"),
    [
        (BODY | {"modelDeploymentName": "cat"}, TEAM, 'rule "team" does not permit modelDeploymentName "cat", only bot*;'),
        (
            BODY | {"ifExists": "update"},
            TEAM,
            'rule "team" does not permit ifExists "update", which needs the action update,',
        ),
        (
            {"action": "update", "customModelDeploymentIdentifier": "bot", "modelArn": MODEL},
            TEAM,
            'rule "team" does not permit action "update",',
        ),
        (BODY, STRANGER, 'no permission rule is for the sender "AROASTRANGER:eve"; have it added'),
        (BODY, "AROATEAMMATE:x", "no permission rule is for the sender"),
    ],
    ids=["name", "replace", "action", "nobody", "nearly"],
)
def test_what_is_not_permitted_is_rejected_by_its_rules_name_and_touches_nothing(
    body: dict[str, object], sender: str, said: str
) -> None:
    async def main() -> None:
        world = a_world()
        world.account.add("bot", MODEL, {REQUEST_TAG: "r-0"})
        world.start()
        world.send(body, sender=sender)
        await world.all_answered()
        assert rejection(world)["message"].startswith(said)
        assert len(world.account.existing()) == 1
        await world.stop()

    run(main())


def test_a_stranger_who_writes_a_continuation_stays_a_stranger_over_every_kill() -> None:
    """Before it is understood it may be handed on, by Slipway itself: even then nothing of what it claims goes along."""

    def check(world: World) -> None:
        data = rejection(world)
        assert STRANGER in data["message"]
        assert data["messageId"] != "m-99999", "not even that is believed"
        assert not world.account.made

    Story(a_world, lambda world: world.send(BODY, sender=STRANGER, attributes=forged()), check).survives_every_kill()


@pytest.mark.parametrize("claim", [{"failure": "no capacity"}, {"cancelled": "delete"}])
def test_who_may_only_deploy_deletes_nothing_by_claiming_that_it_was_decided(claim: dict[str, object]) -> None:
    async def main() -> None:
        world = a_world()
        made = world.account.add("bot", MODEL, {REQUEST_TAG: "r-1"})
        world.start()
        world.send(BODY, sender=TEAM, attributes=forged(**claim))
        await world.all_answered()
        assert world.outcomes() == {"bot": "Active"}
        assert world.account.existing() == [made]
        await world.stop()

    run(main())


def test_what_is_handed_on_is_still_its_first_senders_over_every_kill() -> None:
    """Every attempt is made under a message that Slipway has sent, in whichever session."""
    quick = replace(USUAL, creation_seconds=(60.0, 60.0), failing=1.0)

    def check(world: World) -> None:
        assert world.outcomes() == {"bot": "Failed"}
        assert world.event("bot")["reason"] == "DeploymentFailed"
        assert [tags_of(made)["team"] for made in world.account.made] == ["support", "support"]
        assert any(letter.sender.startswith(OWN_ROLE) for letter in world.sqs.all)

    def begin() -> World:
        return a_world(quick)

    Story(begin, lambda world: world.send(BODY | {"retries": 1}, sender=TEAM), check).survives_every_kill()


def test_a_request_that_runs_for_longer_than_a_message_can_be_held_is_still_permitted() -> None:
    async def main() -> None:
        world = a_world(replace(USUAL, creation_seconds=(100_000.0, 100_000.0)), timeout=172_800.0)
        world.start()
        world.send(BODY, sender=TEAM)
        await world.all_answered(200_000)
        assert world.outcomes() == {"bot": "Active"}
        assert len(world.sqs.all) > 2
        await world.stop()

    run(main())


def test_what_was_handed_on_before_there_were_permissions_is_its_first_senders() -> None:
    """A continuation that somebody else wrote made it nobody else's meanwhile."""

    async def main() -> None:
        world = a_world(replace(USUAL, creation_seconds=(900.0, 900.0)))
        world.start("old", permissions=())
        world.send(BODY, sender=STRANGER, attributes=forged())
        await world.until(lambda: bool(world.account.made))
        lease = next(iter(world.replicas["old"].slipway.leases))
        await world.replicas["old"].slipway._continue_in_new_message(lease)  # noqa: SLF001  as after twelve hours
        world.kill("old")
        world.start("new")
        await world.all_answered()
        assert {each.event["data"]["outcome"] for each in world.topic.terminal()} == {"Rejected"}
        await world.stop("new")

    run(main())


def test_what_has_expired_is_deleted_without_a_rule_for_it() -> None:
    async def main() -> None:
        world = a_world(reap_interval=300.0)
        world.account.add("bot", MODEL, {REQUEST_TAG: "r-0", EXPIRES_TAG: "2025-01-01T00:00:00.000Z"})
        world.start()
        await world.until(lambda: bool(world.topic.terminal()))
        assert [each.event["data"]["outcome"] for each in world.topic.terminal()] == ["Deleted"]
        await world.stop()

    run(main())


def test_without_permissions_everything_is_permitted_and_the_sender_known() -> None:
    async def main() -> None:
        world = World()
        world.start()
        letter = world.send(BODY)
        await world.until(lambda: bool(world.account.made))
        (lease,) = world.replicas["a"].slipway.leases
        assert letter.sender == lease.message.sender == SOMEBODY
        assert isinstance(lease.request, Deploy)
        assert lease.request.rule is None
        assert request_of(world.account.made[0]) == "r-1"
        await world.all_answered()
        await world.stop()

    run(main())
