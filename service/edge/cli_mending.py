"""Commands for whoever looks after Slipway: is all as it should be, and what is to be done where it is not."""

from __future__ import annotations

from typing import Annotated

import typer

from service.edge.options import AsJson, Config, Daemons

app = typer.Typer()


@app.command()
def audit(
    *,
    config: Config = None,
    daemon: Daemons = None,
    events: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The topic's events as you archived them, one a line; - is standard input."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the deployments that Slipway made with what is held and was announced. Changes nothing.

    Finds: orphan (made, and nobody was told how it ended), late (announced as TimedOut, and Active or Failed since),
    leftover (Failed, and still there), twin (one request, several deployments), conflict (a request's name is taken).

    Bedrock alone shows leftovers and twins. Every daemon (--daemon) adds conflicts, and orphans that are still in
    creation. The archived events (--events) add all other orphans made since the first of them, and late ones. What
    cannot be known is said, not guessed. Exits 0 when nothing was found, 1 when something was, 2 when it could not look.

    Example: slipway audit --daemon http://10.0.0.1:8080 --daemon http://10.0.0.2:8080 --events events.jsonl
    """
    from service.edge.auditing import audit_account, read_events
    from service.edge.errands import CannotDo, run_errand, say
    from service.edge.exits import Exit

    try:
        told = None if events is None else read_events(events)
    except CannotDo as wrong:
        say(str(wrong))
        raise typer.Exit(Exit.NOT_DONE) from wrong
    raise run_errand(config, lambda visit, settings: audit_account(visit, settings, daemon or [], told, as_json=as_json))
