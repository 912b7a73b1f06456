"""Every lineage of messages ends: requests that raise, readers that die, and queues and topics that refuse for good."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest

from slipway.core.events.callbacks import Callback
from slipway.core.events.publish import Publication
from slipway.core.lifecycle.outcomes import OutcomeKind
from slipway.core.lifecycle.tags import RECEIVED_TAG, REQUEST_TAG
from slipway.core.sqs.continuations import MOST_COPIES, MOST_DEATHS, MOST_FAULTS, READ_AT_THE_END
from slipway.core.sqs.messages import CONTINUATION, AnyAttribute
from tests.simulation.containment import Killer, raising
from tests.simulation.environment import COPIES
from tests.simulation.quiet_logs import quietly
from tests.simulator.bedrock import Rules
from tests.simulator.observer import Watching
from tests.simulator.simulation import MODEL, OTHER_MODEL, World
from tests.simulator.sqs import OWN_ROLE, Letter
from tests.simulator.virtual_loop import run
from tests.simulator.wire_faults import Fault


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    with quietly():
        yield


@pytest.mark.parametrize("fifo", [False, True])
def test_a_request_that_always_raises_ends_after_a_few_attempts_with_an_event_and_a_dead_letter(fifo: bool) -> None:  # noqa: FBT001
    async def main() -> None:
        world = World(fifo=fifo)
        raised = raising(world.start(), "bad")
        world.ask("bad", requestId="r-1")
        world.ask("good", group="h")
        took = await world.until(lambda: bool(world.dead.all))
        await world.all_answered()
        assert took < 120
        assert len(raised) == MOST_FAULTS + 1, "the attempts, and the observation before it is given up"
        data = world.outcome_of("r-1")
        assert (data["outcome"], data["reason"]) == ("Failed", "InternalError")
        assert [letter.attributes["SlipwayCode"] for letter in world.dead.all] == ["InternalError"]
        assert world.outcomes()["good"] == "Active"
        await world.stop()

    run(main())


def test_the_count_of_faults_is_kept_when_the_daemon_is_restarted_between_them() -> None:
    async def main() -> None:
        world, raised = World(max_receive_count=2), 0
        world.ask("bad", requestId="r-1")
        for number in range(20):
            replica = world.start(f"p{number}")
            mine = raising(replica, "bad")
            await world.until(lambda mine=mine: bool(mine) or bool(world.dead.all), 300)  # type: ignore[misc]
            await world.stop(f"p{number}")
            raised += len(mine)
            if world.dead.all:
                break
        assert raised <= 2 * MOST_FAULTS
        assert world.outcome_of("r-1")["reason"] == "InternalError"

    run(main())


@pytest.mark.parametrize("seconds", [0.03, 0.04, 0.05, 0.07, 0.1, 0.13, 0.2, 0.4, 1.0, 1.02, 1.05, 1.1, 2.0])
@pytest.mark.parametrize("most", [1, 2, 3, 5, 10, 20])
def test_a_message_whose_reader_dies_at_once_never_multiplies_and_ends(seconds: float, most: int) -> None:
    async def main() -> None:
        world = World(max_receive_count=most)
        killer = world.sqs.watching = Killer(world, seconds)
        world.start("p0")
        world.ask("killer", requestId="r-1")
        await world.until(lambda: not world.sqs.letters)
        assert killer.most_there <= MOST_COPIES, killer.most_there
        assert killer.kills <= 2 * MOST_DEATHS + most  # who dies just after it has sent a continuation is not counted in that
        assert world.dead.all or world.topic.terminal()

    run(main())


def test_a_message_whose_reader_dies_while_it_is_processed_ends_with_an_event() -> None:
    async def main() -> None:
        world, kills = World(), 0
        world.ask("killer", requestId="r-1")
        while world.sqs.letters:
            name = f"p{kills}"
            replica = world.start(name)
            raised = raising(replica, "killer")
            await world.until(lambda raised=raised: bool(raised) or not world.sqs.letters, 2000)  # type: ignore[misc]
            world.kill(name)
            kills += bool(raised)
            assert len(world.sqs.letters) <= MOST_COPIES
        assert MOST_DEATHS <= kills <= MOST_DEATHS + READ_AT_THE_END
        data = world.outcome_of("r-1")
        assert (data["outcome"], data["reason"]) == ("Failed", "InternalError")
        assert world.dead.all, "by Slipway, or by SQS if its last readers die after the event, too"

    run(main())


def test_a_request_that_is_given_up_can_no_longer_be_cancelled() -> None:
    async def main() -> None:
        world = World()
        raising(world.start(), "bad")
        world.dead.is_denied = True
        world.ask("bad", requestId="r-1")
        await world.until(lambda: bool(world.topic.terminal()))
        world.send({"action": "cancel", "cancels": "r-1", "requestId": "c-1", "timeout": 30})
        await world.until(lambda: len(world.topic.terminal()) > 1)
        world.dead.is_denied = False
        await world.all_answered(3600)
        ends = [(notice.event["data"]["requestId"], notice.event["data"].get("reason")) for notice in world.topic.terminal()]
        assert sorted(ends) == [("c-1", "NothingToCancel"), ("r-1", "InternalError")]
        await world.stop()

    run(main())


def test_a_request_whose_reply_raises_can_no_longer_be_cancelled() -> None:
    async def main() -> None:
        world, replies = World(terms={"reply_to": (COPIES,)}), 0

        def raises(operation: str, _: int) -> Exception | None:
            nonlocal replies
            if operation != "SendMessage" or not world.topic.terminal():
                return None
            replies += 1
            if replies > 1:
                return None
            world.send({"action": "cancel", "cancels": "r-1", "requestId": "c-1", "timeout": 30})
            return ZeroDivisionError()

        world.wire.raises = raises
        world.start()
        world.send({"modelDeploymentName": "new", "modelArn": MODEL, "requestId": "r-1", "replyTo": COPIES})
        await world.all_answered(3600)
        assert replies > 0
        ends = sorted((notice.event["data"]["requestId"], notice.event["data"]["outcome"]) for notice in world.topic.terminal())
        assert ends == [("c-1", "Failed"), ("r-1", "Active")]
        await world.stop()

    run(main())


class _KillsWhatPublishes(Watching):
    """Ends each process as soon as it has published, or replied, so often; another one starts at once."""

    def __init__(self, world: World, *, on_reply: bool, most: int) -> None:
        self._world = world
        self._on_reply = on_reply
        self._most = most
        self.kills = 0

    def published(self, publication: Publication, process: str | None) -> None:
        if not self._on_reply and publication.data["outcome"] in frozenset(OutcomeKind):
            self._kill(process)

    def replied(self, reply: Callback, process: str | None) -> None:
        if self._on_reply:
            self._kill(process)

    def _kill(self, process: str | None) -> None:
        if process in self._world.replicas and self.kills < self._most:
            self.kills += 1
            self._world.kill(process)
            self._world.start(f"p{self.kills}")


@pytest.mark.parametrize("fifo", [False, True])
@pytest.mark.parametrize("on_reply", [False, True])
@pytest.mark.parametrize(
    ("asked", "outcome"),
    [
        ({"modelDeploymentName": "new", "modelArn": MODEL}, "Active"),
        ({"action": "update", "customModelDeploymentIdentifier": "old", "modelArn": OTHER_MODEL}, "Updated"),
        ({"action": "delete", "customModelDeploymentIdentifier": "old"}, "Deleted"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_request_whose_readers_die_after_its_outcome_is_published_gets_no_second_outcome(
    asked: dict[str, object], outcome: str, *, on_reply: bool, fifo: bool
) -> None:
    async def main() -> None:
        world = World(fifo=fifo, max_receive_count=100, terms={"reply_to": (COPIES,)})
        world.account.add("old", MODEL, {REQUEST_TAG: "r-0", RECEIVED_TAG: "2025-01-01T00:00:00.000Z"})
        # A reply kills every process; a publication all but those that give the request up.
        killer = _KillsWhatPublishes(world, on_reply=on_reply, most=2 * MOST_DEATHS if on_reply else MOST_DEATHS)
        world.watch(killer)
        world.start("p0")
        world.send(asked | {"requestId": "r-1", "replyTo": COPIES, "timeout": 172_800})
        await world.until(lambda: not world.sqs.letters)
        assert killer.kills >= MOST_DEATHS
        ends = {(notice.event["id"], notice.event["data"]["outcome"]) for notice in world.topic.terminal()}
        assert [kind for _, kind in ends] == [outcome]
        await world.stop(f"p{killer.kills}")

    run(main())


def test_healthy_requests_survive_what_one_of_them_does_to_their_reader() -> None:
    async def main() -> None:
        world, kills = World(rules=Rules(max_creating=20, max_total=50)), 0
        world.ask("killer")
        for number in range(10):
            world.ask(f"bot-{number}")

        def left() -> bool:
            return any("killer" in letter.body for letter in world.sqs.letters.values())

        while left():
            replica = world.start(f"p{kills}")
            raised = raising(replica, "killer")
            await world.until(lambda raised=raised: bool(raised) or not left(), 5000)  # type: ignore[misc]
            world.kill(f"p{kills}")
            kills += 1
            assert kills < 3 * MOST_DEATHS
        world.start("last")
        await world.all_answered()
        # Who dies after it has sent the dead letter leaves it to the next one to delete the message, and to send it again.
        assert 1 <= len(world.dead.all) <= READ_AT_THE_END + 1
        assert all("killer" in letter.body for letter in world.dead.all)
        assert {name: said for name, said in world.outcomes().items() if name.startswith("bot-")} == {
            f"bot-{number}": "Active" for number in range(10)
        }
        await world.stop("last")

    run(main())


@pytest.mark.parametrize(("seconds", "most"), [(0.1, 10), (0.1, 50), (0.2, 3), (0.2, 5), (0.2, 50), (0.5, 5), (1.5, 5)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_healthy_requests_survive_a_message_whose_receipt_ends_its_reader(seconds: float, most: int, seed: int) -> None:
    """Received with it in each batch, they were given up with it: their start was put off, but not their receipt.

    A process that dies within 0.1 s has hardly sent a continuation: there SQS has to allow for some more receives.
    """

    async def main() -> None:
        world = World(seed, max_receive_count=most, rules=Rules(max_creating=20, max_total=50, creation_seconds=(60.0, 90.0)))
        killer = world.sqs.watching = Killer(world, seconds, "killer")
        for number in range(9):
            world.ask("killer" if number == 4 else f"bot-{number}")
        world.start("p0")
        await world.until(lambda: not world.sqs.letters, 100_000)
        healthy = {f"bot-{number}": "Active" for number in range(9) if number != 4}
        assert healthy.items() <= world.outcomes().items()
        assert not any("bot" in letter.body for letter in world.dead.all)
        assert killer.kills <= 2 * MOST_DEATHS + most
        await world.stop(f"p{killer.kills}")

    run(main())


def test_rolling_restarts_are_no_deaths() -> None:
    async def main() -> None:
        world = World(max_receive_count=1000, rules=Rules(creation_seconds=(20_000.0, 20_000.0)), terms={"timeout": 86_400.0})
        world.ask("bot", requestId="r-1")
        for number in range(3 * MOST_DEATHS):
            world.start(f"p{number}")
            await asyncio.sleep(70.0)
            await world.stop(f"p{number}")
        world.start("last")
        await world.all_answered()
        assert world.outcome_of("r-1")["outcome"] == "Active"
        assert not world.dead.all
        await world.stop("last")

    run(main())


def test_a_dead_letter_queue_that_refuses_does_not_make_the_daemon_deaf() -> None:
    async def main() -> None:
        world = World(terms={"max_held": 20})
        world.wire.plan = lambda operation, _: Fault.DENIED if operation == "SendMessage" else None
        replica = world.start()
        for _ in range(20):
            world.sqs.put("{")
        await asyncio.sleep(5.0)
        world.ask("good")
        took = await world.until(lambda: len(world.account.made) == 1)
        assert took < 150
        await world.all_answered()
        outcomes = [notice.event["data"]["outcome"] for notice in world.topic.terminal()]
        assert sorted(outcomes) == ["Active", *["Rejected"] * 20]
        assert replica.slipway.counters.dead_letters == {"GivenUp": 20}
        await world.stop()

    run(main())


@pytest.mark.parametrize("fifo", [False, True])
def test_a_topic_that_refuses_loses_no_outcome_and_blocks_no_place_for_long(fifo: bool) -> None:  # noqa: FBT001
    async def main() -> None:
        world = World(fifo=fifo, terms={"max_held": 3})
        world.wire.plan = lambda operation, _: Fault.DENIED if operation == "PublishBatch" else None
        replica = world.start()
        for number in range(6):
            world.ask(f"bot-{number}", group=f"g-{number}")
        await world.until(lambda: len(world.account.made) == 6, 7200)
        await asyncio.sleep(7000)
        assert replica.slipway.counters.put_off < 100
        world.wire.plan = lambda _operation, _number: None
        await world.all_answered()
        assert world.outcomes() == {f"bot-{number}": "Active" for number in range(6)}
        assert not world.dead.all
        await world.stop()

    run(main())


def test_an_event_that_sns_refuses_is_published_in_its_smallest_form_or_is_a_dead_letter() -> None:
    async def main() -> None:
        world = World()
        world.topic.refuses = lambda publication: "deploymentName" in publication.attributes
        world.start()
        world.ask("bot", requestId="r-1")
        await world.all_answered()
        assert world.outcome_of("r-1")["outcome"] == "Active"
        world.topic.refuses = lambda _: True
        world.ask("other", requestId="r-2")
        await world.all_answered()
        (letter,) = world.dead.all
        assert letter.attributes["SlipwayCode"] == "Unpublishable"
        assert world.replicas["a"].slipway.counters.events_given_up == 1
        await world.stop()

    run(main())


@pytest.mark.parametrize("cancels", ["train 42", "x" * 200, "naïve", "a"])
def test_whatever_is_cancelled_its_events_have_a_group_that_a_fifo_topic_takes(cancels: str) -> None:
    async def main() -> None:
        world = World(fifo=True)
        world.start()
        world.send({"action": "cancel", "cancels": cancels, "requestId": "c-1", "timeout": 60})
        await world.all_answered()
        assert world.outcome_of("c-1")["outcome"] in {"Failed", "Rejected"}
        assert len(world.topic.terminal()) == 1
        await world.stop()

    run(main())


@pytest.mark.parametrize("largest", [400])
def test_an_attempt_whose_continuation_the_queue_does_not_take_ends_as_what_it_is(largest: int) -> None:
    async def main() -> None:
        world = World(rules=Rules(failing=1.0))
        world.ask("bot", requestId="r-1", retries=1, description="d" * 250)
        world.sqs.largest = world.dead.largest = largest
        world.start()
        took = await world.until(lambda: bool(world.topic.terminal()))
        data = world.outcome_of("r-1")
        assert (data["outcome"], data["reason"]) == ("Failed", "DeploymentFailed")
        assert "no further attempt" in data["message"], data
        assert "shorter than" in data["message"]
        assert took < 2000
        await world.all_answered()
        assert world.wire.calls["SendMessageBatch"] < 5
        await world.stop()

    run(main())


def test_what_cannot_be_continued_is_neither_lost_nor_taken_up_again_without_a_pause() -> None:
    async def main() -> None:
        world = World(rules=Rules(creation_seconds=(60.0, 60.0)), max_receive_count=2)
        world.wire.plan = lambda operation, _: Fault.DENIED if operation == "SendMessageBatch" else None
        letter = world.ask("bot", requestId="r-1")
        letter.receive_count = 1
        world.start()
        await world.all_answered()
        assert world.outcome_of("r-1")["outcome"] == "Active"
        assert letter.receive_count == 2
        await world.stop()

    run(main())


def test_a_continuation_whose_answer_is_lost_does_not_multiply() -> None:
    async def main() -> None:
        world = World(
            rules=Rules(creation_seconds=(1800.0, 1800.0)),
            plan=lambda operation, number: Fault.RESPONSE_LOST if operation == "SendMessageBatch" and number % 2 else None,
            terms={"max_held": 1},
        )
        world.start()
        for number in range(4):
            world.ask(f"bot-{number}")
        await asyncio.sleep(3600)
        assert len(world.sqs.letters) <= MOST_COPIES * 4
        await world.stop()

    run(main())


def _continuation(begun: Letter, hops: int) -> dict[str, AnyAttribute]:
    return {CONTINUATION: json.dumps({"origin": begun.message_id, "firstReceivedAt": begun.sent_at, "hops": hops})}


@pytest.mark.parametrize("hops", [(1, 1), (1, 2), (2, 1), (1, 1, 1), (2, 3, 1)])
def test_of_several_messages_of_one_request_only_the_latest_stays(hops: tuple[int, ...]) -> None:
    async def main() -> None:
        world = World(rules=Rules(creation_seconds=(600.0, 600.0)))
        begun = world.ask("bot", requestId="r-1")
        del world.sqs.letters[begun.message_id]
        world.start()
        for number in hops:
            world.sqs.put(begun.body, _continuation(begun, number), sender=f"{OWN_ROLE}:p1")
            await asyncio.sleep(5)
        (left,) = world.sqs.letters.values()
        assert json.loads(str(left.attributes[CONTINUATION]))["hops"] == max(hops)
        await world.all_answered()
        assert len(world.account.made) == 1
        assert world.outcome_of("r-1")["outcome"] == "Active"
        await world.stop()

    run(main())


def test_a_continuation_that_another_sender_wrote_supersedes_nothing() -> None:
    async def main() -> None:
        world = World(rules=Rules(creation_seconds=(600.0, 600.0)))
        world.start()
        begun = world.ask("bot", requestId="r-1")
        await asyncio.sleep(5)
        world.sqs.put('{"modelDeploymentName": "other"}', _continuation(begun, 5), sender="AROAGUEST:mallory")
        await asyncio.sleep(5)
        assert begun.message_id in world.sqs.letters
        await world.all_answered()
        assert world.outcome_of("r-1")["outcome"] == "Active"
        await world.stop()

    run(main())
