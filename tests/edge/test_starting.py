"""The daemon is started without typer exactly where typer would have read the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from service.edge.cli import app
from service.edge.starting import serving


@pytest.mark.parametrize("words", [["serve"], ["serve", "--config", "/etc/slipway/slipway.toml"]])
def test_a_plain_start_is_read_as_typer_reads_it(words: list[str]) -> None:
    command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    read = command.make_context("serve", words[1:]).params
    settings = serving(words)
    assert settings is not None
    assert read == {"config": settings[0]}


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--version"],
        ["health"],
        ["serve", "--help"],
        ["serve", "--config"],
        ["serve", "--config", "--help"],
        ["serve", "--config=slipway.toml"],
        ["serve", "--config", "a.toml", "--config", "b.toml"],
        ["--", "serve"],
    ],
)
def test_whatever_else_is_said_is_left_to_typer(words: list[str]) -> None:
    assert serving(words) is None


def test_a_path_stays_as_it_was_given() -> None:
    assert serving(["serve", "--config", "a b/ä.toml"]) == (Path("a b/ä.toml"),)
