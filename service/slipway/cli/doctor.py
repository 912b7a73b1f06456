"""`slipway doctor`: looks at everything that Slipway stands on, and says what is not right, with the remedy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from slipway.aws.operator.operator_session import OperatorSession, OperatorSettings
from slipway.aws.operator.queue_inspector import backlog_of
from slipway.cli.exit_codes import Exit
from slipway.cli.output import is_terminal, print_json, print_sentence, print_table
from slipway.cli.runner import error_text
from slipway.client.daemons import DaemonUnreachable, query_failures
from slipway.core.bedrock.deployments import Deployment
from slipway.core.bedrock.errors import CallFailed, Denied
from slipway.core.diagnostics import doctor as diagnosis
from slipway.core.diagnostics.doctor import DoctorFinding, redrive_of
from slipway.settings.load import Settings, WrongSetting, load_permissions, load_triggers

T = TypeVar("T")


class DoctorRun:
    """What has been found so far. A question that nobody answers is a finding too."""

    def __init__(self) -> None:
        self.complaints: list[DoctorFinding] = []
        self.looked_at: list[str] = []

    async def ask(
        self, about: str, asked: Awaitable[T], judge: Callable[[T], Iterable[DoctorFinding]], where: str = ""
    ) -> T | None:
        """Ask, and judge the answer; answer None where there was none. `where` is said behind what it is about."""
        self.looked_at.append(about + where)
        try:
            answer = await asked
        except CallFailed as failed:
            self.complaints.append(DoctorFinding(about + where, *error_text(failed)))
            return None
        self.complaints += [replace(one, about=one.about + where) for one in judge(answer)]
        return answer

    def read(self, about: str, read: Callable[[], Iterable[DoctorFinding]]) -> None:
        """Read a file of rules, and judge it; one that cannot be read is a finding too."""
        self.looked_at.append(about)
        try:
            self.complaints += read()
        except WrongSetting as wrong:
            self.complaints.append(diagnosis.of_sentence(about, str(wrong)))


async def run_doctor(
    visit: OperatorSession, settings: Settings, daemons: Sequence[str], model: str | None, *, as_json: bool
) -> Exit:
    """Look at all of it, and report."""
    seen = DoctorRun()
    here = visit.here
    await seen.ask("credentials", here.rights.account(), lambda account: diagnosis.of_place(here.target.home, account))
    _rules(seen, visit, settings)
    await _queues(seen, visit, settings)
    await seen.ask("topic", visit.inspector.subscribers(settings.topic_arn), diagnosis.of_subscribers)
    await seen.ask("permissions", _denials(visit, settings), _of_denials)
    await seen.ask("deployments", here.catalogue.all(), partial(_of_deployments, here))
    for place in visit.places.values():
        if place is not here:
            await _elsewhere(seen, place)
    if model is not None:
        place = next((each for each in visit.places.values() if each.target.is_home_of(model)), here)
        await seen.ask("model", place.bedrock.model_state(model), lambda state: diagnosis.of_model(model, state))
    for url in daemons:
        await _daemon(seen, url)
    return report(seen.complaints, seen.looked_at, as_json=as_json)


async def _elsewhere(seen: DoctorRun, place: OperatorSettings) -> None:
    """Look at another target; without credentials there is nothing to look at there."""
    where, home = f" in {place.target.name}", place.target.home
    asked = place.rights.account()
    if await seen.ask("credentials", asked, lambda account: diagnosis.of_place(home, account), where) is not None:
        await seen.ask("permissions", place.rights.denials(), _of_denials, where)
        await seen.ask("deployments", place.catalogue.all(), partial(_of_deployments, place), where)


async def _denials(visit: OperatorSession, settings: Settings) -> list[Denied]:
    at_home = await visit.here.rights.denials()
    of_queue = await visit.inspector.denials(settings.queue_url, settings.topic_arn)
    of_control = await visit.inspector.denials(settings.control_queue_url) if settings.control_queue_url else []
    return [*at_home, *of_queue, *of_control]


def _of_denials(found: Sequence[Denied]) -> Iterable[DoctorFinding]:
    return [DoctorFinding("permissions", str(one), "allow it, as the policy does in docs/how-to/run.md") for one in found]


def _of_deployments(place: OperatorSettings, found: Sequence[Deployment]) -> Iterable[DoctorFinding]:
    rules = place.target.rules
    return diagnosis.of_fullness(found, rules.max_creating, rules.max_total)


def _rules(seen: DoctorRun, visit: OperatorSession, settings: Settings) -> None:
    if settings.permissions:
        seen.read("permission rules", lambda: diagnosis.of_permissions(load_permissions(settings.permissions), visit.targets))
    if settings.triggers:
        seen.read("trigger rules", lambda: diagnosis.of_triggers(load_triggers(settings.triggers), visit.targets))


async def _queues(seen: DoctorRun, visit: OperatorSession, settings: Settings) -> None:
    asked = await seen.ask("queue", visit.inspector.queue_and_skew(settings.queue_url), lambda _: ())
    if asked is not None:
        queue, skew = asked
        seen.complaints += diagnosis.of_backlog(backlog_of(queue))
        seen.looked_at.append("clock")
        seen.complaints += diagnosis.of_clock(skew)
        await _queue(seen, visit, settings, queue)
    if settings.control_queue_url:
        control = await seen.ask("control queue", visit.inspector.queue(settings.control_queue_url), lambda _: ())
        if control is not None:
            await _queue(seen, visit, settings, control, "control ")


async def _queue(
    seen: DoctorRun, visit: OperatorSession, settings: Settings, queue: Mapping[str, str], which: str = ""
) -> None:
    """Look at a queue's attributes, and at its dead-letter queue."""

    def named(found: Iterable[DoctorFinding]) -> list[DoctorFinding]:
        return [replace(one, about=f"{which}{one.about}") for one in found]

    seen.complaints += named(diagnosis.of_queue(queue, settings.timeout))
    if arn := redrive_of(queue).get("deadLetterTargetArn"):
        url = await seen.ask(f"{which}dead-letter queue", visit.inspector.queue_url(arn), lambda _: ())
        if url is not None:
            dead = visit.inspector.queue(url)
            await seen.ask(f"{which}dead letters", dead, lambda dead: named(diagnosis.of_dead_letters(dead, queue)))


async def _daemon(seen: DoctorRun, url: str) -> None:
    seen.looked_at.append(f"daemon {url}")
    try:
        failures = await query_failures(url)
    except DaemonUnreachable as wrong:
        seen.complaints.append(diagnosis.of_sentence("daemon", str(wrong)))
        return
    seen.complaints += [DoctorFinding("daemon", f"{url}: {name}: {said}", "see its log") for name, said in failures.items()]


def report(complaints: Sequence[DoctorFinding], looked_at: Sequence[str], *, as_json: bool) -> Exit:
    """Print what was found; answer whether anything was."""
    if as_json:
        found = [{"about": one.about, "message": one.text, "remedy": one.remedy} for one in complaints]
        print_json({"findings": found, "lookedAt": list(looked_at)})
    elif complaints:
        print_table(("what", "what is so", "what to do"), [(one.about, one.text, one.remedy) for one in complaints])
    elif is_terminal():
        print_sentence(f"All well: {', '.join(looked_at)}.")
    return Exit.FAILURE if complaints else Exit.OK
