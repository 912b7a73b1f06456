"""Deployments whose time is over: found by any replica, deleted through the queue, announced once."""

from __future__ import annotations

import asyncio
import json

from service.core.marks import EXPIRES_TAG, REQUEST_TAG
from tests.flow.kills import Story
from tests.world.loop import run
from tests.world.world import MODEL, World

REAPING = {"reap_interval": 300.0}
LONG_AGO = "2025-01-01T00:00:00.000Z"


def expired(world: World, name: str = "bot") -> str:
    """Make a deployment whose time has been over for long; answer its ARN."""
    return world.account.add(name, MODEL, {REQUEST_TAG: "r-0", EXPIRES_TAG: LONG_AGO}).arn


def test_a_deployment_is_deleted_when_its_time_is_over_and_not_before() -> None:
    async def main() -> None:
        world = World(terms=REAPING)
        world.start()
        world.ask("bot", requestId="r-1", expiresAfter="PT2H")
        world.ask("other", requestId="r-2")
        await asyncio.sleep(7100)
        assert len(world.account.existing()) == 2
        await asyncio.sleep(700)
        assert [one.name for one in world.account.existing()] == ["other"]
        (notice,) = [each for each in world.topic.terminal() if each.event["data"]["outcome"] == "Deleted"]
        assert (notice.event["data"]["reason"], notice.event["data"]["modelDeploymentName"]) == ("Expired", "bot")
        await world.stop()

    run(main())


def test_three_replicas_and_a_restart_announce_it_under_one_id() -> None:
    async def main() -> None:
        world = World(terms=REAPING)
        expired(world)
        for name in "abc":
            world.start(name)
        await world.until(lambda: bool(world.topic.terminal()))
        await world.stop("a")
        world.start("d")
        await asyncio.sleep(1200)
        await world.all_answered(600)
        assert {each.event["data"]["outcome"] for each in world.topic.terminal()} == {"Deleted"}
        assert len({each.event_id for each in world.topic.terminal()}) == 1
        for name in "bcd":
            await world.stop(name)

    run(main())


def test_a_time_that_a_person_has_put_off_counts() -> None:
    async def main() -> None:
        world = World(terms=REAPING)
        arn = expired(world)
        world.start()
        await world.until(lambda: bool(world.sqs.all))
        world.account.model.tag(world.account.now(), arn, [{"key": EXPIRES_TAG, "value": "2099-01-01T00:00:00Z"}])
        await world.all_answered(600)
        assert len(world.account.existing()) == 1
        (notice,) = world.topic.terminal()
        assert (notice.event["data"]["outcome"], notice.event["data"]["reason"]) == ("Failed", "NotExpired")
        await world.stop()

    run(main())


def test_what_slipway_did_not_make_does_not_expire_nor_what_has_no_time() -> None:
    async def main() -> None:
        world = World(terms=REAPING)
        world.account.add("theirs", MODEL, {EXPIRES_TAG: LONG_AGO})
        world.account.add("ours", MODEL, {REQUEST_TAG: "r-0"})
        world.account.add("spoilt", MODEL, {REQUEST_TAG: "r-0", EXPIRES_TAG: "soon"})
        world.start()
        await asyncio.sleep(3600)
        assert len(world.account.existing()) == 3
        assert not world.sqs.all
        assert world.wire.calls["ListTagsForResource"] == 3, "once each"
        await world.stop()

    run(main())


def test_a_request_that_waits_until_its_deployment_would_have_expired_makes_none() -> None:
    async def main() -> None:
        world = World(terms=REAPING)
        world.account.rule(max_total=0)
        world.start()
        world.ask("bot", requestId="r-1", expiresAfter="PT10M")
        await world.all_answered(700)
        assert world.ending("r-1")["outcome"] == "TimedOut"
        assert not world.account.made
        await world.stop()

    run(main())


def test_a_kill_before_any_step_of_an_expiry() -> None:
    def begin() -> World:
        world = World(terms=REAPING)
        expired(world)
        return world

    def ask(world: World) -> None:
        """Something to wait for, longer than it takes."""
        world.send(json.loads(json.dumps({"action": "delete", "customModelDeploymentIdentifier": "x", "requestId": "d"})))
        world.account.add("x", MODEL, {REQUEST_TAG: "r-0"})

    def check(world: World) -> None:
        assert world.account.existing() == []
        said = [each for each in world.topic.terminal() if each.event["data"].get("reason") == "Expired"]
        assert len({each.event_id for each in said}) == 1

    assert Story(begin, ask, check).survives_every_kill(stride=2) > 20
