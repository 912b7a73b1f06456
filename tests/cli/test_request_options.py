"""Whatever a request may carry can be typed, and is called by its option when it is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from slipway.cli.main import app
from slipway.cli.request_options import option_of
from slipway.core.requests.actions import FIELDS_OF
from slipway.core.schema.fields import Field

NEVER_TYPED = {"action", "ifExpired"}
"""What the command itself says, and what only Slipway asks for."""


def keys(fields: tuple[Field, ...], inside: str = "") -> Iterator[str]:
    for field in fields:
        is_list = not field.entry or field.name == "tags"
        yield from [inside + field.name] if is_list else keys(field.entry, f"{inside}{field.name}.")


@pytest.mark.parametrize("action", sorted(FIELDS_OF))
def test_every_key_of_a_request_has_an_option(action: str) -> None:
    command = typer.main.get_command(app).commands[action]  # type: ignore[attr-defined]
    options = {word for param in command.params for word in (*param.opts, param.metavar or "")}
    options |= {word.strip("[]") for word in options}
    missing = [key for key in keys(FIELDS_OF[action]) if key not in NEVER_TYPED and option_of(key) not in options]
    assert missing == []


def test_what_is_wrong_within_a_list_is_the_lists() -> None:
    assert option_of("tags[0].key") == "--tag"
    assert option_of("clientRequestToken") == "--client-request-token"


def test_the_targets_of_the_settings_are_completed(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('[targets.research]\nregion = "us-west-2"\n[targets.west]\nregion = "us-west-1"\n')
    (tmp_path / "wrong.toml").write_text("[targets")

    def completed(file: str, begun: str) -> list[str]:
        words = f"slipway list --config {tmp_path / file} --target {begun}"
        asked = {"_SLIPWAY_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "5"}
        return CliRunner().invoke(app, prog_name="slipway", env=asked).stdout.split()

    assert completed("own.toml", "r") == ["research"]
    assert completed("own.toml", "d") == ["default"]
    assert completed("own.toml", "x") == completed("wrong.toml", "r") == []
