"""The command line. Each command is a few lines: what it does lives elsewhere, and is imported when it is asked for."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from service import __version__

app = typer.Typer(
    name="slipway",
    help="Deployment requests from SQS, made true in Amazon Bedrock, answered through SNS.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)

EXIT_WRONG_SETTING = 2
"""Also what typer exits with when an option is wrong."""


class Document(StrEnum):
    """What `slipway schema` can print."""

    REQUEST = "request"
    EVENT = "event"


def main() -> None:
    """Run the command line."""
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
    """Serve the queue until SIGTERM or SIGINT; a second signal hurries.

    Settings: config/slipway.toml lists them all; each x_y is SLIPWAY_X_Y in the environment. Two must be set:
    SLIPWAY_QUEUE_URL and SLIPWAY_TOPIC_ARN. Region, credentials and endpoints are the AWS SDK's own (AWS_REGION, …).
    """
    from service import daemon

    raise typer.Exit(daemon.main(config))


@app.command()
def health(
    port: Annotated[int | None, typer.Option(help="The daemon's port; else SLIPWAY_HTTP_PORT, else 8080.")] = None,
) -> None:
    """Ask the daemon on this machine whether it lives; exit 0 or 1. For container health checks."""
    from service.edge.ask import ask_livez

    raise typer.Exit(ask_livez(port))


@app.command()
def schema(document: Document) -> None:
    """Print the JSON Schema of requests or of events, made by the code that checks and writes them."""
    from service.core.event_schema import event_schema
    from service.core.requests import request_schema

    made = request_schema() if document is Document.REQUEST else event_schema()
    typer.echo(json.dumps(made, indent=2, ensure_ascii=False))


def _without_local() -> None:
    typer.echo("slipway: this needs the local AWS: pip install 'slipway[local]' (in a checkout: make setup)", err=True)
    sys.exit(EXIT_WRONG_SETTING)
