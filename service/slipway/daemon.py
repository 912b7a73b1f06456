"""The composition root: creates everything, connects it, and decides nothing."""

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
from slipway.worker.kernel.interrupts import sleep_unless_set
from slipway.worker.kernel.policy import WorkerPolicy
from slipway.worker.queue.intake import MOST_POLLS
from slipway.worker.runtime.worker import LONGEST_SHUTDOWN_SECONDS, Worker

log = structlog.get_logger()

T = TypeVar("T")

EXIT_WRONG_SETTING: Final = 2
EXIT_FAULT: Final = 1
DROPPED_SECONDS: Final = 1.0
"""Time that a call has to end if it is cancelled before anything was received."""
CLOSING_SECONDS: Final = 3.0
"""Time for connections and traces to close after the longest shutdown."""
LONGEST_STS_PAUSE_SECONDS: Final = 300.0
"""Longest pause between two GetCallerIdentity calls while STS does not answer."""
AGAIN_SECONDS: Final = 4.0
"""Time to the forced exit after a second signal: two seconds for calls in flight, the rest for closing."""


def main(config: Path | None) -> int:
    """Serve until SIGTERM or SIGINT. Return the exit code.

    0 after a shutdown, 1 after an unexpected exception, 2 for a wrong setting.
    """
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
    """Open all connections, run the worker, close the connections, and return the exit code.

    Return 2 if only a changed setting can fix the problem, 1 after an unexpected exception, 0 after a shutdown. Wait for
    everything else, such as missing credentials or a port in use.
    """
    rng = random.Random()  # noqa: S311  jitter, no secret
    start = _Start(ShutdownSignals(), rng)
    endpoint = Endpoint(settings.http_host, settings.http_port, settings.http_token)
    await endpoint.show(starting_application(endpoint, process_registry(logs.LOST), start.waits))
    try:
        async with endpoint.listening(rng), AsyncExitStack() as stack:
            await _serve(settings, triggers, permissions, endpoint, start, stack)
    except CannotListen as wrong:
        text = f"{wrong} (http_host from {settings.provenance['http_host']}, http_port from {settings.provenance['http_port']})"
        remedy = "choose another SLIPWAY_HTTP_HOST or SLIPWAY_HTTP_PORT, or port 0 for none"
        log.error("daemon.refused", message=text, remedy=remedy)  # noqa: TRY400  a traceback would add nothing
        return EXIT_WRONG_SETTING
    except NotConfigured as wrong:
        log.error("daemon.refused", message=str(wrong))  # noqa: TRY400  as above
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
    """Connect to AWS, then receive until a signal."""

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

    aws = await start.until_answered(connection, "credentials", "the AWS SDK's own settings")
    if aws is None:
        return
    gc.freeze()  # objects of the start live until the end: no collection needs to visit them
    named = f"SLIPWAY_QUEUE_URL (from {settings.provenance['queue_url']}) is {settings.queue_url}"
    traits = await start.until_answered(aws.queue.traits, "queue", named)
    if traits is None:
        return
    control = None
    if aws.control is not None:
        named = f"SLIPWAY_CONTROL_QUEUE_URL (from {settings.provenance['control_queue_url']}) is {settings.control_queue_url}"
        control = await start.until_answered(aws.control.traits, "control queue", named)
        if control is None:
            return
    policy = replace(_policy_of(settings, aws, triggers), permissions=permissions)
    if await _identify(policy, aws, start):
        await _run(settings, policy, aws, traits, control, endpoint, start)


class _Start:
    """The start of the daemon: calls that must succeed before it can receive."""

    def __init__(self, signals: ShutdownSignals, rng: random.Random) -> None:
        self.signals = signals
        self.rng = rng
        self.waits: dict[str, str] = {}
        """The cause of each wait, by what is waited for."""

    async def until_answered(self, ask: Callable[[], Awaitable[T]], what: str, named_by: str) -> T | None:
        """Repeat a call until it succeeds and return its result; None after a signal. Raises `NotConfigured` if it never can.

        Nothing is leased yet, so a call in flight may be cancelled.
        """
        failures = 0
        while not self.signals.received.is_set():
            self.waits[what] = self.waits.get(what) or "no answer yet"
            try:
                answer = await _unless(self.signals.received, ask())
            except (ResourceMissing, Refused) as wrong:
                raise NotConfigured(str(wrong), named_by) from wrong
            except CallFailed as failed:
                failures += 1
                self.waits[what] = str(failed)
                log.warning("daemon.waiting", reason=failed.code, message=str(failed), remedy=f"waiting for {what}")
                await sleep_unless_set(pause_seconds(failures, self.rng, longest=15.0), unless=self.signals.received)
            else:
                del self.waits[what]
                return answer
        return None


async def _unless(event: asyncio.Event, awaitable: Awaitable[T]) -> T | None:
    """Return the result of the awaitable, or None if the event is set first."""
    call = asyncio.ensure_future(awaitable)
    waiting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait((call, waiting), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if call.done():
        return call.result()
    call.cancel()
    await asyncio.wait((call,), timeout=DROPPED_SECONDS)
    return None


async def _identify(policy: WorkerPolicy, aws: Aws, start: _Start) -> bool:
    """Get the daemon's own identity from STS before anything is received; return False after a signal.

    Permission rules need the identity, so the daemon waits for it. Without rules it starts without the identity, and
    `_keep_identifying` repeats the call: until then no request is checked against the account, and a continuation does not own
    what it created.
    """
    if policy.permissions:
        own = await start.until_answered(aws.identity.get, "STS", "the rules in SLIPWAY_PERMISSIONS need its answer")
    else:
        try:
            own = await _unless(start.signals.received, aws.identity.get())
        except CallFailed as failed:
            _warn_unknown(failed)
            return True
    if own is None:
        return False
    _learn(own, policy)
    if policy.permissions:
        log.info("permissions.loaded", rules=[rule.name for rule in policy.permissions], own_sender=own.sender)
    return True


def _learn(own: CallerIdentity, policy: WorkerPolicy) -> None:
    """Set the daemon's own account and `SenderId`. Raises `NotConfigured` if two targets are in one account and Region."""
    learn_account(own.account, policy.targets)
    policy.own.sender = own.sender


def _warn_unknown(failed: CallFailed) -> None:
    remedy = (
        "let the daemon reach STS, which is asked again; until then no request is rejected for its account, and what is"
        " continued in a new message is only awaited and announced"
    )
    log.warning("sender.unknown", reason=failed.code, message=str(failed), remedy=remedy)


async def _keep_identifying(policy: WorkerPolicy, aws: Aws, rng: random.Random) -> None:
    """Repeat GetCallerIdentity until STS answers."""
    failures = 0
    while not policy.own_sender:
        failures += 1
        await asyncio.sleep(pause_seconds(failures, rng, longest=LONGEST_STS_PAUSE_SECONDS))
        try:
            _learn(await aws.identity.get(), policy)
        except CallFailed as failed:
            _warn_unknown(failed)
        except NotConfigured as wrong:
            log.error("daemon.refused", message=str(wrong))  # noqa: TRY400  a traceback would add nothing
            signal.raise_signal(signal.SIGTERM)
            return
        else:
            log.info("sender.known", own_sender=policy.own_sender)


async def _run(
    settings: Settings,
    policy: WorkerPolicy,
    aws: Aws,
    traits: QueueTraits,
    control: QueueTraits | None,
    endpoint: Endpoint,
    start: _Start,
) -> None:
    new_worker = partial(Worker, policy, topic=aws.topic, bedrocks=aws.bedrocks, callback_targets=aws.replies, rng=start.rng)
    worker = new_worker(traits, source=aws.queue, queue=aws.queue)
    if aws.control is not None and control is not None:
        new_worker(control, source=aws.control, queue=aws.control, primary=worker)
    lag_monitor = LoopLagMonitor()
    history = CallHistory(aws.tally, asyncio.get_running_loop().time)
    diagnosis = Diagnosis(worker, history, _readiness(aws), _backlogs(aws))
    measures = Measures(
        diagnosis, lag_monitor, aws.tally, logs.LOST, skew=aws.queue.clock.skew, credentials_left=_credentials_left(aws)
    )
    queue = settings.queue_url.rpartition("/")[2]
    place = DaemonIdentity(queue, policy.home.shown_account, policy.home.home.region, socket.gethostname())
    page = StatusPage(diagnosis, aws.tally, place)
    lines, registry = partial(_call_rates, aws), registry_of(measures)
    async with tracing(worker, os.environ, queue=queue, version=__version__):
        await endpoint.show(application(endpoint, diagnosis, lag_monitor, registry, lines, page))
        for queue_traits in (traits, control):
            if queue_traits is not None:
                _warn(queue_traits)
        page_url = "".join(f"{url}/" for url in settings.own_daemon) or None
        log.info("daemon.started", version=__version__, queue=settings.queue_url, topic=settings.topic_arn, page=page_url)
        lag_monitor.beside["pulse"] = monitoring = asyncio.create_task(lag_monitor.run())
        identifying = asyncio.create_task(_keep_identifying(policy, aws, start.rng))
        try:
            start.signals.attach(worker)
            await worker.run()
        finally:
            monitoring.cancel()
            identifying.cancel()


def _policy_of(settings: Settings, aws: Aws, triggers: tuple[Trigger, ...]) -> WorkerPolicy:
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
    def list_one(bedrock: Bedrock) -> Check:
        return lambda: bedrock.page(created_after=None, status=None, token=None, size=1)

    targets = {
        "bedrock" if name == DEFAULT else f"bedrock in {name}": list_one(bedrock) for name, bedrock in aws.bedrocks.items()
    }
    control = {} if aws.control is None else {"control queue": aws.control.traits}
    return Readiness({"queue": aws.queue.traits, **control, "topic": aws.topic.check}, targets)


def _backlogs(aws: Aws) -> Backlogs:
    checks = {"requests": aws.queue.backlog, DEAD_LETTERS: aws.queue.dead_letters}
    if aws.control is not None:
        checks |= {"control": aws.control.backlog}
    return Backlogs(checks)


def _call_rates(aws: Aws) -> CallRates:
    """Return the rate of each operation in each target, and how many of its calls wait."""
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
    """SIGTERM and SIGINT: the first one ends the daemon once every message is released, the second one at once."""

    def __init__(self) -> None:
        self.received = asyncio.Event()
        self._worker: Worker | None = None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number.name)

    def attach(self, worker: Worker) -> None:
        """Set the worker to stop; stop it at once if a signal was received before."""
        self._worker = worker
        if self.received.is_set():
            worker.stop()

    def _on_signal(self, name: str) -> None:
        is_again = self.received.is_set()
        self.received.set()
        _cut_off_after(AGAIN_SECONDS if is_again else LONGEST_SHUTDOWN_SECONDS + CLOSING_SECONDS)
        if self._worker is not None:
            (self._worker.shorten_shutdown if is_again else self._worker.stop)()
        log.info("signal.received", signal=name)


def _cut_off_after(seconds: float) -> None:
    """End the process after this time, whatever hangs: a thread in an unanswered DNS query cannot be cancelled."""
    timer = threading.Timer(seconds, _cut_off)
    timer.daemon = True
    timer.start()


def _cut_off() -> None:
    log.warning("daemon.cut_off", remedy="leased messages are received again after their visibility timeout")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, logs.BackgroundWriter):
            stream.drain()
    os._exit(0)


def _fast_loop() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415  not available for every platform
    except ImportError:
        return None
    return uvloop.new_event_loop  # type: ignore[return-value]
