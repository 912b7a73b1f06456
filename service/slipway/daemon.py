"""The composition root: makes everything, connects it, and decides nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import structlog

from slipway import __version__, logs
from slipway.aws.adapters.bedrock import Bedrock
from slipway.aws.adapters.retry import Limiter
from slipway.aws.connect import Aws, CallerIdentity, connect
from slipway.aws.sdk.regions import NotConfigured, learn_account
from slipway.core.call_errors import CallFailed, Refused, ResourceMissing, pause_seconds
from slipway.core.requests.targets import DEFAULT
from slipway.core.rules.permissions import PermissionRule
from slipway.core.rules.triggers import Trigger
from slipway.core.sqs.messages import QueueTraits
from slipway.http.health import DEAD_LETTERS, Backlogs, CallHistory, Check, Diagnosis, LoopLagMonitor, Readiness
from slipway.http.metrics import Measures, process_registry, registry_of
from slipway.http.page.routes import DaemonIdentity, StatusPage
from slipway.http.requests_api import CallRates
from slipway.http.server import CannotListen, Endpoint, application, starting_application
from slipway.settings.load import Settings, WrongSetting, load, load_permissions, load_triggers
from slipway.telemetry.setup import tracing
from slipway.worker.kernel.interrupts import rest
from slipway.worker.kernel.policy import WorkerPolicy
from slipway.worker.queue.intake import MOST_POLLS
from slipway.worker.runtime.worker import LONGEST_SHUTDOWN_SECONDS, Worker

log = structlog.get_logger()

T = TypeVar("T")

EXIT_WRONG_SETTING: Final = 2
EXIT_FAULT: Final = 1
DROPPED_SECONDS: Final = 1.0
"""How long a call that was dropped before anything was received has to end."""
CLOSING_SECONDS: Final = 3.0
"""How long connections and traces may take to close after the longest shutdown."""
LONGEST_STS_PAUSE_SECONDS: Final = 300.0
"""Between two questions to STS about who the daemon is, as long as it does not answer."""
AGAIN_SECONDS: Final = 4.0
"""After a second signal: two for what is under way, the rest for closing."""


def main(config: Path | None) -> int:
    """Serve until a signal ends it; answer the exit code: 0 for a clean end, 2 for a wrong setting."""
    logs.detach_streams()
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


async def serve(settings: Settings, triggers: tuple[Trigger, ...] = (), permissions: tuple[PermissionRule, ...] = ()) -> int:
    """Open what is needed, run, and close it again.

    Only what nothing but another setting can end is answered with the exit code of a wrong one. Everything else, like
    credentials that come late or a port in use, is waited for.
    """
    rng = random.Random()  # noqa: S311  jitter, no secret
    start = _Start(ShutdownSignals(), rng)
    endpoint = Endpoint(settings.http_host, settings.http_port, settings.http_token)
    await endpoint.show(starting_application(endpoint, process_registry(logs.LOST), start.waits))
    try:
        async with endpoint.listening(rng), AsyncExitStack() as stack:
            await _serve(settings, triggers, permissions, endpoint, start, stack)
    except CannotListen as wrong:
        said = f"{wrong} (http_host from {settings.provenance['http_host']}, http_port from {settings.provenance['http_port']})"
        remedy = "choose another SLIPWAY_HTTP_HOST or SLIPWAY_HTTP_PORT, or port 0 for none"
        log.error("daemon.refused", error=said, remedy=remedy)  # noqa: TRY400  the sentence is all there is to know
        return EXIT_WRONG_SETTING
    except NotConfigured as wrong:
        log.error("daemon.refused", error=str(wrong))  # noqa: TRY400  as above
        return EXIT_WRONG_SETTING
    except Exception:
        log.exception("daemon.faulted")
        return EXIT_FAULT
    log.info("daemon.stopped")
    return 0


async def _serve(
    settings: Settings,
    triggers: tuple[Trigger, ...],
    permissions: tuple[PermissionRule, ...],
    endpoint: Endpoint,
    start: _Start,
    stack: AsyncExitStack,
) -> None:
    """Reach AWS, then receive until a signal comes."""

    def connection() -> Awaitable[Aws]:
        opening = connect(
            queue_url=settings.queue_url,
            control_queue_url=settings.control_queue_url,
            topic_arn=settings.topic_arn,
            visibility_seconds=settings.visibility_timeout,
            call_timeout=settings.call_timeout,
            most_polls=MOST_POLLS,
            version=__version__,
            rng=start.rng,
            wanted=settings.targets,
        )
        return stack.enter_async_context(opening)

    aws = await start.insist(connection, "credentials", "the AWS SDK's own settings")
    if aws is None:
        return
    gc.freeze()  # what there is by now stays: no collection has to look through it
    named = f"SLIPWAY_QUEUE_URL (from {settings.provenance['queue_url']}) is {settings.queue_url}"
    traits = await start.insist(aws.queue.traits, "queue", named)
    if traits is None:
        return
    control = None
    if aws.control is not None:
        named = f"SLIPWAY_CONTROL_QUEUE_URL (from {settings.provenance['control_queue_url']}) is {settings.control_queue_url}"
        control = await start.insist(aws.control.traits, "control queue", named)
        if control is None:
            return
    terms = replace(_terms(settings, aws, triggers), permissions=permissions)
    if await _identify(terms, aws, start):
        await _run(settings, terms, aws, traits, control, endpoint, start)


class _Start:
    """What the daemon waits for before it can receive."""

    def __init__(self, goodbye: ShutdownSignals, rng: random.Random) -> None:
        self.goodbye = goodbye
        self.rng = rng
        self.waits: dict[str, str] = {}
        """Why it waits, by what for."""

    async def insist(self, ask: Callable[[], Awaitable[T]], what: str, named_by: str) -> T | None:
        """Ask until there is an answer; None as soon as a signal came. Raises `NotConfigured` for what does not pass.

        Nothing is held yet: a call that is under way may be dropped.
        """
        failures = 0
        while not self.goodbye.is_said.is_set():
            self.waits[what] = self.waits.get(what) or "no answer yet"
            try:
                answer = await _unless(self.goodbye.is_said, ask())
            except (ResourceMissing, Refused) as wrong:
                raise NotConfigured(str(wrong), named_by) from wrong
            except CallFailed as failed:
                failures += 1
                self.waits[what] = str(failed)
                log.warning("daemon.waiting", code=failed.code, error=str(failed), remedy=f"waiting for {what}")
                await rest(pause_seconds(failures, self.rng, longest=15.0), unless=self.goodbye.is_said)
            else:
                del self.waits[what]
                return answer
        return None


async def _unless(said: asyncio.Event, asked: Awaitable[T]) -> T | None:
    """Answer what is asked for; None when the event came first."""
    asking = asyncio.ensure_future(asked)
    hearing = asyncio.ensure_future(said.wait())
    try:
        await asyncio.wait((asking, hearing), return_when=asyncio.FIRST_COMPLETED)
    finally:
        hearing.cancel()
    if asking.done():
        return asking.result()
    asking.cancel()
    await asyncio.wait((asking,), timeout=DROPPED_SECONDS)
    return None


async def _identify(terms: WorkerPolicy, aws: Aws, start: _Start) -> bool:
    """Ask STS who the daemon itself is before anything is received; False when a signal came first.

    Permission rules need the answer, and wait for it. Without rules the daemon starts without it, and `_keep_asking` goes on:
    until then no request is judged by its account, and what is continued in a new message owns nothing that it has created.
    """
    if terms.permissions:
        own = await start.insist(aws.identity.get, "STS", "the rules in SLIPWAY_PERMISSIONS need its answer")
    else:
        try:
            own = await _unless(start.goodbye.is_said, aws.identity.get())
        except CallFailed as failed:
            _warn_unknown(failed)
            return True
    if own is None:
        return False
    _learn(own, terms)
    if terms.permissions:
        log.info("permissions.loaded", rules=[rule.name for rule in terms.permissions], own_sender=own.sender)
    return True


def _learn(own: CallerIdentity, terms: WorkerPolicy) -> None:
    """Let the worker know who the daemon is. Raises `NotConfigured` if two targets turn out to be in one place."""
    learn_account(own.account, terms.targets)
    terms.own.sender = own.sender


def _warn_unknown(failed: CallFailed) -> None:
    remedy = (
        "let the daemon reach STS, which is asked again; until then no request is rejected for its account, and what is"
        " continued in a new message is only awaited and announced"
    )
    log.warning("sender.unknown", code=failed.code, error=str(failed), remedy=remedy)


async def _keep_asking(terms: WorkerPolicy, aws: Aws, rng: random.Random) -> None:
    """Ask STS who the daemon is until it answers."""
    failures = 0
    while not terms.own_sender:
        failures += 1
        await asyncio.sleep(pause_seconds(failures, rng, longest=LONGEST_STS_PAUSE_SECONDS))
        try:
            _learn(await aws.identity.get(), terms)
        except CallFailed as failed:
            _warn_unknown(failed)
        except NotConfigured as wrong:
            log.error("daemon.refused", error=str(wrong))  # noqa: TRY400  the sentence is all there is to know
            signal.raise_signal(signal.SIGTERM)
            return
        else:
            log.info("sender.known", own_sender=terms.own_sender)


async def _run(
    settings: Settings,
    terms: WorkerPolicy,
    aws: Aws,
    traits: QueueTraits,
    control: QueueTraits | None,
    endpoint: Endpoint,
    start: _Start,
) -> None:
    serving = partial(Worker, terms, topic=aws.topic, bedrocks=aws.bedrocks, callback_targets=aws.replies, rng=start.rng)
    slipway = serving(traits, source=aws.queue, queue=aws.queue)
    if aws.control is not None and control is not None:
        serving(control, source=aws.control, queue=aws.control, primary=slipway)
    pulse = LoopLagMonitor()
    history = CallHistory(aws.tally, asyncio.get_running_loop().time)
    diagnosis = Diagnosis(slipway, history, _readiness(aws), _backlogs(aws))
    measures = Measures(
        diagnosis, pulse, aws.tally, logs.LOST, skew=aws.queue.clock.skew, credentials_left=_credentials_left(aws)
    )
    queue = settings.queue_url.rpartition("/")[2]
    place = DaemonIdentity(queue, terms.home.shown_account, terms.home.home.region, socket.gethostname())
    page = StatusPage(diagnosis, aws.tally, place)
    lines, registry = partial(_call_rates, aws), registry_of(measures)
    async with tracing(slipway, os.environ, queue=queue, version=__version__):
        await endpoint.show(application(endpoint, diagnosis, pulse, registry, lines, page))
        for each in (traits, control):
            if each is not None:
                _warn(each)
        page_url = "".join(f"{url}/" for url in settings.own_daemon) or None
        log.info("daemon.started", version=__version__, queue=settings.queue_url, topic=settings.topic_arn, page=page_url)
        pulse.beside["pulse"] = beating = asyncio.create_task(pulse.run())
        asking = asyncio.create_task(_keep_asking(terms, aws, start.rng))
        try:
            start.goodbye.report_progress(slipway)
            await slipway.run()
        finally:
            beating.cancel()
            asking.cancel()


def _terms(settings: Settings, aws: Aws, triggers: tuple[Trigger, ...]) -> WorkerPolicy:
    return WorkerPolicy(
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
    control = {} if aws.control is None else {"control queue": aws.control.traits}
    return Readiness({"queue": aws.queue.traits, **control, "topic": aws.topic.check}, targets)


def _backlogs(aws: Aws) -> Backlogs:
    checks = {"requests": aws.queue.backlog, DEAD_LETTERS: aws.queue.dead_letters}
    if aws.control is not None:
        checks |= {"control": aws.control.backlog}
    return Backlogs(checks)


def _call_rates(aws: Aws) -> CallRates:
    """Return how fast each operation is called in each target, and how many calls wait: what throttling looks like here."""
    places: list[tuple[str | None, Mapping[str, Limiter]]] = [(None, limiters) for limiters in aws.limiters]
    places += aws.elsewhere.items()
    return {
        (operation, target): (limiter.rate, limiter.waiting)
        for target, limiters in places
        for operation, limiter in limiters.items()
    }


def _warn(traits: QueueTraits) -> None:
    """Warn of allowed settings of a queue that risk requests."""
    if not traits.has_dead_letter_queue:
        log.warning("queue.without_dead_letters", remedy="give the queue a redrive policy: rejected bodies are kept there")
    elif traits.max_receive_count == 1:
        log.warning("queue.max_receive_count", value=1, remedy="set maxReceiveCount to 3 or more")


class ShutdownSignals:
    """The first signal ends it as soon as everything is given back, the second at once."""

    def __init__(self) -> None:
        self.is_said = asyncio.Event()
        self._slipway: Worker | None = None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._heard, number.name)

    def report_progress(self, slipway: Worker) -> None:
        """From now on this is what is to be stopped."""
        self._slipway = slipway
        if self.is_said.is_set():
            slipway.stop()

    def _heard(self, name: str) -> None:
        is_again = self.is_said.is_set()
        self.is_said.set()
        _cut_off_after(AGAIN_SECONDS if is_again else LONGEST_SHUTDOWN_SECONDS + CLOSING_SECONDS)
        if self._slipway is not None:
            (self._slipway.shorten_shutdown if is_again else self._slipway.stop)()
        log.info("signal.received", signal=name)


def _cut_off_after(seconds: float) -> None:
    """End the process then, whatever hangs: a thread in a DNS query that gets no answer cannot be cancelled."""
    timer = threading.Timer(seconds, _cut_off)
    timer.daemon = True
    timer.start()


def _cut_off() -> None:
    log.warning("daemon.cut_off", remedy="what is held comes back by itself")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, logs.BackgroundWriter):
            stream.drain()
    os._exit(0)


def _fast_loop() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415  not made for every platform
    except ImportError:
        return None
    return uvloop.new_event_loop  # type: ignore[return-value]
