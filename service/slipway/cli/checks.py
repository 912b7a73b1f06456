"""`slipway doctor` and `slipway audit`: checks of what Slipway depends on, and of what it created.

`doctor` prints each problem with its remedy; `audit` collects the evidence that the audit compares, and prints what was found.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from slipway.aws.adapters.queue import backlog_of
from slipway.aws.connect import CallerIdentity
from slipway.aws.operator.operator_session import OperatorSession, OperatorSettings
from slipway.aws.sdk.regions import NotConfigured, check_distinct
from slipway.cli.output import CommandError, Exit, Output, print_finding, print_line, print_sentence
from slipway.cli.runner import error_text
from slipway.client import DaemonUnreachable, query_all, query_failures
from slipway.core.bedrock import Deployment
from slipway.core.call_errors import CallFailed, Denied
from slipway.core.diagnostics import doctor as diagnosis
from slipway.core.diagnostics.audit import AuditFinding, Evidence, FindingKind, Report, audit
from slipway.core.diagnostics.doctor import Check, DoctorFinding, redrive_of
from slipway.core.events.parse import NotAnEvent, ParsedEvent, read_archive
from slipway.core.requests.targets import Home, Targets
from slipway.settings.load import Settings, WrongSetting, load_permissions, load_triggers

T = TypeVar("T")


class DoctorRun:
    """What has been found so far. A check that gets no answer is a finding too."""

    def __init__(self) -> None:
        self.findings: list[DoctorFinding] = []
        self.checked: list[Check] = []
        self.notes: list[str] = []
        """What an operator should know, and what is not a problem in itself."""

    async def ask(
        self,
        about: str,
        asked: Awaitable[T],
        judge: Callable[[T], Iterable[DoctorFinding]],
        seen: Callable[[T], str],
        where: str = "",
    ) -> T | None:
        """Await an answer and check it; return None if there is none. `where` follows the name of the check."""
        try:
            answer = await asked
        except CallFailed as failed:
            self.checked.append(Check(about + where))
            self.findings.append(DoctorFinding(about + where, *error_text(failed)))
            return None
        self.checked.append(Check(about + where, seen(answer)))
        self.findings += [replace(one, about=one.about + where) for one in judge(answer)]
        return answer

    def read(self, about: str, read: Callable[[], Iterable[DoctorFinding]]) -> None:
        """Read a file of rules and check it; one that cannot be read is a finding too."""
        self.checked.append(Check(about))
        try:
            self.findings += read()
        except WrongSetting as wrong:
            self.findings.append(DoctorFinding(about, wrong.problem, wrong.remedy))


async def run_doctor(
    session: OperatorSession, settings: Settings, daemons: Sequence[str], model: str | None, output: Output
) -> Exit:
    """Check all of it, and print what was found."""
    run = DoctorRun()
    here = session.here
    home = here.target.home
    identity = await run.ask(
        "credentials", here.rights.identity(), lambda _: diagnosis.of_home(home), partial(_identity_seen, home)
    )
    _rules(run, session, settings)
    await _queues(run, session, settings)
    topic, name = session.inspector.subscribers(settings.topic_arn), settings.topic_arn.rsplit(":", 1)[-1]
    await run.ask("topic", topic, diagnosis.of_subscribers, lambda _: f"{name}: has a confirmed subscription")
    await run.ask("permissions", _denials(session, settings), _of_denials, _denials_seen)
    found = await run.ask("deployments", here.catalogue.all(), partial(_of_deployments, here), partial(_deployments_seen, here))
    if os.environ.get("AWS_BEARER_TOKEN_BEDROCK") and here.target.label is None:
        run.checked.append(Check(diagnosis.API_KEY, "AWS_BEARER_TOKEN_BEDROCK"))
        run.notes.append(diagnosis.API_KEY_NOTE)
        if identity is not None and found is not None:
            run.findings += diagnosis.of_api_key(found, identity.account)
    for place in session.places.values():
        if place is not here:
            await _elsewhere(run, place)
    if model is not None:
        place = next((each for each in session.places.values() if each.target.is_home_of(model)), here)
        await run.ask(
            "model", place.bedrock.model_state(model), lambda state: diagnosis.of_model(model, state), lambda state: state.value
        )
    run.findings += _same_places(session.targets)
    for url in daemons:
        await _daemon(run, url, settings.http_token)
    for url in () if daemons else settings.own_daemon:
        await _own_daemon(run, url, settings.http_token)
    return report(run.findings, run.checked, output, run.notes)


def _same_places(targets: Targets) -> Iterator[DoctorFinding]:
    """Yield a finding if two targets are in one account and Region, which the daemon refuses."""
    for target in targets.values():
        try:
            check_distinct(target, targets)
        except NotConfigured as error:
            yield DoctorFinding("targets", error.problem, error.remedy)
            return


async def _elsewhere(run: DoctorRun, place: OperatorSettings) -> None:
    """Check another target, if its credentials work."""
    where, home = f" in {place.target.name}", place.target.home
    identity = place.rights.identity()
    if (
        await run.ask("credentials", identity, lambda _: diagnosis.of_home(home), partial(_identity_seen, home), where)
        is not None
    ):
        await run.ask("permissions", place.rights.denials(), _of_denials, _denials_seen, where)
        found = place.catalogue.all()
        await run.ask("deployments", found, partial(_of_deployments, place), partial(_deployments_seen, place), where)


def _identity_seen(home: Home, identity: CallerIdentity) -> str:
    return f"{identity.arn} in {home.region}"


def _denials_seen(denials: Sequence[Denied]) -> str:
    return f"denied operations: {len(denials)}" if denials else "no operation is denied that can be tried without effect"


def _deployments_seen(place: OperatorSettings, found: Sequence[Deployment]) -> str:
    return diagnosis.deployments_seen(found, place.target.rules.max_creating, place.target.rules.max_total)


async def _denials(session: OperatorSession, settings: Settings) -> list[Denied]:
    at_home = await session.here.rights.denials()
    of_queue = await session.inspector.denials(settings.queue_url, settings.topic_arn)
    of_control = await session.inspector.denials(settings.control_queue_url) if settings.control_queue_url else []
    return [*at_home, *of_queue, *of_control]


def _of_denials(found: Sequence[Denied]) -> Iterable[DoctorFinding]:
    return [DoctorFinding("permissions", str(one), "allow it, as the policy in docs/how-to/run.md does") for one in found]


def _of_deployments(place: OperatorSettings, found: Sequence[Deployment]) -> Iterable[DoctorFinding]:
    rules = place.target.rules
    return diagnosis.of_fullness(found, rules.max_creating, rules.max_total)


def _rules(run: DoctorRun, session: OperatorSession, settings: Settings) -> None:
    if settings.permissions:
        run.read("permission rules", lambda: diagnosis.of_permissions(load_permissions(settings.permissions), session.targets))
    if settings.triggers:
        run.read("trigger rules", lambda: diagnosis.of_triggers(load_triggers(settings.triggers), session.targets))


async def _queues(run: DoctorRun, session: OperatorSession, settings: Settings) -> None:
    asked = await run.ask(
        "queue", session.inspector.queue_and_skew(settings.queue_url), lambda _: (), lambda seen: diagnosis.queue_seen(seen[0])
    )
    if asked is not None:
        queue, skew = asked
        run.findings += diagnosis.of_backlog(backlog_of(queue))
        run.checked.append(Check("clock", diagnosis.clock_seen(skew)))
        run.findings += diagnosis.of_clock(skew)
        await _queue(run, session, settings, queue)
    if settings.control_queue_url:
        control = await run.ask(
            "control queue", session.inspector.queue(settings.control_queue_url), lambda _: (), diagnosis.queue_seen
        )
        if control is not None:
            await _queue(run, session, settings, control, "control ")


async def _queue(
    run: DoctorRun, session: OperatorSession, settings: Settings, queue: Mapping[str, str], which: str = ""
) -> None:
    """Check a queue's attributes, and its dead-letter queue."""

    def named(found: Iterable[DoctorFinding]) -> list[DoctorFinding]:
        return [replace(one, about=f"{which}{one.about}") for one in found]

    def judge(dead: Mapping[str, str]) -> list[DoctorFinding]:
        return named([*diagnosis.of_dead_letters(dead, queue), *diagnosis.of_redrive_permission(dead, queue)])

    run.findings += named(diagnosis.of_queue(queue, settings.timeout))
    run.notes += filter(None, [diagnosis.of_encryption(queue)])
    if arn := redrive_of(queue).get("deadLetterTargetArn"):
        url = await run.ask(f"{which}dead-letter queue", session.inspector.queue_url(arn), lambda _: (), lambda _: arn)
        if url is not None:
            dead = await run.ask(f"{which}dead letters", session.inspector.queue(url), judge, diagnosis.queue_seen)
            run.notes += filter(None, [diagnosis.of_encryption(dead or {})])


async def _daemon(run: DoctorRun, url: str, token: str) -> None:
    try:
        failures = await query_failures(url, token=token)
    except DaemonUnreachable as wrong:
        run.checked.append(Check(f"daemon {url}"))
        run.findings.append(DoctorFinding("daemon", wrong.problem, wrong.remedy))
        return
    run.checked.append(Check(f"daemon {url}", "ready" if not failures else "not ready"))
    run.findings += [DoctorFinding("daemon", f"{url}: {name}: {text}", "read its log") for name, text in failures.items()]


async def _own_daemon(run: DoctorRun, url: str, token: str) -> None:
    """Check the daemon on this machine. None may be meant to run here."""
    try:
        await query_failures(url, token=token)
    except DaemonUnreachable as unreachable:
        run.notes.append(f"{unreachable}, with --daemon")
    else:
        await _daemon(run, url, token)


def report(findings: Sequence[DoctorFinding], checked: Sequence[Check], output: Output, notes: Sequence[str] = ()) -> Exit:
    """Print every check with what was seen, and every problem; return whether there is a problem."""
    if output.is_document:
        found = [{"about": one.about, "message": one.text, "remedy": one.remedy} for one in findings]
        output.print_document({"findings": found, "checked": list(map(asdict, checked)), "notes": list(notes)})
        return Exit.FAILURE if findings else Exit.OK
    troubled = {one.about for one in findings}
    widest = max((len(check.about) for check in checked), default=0)
    for check in checked:
        if check.about not in troubled:
            print_line(f"✓ {check.about:<{widest}}  {check.seen}".rstrip())
    for note in notes:
        print_sentence(f"- {note}")
    for one in findings:
        print_finding(f"✗ {one.about}", text=one.text, remedy=one.remedy)
    return Exit.FAILURE if findings else Exit.OK


CONFIRMATION_SECONDS: Final = 3.0
"""SQS counts approximately, and a request may be between two daemons: an orphan must be found again after this time."""


async def audit_account(
    session: OperatorSession, settings: Settings, daemons: Sequence[str], events: Sequence[ParsedEvent] | None, output: Output
) -> Exit:
    """Print what the audit finds; return whether it found anything."""
    report = audit(await _evidence(session, settings, daemons, events))
    if any(finding.kind is FindingKind.ORPHAN for finding in report.findings):
        await asyncio.sleep(CONFIRMATION_SECONDS)
        report = _in_both(report, audit(await _evidence(session, settings, daemons, events)))
    _print(report, output)
    return Exit.FAILURE if report.findings else Exit.OK


def read_events(path: str) -> list[ParsedEvent]:
    """Read the archive at this path, `-` being standard input. Raises `CommandError`."""
    try:
        if path == "-":
            return list(read_archive(sys.stdin))
        with Path(path).open(encoding="utf-8") as lines:
            return list(read_archive(lines))
    except NotAnEvent as wrong:
        raise CommandError(f"--events: {path}: {wrong}") from wrong
    except (OSError, UnicodeDecodeError) as wrong:
        why = wrong.strerror if isinstance(wrong, OSError) else "it is not UTF-8"
        raise CommandError(f"--events: {path} cannot be read ({why})", "name a file of events, one on each line") from wrong


async def _evidence(
    session: OperatorSession, settings: Settings, daemons: Sequence[str], events: Sequence[ParsedEvent] | None
) -> Evidence:
    """Ask Bedrock, then the daemons, then the queue: in this order a request that moves meanwhile is not missed.

    Other targets are other accounts; but their requests are in the same queue, and are subtracted from its counts.
    """
    catalogue, target = session.here.catalogue, session.here.target.label
    existing = await catalogue.with_tags(await catalogue.all())
    reported = await query_all(daemons, token=settings.http_token)
    held = [one for one in reported.held if one.target == target]
    backlog = await session.inspector.backlog(settings.queue_url)
    return Evidence(
        existing=existing,
        backlog=replace(backlog, in_flight=max(0, backlog.in_flight - (len(reported.held) - len(held)))),
        held=held if daemons else None,
        finished=[one for one in reported.finished if one.target == target],
        events=None if events is None else [one for one in events if one.target == target],
    )


def _in_both(first: Report, second: Report) -> Report:
    """Return what the second audit found; of orphans only those that the first one found too."""
    orphans = {finding.arn for finding in first.findings if finding.kind is FindingKind.ORPHAN}
    kept = [one for one in second.findings if one.kind is not FindingKind.ORPHAN or one.arn in orphans]
    return Report(tuple(kept), second.unknown)


def _print(report: Report, output: Output) -> None:
    if output.is_document:
        output.print_document({"findings": [_json(finding) for finding in report.findings], "unknown": list(report.unknown)})
        return
    for one in report.findings:
        request = f"request {one.request_id}" if one.request_id else ""
        print_finding(one.kind.value, one.name, request, text=one.text, remedy=one.remedy)
    if not report.findings:
        print_line("Nothing found.")
    for sentence in report.unknown:
        print_sentence(f"Not known: {sentence}")


def _json(finding: AuditFinding) -> dict[str, object]:
    return {
        "kind": finding.kind.value,
        "modelDeploymentName": finding.name,
        "customModelDeploymentArn": finding.arn,
        "requestId": finding.request_id,
        "message": finding.text,
        "remedy": finding.remedy,
    }
