"""AWS's clock is bounded by each answer's round trip, whenever the server set the `Date`; no clock of the machine moves it."""

from __future__ import annotations

import asyncio
import math
import random
from email.utils import formatdate

import pytest

from slipway.aws.adapters.clock import RIVAL_SECONDS, RIVALS_TO_BELIEVE, AwsClock
from slipway.aws.adapters.serialization import Parsed
from tests.aws.servers import DATE_SECONDS
from tests.simulator.virtual_loop import run


class Server:
    """Answers with a `Date` of its own clock, set when the request arrives or when the answer leaves."""

    def __init__(self, *, on_arrival: bool, machine_ahead: float = 0.0) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoch = DATE_SECONDS + 0.371 - self._loop.time()
        self._on_arrival = on_arrival
        self.clock = AwsClock(lambda: self.now() + machine_ahead)

    def now(self) -> float:
        return self._epoch + self._loop.time()

    def jump(self, seconds: float) -> None:
        self._epoch += seconds

    async def call(self, seconds: float, *, old: float = 0.0, date: str | None = None) -> None:
        async def answer() -> Parsed:
            arrived = self.now()
            await asyncio.sleep(seconds)
            said = formatdate((arrived if self._on_arrival else self.now()) - old, usegmt=True) if date is None else date
            return {"ResponseMetadata": {"HTTPHeaders": {"date": said} if said else {}}}

        await self.clock.learn(answer(), "SQS")

    @property
    def wrong_by(self) -> float:
        return abs(self.clock.now() - self.now())


@pytest.mark.parametrize("on_arrival", [True, False])
def test_long_polls_do_not_move_the_clock_whenever_the_server_sets_its_date(*, on_arrival: bool) -> None:
    """A `Date` of 20 s ago was taken for now: `timeout` 4 s lasted 17.6 s, and events were dated before what they report."""

    async def main() -> None:
        server = Server(on_arrival=on_arrival)
        await server.call(0.02)
        assert server.wrong_by <= 0.52
        for _ in range(100):
            await server.call(20.0)
            assert server.wrong_by <= 0.6
        assert server.clock.error() <= 0.8

    run(main())


def test_short_calls_narrow_the_clock_to_less_than_a_date_says() -> None:
    async def main() -> None:
        server, rng = Server(on_arrival=True), random.Random(1)
        for _ in range(50):
            await server.call(rng.uniform(0.01, 0.1))
            await asyncio.sleep(rng.uniform(0.1, 1.0))
        assert server.wrong_by <= 0.1
        assert server.clock.error() <= 0.1

    run(main())


def test_with_long_polls_alone_it_is_known_how_wrong_the_clock_may_be() -> None:
    async def main() -> None:
        server = Server(on_arrival=True)
        await server.call(20.0)
        assert server.wrong_by <= server.clock.error() <= 10.5

    run(main())


@pytest.mark.parametrize(
    "date", ["", "the day after tomorrow", "Mon, 99 Jan 2026 00:00:00 GMT", "0", "\x00", "Thu, 01 Jan 99999 00:00:00 GMT"]
)
def test_a_date_that_cannot_be_read_teaches_nothing(date: str) -> None:
    """The machine is two days ahead, and an answer without a `Date` made a request time out at once."""

    async def main() -> None:
        server = Server(on_arrival=False, machine_ahead=172_800.0)
        await server.call(0.02, date=date)
        assert server.clock.skew() is None
        await server.call(0.02)
        await asyncio.sleep(90)
        await server.call(0.02, date=date)
        assert server.wrong_by <= 0.6

    run(main())


def test_an_old_date_now_and_then_is_not_believed() -> None:
    async def main() -> None:
        server, rng = Server(on_arrival=False), random.Random(2)
        await server.call(0.02)
        for number in range(200):
            await server.call(0.02, old=rng.choice([20.0, 3600.0, 172_800.0, -50.0]) if number % 3 else 0.0)
            await asyncio.sleep(1.0)
            assert server.wrong_by <= 0.6

    run(main())


def test_a_date_that_stands_still_is_not_believed() -> None:
    """As from a cache, which answers as often as it is asked."""

    async def main() -> None:
        server = Server(on_arrival=False)
        await server.call(0.02)
        still = formatdate(server.now() - 60.0, usegmt=True)
        for _ in range(100):
            await server.call(0.3, date=still)
            assert server.wrong_by <= 0.6

    run(main())


@pytest.mark.parametrize("jump", [7200.0, -7200.0, 30.0])
def test_a_clock_that_jumped_is_followed_after_a_few_answers(jump: float) -> None:
    """As after the machine was suspended, in which the event loop's clock stands still."""

    async def main() -> None:
        server = Server(on_arrival=True)
        await server.call(0.02)
        server.jump(jump)
        for _ in range(RIVALS_TO_BELIEVE):
            await asyncio.sleep(RIVAL_SECONDS)
            await server.call(0.02)
        assert server.wrong_by <= 0.6

    run(main())


def test_a_machine_that_is_ahead_is_known_to_be_and_by_how_much() -> None:
    async def main() -> None:
        server = Server(on_arrival=False, machine_ahead=40.0)
        assert server.clock.skew() is None
        assert server.clock.now() == server.now() + 40.0
        await server.call(0.02)
        await asyncio.sleep(100)
        assert server.clock.skew() == pytest.approx(40.0, abs=0.6)

    run(main())


class Hosts:
    """Several hosts that answer within 20 ms, each with a `Date` that is so many seconds old in every answer."""

    def __init__(self, *, machine_ahead: float = 0.0, **old: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoch = DATE_SECONDS + 0.371 - self._loop.time()
        self._old = old
        self.clock = AwsClock(lambda: self.now() + machine_ahead)

    def now(self) -> float:
        return self._epoch + self._loop.time()

    async def call(self, host: str) -> None:
        async def answer() -> Parsed:
            await asyncio.sleep(0.02)
            return {"ResponseMetadata": {"HTTPHeaders": {"date": formatdate(self.now() - self._old[host], usegmt=True)}}}

        await self.clock.learn(answer(), host)

    def jump(self, seconds: float) -> None:
        self._epoch += seconds

    async def receive(self, *, count: int = 1) -> None:
        """Receive a message at the end of a long poll of 20 s."""
        began = self._loop.time()
        await asyncio.sleep(20.0)
        for _ in range(count):
            self.clock.learn_receipt(round(self.now() - 0.01, 3), began)

    @property
    def wrong_by(self) -> float:
        return abs(self.clock.now() - self.now())


@pytest.mark.parametrize("old", [3600.0, -3600.0, 120.0, 20.0])
@pytest.mark.parametrize("liar", ["SQS", "SNS", "Bedrock"])
def test_one_host_whose_date_is_always_old_does_not_move_the_clock_that_the_others_share(liar: str, old: float) -> None:
    """It was believed after three answers within two seconds, and the others again after three of theirs."""

    async def main() -> None:
        hosts = Hosts(**({"SQS": 0.0, "SNS": 0.0, "Bedrock": 0.0} | {liar: old}))
        for host in ("SQS", "SNS", "Bedrock"):
            await hosts.call(host)
        for _ in range(50):
            for host in (liar, liar, liar, "SQS", "SNS", "Bedrock"):
                await asyncio.sleep(1.0)
                await hosts.call(host)
                assert hosts.wrong_by <= 0.6

    run(main())


@pytest.mark.parametrize("liar", ["SQS", "Bedrock"])
def test_of_two_hosts_the_one_that_agrees_with_the_machine_is_believed(liar: str) -> None:
    async def main() -> None:
        hosts = Hosts(machine_ahead=40.0, **({"SQS": 0.0, "Bedrock": 0.0} | {liar: 3600.0}))
        await hosts.call("SQS")
        await hosts.call("Bedrock")
        assert hosts.wrong_by <= 0.6

    run(main())


@pytest.mark.parametrize("machine_ahead", [0.0, 30.0])
def test_dates_that_are_old_wherever_one_asks_yield_to_the_times_in_messages(machine_ahead: float) -> None:
    """As through a proxy; what a deadline is compared with is in the messages."""

    async def main() -> None:
        hosts = Hosts(machine_ahead=machine_ahead, SQS=3600.0, SNS=3600.0, Bedrock=3600.0)
        for host in ("SQS", "SNS", "Bedrock"):
            await hosts.call(host)
        await hosts.receive()
        for host in ("SQS", "SNS", "Bedrock") * 10:
            await hosts.call(host)
            assert hosts.wrong_by <= max(0.6, machine_ahead)

    run(main())


def test_a_machine_that_is_two_days_ahead_is_right_about_nothing() -> None:
    async def main() -> None:
        hosts = Hosts(machine_ahead=172_800.0, SQS=0.0, Bedrock=3600.0)
        await hosts.receive()
        await hosts.call("Bedrock")
        assert hosts.wrong_by <= 12.0, "as long a poll as it was"
        await hosts.call("SQS")
        assert hosts.wrong_by <= 0.6

    run(main())


def test_after_a_suspended_machine_messages_of_before_do_not_hold_the_clock_back() -> None:
    async def main() -> None:
        hosts = Hosts(SQS=0.0, Bedrock=0.0)
        await hosts.receive(count=3)
        await hosts.call("SQS")
        hosts.jump(7200.0)
        for _ in range(RIVALS_TO_BELIEVE):
            await asyncio.sleep(RIVAL_SECONDS)
            await hosts.call("SQS")
            await hosts.call("Bedrock")
        assert hosts.wrong_by <= 0.6
        await hosts.receive()
        assert hosts.wrong_by <= 0.6

    run(main())


@pytest.mark.parametrize("old", [-40.0, -7200.0, 40.0])
def test_a_first_date_that_is_wrong_makes_nothing_certain_and_yields_to_two_that_agree(old: float) -> None:
    """A deployment was deleted 24 s before it expired: a process had its time from one `Date`, which was 40 s ahead."""

    async def main() -> None:
        server = Server(on_arrival=False)
        assert server.clock.earliest() == -math.inf
        await server.call(0.02, old=old)
        assert server.clock.earliest() == -math.inf
        await asyncio.sleep(RIVAL_SECONDS)
        await server.call(0.02)
        assert server.clock.earliest() == -math.inf
        await asyncio.sleep(RIVAL_SECONDS)
        await server.call(0.02)
        assert server.now() - 1.1 <= server.clock.earliest() <= server.now()
        assert server.wrong_by <= 0.6

    run(main())


def test_a_date_that_stands_still_from_the_first_answer_makes_nothing_certain() -> None:
    async def main() -> None:
        server = Server(on_arrival=False)
        still = formatdate(server.now() + 60.0, usegmt=True)
        for _ in range(100):
            await server.call(0.3, date=still)
            assert server.clock.earliest() == -math.inf
            await asyncio.sleep(1.0)

    run(main())


def test_no_answer_makes_more_certain_than_its_round_trip_allows() -> None:
    async def main() -> None:
        for on_arrival in (True, False):
            server = Server(on_arrival=on_arrival)
            for _ in range(10):
                await server.call(20.0)
                assert server.clock.earliest() <= server.now()
            assert server.clock.earliest() >= server.now() - 21.1

    run(main())


@pytest.mark.parametrize("hosts", [("SQS", "Bedrock"), ("messages",), ("messages", "SQS")])
def test_two_hosts_that_agree_or_the_time_in_a_message_make_the_clock_certain(hosts: tuple[str, ...]) -> None:
    """Messages alone, as from an emulator that sends no `Date`."""

    async def main() -> None:
        server = Hosts(machine_ahead=30.0, SQS=0.0, Bedrock=0.0)
        for host in hosts:
            assert server.clock.earliest() == -math.inf or host == "SQS"
            await (server.receive() if host == "messages" else server.call(host))
        assert server.now() - 2.1 <= server.clock.earliest() <= server.now()

    run(main())


def test_hosts_that_contradict_each_other_make_nothing_certain_until_one_has_proof() -> None:
    async def main() -> None:
        hosts = Hosts(SQS=0.0, Bedrock=-3600.0)
        await hosts.call("Bedrock")
        await hosts.call("SQS")
        assert hosts.clock.earliest() == -math.inf
        await asyncio.sleep(RIVAL_SECONDS)
        await hosts.call("SQS")
        assert hosts.now() - 1.1 <= hosts.clock.earliest() <= hosts.now()

    run(main())
