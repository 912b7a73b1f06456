"""The command line. Each command is a few lines: what it does lives elsewhere, and is imported when it is asked for."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from slipway import __version__
from slipway.cli.commands import inspect as cli_looking
from slipway.cli.commands import operate as cli_mending
from slipway.cli.commands import requests as cli_asking

app = typer.Typer(
    name="slipway",
    help="Deployment requests from SQS, made true in Amazon Bedrock, answered through SNS.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(cli_asking.app)
app.add_typer(cli_looking.app)
app.add_typer(cli_mending.app)

EXIT_WRONG_SETTING = 2
"""Also what typer exits with when an option is wrong."""


class Document(StrEnum):
    """What `slipway schema` can print."""

    REQUEST = "request"
    EVENT = "event"
    ASYNCAPI = "asyncapi"


def run() -> None:
    """Run a command. Its help and what is said of wrong options are drawn for a person, and plain in a pipe."""
    if sys.stdout.isatty() and sys.stderr.isatty():
        app.rich_markup_mode = "markdown"
    app()


def _show_version(value: bool) -> None:  # noqa: FBT001  the form that typer calls
    if value:
        typer.echo(f"slipway {__version__}")
        raise typer.Exit


@app.callback()
def slipway(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Deployment requests from SQS, made true in Amazon Bedrock, answered through SNS."""


@app.command()
def serve(
    config: Annotated[Path | None, typer.Option(help="A TOML file with settings; also SLIPWAY_CONFIG.")] = None,
) -> None:
    """Serve the queue until SIGTERM or SIGINT. A second signal hurries.

    Settings: config/slipway.toml lists them all; each x_y is SLIPWAY_X_Y in the environment. Two must be set:
    SLIPWAY_QUEUE_URL and SLIPWAY_TOPIC_ARN. Region, credentials and endpoints are the AWS SDK's own (AWS_REGION, …).

    Example: slipway serve --config slipway.toml
    """
    from slipway import daemon

    raise typer.Exit(daemon.main(config))


@app.command()
def health(
    *,
    port: Annotated[int | None, typer.Option(help="The daemon's port; else that of the settings.", min=1, max=65535)] = None,
    config: Annotated[str | None, typer.Option(help="A TOML file with settings; also SLIPWAY_CONFIG.")] = None,
) -> None:
    """Ask the daemon on this machine whether it lives; exit 0 or 1.

    For container health checks. Reads http_host and http_port as slipway serve does.

    Example: slipway health --port 8080
    """
    from slipway.cli.health import ask_livez

    raise typer.Exit(ask_livez(config, port))


@app.command()
def schema(document: Annotated[Document, typer.Argument(metavar="DOCUMENT", help="request, event or asyncapi.")]) -> None:
    """Print the JSON Schema of requests or of events, or AsyncAPI.

    They are made by the code that checks requests and writes events. AsyncAPI has both, with the queue and the topic.

    Example: slipway schema request > request.schema.json
    """
    from slipway.core.events.asyncapi import asyncapi_document
    from slipway.core.events.schema import event_schema
    from slipway.core.parsing.parse import request_schema

    makers: Mapping[Document, Callable[[], object]] = {
        Document.REQUEST: request_schema,
        Document.EVENT: event_schema,
        Document.ASYNCAPI: partial(asyncapi_document, __version__),
    }
    made = makers[document]()
    typer.echo(json.dumps(made, indent=2, ensure_ascii=False))


rules = typer.Typer(no_args_is_help=True)
app.add_typer(rules, name="triggers", help="Rules that make requests of upstream events.")


@rules.command("test")
def triggers_test(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file with an event; - for standard input.")] = "-",
    *,
    triggers: Annotated[str | None, typer.Option(help="The file with the rules; also SLIPWAY_TRIGGERS.")] = None,
    config: Annotated[str | None, typer.Option(help="A TOML file with settings; also SLIPWAY_CONFIG.")] = None,
) -> None:
    """Show which rule matches a sample event, and its request.

    A dry run: nothing is called.
    Exits 0 with a request; 1 when no rule matches, or it would be rejected; 2 when rules or event cannot be read.

    Example: slipway triggers test event.json --triggers triggers.toml
    """
    from slipway.cli.rules_test import try_triggers

    raise typer.Exit(try_triggers(file, triggers, config))


permits = typer.Typer(no_args_is_help=True)
app.add_typer(permits, name="permissions", help="Rules that say who may ask for what.")


@permits.command("test")
def permissions_test(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file with a request; - for standard input.")] = "-",
    *,
    sender: Annotated[str, typer.Option(help="Who would send it: SQS's SenderId, like AROAEXAMPLEROLEID0001:ci.")],
    permissions: Annotated[str | None, typer.Option(help="The file with the rules; also SLIPWAY_PERMISSIONS.")] = None,
    config: Annotated[str | None, typer.Option(help="A TOML file with settings; also SLIPWAY_CONFIG.")] = None,
) -> None:
    """Show which rule permits a sender a request, and its tags.

    A dry run: nothing is called.
    Exits 0 when it is permitted; 1 when it would be rejected; 2 when rules or request cannot be read.

    Example: slipway permissions test request.json --sender AROAEXAMPLEROLEID0001:ci --permissions permissions.toml
    """
    from slipway.cli.rules_test import try_permissions

    raise typer.Exit(try_permissions(file, sender, permissions, config))


@app.command()
def local(
    *,
    port: Annotated[int, typer.Option(help="Port of SQS and SNS; 0 for any that is free.", min=0, max=65535)] = 4566,
    bedrock_port: Annotated[int, typer.Option(help="Port of Bedrock; 0 for any that is free.", min=0, max=65535)] = 4567,
    max_creating: Annotated[int, typer.Option(help="Quota of deployments in creation.", min=0)] = 2,
    max_total: Annotated[int, typer.Option(help="Quota of deployments in total.", min=0)] = 10,
    creation_seconds: Annotated[tuple[float, float], typer.Option(help="A creation takes from, to.")] = (15.0, 25.0),
    failing: Annotated[float, typer.Option(help="Share of deployments that fail.", min=0.0, max=1.0)] = 0.0,
    fifo: Annotated[bool, typer.Option("--fifo", help="FIFO queue and topic.")] = False,
) -> None:
    """Serve AWS in a box: SQS, SNS and Bedrock, until stopped.

    Prints the variables to export, after which slipway serve, boto3 and the AWS CLI use it.

    Example: slipway local --max-creating 5 --creation-seconds 5 10
    """
    try:
        from slipway.local.serve import serve_local_aws
    except ModuleNotFoundError as missing:
        raise _needs_local(missing) from missing
    from slipway.local.behaviour import Behaviour, WrongBehaviour

    try:
        terms = Behaviour(max_creating=max_creating, max_total=max_total, failing=failing).changed(
            {"creation_seconds": creation_seconds}
        )
    except WrongBehaviour:
        said = "they are two numbers, not below 0, the shorter first; give them like 15 25"
        raise typer.BadParameter(said, param_hint="--creation-seconds") from None
    raise typer.Exit(asyncio.run(serve_local_aws(terms=terms, port=port, bedrock_port=bedrock_port, fifo=fifo)))


@app.command()
def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Serve the page on, after the end, until Ctrl-C.")] = False,
) -> None:
    """See it work, in half a minute. Needs no account.

    AWS in a box, the daemon against it, a handful of requests, and what becomes of them. The address of the daemon's page
    is printed first: look at it meanwhile.

    Example: slipway demo --keep
    """
    try:
        from slipway.local.demo import run_demo
    except ModuleNotFoundError as missing:
        raise _needs_local(missing) from missing

    raise typer.Exit(asyncio.run(run_demo(keep=keep)))


def _needs_local(missing: ModuleNotFoundError) -> typer.Exit:
    typer.echo(f"slipway: {missing.name} is not installed: pip install 'slipway-bedrock[local]'", err=True)
    return typer.Exit(EXIT_WRONG_SETTING)
