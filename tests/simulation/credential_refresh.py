"""Three days of credentials that last minutes: refreshed well, slowly, late or not at all, while requests flow.

The real client signs every call with keys that expire, over connections in memory; what gives the keys sometimes takes
its time, fails, or is away for hours. No call may fail while the keys in hand are valid, whatever the refresh does; an
outage that outlasts them is waited out; and memory and tasks are the same at the end as on the first day.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import itertools
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiobotocore.credentials import AioRefreshableCredentials
from aiobotocore.session import AioSession
from botocore.exceptions import CredentialRetrievalError

from slipway.aws.connect import assemble
from slipway.local import bedrock_operations
from slipway.local.behaviour import Behaviour
from slipway.worker.kernel import policy as terms
from slipway.worker.queue.intake import MOST_POLLS
from slipway.worker.runtime.worker import Worker
from tests.simulation.faults import Machine, Wire, machine_time
from tests.simulation.quiet_logs import quietly
from tests.simulation.real_client import clients_in_memory, sdk
from tests.simulator.aws import QUEUE_URL, TOPIC_ARN, Aws
from tests.simulator.network import InMemory
from tests.simulator.simulation import HOME, MODEL
from tests.simulator.virtual_loop import VirtualLoop, run

HOURS = 72
WARM_HOURS = 12
REQUEST_EVERY_SECONDS = 1200.0
LIFE_SECONDS = (900.0, 3600.0)
"""How long keys last: AssumeRole gives a quarter of an hour at the least, an hour by default."""
SAFE_SECONDS = 31.0
"""What the keys must still last for a call to go well: the mandatory refresh window."""
FAILURES = frozenset({"Denied", "Unknown"})
"""What want of keys may look like; a full quota is an answer."""
LONGEST_CALL_SECONDS = 30.0
"""A call that had to wait for keys may yet fail for it: a long poll has no time left then."""
LOOK_SECONDS = 5.0
MANNERS = ("well", "well", "well", "slowly", "very slowly", "badly", "badly", "for ever", "with the same keys")
OUTAGE_EVERY_SECONDS = 6 * 3600.0
OUTAGE_SECONDS = (600.0, 7200.0)
MOST_BLOCKS_GROWN = 4_000
"""What may be allocated more at the end than after the warm-up: caches fill, a leak of one object a call would be 13,000."""


@dataclass
class Report:
    """What came of the days."""

    hours: int = 0
    requests: int = 0
    calls: int = 0
    keys: int = 0
    refreshes: Counter[str] = field(default_factory=Counter)
    outages: int = 0
    failed_in_outages: int = 0
    blocks: tuple[int, int] = (0, 0)
    tasks: tuple[int, int] = (0, 0)
    violations: list[str] = field(default_factory=list)


class Issuer:
    """Gives out keys, in whatever manner it likes."""

    def __init__(self, now: Callable[[], float], rng: random.Random) -> None:
        self._now = now
        self._rng = rng
        self._numbers = itertools.count(1)
        self.valid_until: dict[str, float] = {}
        self.latest = 0.0
        """When the latest keys expire."""
        self.away_until = 0.0
        self.asked: Counter[str] = Counter()
        self._loop = asyncio.get_running_loop()

    def issue(self) -> dict[str, Any]:
        """Return new keys, as container and role providers do."""
        key = f"AKID{next(self._numbers):06d}"
        self.latest = self.valid_until[key] = self._now() + self._rng.uniform(*LIFE_SECONDS)
        for old in [old for old, until in self.valid_until.items() if until < self._now() - 7200]:
            del self.valid_until[old]
        expires = dt.datetime.fromtimestamp(self.latest, dt.UTC).isoformat()
        return {"access_key": key, "secret_key": "made-up", "token": "made-up", "expiry_time": expires}

    async def refresh(self) -> dict[str, Any]:
        """Return new keys, or do what an issuer does instead."""
        manner = "while away" if self._now() < self.away_until else self._rng.choice(MANNERS)
        self.asked[manner] += 1
        match manner:
            case "while away" | "badly":
                await asyncio.sleep(self._rng.uniform(0.0, 4.0))
                raise CredentialRetrievalError(provider="made-up", error_msg="the issuer is not well")
            case "slowly":
                await asyncio.sleep(self._rng.uniform(1.0, 9.0))
            case "very slowly":
                await asyncio.sleep(self._rng.uniform(11.0, 45.0))
            case "for ever":
                await asyncio.sleep(600.0)
            case "with the same keys":
                key = max(self.valid_until, key=lambda key: self.valid_until[key])
                expires = dt.datetime.fromtimestamp(self.latest, dt.UTC).isoformat()
                return {"access_key": key, "secret_key": "made-up", "token": "made-up", "expiry_time": expires}
        return self.issue()


class _Days:
    def __init__(self, seed: int, hours: int) -> None:
        self.hours = hours
        self.rng = random.Random(seed)
        self.report = Report(hours=hours)
        self.loop = asyncio.get_running_loop()
        self.aws = Aws(seed=seed, terms=Behaviour(creation_seconds=(200.0, 400.0)))
        self.wire = Wire(self.aws, Machine(self.aws), {})
        self.issuer = Issuer(self.aws.now, self.rng)
        self.wire.valid_until = self.issuer.valid_until
        self.asked_for = 0
        self.said: Counter[str] = Counter()

    def session(self) -> AioSession:
        """Return a session whose credentials are refreshable, by the clock of this world."""
        session = sdk()
        given = self.issuer.issue()
        expires = dt.datetime.fromtimestamp(self.issuer.latest, dt.UTC)
        session._credentials = AioRefreshableCredentials(  # noqa: SLF001  what a provider of the SDK's chain would have set
            given["access_key"],
            given["secret_key"],
            given["token"],
            expires,
            refresh_using=self.issuer.refresh,
            method="made-up",
            time_fetcher=lambda: dt.datetime.fromtimestamp(self.aws.now(), dt.UTC),
        )
        return session

    async def live(self) -> Report:
        InMemory.conduct = self.wire
        with machine_time(self.aws.now):
            async with clients_in_memory(self.session) as clients:
                aws = assemble(
                    clients, queue_url=QUEUE_URL, topic_arn=TOPIC_ARN, visibility_seconds=120, call_timeout=10.0,
                    most_polls=MOST_POLLS, rng=self.rng, machine=self.aws.now,
                )  # fmt: skip
                usual = terms.WorkerPolicy(
                    targets=HOME, max_held=50, sweep_interval=30.0, timeout=86_400.0, visibility_timeout=120,
                    progress_events=False, allow_force=False, is_topic_fifo=False,
                )  # fmt: skip
                tally = aws.tally
                slipway = Worker(
                    usual, await aws.queue.traits(), source=aws.queue, queue=aws.queue, topic=aws.topic,
                    bedrocks=aws.bedrocks, callback_targets=aws.replies, rng=self.rng,
                )  # fmt: skip
                task = self.loop.create_task(slipway.run())
                watch = self.loop.create_task(self._watch(tally))
                measured = []
                for hours in (min(WARM_HOURS, self.hours), max(0, self.hours - WARM_HOURS)):
                    requests = self.loop.create_task(self._ask())
                    await asyncio.sleep(hours * 3600.0)
                    requests.cancel()
                    await self._until_answered(slipway)
                    measured.append(self._measure(slipway))
                watch.cancel()
                slipway.stop()
                await asyncio.wait([task], timeout=60.0)
                self._balance(slipway, measured)
                self.report.calls = sum(tally.values())
        return self.report

    async def _ask(self) -> None:
        while True:
            self.asked_for += 1
            body = {"modelDeploymentName": f"bot-{self.asked_for}", "modelArn": MODEL, "requestId": f"r-{self.asked_for}"}
            self.aws.sqs.put(json.dumps(body))
            await asyncio.sleep(self.rng.uniform(0.5, 1.5) * REQUEST_EVERY_SECONDS)

    async def _watch(self, tally: Counter[tuple[str, str]]) -> None:
        """Look now and then whether a call has failed, and whether it had to; and take away what is over."""
        before, bad_at, next_outage = 0, -1e9, self.aws.now() + OUTAGE_EVERY_SECONDS
        account = self.aws.account
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = self.aws.now()
            lasting = self.issuer.latest - now
            if lasting <= SAFE_SECONDS + LOOK_SECONDS:
                bad_at = now
            failed = sum(count for (_, how), count in tally.items() if how in FAILURES)
            if failed > before:
                if now - bad_at > LONGEST_CALL_SECONDS + LOOK_SECONDS:
                    kinds = {what: count for what, count in tally.items() if what[1] in FAILURES}
                    text = f"{now:.0f}: a call failed though the keys last for {lasting:.0f} s more: {kinds}"
                    self.report.violations.append(text)
                else:
                    self.report.failed_in_outages += failed - before
            before = failed
            if now >= next_outage:
                self.report.outages += 1
                self.issuer.away_until = now + self.rng.uniform(*OUTAGE_SECONDS)
                next_outage = now + OUTAGE_EVERY_SECONDS
            self._forget(account)

    def _forget(self, account: Any) -> None:
        """Take out of the models what has ended, as they forget nothing themselves."""
        for notice in self.aws.notices:
            self.said[f"{notice['data']['requestId']} {notice['data']['outcome']} {notice['id']}"] = 1
            for one in [one for one in account.made if one.name == notice["data"].get("modelDeploymentName")]:
                account.delete(self.aws.now(), one.name)
        self.aws.notices.clear()
        self.aws.sqs.all.clear()
        if account.made and not any(one.exists(self.aws.now()) for one in account.made):
            for kept in (account.made, account._by_name, account._by_arn, account._tokens):  # noqa: SLF001  no account forgets
                kept.clear()
            bedrock_operations._iso.cache_clear()  # noqa: SLF001  as above

    def _measure(self, slipway: Worker) -> tuple[int, int]:
        """Return how much there is when nothing is held or remembered.

        How many requests wait for keys to come is chance, and what has ended is kept on purpose, up to a thousand.
        """
        self._forget(self.aws.account)
        slipway.history._entries.clear()  # noqa: SLF001  nobody else has a reason to
        slipway.history._active_seconds.clear()  # noqa: SLF001  as above
        gc.collect()
        assert isinstance(self.loop, VirtualLoop)
        return sys.getallocatedblocks(), len(asyncio.all_tasks(self.loop))

    async def _until_answered(self, slipway: Worker) -> None:
        began = self.loop.time()
        while self.aws.sqs.letters or len(slipway.leases):
            if self.loop.time() - began > 86_400.0:
                self.report.violations.append(f"I1: {len(self.aws.sqs.letters)} requests have not ended a day after the last")
                return
            await asyncio.sleep(5.0)

    def _balance(self, slipway: Worker, measured: list[tuple[int, int]]) -> None:
        report = self.report
        self._forget(self.aws.account)
        report.requests, report.keys = self.asked_for, len(self.issuer.valid_until)
        report.refreshes = self.issuer.asked
        if slipway.counters.faults:
            report.violations.append(f"I11: {slipway.counters.faults} exceptions nobody expected")
        endings = Counter(line.split()[1] for line in self.said)
        if endings != {"Active": self.asked_for}:
            report.violations.append(f"I4: {self.asked_for} requests ended as {dict(endings)}")
        if len(self.aws.dead.all):
            report.violations.append(f"I9: {len(self.aws.dead.all)} are in the dead-letter queue")
        (blocks, tasks), (last_blocks, last_tasks) = measured[0], measured[-1]
        report.blocks, report.tasks = (blocks, last_blocks), (tasks, last_tasks)
        if last_blocks - blocks > MOST_BLOCKS_GROWN:
            report.violations.append(
                f"I7: {last_blocks - blocks} blocks more are allocated at the end than after {WARM_HOURS} h"
            )
        if last_tasks > tasks + 5:
            report.violations.append(f"I7: {last_tasks} tasks at the end, {tasks} after {WARM_HOURS} h")


def live(seed: int = 1, hours: int = HOURS) -> Report:
    """Live through so many hours; a function of its arguments."""

    async def main() -> Report:
        return await _Days(seed, hours).live()

    with quietly():
        return run(main())


def main(arguments: list[str]) -> int:
    """Live through the days of a seed; say what came of them."""
    began = time.monotonic()
    report = live(*map(int, arguments))
    sys.stdout.write(f"{report} in {time.monotonic() - began:.1f} s\n")
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
