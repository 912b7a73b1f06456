"""Deployments whose time is over: found and deleted by any replica, announced under one id."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from slipway.core.call_errors import Denied
from slipway.core.lifecycle.tags import EXPIRES_TAG, REQUEST_TAG
from slipway.core.time_format import format_time
from tests.simulator.bedrock import USUAL
from tests.simulator.simulation import MODEL, World
from tests.simulator.virtual_loop import run
from tests.simulator.wire_faults import Fault
from tests.worker.kills import Story

REAPING = {"reap_interval": 300.0}
LONG_AGO = "2025-01-01T00:00:00.000Z"


def expired(world: World, name: str = "bot") -> str:
    """Make a deployment whose time has been over for long; answer its ARN."""
    return world.account.add(name, MODEL, {REQUEST_TAG: "r-0", EXPIRES_TAG: LONG_AGO}).arn


def put_tag(world: World, arn: str, time: str) -> None:
    """Write another expiry time, as a person may."""
    world.account.model.tag(world.account.now(), arn, [{"key": EXPIRES_TAG, "value": time}])


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


def test_a_time_that_a_person_has_put_off_counts_and_nothing_is_announced() -> None:
    async def main() -> None:
        world = World(terms=REAPING)
        arn = world.account.add("bot", MODEL, {REQUEST_TAG: "r-0", EXPIRES_TAG: format_time(world.account.now() + 1000)}).arn
        world.start()
        world.start("b")
        await asyncio.sleep(900)
        put_tag(world, arn, "2099-01-01T00:00:00Z")
        await asyncio.sleep(3 * 3600)
        assert len(world.account.existing()) == 1
        assert not world.topic.terminal()
        assert not world.sqs.all
        for name in list(world.replicas):
            await world.stop(name)

    run(main())


@pytest.mark.parametrize("old", [-40.0, 7200.0])
@pytest.mark.parametrize("wrong", [1, 2, 3])
def test_no_deployment_is_deleted_before_its_time_although_the_first_dates_are_wrong(wrong: int, old: float) -> None:
    """Each of the first answers has another wrong `Date`."""

    async def main() -> None:
        world = World(terms={"reap_interval": 10.0}, rules=replace(USUAL, creation_seconds=(1.0, 2.0)))
        world.wire.plan = lambda operation, number: Fault.OLD_DATE if number <= wrong else None
        expires = world.account.now() + 60.0
        world.account.add("bot", MODEL, {REQUEST_TAG: "r-0", EXPIRES_TAG: format_time(expires)})
        world.wire.seconds_old = lambda number: old * number
        world.start()
        await world.until(lambda: not world.account.existing(), 200)
        assert expires <= world.account.now() <= expires + 60.0
        await world.all_answered(600)
        assert [each.event["data"]["outcome"] for each in world.topic.terminal()] == ["Deleted"]
        await world.stop()

    run(main())


def test_a_time_that_a_person_has_brought_forward_counts() -> None:
    async def main() -> None:
        world = World(terms=REAPING)
        arn = world.account.add("bot", MODEL, {REQUEST_TAG: "r-0", EXPIRES_TAG: "2099-01-01T00:00:00Z"}).arn
        world.start()
        await asyncio.sleep(900)
        put_tag(world, arn, LONG_AGO)
        await world.until(lambda: not world.account.existing(), 600)
        await world.stop()

    run(main())


def test_an_arn_whose_tags_are_denied_ends_no_round() -> None:
    """One that may not be read, for a policy that looks at tags: what comes after it in the list expires all the same."""

    async def main() -> None:
        world = World(terms=REAPING)
        denied = {expired(world, f"theirs-{number}") for number in range(8)}
        expired(world, "bot")
        replica = world.start()
        bedrock = replica.slipway.runtimes["default"]._reaper._bedrock  # noqa: SLF001  what one call of it answers
        tags = bedrock.tags

        async def tags_of_some(arn: str, **more: Any) -> Any:
            if arn in denied:
                raise Denied("ListTagsForResource", "AccessDeniedException")
            return await tags(arn, **more)

        bedrock.tags = tags_of_some  # type: ignore[method-assign]
        await world.until(lambda: len(world.account.existing()) == 8, 2000)
        await world.stop()

    run(main())


def test_the_thousandth_deployment_expires_in_the_first_round() -> None:
    async def main() -> None:
        world = World(terms=REAPING, rules=replace(USUAL, max_total=2000, max_creating=2000))
        for number in range(999):
            world.account.add(f"bot-{number}", MODEL, {REQUEST_TAG: "r-0"})
        expired(world, "last")
        world.start()
        await world.until(lambda: len(world.account.existing()) == 999, 600)
        for _ in range(12):
            before = world.wire.calls["ListTagsForResource"]
            await asyncio.sleep(300)
            assert world.wire.calls["ListTagsForResource"] - before <= 84 * 2, "some of them, in turn"
        reaper = world.replicas["a"].slipway.runtimes["default"]._reaper  # noqa: SLF001  what it keeps
        assert not reaper._expires, "only what has a time is remembered"  # noqa: SLF001  as above
        await world.stop()

    run(main())


def test_what_expires_is_deleted_although_its_message_cannot_be_received() -> None:
    """The queue hands nothing over: the deployment goes all the same, and the event comes once the queue does."""

    async def main() -> None:
        world = World(terms=REAPING)
        expired(world)
        world.sqs.most_in_flight = 0
        world.start()
        await world.until(lambda: not world.account.existing(), 2000)
        assert not world.topic.terminal()
        world.sqs.most_in_flight = 1000
        await world.all_answered(600)
        (notice,) = world.topic.terminal()
        data = notice.event["data"]
        assert (data["outcome"], data["reason"], data["modelDeploymentName"]) == ("Deleted", "Expired", "bot")
        assert not data["alreadyGone"]
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
        assert world.wire.calls["ListTagsForResource"] <= 3 * 24, "once each in a round"
        await world.stop()

    run(main())


def test_a_request_that_waits_until_its_deployment_would_have_expired_makes_none() -> None:
    async def main() -> None:
        world = World(terms=REAPING)
        world.account.rule(max_total=0)
        world.start()
        world.ask("bot", requestId="r-1", expiresAfter="PT10M")
        await world.all_answered(700)
        assert world.outcome_of("r-1")["outcome"] == "TimedOut"
        assert not world.account.made
        await world.stop()

    run(main())


def test_a_kill_before_any_step_of_an_expiry() -> None:
    def begin() -> World:
        # A new process needs two rounds to be certain of the time, as it has no source but Bedrock here.
        world = World(terms={"reap_interval": 200.0})
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

    assert Story(begin, ask, check).survives_every_kill(stride=3) > 20
