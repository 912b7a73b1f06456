"""Options that several commands have, so that they are the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path | None, typer.Option(help="A TOML file with settings; also SLIPWAY_CONFIG.")]
Daemons = Annotated[
    list[str] | None,
    typer.Option("--daemon", metavar="URL", help="A daemon's address, like http://127.0.0.1:8080; again for each replica."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Wait = Annotated[bool, typer.Option("--wait", help="Follow the request to its end; the exit code says how it ended.")]
AtMost = Annotated[float | None, typer.Option("--at-most", metavar="SECONDS", help="With --wait: follow for so long.", min=1)]
EventsQueue = Annotated[
    str | None,
    typer.Option("--events-queue", metavar="URL", help="With --wait: a queue of your own that is subscribed to the topic."),
]
