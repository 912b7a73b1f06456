"""`slipway explain`: what the daemons, Bedrock and the queue report of one request or deployment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slipway.aws.operator.deployment_listing import DeploymentListing
from slipway.aws.operator.operator_session import OperatorSession
from slipway.cli.exit_codes import Exit
from slipway.cli.listing import deployment_json
from slipway.cli.output import CommandError, Output, print_line, print_sentence
from slipway.client.daemons import DaemonUnreachable, query_failures, query_requests
from slipway.core.call_errors import CallFailed, Refused
from slipway.core.diagnostics.explain import ExistingDeployment, ExplainFacts, Explanation, explain
from slipway.core.diagnostics.status import Backlog, FinishedRequest, RequestStatus
from slipway.core.requests.targets import DEFAULT
from slipway.settings.load import Settings

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
    print_line(f"{explanation.state}{f', {explanation.reason}' if explanation.reason else ''}")
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
                f"neither a daemon nor AWS answers: {failed}; name a daemon with --daemon, or check the credentials"
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
