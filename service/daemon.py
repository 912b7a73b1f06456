"""The composition root: makes everything, connects it, and decides nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import structlog

from service import __version__, logs
from service.aws.bedrock import Bedrock
from service.aws.connecting import Aws, connect
from service.aws.regions import NotConfigured
from service.core.backoff import pause_seconds
from service.core.calls import CallFailed, Missing, Refused
from service.core.messages import QueueTraits
from service.core.permissions import Rule
from service.core.targets import DEFAULT
from service.core.triggers import Trigger
from service.edge.holdings import Lines
from service.edge.http import serving
from service.edge.metrics import Measures, registry_of
from service.edge.page.routes import StatusPage
from service.edge.page.shell import Place
from service.edge.tracing import tracing
from service.edge.vitals import Check, Pulse, Readiness
from service.flow.intake import MOST_POLLS
from service.flow.run import Slipway
from service.flow.terms import Terms
from service.flow.waits import rest
from service.settings import Settings, WrongSetting, load, load_permissions, load_triggers

log = structlog.get_logger()

T = TypeVar("T")

EXIT_WRONG_SETTING: Final = 2


def main(config: Path | None) -> int:
    """Serve until a signal ends it; answer the exit code: 0 for a clean end, 2 for a wrong setting."""
    try:
        settings = load(os.environ, str(config) if config else None)
        triggers = load_triggers(settings.triggers)
        permissions = load_permissions(settings.permissions)
    except WrongSetting as wrong:
        print(f"slipway: {wrong}", file=sys.stderr)  # noqa: T201  logging is not set up yet
        return EXIT_WRONG_SETTING
    logs.configure(settings.log_level, settings.log_format)
    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        return runner.run(serve(settings, triggers, permissions))


async def serve(settings: Settings, triggers: tuple[Trigger, ...] = (), permissions: tuple[Rule, ...] = ()) -> int:
    """Open what is needed, run, and close it again."""
    rng = random.Random()  # noqa: S311  jitter, no secret
    connection = connect(
        queue_url=settings.queue_url,
        topic_arn=settings.topic_arn,
        visibility_seconds=settings.visibility_timeout,
        call_timeout=settings.call_timeout,
        most_polls=MOST_POLLS,
        version=__version__,
        rng=rng,
        wanted=settings.targets,
    )
    try:
        async with connection as aws:
            gc.freeze()  # what there is by now stays: no collection has to look through it
            goodbye = _Goodbye()
            traits = await _first_answer(aws.queue.traits, "the queue", goodbye, rng)
            terms = await _permitting(permissions, _terms(settings, aws, triggers), aws, goodbye, rng)
            if traits is not None and terms is not None:
                await _run(settings, terms, aws, traits, goodbye, rng)
    except (NotConfigured, CallFailed) as wrong:
        log.error("daemon.refused", error=str(wrong))  # noqa: TRY400  the sentence is all there is to know
        return EXIT_WRONG_SETTING
    except OSError as wrong:
        remedy = "choose another SLIPWAY_HTTP_PORT, or 0 for none"
        log.error("daemon.refused", error=f"http_port {settings.http_port}: {wrong}", remedy=remedy)  # noqa: TRY400
        return EXIT_WRONG_SETTING
    log.info("daemon.stopped")
    return 0


async def _first_answer(ask: Callable[[], Awaitable[T]], whom: str, goodbye: _Goodbye, rng: random.Random) -> T | None:
    """Ask until there is an answer; None when a signal came first. Raises what only the operator can mend."""
    troubles = 0
    while not goodbye.is_said.is_set():
        try:
            return await ask()
        except (Missing, Refused):
            raise
        except CallFailed as failed:
            troubles += 1
            log.warning("daemon.waiting", code=failed.code, error=str(failed), remedy=f"waiting for {whom} to answer")
            await rest(pause_seconds(troubles, rng, longest=15.0), unless=goodbye.is_said)
    return None


async def _permitting(
    permissions: tuple[Rule, ...], terms: Terms, aws: Aws, goodbye: _Goodbye, rng: random.Random
) -> Terms | None:
    """Learn who Slipway itself is to SQS, before anything is received; None when a signal came first.

    Permissions need it. Without them it is asked for once: without an answer, a request that is continued in a new message
    no longer owns what it has made, and so neither deletes that nor tries again.
    """
    if not permissions:
        try:
            return replace(terms, own_sender=await aws.identity.own_sender())
        except CallFailed as failed:
            remedy = "let the daemon reach STS; until then, what is continued in a new message is only awaited and announced"
            log.warning("sender.unknown", code=failed.code, error=str(failed), remedy=remedy)
            return terms
    own = await _first_answer(aws.identity.own_sender, "STS", goodbye, rng)
    if own is None:
        return None
    log.info("permissions.loaded", rules=[rule.name for rule in permissions], own_sender=own)
    return replace(terms, permissions=permissions, own_sender=own)


async def _run(settings: Settings, terms: Terms, aws: Aws, traits: QueueTraits, goodbye: _Goodbye, rng: random.Random) -> None:
    slipway = Slipway(
        terms, traits, source=aws.queue, queue=aws.queue, topic=aws.topic, bedrocks=aws.bedrocks, desk=aws.replies, rng=rng
    )
    pulse = Pulse()
    registry = registry_of(
        Measures(slipway, pulse, aws.tally, skew=aws.queue.clock.skew, credentials_left=_credentials_left(aws))
    )
    home = terms.home.home
    queue = settings.queue_url.rpartition("/")[2]
    place = Place(queue, home.account, home.region)
    endpoint = serving(
        settings.http_host,
        settings.http_port,
        slipway,
        pulse,
        _readiness(aws),
        registry,
        lambda: _lines(aws),
        StatusPage(slipway, aws.tally, place),
    )
    async with tracing(slipway, os.environ, queue=queue, version=__version__), endpoint:
        _warn(traits)
        log.info("daemon.started", version=__version__, queue=settings.queue_url, topic=settings.topic_arn)
        beating = asyncio.create_task(pulse.run())
        try:
            goodbye.tell(slipway)
            await slipway.run()
        finally:
            beating.cancel()


def _terms(settings: Settings, aws: Aws, triggers: tuple[Trigger, ...]) -> Terms:
    return Terms(
        targets=aws.targets,
        max_held=settings.max_held,
        sweep_interval=settings.sweep_interval,
        timeout=settings.timeout,
        visibility_timeout=settings.visibility_timeout,
        progress_events=settings.progress_events,
        allow_force=settings.allow_force,
        reap_interval=settings.reap_interval,
        is_topic_fifo=settings.is_fifo_topic,
        reply_to=tuple(settings.reply_to.split()),
        tenant_weights=settings.weights,
        triggers=triggers,
    )


def _credentials_left(aws: Aws) -> Callable[[], float | None]:
    return aws.keeper.seconds_left if aws.keeper is not None else lambda: None


def _readiness(aws: Aws) -> Readiness:
    def looks(bedrock: Bedrock) -> Check:
        return lambda: bedrock.page(created_after=None, status=None, token=None, size=1)

    targets = {"bedrock" if name == DEFAULT else f"bedrock in {name}": looks(each) for name, each in aws.bedrocks.items()}
    return Readiness({"queue": aws.queue.traits, "topic": aws.topic.check}, targets)


def _lines(aws: Aws) -> Lines:
    """How fast each operation is called, and how many calls of it wait: what a throttled account looks like from here."""
    named = [("", each) for each in aws.limiters] + [(f" in {name}", each) for name, each in aws.elsewhere.items()]
    return {name + where: (limiter.rate, limiter.waiting) for where, each in named for name, limiter in each.items()}


def _warn(traits: QueueTraits) -> None:
    """What is allowed, and yet not good."""
    if not traits.has_dead_letter_queue:
        log.warning("queue.without_dead_letters", remedy="give the queue a redrive policy: rejected bodies are kept there")
    elif traits.max_receive_count == 1:
        log.warning("queue.max_receive_count", value=1, remedy="set maxReceiveCount to 3 or more")


class _Goodbye:
    """The first signal asks, the second hurries."""

    def __init__(self) -> None:
        self.is_said = asyncio.Event()
        self._slipway: Slipway | None = None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._heard, number.name)

    def tell(self, slipway: Slipway) -> None:
        """From now on this is what is to be stopped."""
        self._slipway = slipway
        if self.is_said.is_set():
            slipway.stop()

    def _heard(self, name: str) -> None:
        log.info("signal.received", signal=name)
        if self._slipway is not None:
            (self._slipway.hurry if self.is_said.is_set() else self._slipway.stop)()
        self.is_said.set()


def _fast_loop() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415  not made for every platform
    except ImportError:
        return None
    return uvloop.new_event_loop  # type: ignore[return-value]
