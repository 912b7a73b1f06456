"""Groups of commands: usage errors are one sentence that names the option, the problem and the help to read."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from slipway.cli.exit_codes import Exit
from slipway.cli.output import CommandError
from slipway.core.schema.fields import closest_match

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
