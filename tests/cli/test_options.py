"""Every key of a request has an option, by which its faults are named; options of the AWS CLI mean what they mean there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from slipway.cli.main import app
from slipway.cli.options import connect_as, option_of
from slipway.core.requests.models import FIELDS_OF
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


def test_options_are_preferred_to_the_variables_of_the_environment() -> None:
    environ = {
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "key",
        "AWS_ENDPOINT_URL": "http://one",
        "AWS_ENDPOINT_URL_BEDROCK": "http://two",
        "HOME": "/home",
    }
    connect_as(environ, region="eu-west-1", profile="prod", endpoint_url="http://three")
    assert environ == {
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_PROFILE": "prod",
        "AWS_ENDPOINT_URL": "http://three",
        "HOME": "/home",
    }


def test_what_is_not_given_changes_nothing() -> None:
    environ = {"AWS_ACCESS_KEY_ID": "id", "AWS_ENDPOINT_URL_BEDROCK": "http://two"}
    connect_as(environ, region=None, profile=None, endpoint_url=None)
    assert environ == {"AWS_ACCESS_KEY_ID": "id", "AWS_ENDPOINT_URL_BEDROCK": "http://two"}
