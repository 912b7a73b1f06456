"""Options that several commands share, how their values are read, and which option gives which key of a request.

A usage error is one sentence that names the option, the problem and the help to read.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from enum import Enum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from slipway.cli.output import CommandError, Exit, Form, Output
from slipway.core.schema.fields import closest_match, duration_seconds
from slipway.core.schema.rejection import quote

Choice = TypeVar("Choice", bound=Enum)
Command = Callable[..., None]
_CONNECTION: Final = "AWS connection"
_OF_ENVIRONMENT: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN")
"""Credentials that the SDK prefers to AWS_PROFILE. As in the AWS CLI, --profile is preferred to them."""
_ENDPOINT: Final = "AWS_ENDPOINT_URL"


def whole_number(least: int, most: int) -> Callable[[Any], int]:
    """Return what reads a whole number within bounds."""

    def read(given: Any) -> int:  # noqa: ANN401  the text, or the default
        text = str(given)
        if not re.fullmatch(r"-?[0-9]{1,18}", text) or not least <= int(text) <= most:
            raise typer.BadParameter(f"{quote(text)} is not a whole number from {least} to {most}")
        return int(text)

    return read


def share(given: Any) -> float:  # noqa: ANN401  as above
    """Read a number from 0 to 1."""
    try:
        value = float(given)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise typer.BadParameter(f"{quote(str(given))} is not a number from 0 to 1")
    return value


def duration(given: Any) -> float:  # noqa: ANN401  as above
    """Read a length of time of at least a second, in seconds."""
    seconds = duration_seconds(as_duration(str(given)))
    if seconds is None or not 1 <= seconds < float("inf"):
        raise typer.BadParameter(f"{quote(str(given))} is not a duration of at least 1s; use one like 90s, 30m, 2h or 1d")
    return seconds


def choice(choices: type[Choice]) -> dict[str, Any]:
    """Return what an option needs that takes one of these words, in any case of letters."""
    words = {str(each.value).lower(): each for each in choices}
    shown = "|".join(words)

    def read(given: Any) -> Choice:  # noqa: ANN401  as above
        word = str(getattr(given, "value", given))
        if word.lower() not in words:
            raise typer.BadParameter(f"{quote(word)} is not one of {', '.join(words)}")
        return words[word.lower()]

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete.lower())]

    return {"parser": read, "metavar": shown, "autocompletion": complete}


def as_duration(text: str | None) -> float | str | None:
    """Return the seconds of a duration; a text that is none stays as it is, for the check of the request to name."""
    if text is None:
        return None
    if re.fullmatch(r"[0-9]{1,18}(?:\.[0-9]{1,18})?", text):
        seconds: float | None = float(text)
    else:
        seconds = duration_seconds(text)
    if seconds is None:
        return text
    return int(seconds) if seconds.is_integer() else seconds


Config = Annotated[Path | None, typer.Option(metavar="FILE", help="TOML file with settings. Default: SLIPWAY_CONFIG.")]
Daemons = Annotated[
    list[str] | None,
    typer.Option("--daemon", metavar="URL", help="Address of a daemon, like http://127.0.0.1:8080. Repeat for each replica."),
]


def _complete_targets(context: typer.Context, incomplete: str) -> list[str]:
    """Return the targets of the settings in force that begin so."""
    from slipway.settings.load import WrongSetting, find_wanted

    try:
        wanted = find_wanted(os.environ, str(named) if (named := context.params.get("config")) else None)
        return [each.name for each in wanted if each.name.startswith(incomplete)]
    except WrongSetting:
        return []


Target = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Target of the settings. Default: default.", autocompletion=_complete_targets),
]


def _add_options(read: Callable[..., Mapping[str, object]], gives: str) -> Callable[[Command], Command]:
    """Return a decorator that gives a command the options of `read`, and passes what that returns as the parameter `gives`."""
    added = inspect.signature(read, eval_str=True).parameters

    def decorate(command: Command) -> Command:
        @wraps(command)
        def with_options(**given: Any) -> None:  # noqa: ANN401  the options, by name
            values = {name: given.pop(name) for name in added}
            command(**given, **read(**values))

        own = inspect.signature(command, eval_str=True)
        kept = [each for each in own.parameters.values() if each.name != gives]
        whole = own.replace(parameters=[*kept, *added.values()], return_annotation=None)
        with_options.__signature__ = whole  # type: ignore[attr-defined]  # where typer reads the options
        return with_options

    return decorate


def _read_output(
    *,
    output: Annotated[
        Form | None, typer.Option("--output", "-o", help="Output format. Default: table.", **choice(Form))
    ] = None,
    query: Annotated[
        str | None, typer.Option(metavar="EXPRESSION", help="JMESPath expression that selects a part of the JSON or YAML.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", hidden=True, help="The same as -o json.")] = False,
) -> Mapping[str, object]:
    form = output or (Form.JSON if as_json or query is not None else Form.TABLE)
    if as_json and form is not Form.JSON:
        raise typer.BadParameter(
            f"it is the same as -o json, and -o {form} was given too; use one of them", param_hint="--json"
        )
    if query is None:
        return {"output": Output(form)}
    if form in {Form.TABLE, Form.WIDE}:
        raise typer.BadParameter(f"it has no effect with -o {form}; use -o json or -o yaml", param_hint="--query")
    import jmespath
    from jmespath.exceptions import JMESPathError, ParseError

    try:
        return {"output": Output(form, jmespath.compile(query))}
    except JMESPathError as error:
        where = f" at character {error.lex_position + 1}" if isinstance(error, ParseError) else ""
        raise typer.BadParameter(
            f"not a JMESPath expression{where}: {quote(query)}; see https://jmespath.org", param_hint="--query"
        ) from None


def _read_connection(
    *,
    config: Config = None,
    region: Annotated[
        str | None, typer.Option(metavar="REGION", help="AWS Region. Default: AWS_REGION.", rich_help_panel=_CONNECTION)
    ] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="AWS profile. Default: AWS_PROFILE.", rich_help_panel=_CONNECTION)
    ] = None,
    endpoint_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Endpoint of all AWS services. Default: AWS_ENDPOINT_URL and its variants for one service.",
            rich_help_panel=_CONNECTION,
        ),
    ] = None,
) -> Mapping[str, object]:
    connect_as(os.environ, region=region, profile=profile, endpoint_url=endpoint_url)
    return {"config": config}


def connect_as(environ: MutableMapping[str, str], *, region: str | None, profile: str | None, endpoint_url: str | None) -> None:
    """Let the AWS SDK prefer these to its variables, by changing those of this process."""
    if region is not None:
        environ["AWS_REGION"] = environ["AWS_DEFAULT_REGION"] = region
    if profile is not None:
        environ["AWS_PROFILE"] = profile
        for name in _OF_ENVIRONMENT:
            environ.pop(name, None)
    if endpoint_url is not None:
        for name in [name for name in environ if name.startswith(f"{_ENDPOINT}_")]:
            del environ[name]
        environ[_ENDPOINT] = endpoint_url


with_output: Final = _add_options(_read_output, "output")
"""Give a command -o and --query. It takes them as `output`."""
with_connection: Final = _add_options(_read_connection, "config")
"""Give a command --config and the options of the AWS CLI that say which account is called. It takes the first as `config`."""


def not_empty(given: str) -> str:
    """Refuse an argument that names nothing: everything would match it."""
    if not given.strip():
        raise typer.BadParameter("it is empty; give a name, an id or an ARN")
    return given


def custom_model(given: str | None) -> str | None:
    """Refuse an ARN that is not a custom model's."""
    from slipway.core.requests.fields import MODEL, MODEL_ARN

    if given is not None and not re.fullmatch(MODEL_ARN, given):
        raise typer.BadParameter(f"{quote(given)} is not the ARN of a custom model; give one like {MODEL.examples[0]}")
    return given


def refuse_without(needed: str, *, is_given: bool, **options: object) -> None:
    """Refuse options that have no effect because another one was not given."""
    for name, value in options.items():
        if value and not is_given:
            option = f"--{name.replace('_', '-')}"
            raise typer.BadParameter(f"it has no effect without {needed}; add {needed} or omit {option}", param_hint=option)


_OPTIONS: Final = {
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
"""The option or argument of a key that is not spelled as the key is."""


def option_of(key: str) -> str:
    """Return the option or argument that gives a key of a request; of an entry in a list, that of the list."""
    path = key.partition("[")[0]
    return _OPTIONS.get(path) or "--" + re.sub(r"[A-Z]", lambda letter: f"-{letter[0].lower()}", path)


_MARKS: Final = dict.fromkeys(map(ord, "'[]{}"))
"""What typer puts around the name of a parameter."""


class CommandGroup(TyperGroup):
    """A group of commands, whose usage errors are one sentence on standard error and exit code 2, as all other errors."""

    def main(self, *args: Any, **given: Any) -> Any:  # noqa: ANN401  as in TyperGroup
        """Run a command and exit with its code."""
        is_standalone = given.pop("standalone_mode", True)
        given["standalone_mode"] = False
        try:
            code = super().main(*args, **given)
        except TyperException as error:
            sentence = _usage_sentence(error)
        except CommandError as error:
            sentence = str(error)
        except typer.Abort:
            sys.exit(Exit.STOPPED_WATCHING)
        else:
            if is_standalone:
                sys.exit(code if isinstance(code, int) else 0)
            return code
        from slipway.cli.runner import say

        say(sentence)
        sys.exit(Exit.USAGE)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  typer has no public type of a context
        """Show the help where no command was named."""
        return super().parse_args(ctx, args or ([] if ctx.resilient_parsing else ["--help"]))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401  as above
        """Return the command with this name, and suggest one that is spelled alike if there is none."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            ctx.fail(f'there is no command "{args[0]}"; {_suggestion(args[0], self.commands) or "the help lists all commands"}')
        return super().resolve_command(ctx, args)


def _usage_sentence(error: TyperException) -> str:
    """Say what is wrong with the words that were typed, and which help describes them."""
    context = getattr(error, "ctx", None)
    if isinstance(error, typer.BadParameter):
        hint = error.param_hint or (error.param.get_error_hint() if error.param else "")
        name = (hint if isinstance(hint, str) else " / ".join(hint)).translate(_MARKS)
        text = f"{name}: {error.message}" if error.message else f"{name} is missing"
    elif (option := getattr(error, "option_name", None)) and hasattr(error, "possibilities"):
        known = [name for each in context.command.params for name in each.opts] if context else []
        text = f'there is no option "{option}"; {_suggestion(option, known) or "the help lists all options"}'
    else:
        message = error.format_message().rstrip(".")
        text = message[:1].lower() + message[1:]
    return f"{text}{'' if text.endswith('?') else '.'} See {context.command_path} --help" if context else text


def _suggestion(word: str, known: Iterable[str]) -> str | None:
    near = closest_match(word, known)
    return f"did you mean {near}?" if near else None
