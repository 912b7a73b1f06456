"""What `--help` says: one sentence that fits into the list of commands, and an example, of each."""

from __future__ import annotations

import inspect

import typer.core

from tests.e2e.commands import typed
from tests.support.readme import commands

LONGEST = 61
"""What a list of commands has room for, at 80 columns, beside their names."""


def test_every_command_says_what_it_does_in_one_short_sentence_and_gives_an_example() -> None:
    for name, command in commands():
        said = inspect.cleandoc(command.help or "")
        first = said.partition("\n")[0]
        assert first.partition(". ")[0].count("\n") == 0
        assert len(first.partition(". ")[0]) <= LONGEST, name
        assert f"slipway {name} " in said.partition("Example")[2] + " ", name


def test_every_option_and_argument_says_what_it_is_for() -> None:
    for name, command in commands():
        for each in command.params:
            assert isinstance(each, typer.core.TyperOption | typer.core.TyperArgument)
            assert each.help, f"{name}: {each.name}"


async def test_in_a_pipe_it_is_plain_and_nothing_is_cut_off() -> None:
    ran = await typed(None, "--help")
    assert ran.code == 0
    assert {name.split()[0] for name, _ in commands()} <= set(ran.out.split())
    assert "╭" not in ran.out
    assert "..." not in ran.out.partition("Commands:")[2]
    assert (await typed(None)).out == (await typed(None, "-h")).out == ran.out
    assert (await typed(None, "deploy", "-h")).out == (await typed(None, "deploy", "--help")).out
    assert (await typed(None, "dlq")).out == (await typed(None, "dlq", "-h")).out
