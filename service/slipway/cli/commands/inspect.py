"""Commands that show deployments and requests, and change nothing."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from slipway.cli.options import (
    Config,
    Daemons,
    Target,
    choice,
    custom_model,
    duration,
    not_empty,
    whole_number,
    with_connection,
    with_output,
)
from slipway.cli.output import Output
from slipway.core.schema.rejection import quote

app = typer.Typer()


class StatusFilter(StrEnum):
    """The statuses that Bedrock's List filters by."""

    CREATING = "Creating"
    ACTIVE = "Active"
    FAILED = "Failed"


@app.command("list")
@with_output
@with_connection
def list_(
    *,
    name_contains: Annotated[str | None, typer.Option(metavar="TEXT", help="Only names that contain this text.")] = None,
    status: Annotated[StatusFilter | None, typer.Option(help="Only this status.", **choice(StatusFilter))] = None,
    model: Annotated[
        str | None, typer.Option(metavar="ARN", help="Only deployments of this model.", callback=custom_model)
    ] = None,
    created_before: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only older ones: ISO 8601, like 2026-11-23T20:00:00Z.")
    ] = None,
    created_after: Annotated[str | None, typer.Option(metavar="TIME", help="Only newer ones: ISO 8601.")] = None,
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="Sort by age. Default: newest first.")] = False,
    limit: Annotated[
        int, typer.Option(metavar="NUMBER", parser=whole_number(1, 1000), help="Most deployments to show, 1 to 1000.")
    ] = 50,
    token: Annotated[str | None, typer.Option(metavar="TOKEN", help="Continue where an earlier list ended.")] = None,
    target: Target = None,
    config: Path | None,
    output: Output,
) -> None:
    """List deployments, with the request that created each.

    Includes deployments that Slipway did not create. If there are more than --limit, the value of --token for the rest is
    printed on standard error.

    Examples: slipway list --status failed --name-contains support -o json; slipway list --target research
    """
    from slipway.aws.operator.deployment_listing import Filters
    from slipway.cli.deployments import list_deployments
    from slipway.cli.runner import BEDROCK_ONLY, run_command
    from slipway.core.bedrock import Status

    filters = Filters(
        name_contains=name_contains,
        status=None if status is None else Status.of(status.value),
        model_arn=model,
        created_before=_time(created_before, "--created-before"),
        created_after=_time(created_after, "--created-after"),
        oldest_first=oldest_first,
    )
    raise run_command(
        config,
        lambda session, _: list_deployments(session, filters, limit=limit, token=token, output=output),
        target=target,
        optional=BEDROCK_ONLY,
    )


@app.command()
@with_output
@with_connection
def get(
    identifier: Annotated[
        str, typer.Argument(metavar="NAME_OR_ARN", help="Name or ARN of the deployment.", callback=not_empty)
    ],
    *,
    target: Target = None,
    config: Path | None,
    output: Output,
) -> None:
    """Show what Bedrock reports of one deployment, with its tags.

    Exits 1 if there is none.

    Example: slipway get support-bot-v42
    """
    from slipway.cli.deployments import get_deployment
    from slipway.cli.runner import BEDROCK_ONLY, run_command

    raise run_command(
        config, lambda session, _: get_deployment(session, identifier, output), target=target, optional=BEDROCK_ONLY
    )


@app.command()
@with_output
@with_connection
def watch(
    *,
    every: Annotated[float, typer.Option(metavar="DURATION", parser=duration, help="Time between two updates, like 5s.")] = 5.0,
    count: Annotated[
        int, typer.Option(metavar="NUMBER", parser=whole_number(0, 1_000_000), help="End after so many updates; 0 for never.")
    ] = 0,
    target: Target = None,
    daemon: Daemons = None,
    config: Path | None,
    output: Output,
) -> None:
    """Watch the deployments and slots of a target.

    Updates a table until Ctrl-C. In a pipe, and with -o json, prints one line of JSON for each update.

    Examples: slipway watch; slipway watch --count 1 -o json --query slots
    """
    from slipway.cli.deployments import watch_target
    from slipway.cli.runner import BEDROCK_ONLY, run_command

    raise run_command(
        config,
        lambda session, settings: watch_target(session, settings, daemon or [], every=every, count=count, output=output),
        target=target,
        optional=BEDROCK_ONLY,
    )


@app.command()
@with_output
def status(*, daemon: Daemons = None, config: Config = None, output: Output) -> None:
    """Show whether the daemons get on with their work, and why not.

    Prints the problems with their remedies, the requests in progress, and the slots. Asks the daemons (--daemon, else the one
    on this machine). Exits 1 if a daemon is blocked: requests wait, and only a person can let them continue.

    Example: slipway status -o json --query 'daemons[0].severity'
    """
    from slipway.cli.daemon_status import show_status

    raise typer.Exit(show_status(str(config) if config else None, daemon or [], output))


@app.command("requests")
@with_output
def requests_(*, daemon: Daemons = None, config: Config = None, output: Output) -> None:
    """List the requests in progress, the oldest first.

    Asks the daemons (--daemon, else the one on this machine). Messages that no daemon has received are not shown.

    Examples: slipway requests -o wide; slipway requests --daemon http://10.0.0.1:8080 --daemon http://10.0.0.2:8080
    """
    from slipway.cli.daemon_status import list_requests

    raise typer.Exit(list_requests(str(config) if config else None, daemon or [], output))


@app.command()
@with_output
@with_connection
def explain(
    word: Annotated[
        str,
        typer.Argument(metavar="REQUEST_OR_NAME", help="Id of a request, or name or ARN of a deployment.", callback=not_empty),
    ],
    *,
    target: Target = None,
    daemon: Daemons = None,
    config: Path | None,
    output: Output,
) -> None:
    """Explain why a request has not ended, and what comes next.

    Shows what it waits for, its queue position, attempts, deadline and failures; or its outcome. Asks the daemons
    (--daemon, else the one on this machine), Bedrock and the queue. Exits 1 if nothing is known. Bedrock is asked in the
    target that a daemon names, else in the default; --target restricts all of it to one target.

    Example: slipway explain support-bot-v42 --daemon http://10.0.0.1:8080
    """
    from slipway.cli.deployments import explain_word
    from slipway.cli.runner import run_command

    raise run_command(
        config,
        lambda session, settings: explain_word(session, settings, word, daemon or [], target, output),
        target=target,
    )


def _time(text: str | None, option: str) -> float | None:
    from slipway.core.time_format import parse_time

    try:
        return None if text is None else parse_time(text)
    except ValueError:
        said = f"{quote(text or '')} is not a time; give it in ISO 8601, like 2026-11-23T20:00:00Z"
        raise typer.BadParameter(said, param_hint=option) from None
