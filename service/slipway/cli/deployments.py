"""`slipway list`, `get`, `watch` and `explain`: deployments as Bedrock shows them, and why one is as it is.

`explain` collects what the daemons, Bedrock and the queue report of one request or deployment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, NamedTuple

from slipway.aws.operator.deployment_listing import DeploymentListing, Details, Filters
from slipway.aws.operator.operator_session import OperatorSession
from slipway.cli.daemon_status import problem_lines
from slipway.cli.output import (
    CommandError,
    Exit,
    Form,
    Output,
    age_since,
    is_terminal,
    print_facts,
    print_line,
    print_sentence,
    short_time,
)
from slipway.cli.runner import say
from slipway.client import DaemonUnreachable, query_all, query_failures, query_requests
from slipway.core.bedrock import Status
from slipway.core.call_errors import CallFailed, Refused
from slipway.core.diagnostics.explain import ExistingDeployment, ExplainFacts, Explanation, explain
from slipway.core.diagnostics.severity import Problem, severity_of
from slipway.core.diagnostics.status import Backlog, FinishedRequest, RequestStatus
from slipway.core.requests.targets import DEFAULT
from slipway.core.time_format import format_time
from slipway.settings.load import Settings

COLUMNS: Final = ("name", "status", "age", "model", "request")
WIDE_COLUMNS: Final = (*COLUMNS, "created", "arn", "message")


async def list_deployments(
    session: OperatorSession, filters: Filters, *, limit: int, token: str | None, output: Output
) -> Exit:
    """Print one page, and how to list the next one."""
    page = await session.here.catalogue.page(filters, token=token, size=limit)
    existing = await session.here.catalogue.with_tags(page.deployments)
    if output.is_document:
        output.print_document({"deployments": [deployment_json(one) for one in existing], "nextToken": page.next_token})
        return Exit.OK
    rows = [_row(one, is_wide=output.is_wide) for one in existing]
    output.print_table(WIDE_COLUMNS if output.is_wide else COLUMNS, rows)
    if page.next_token is not None:
        say(f"there are more deployments; to list them, add --token {page.next_token}")
    return Exit.OK


async def get_deployment(session: OperatorSession, identifier: str, output: Output) -> Exit:
    """Print one deployment; return whether there is one."""
    details = await session.here.catalogue.details(identifier)
    if details is None:
        say(f"there is no deployment {identifier!r}; slipway list shows all deployments")
        return Exit.FAILURE
    if output.is_document:
        described = {} if details.description is None else {"description": details.description}
        document = (
            deployment_json(ExistingDeployment(details.deployment, details.slipway_tags)) | described | {"tags": details.tags}
        )
        output.print_document(document)
    else:
        print_facts(_detail_facts(details))
    return Exit.OK


async def watch_target(
    session: OperatorSession, settings: Settings, daemons: Sequence[str], *, every: float, count: int, output: Output
) -> Exit:
    """Show the deployments and slots of a target repeatedly, `count` times, or (0) until Ctrl-C."""
    observer = _TargetObserver(session, settings, daemons)
    updates = 0
    with _screen(output) as show:
        while True:
            began = time.monotonic()
            show(*await observer.observe())
            updates += 1
            if updates == count:
                return Exit.OK
            await asyncio.sleep(max(0.0, every - (time.monotonic() - began)))


class Slots(NamedTuple):
    """How full a target is, and how many requests wait. None where no daemon answers."""

    creating: int
    total: int
    held: int | None = None
    waiting: int | None = None
    quota: str | None = None
    problems: Sequence[Problem] = ()


class _TargetObserver:
    """Observes a target, asking for the tags of each deployment only once."""

    def __init__(self, session: OperatorSession, settings: Settings, daemons: Sequence[str]) -> None:
        self._session = session
        self._daemons = daemons or list(settings.own_daemon)
        self._token = settings.http_token
        self._is_named = bool(daemons)
        self._known: dict[str, ExistingDeployment] = {}

    async def observe(self) -> tuple[list[ExistingDeployment], Slots]:
        """Return the deployments, newest first, and the slots."""
        catalogue = self._session.here.catalogue
        deployments = await catalogue.all()
        new = [deployment for deployment in deployments if deployment.arn not in self._known]
        tags = {one.deployment.arn: one for one in await catalogue.with_tags(new)} | self._known
        self._known = {one.arn: replace(tags[one.arn], deployment=one) for one in deployments if one.arn in tags}
        existing = sorted(self._known.values(), key=lambda one: -one.deployment.created_at)
        slots = Slots(sum(one.status is Status.CREATING for one in deployments), len(deployments))
        try:
            return existing, await self._with_requests(slots) if self._daemons else slots
        except DaemonUnreachable:
            if self._is_named:
                raise
            return existing, slots

    async def _with_requests(self, slots: Slots) -> Slots:
        """Add what the daemons report of the target."""
        reported, target = await query_all(self._daemons, token=self._token), self._session.here.target.label
        site = reported.extras if target is None else reported.extras.get("targets", {}).get(target)
        if site is None:
            raise DaemonUnreachable(
                f"{self._daemons[-1]} has no target {target!r}", "name a daemon with the same settings file"
            )
        held = sum(one.target == target for one in reported.held)
        return slots._replace(
            held=held, waiting=site["slots"]["waiting"], quota=site["slots"]["quota"], problems=reported.problems
        )


Show = Callable[[Sequence[ExistingDeployment], Slots], None]


@contextmanager
def _screen(output: Output) -> Iterator[Show]:
    """Yield what shows one update: a table that changes, for a person; a document for a program."""
    if output.is_document or not is_terminal():
        stream = output if output.is_document else Output(Form.JSON)
        yield lambda existing, slots: stream.print_document(
            {
                "at": format_time(time.time()),
                "slots": {key: value for key, value in slots._asdict().items() if key != "problems"},
                "severity": None if slots.held is None else severity_of(slots.problems).value,
                "problems": [problem.to_json() for problem in slots.problems],
                "deployments": [deployment_json(one) for one in existing],
            },
            is_one_of_many=True,
        )
        return
    from slipway.cli.live_display import live_table

    with live_table(WIDE_COLUMNS if output.is_wide else COLUMNS) as update:
        yield lambda existing, slots: update(_summary(slots), [_row(one, is_wide=output.is_wide) for one in existing])


def _summary(slots: Slots) -> str:
    text = f"Slots: {slots.creating} in creation, {slots.total} in total"
    if slots.held is None:
        return text
    requests = f"Requests in progress: {slots.held}, waiting for a slot: {slots.waiting}"
    return "\n".join((*problem_lines(slots.problems), f"{text}; quota: {slots.quota}", requests))


def _row(one: ExistingDeployment, *, is_wide: bool) -> tuple[str, ...]:
    deployment = one.deployment
    model = deployment.model_arn.rpartition(":custom-model/")[2]
    row = (deployment.name, deployment.status_text, age_since(deployment.created_at), model, one.request_tag or "")
    if not is_wide:
        return row
    return (*row, short_time(deployment.created_at), deployment.arn, deployment.failure_message or "")


def deployment_json(one: ExistingDeployment) -> dict[str, object]:
    """Return a deployment as documents show it."""
    deployment = one.deployment
    update = deployment.update
    document = {
        "modelDeploymentName": deployment.name,
        "customModelDeploymentArn": deployment.arn,
        "modelArn": deployment.model_arn,
        "status": deployment.status_text,
        "createdAt": format_time(deployment.created_at),
        "lastUpdatedAt": None if deployment.updated_at is None else format_time(deployment.updated_at),
        "failureMessage": deployment.failure_message,
        "updateDetails": update and {"modelArn": update.model_arn, "updateStatus": update.status.value},
        "requestId": one.request_tag,
    }
    return {key: value for key, value in document.items() if value is not None}


def _detail_facts(details: Details) -> dict[str, str]:
    document = deployment_json(ExistingDeployment(details.deployment, details.slipway_tags)) | {
        "description": details.description
    }
    update = details.deployment.update
    document |= {"updateDetails": update and f"{update.status.value} to {update.model_arn}"}
    facts = {key: str(value) for key, value in document.items() if value is not None}
    return facts | {f"tag {key}": value for key, value in sorted(details.tags.items())}


MOST_SEARCHED = 200
"""Most deployments that are searched for a request's tag, at one call each."""


async def explain_word(
    session: OperatorSession, settings: Settings, word: str, daemons: Sequence[str], target: str | None, output: Output
) -> Exit:
    """Print the explanation; return whether anything is known. `target` restricts it to one target."""
    facts = await _facts(session, settings, word, daemons, target)
    explanation = explain(facts)
    if output.is_document:
        output.print_document(
            {
                "state": explanation.state,
                "reason": explanation.reason,
                "subject": explanation.subject,
                "requests": [one.to_json() for one in facts.held],
                "finished": [one.to_json() for one in facts.finished],
                "deployment": facts.existing and deployment_json(facts.existing),
                "lines": list(explanation.lines),
            }
        )
    else:
        _print(explanation)
    return Exit.OK if explanation.is_known else Exit.FAILURE


def _print(explanation: Explanation) -> None:
    print_line(explanation.headline)
    for line in explanation.lines:
        print_sentence(line)


async def _facts(
    session: OperatorSession, settings: Settings, word: str, named: Sequence[str], target: str | None
) -> ExplainFacts:
    held: list[RequestStatus] = []
    finished: list[FinishedRequest] = []
    lines: dict[str, Mapping[str, object]] = {}
    failures: dict[str, str] = {}
    unanswered: list[str] = []
    urls = named or list(settings.own_daemon)
    only = session.here.target.label
    answered = 0
    for url in urls:
        try:
            reported = await query_requests(url, word, token=settings.http_token)
            failures |= await query_failures(url, token=settings.http_token)
        except DaemonUnreachable as wrong:
            if named:
                raise
            unanswered.append(f"{wrong}, with --daemon")
            continue
        answered += 1
        held += [one for one in reported.held if target is None or one.target == only]
        finished += [one for one in reported.finished if target is None or one.target == only]
        lines |= reported.extras.get("calls", {})
    existing: ExistingDeployment | None = None
    backlog: Backlog | None = None
    try:
        existing, unasked = await _find(
            session, word, target, [_about(one) for one in held] + [_about(one) for one in finished]
        )
        unanswered += unasked
        backlog = await session.inspector.backlog(settings.queue_url)
    except CallFailed as failed:
        if not answered:
            raise CommandError(
                f"neither a daemon nor AWS answers: {failed}", "name a daemon with --daemon, or check the credentials"
            ) from failed
        unanswered.append(f"AWS, from here: {failed}")
    return ExplainFacts(
        word=word,
        held=tuple(held),
        finished=tuple(finished),
        existing=existing,
        backlog=backlog,
        lines=lines if answered else None,
        failures=failures,
        unanswered=tuple(unanswered),
    )


def _about(one: RequestStatus | FinishedRequest) -> tuple[str, str]:
    return one.target or DEFAULT, one.name


async def _find(
    session: OperatorSession, word: str, target: str | None, abouts: Sequence[tuple[str, str]]
) -> tuple[ExistingDeployment | None, list[str]]:
    """Return the deployment in the target that the daemons name, and the sentences about targets that were not asked."""
    about = abouts[0][0] if abouts else session.here.target.name
    if about not in session.places:
        return None, [f"Bedrock in target {about}, which these settings do not have; name the daemon's, with --config"]
    existing = await _existing(session.places[about].catalogue, word, [name for each, name in abouts if name and each == about])
    others = [name for name in session.places if name != about]
    if existing is not None or abouts or target is not None or not others:
        return existing, []
    return None, [f"Bedrock in {', '.join(others)}; name one with --target"]


async def _existing(catalogue: DeploymentListing, word: str, names: Sequence[str]) -> ExistingDeployment | None:
    """Return the deployment with this name or ARN; else that with the request's tag, if there are few enough to search."""
    for identifier in dict.fromkeys([*names, word]):
        try:
            details = await catalogue.details(identifier)
        except Refused:
            continue  # a request's id need not be a name
        if details is not None:
            return ExistingDeployment(details.deployment, details.slipway_tags)
    if names:
        return None
    deployments = await catalogue.all()
    if len(deployments) > MOST_SEARCHED:
        return None
    return next((one for one in await catalogue.with_tags(deployments) if one.request_tag == word), None)
