"""Options that several commands have, so that they are the same everywhere, and which option each key of a request is."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Final

import typer

Config = Annotated[Path | None, typer.Option(help="A TOML file with settings; also SLIPWAY_CONFIG.")]
Daemons = Annotated[
    list[str] | None,
    typer.Option("--daemon", metavar="URL", help="A daemon's address, like http://127.0.0.1:8080; again for each replica."),
]


def _targets(context: typer.Context, incomplete: str) -> list[str]:
    """Answer the targets of the settings in force that begin so, for completion."""
    from service.settings import WrongSetting, find_wanted  # noqa: PLC0415  rarely needed, and no command's own

    try:
        wanted = find_wanted(os.environ, str(named) if (named := context.params.get("config")) else None)
        return [each.name for each in wanted if each.name.startswith(incomplete)]
    except WrongSetting:
        return []


Target = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Where: a target of the daemon's settings; else default.", autocompletion=_targets),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_WORDS: Final = {
    "modelDeploymentName": "NAME",
    "modelArn": "MODEL_ARN",
    "customModelDeploymentIdentifier": "NAME_OR_ARN",
    "cancels": "REQUEST_ID",
    "tags": "--tag",
    "smokeTest.prompt": "--smoke-test",
    "smokeTest.expect": "--smoke-expect",
    "smokeTest.maxTokens": "--smoke-max-tokens",
    "smokeTest.gate": "--smoke-no-gate",
}
"""How a key is given whose option is not called as the key is."""


def not_empty(given: str) -> str:
    """Refuse an argument that names nothing: everything would match it."""
    if not given.strip():
        raise typer.BadParameter("it is empty; give a name, an id or an ARN")
    return given


def custom_model(given: str | None) -> str | None:
    """Refuse what is no ARN of a custom model."""
    from service.core.request_fields import MODEL, MODEL_ARN  # noqa: PLC0415  not every command needs what requests are made of

    if given is not None and not re.fullmatch(MODEL_ARN, given):
        raise typer.BadParameter(f"{given!r} is no ARN of a custom model; give one like {MODEL.examples[0]}")
    return given


def option_of(key: str) -> str:
    """Answer by which option or argument a key of a request is given; one within a list, by that of the list."""
    path = key.partition("[")[0]
    return _WORDS.get(path) or "--" + re.sub(r"[A-Z]", lambda letter: f"-{letter[0].lower()}", path)
