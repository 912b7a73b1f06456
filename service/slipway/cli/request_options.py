"""Options that several commands have, so that they are the same everywhere, and which option each key of a request is."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final

import typer

Config = Annotated[Path | None, typer.Option(help="A TOML file with settings; also SLIPWAY_CONFIG.")]
Daemons = Annotated[
    list[str] | None,
    typer.Option("--daemon", metavar="URL", help="A daemon's address, like http://127.0.0.1:8080; again for each replica."),
]


def _targets(context: typer.Context, incomplete: str) -> list[str]:
    """Answer the targets of the settings in force that begin so, for completion."""
    from slipway.settings.load import WrongSetting, find_wanted

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
    from slipway.core.requests.fields import MODEL, MODEL_ARN

    if given is not None and not re.fullmatch(MODEL_ARN, given):
        raise typer.BadParameter(f"{given!r} is no ARN of a custom model; give one like {MODEL.examples[0]}")
    return given


def option_of(key: str) -> str:
    """Answer by which option or argument a key of a request is given; one within a list, by that of the list."""
    path = key.partition("[")[0]
    return _WORDS.get(path) or "--" + re.sub(r"[A-Z]", lambda letter: f"-{letter[0].lower()}", path)


_TOLD: Final = "Who is told, too"
_FOLLOWED: Final = "Following it to its end"
Body = Mapping[str, object]


def asking(make: Callable[..., Body]) -> Callable[..., None]:
    """Make a command of what answers the body of a request: beside its own options it takes those that all have.

    What is None in the body was not given, and is left out.
    """

    @wraps(make)
    def command(**given: Any) -> None:  # noqa: ANN401  the options, by name
        common = {name: given.pop(name) for name in _COMMON}
        _ask(make(**given), **common)

    own = inspect.signature(make, eval_str=True)
    whole = own.replace(parameters=[*own.parameters.values(), *_COMMON.values()], return_annotation=None)
    command.__signature__ = whole  # type: ignore[attr-defined]  # where typer reads the options
    return command


def _ask(
    body: Body,
    *,
    request_id: Annotated[str | None, typer.Option(help="Your own name for the request; else it gets one.")] = None,
    timeout: Annotated[str | None, typer.Option(help="How long to try: seconds, or like PT90M.")] = None,
    tenant: Annotated[str | None, typer.Option(help="For whom.")] = None,
    reply_to: Annotated[
        str | None,
        typer.Option(metavar="URL|ARN", help="A queue or a topic; one that the daemon allows.", rich_help_panel=_TOLD),
    ] = None,
    task_token: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="A Step Functions task that waits for it.", rich_help_panel=_TOLD)
    ] = None,
    callback_token: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="A pipeline's callback step that does.", rich_help_panel=_TOLD)
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for its end; the exit code says how it ended.", rich_help_panel=_FOLLOWED)
    ] = False,
    at_most: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Wait for so long.", min=1, rich_help_panel=_FOLLOWED)
    ] = None,
    events_queue: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A queue of your own that is subscribed to the topic.", rich_help_panel=_FOLLOWED),
    ] = None,
    daemon: Daemons = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    from slipway.cli.runner import run_command
    from slipway.cli.submit import FollowOptions, submit_request

    whole = {
        **body,
        "requestId": request_id,
        "timeout": seconds(timeout),
        "tenant": tenant,
        "replyTo": reply_to,
        "taskToken": task_token,
        "callbackToken": callback_token,
    }
    manner = FollowOptions(wait=wait, at_most=at_most, daemons=daemon or (), events_queue=events_queue, as_json=as_json)
    raise run_command(config, lambda visit, settings: submit_request(visit, settings, whole, manner))


_COMMON: Final = {
    name: each for name, each in inspect.signature(_ask, eval_str=True).parameters.items() if each.kind is each.KEYWORD_ONLY
}


def seconds(text: str | None) -> float | str | None:
    """A number is one in the request too; whatever else it is, the request's own check names it."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text
