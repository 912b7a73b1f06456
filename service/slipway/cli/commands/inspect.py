"""Commands that look, and change nothing."""

from __future__ import annotations

from collections.abc import Awaitable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from slipway.cli.exit_codes import Exit
from slipway.cli.request_options import AsJson, Config, Daemons, Target, custom_model, not_empty

if TYPE_CHECKING:
    from slipway.aws.operator.operator_session import OperatorSession
    from slipway.settings.load import Settings

app = typer.Typer()


class StatusWord(StrEnum):
    """The statuses that List takes."""

    CREATING = "Creating"
    ACTIVE = "Active"
    FAILED = "Failed"


@app.command("list")
def list_(
    *,
    name_contains: Annotated[str | None, typer.Option(metavar="TEXT", help="Only names with this in them.")] = None,
    status: Annotated[StatusWord | None, typer.Option(help="Only these.", case_sensitive=False)] = None,
    model: Annotated[
        str | None, typer.Option(metavar="ARN", help="Only deployments of this model.", callback=custom_model)
    ] = None,
    created_before: Annotated[str | None, typer.Option(metavar="TIME", help="In ISO 8601, like 2026-11-23T20:00:00Z.")] = None,
    created_after: Annotated[str | None, typer.Option(metavar="TIME", help="In ISO 8601.")] = None,
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="Else the newest come first.")] = False,
    limit: Annotated[int, typer.Option(help="How many to show.", min=1, max=1000)] = 50,
    token: Annotated[str | None, typer.Option(help="Go on where an earlier list ended.")] = None,
    target: Target = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List deployments, with the request that each was made for.

    Slipway's and others'. At most --limit are shown; what is printed then, for --token, goes on from there.

    Examples: slipway list --status failed --name-contains support --json; slipway list --target research
    """
    from slipway.aws.operator.deployment_listing import Filters
    from slipway.cli.listing import list_deployments
    from slipway.cli.runner import run_command
    from slipway.core.bedrock.deployments import Status

    filters = Filters(
        name_contains=name_contains,
        status=None if status is None else Status.of(status.value),
        model_arn=model,
        created_before=_time(created_before, "--created-before"),
        created_after=_time(created_after, "--created-after"),
        oldest_first=oldest_first,
    )

    def errand(visit: OperatorSession, _: Settings) -> Awaitable[Exit]:
        return list_deployments(visit, filters, limit=limit, token=token, as_json=as_json)

    raise run_command(config, errand, target=target)


@app.command()
def get(
    identifier: Annotated[str, typer.Argument(metavar="NAME_OR_ARN", help="The deployment.", callback=not_empty)],
    *,
    target: Target = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show all that Bedrock says of one deployment, with its tags. Exits 1 when there is none.

    Example: slipway get support-bot-v42
    """
    from slipway.cli.listing import get_deployment
    from slipway.cli.runner import run_command

    raise run_command(config, lambda visit, _: get_deployment(visit, identifier, as_json=as_json), target=target)


@app.command()
def watch(
    *,
    every: Annotated[float, typer.Option(metavar="SECONDS", help="Time between two looks.", min=1)] = 5.0,
    count: Annotated[int, typer.Option(help="End after so many looks; 0 is never.", min=0)] = 0,
    target: Target = None,
    daemon: Daemons = None,
    config: Config = None,
) -> None:
    """Watch the deployments and slots of a target.

    A table that moves, until Ctrl-C; in a pipe one line of JSON for each look.

    Examples: slipway watch; slipway watch --count 1 | jq .slots
    """
    from slipway.cli.listing import watch_target
    from slipway.cli.runner import run_command

    def errand(visit: OperatorSession, settings: Settings) -> Awaitable[Exit]:
        return watch_target(visit, settings, daemon or [], every=every, count=count)

    raise run_command(config, errand, target=target)


@app.command()
def explain(
    word: Annotated[
        str,
        typer.Argument(metavar="REQUEST_OR_NAME", help="A request's id, or a deployment's name or ARN.", callback=not_empty),
    ],
    *,
    target: Target = None,
    daemon: Daemons = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Say why a request is not ready yet, and what comes next.

    What it waits for, its place, attempts, deadline and troubles; or how it ended. Asks the daemons (--daemon, else the one
    on this machine), Bedrock and the queue. Exits 1 when nothing is known of it. With --target it is looked for in that one
    alone; without, Bedrock is asked in the target that a daemon says, else the default.

    Example: slipway explain support-bot-v42 --daemon http://10.0.0.1:8080
    """
    from slipway.cli.explain import explain_word
    from slipway.cli.runner import run_command

    def errand(visit: OperatorSession, settings: Settings) -> Awaitable[Exit]:
        return explain_word(visit, settings, word, daemon or [], target, as_json=as_json)

    raise run_command(config, errand, target=target)


def _time(text: str | None, option: str) -> float | None:
    from slipway.core.time_format import parse_time

    try:
        return None if text is None else parse_time(text)
    except ValueError:
        said = f"{text!r} is no time; give it in ISO 8601, like 2026-11-23T20:00:00Z"
        raise typer.BadParameter(said, param_hint=option) from None
