"""Shutdown, kill, restart and pause: no request is lost or processed twice."""

from __future__ import annotations

import asyncio

import pytest

from slipway.worker.queue.intake import reserved_places
from tests.simulator.bedrock import Rules
from tests.simulator.simulation import World
from tests.simulator.virtual_loop import VirtualLoop, run
from tests.simulator.wire_faults import Fault
from tests.support.poison import POISON


def test_sigterm_releases_every_message_and_a_second_process_finishes() -> None:
    async def main() -> None:
        world = World(rules=Rules(max_creating=10, max_total=500))
        world.start("a")
        for number in range(200):
            world.ask(f"bot-{number}", timeout=86_400 * 6)
        await world.until(lambda: len(world.account.existing()) == 10)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await world.stop("a")
        assert loop.time() - began <= 25
        assert not world.topic.terminal()
        leased = [message for message in world.sqs.letters.values() if message.visible_at > world.sqs.now()]
        assert len(leased) <= reserved_places(200), "only messages without a free place stay invisible until their timeout"
        assert len(world.sqs.letters) == 200
        world.start("b")
        await world.all_answered()
        assert len(world.outcomes()) == 200
        assert len(world.account.made) == 200
        assert not world.dead.all
        await world.stop("b")

    run(main())


def test_a_kill_among_two_hundred_requests_loses_none_and_processes_none_twice() -> None:
    async def main() -> None:
        world = World(rules=Rules(max_creating=500, max_total=500))
        for number in range(200):
            world.ask(f"bot-{number}")
        world.start("a")
        await world.until(lambda: len(world.account.existing()) >= 90)
        world.kill("a")
        world.start("b")
        await world.until(lambda: len(world.topic.terminal()) >= 50)
        world.kill("b")
        world.start("c")
        await world.all_answered()
        assert len(world.outcomes()) == 200
        assert len(world.account.made) == 200
        await world.stop("c")

    run(main())


@pytest.mark.parametrize("fifo", [False, True])
def test_repeated_restarts_send_nothing_to_the_dead_letter_queue(*, fifo: bool) -> None:
    async def main() -> None:
        world = World(rules=Rules(max_creating=100, max_total=100, creation_seconds=(180, 180)), fifo=fifo)
        for number in range(20):
            world.ask(f"bot-{number}", group=f"g-{number}")
        for run_number in range(30):
            world.start(f"run-{run_number}")
            await asyncio.sleep(20)
            await world.stop(f"run-{run_number}")
        world.start("last")
        await world.all_answered()
        assert not world.dead.all
        assert len(world.outcomes()) == 20
        assert set(world.outcomes().values()) == {"Active"}
        await world.stop("last")

    run(main())


def test_repeated_kills_send_nothing_to_the_dead_letter_queue() -> None:
    async def main() -> None:
        world = World(rules=Rules(max_creating=100, max_total=100, creation_seconds=(2000, 2000)))
        for number in range(20):
            world.ask(f"bot-{number}")
        for run_number in range(30):
            world.start(f"run-{run_number}")
            await asyncio.sleep(100)
            world.kill(f"run-{run_number}")
        world.start("last")
        await world.all_answered()
        assert not world.dead.all
        assert len(world.outcomes()) == 20
        assert len(world.account.made) == 20
        await world.stop("last")

    run(main())


def test_a_message_whose_previous_message_cannot_be_deleted_at_once_is_continued_before_its_last_receive() -> None:
    """Each kill uses one of few receives: a delete that was refused just after the receive is retried."""

    async def main() -> None:
        denied = set[str]()
        world = World(
            rules=Rules(creation_seconds=(900.0, 900.0)),
            max_receive_count=2,
            plan=lambda op, _: Fault.DENIED if op in denied else None,
        )
        world.ask("bot")
        for number in range(12):
            if number % 2 == 0:
                denied.add("DeleteMessageBatch")
            world.start(f"p{number}")
            await asyncio.sleep(2.0)
            denied.clear()
            await asyncio.sleep(20.0)
            world.kill(f"p{number}")
            await asyncio.sleep(130.0)
        world.start("last")
        await world.all_answered(6000)
        assert world.outcomes() == {"bot": "Active"}
        assert not world.dead.all
        await world.stop("last")

    run(main())


def test_after_twelve_hours_a_request_is_continued_with_its_deadline() -> None:
    async def main() -> None:
        world = World(rules=Rules(max_total=0))
        world.start()
        message = world.ask("bot", timeout="PT30H")
        await world.all_answered(200_000)
        assert len(world.sqs.all) == 3
        assert world.event("bot")["outcome"] == "TimedOut"
        assert message.first_received is not None
        assert world.topic.terminal()[0].at - message.first_received == pytest.approx(30 * 3600, abs=30)
        await world.stop()

    run(main())


def test_a_process_that_resumes_after_a_pause_changes_nothing() -> None:
    async def main() -> None:
        world = World()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        world.start("a")
        world.ask("bot")
        await world.until(lambda: len(world.account.made) == 1)
        loop.stop_process("a")
        await asyncio.sleep(600)
        world.start("b")
        await world.until(lambda: bool(world.topic.terminal()))
        loop.continue_process("a")
        await world.all_answered()
        assert world.outcomes() == {"bot": "Active"}
        assert len(world.topic.terminal()) == 1
        assert world.replicas["a"].slipway.counters.leases_lost == 1
        await world.stop("a")
        await world.stop("b")

    run(main())


def test_order_within_a_fifo_group_is_kept() -> None:
    async def main() -> None:
        world = World(rules=Rules(max_creating=100, max_total=100), fifo=True)
        world.start("a")
        world.start("b")
        for number in range(8):
            for group in "xyz":
                world.ask(f"{group}-{number}", group=group)
        await world.all_answered()
        published = [event.event["data"]["modelDeploymentName"] for event in world.topic.terminal()]
        for group in "xyz":
            assert [name for name in published if name.startswith(group)] == [f"{group}-{number}" for number in range(8)]
        await world.stop("a")
        await world.stop("b")

    run(main())


def test_invalid_messages_are_rejected_with_a_reason_and_sent_to_the_dead_letter_queue() -> None:
    async def main() -> None:
        world = World(rules=Rules(max_creating=500, max_total=500))
        world.start()
        for number, (_, body) in enumerate(POISON):
            world.sqs.put(body)
            world.ask(f"good-{number}")
        await world.all_answered()
        rejected = [each.event["data"] for each in world.topic.terminal() if each.event["data"]["outcome"] == "Rejected"]
        assert len(rejected) == len(POISON) == len(world.dead.all)
        assert all(data["message"] and data["code"] for data in rejected)
        assert all(message.attributes["SlipwayReason"] for message in world.dead.all)
        assert sum(outcome == "Active" for outcome in world.outcomes().values()) == len(POISON)
        assert world.replicas["a"].slipway.counters.faults == 0
        await world.stop()

    run(main())


def test_a_message_is_deleted_only_after_its_event_is_published() -> None:
    async def main() -> None:
        world = World(rules=Rules(creation_seconds=(60, 60)))
        world.plan = lambda op, _: Fault.DENIED if op == "PublishBatch" else None
        world.wire.plan = world.plan
        world.start()
        world.ask("bot")
        await asyncio.sleep(3600)
        assert len(world.sqs.letters) == 1
        world.wire.plan = lambda _op, _n: None
        await world.all_answered()
        assert world.outcomes() == {"bot": "Active"}
        await world.stop()

    run(main())


def test_an_event_whose_response_was_lost_is_published_again_with_the_same_id() -> None:
    async def main() -> None:
        world = World(plan=lambda op, n: Fault.RESPONSE_LOST if op == "PublishBatch" and n == 1 else None)
        world.start()
        world.ask("bot")
        await world.all_answered()
        assert len(world.topic.terminal()) == 2
        assert world.outcomes() == {"bot": "Active"}
        await world.stop()

    run(main())
