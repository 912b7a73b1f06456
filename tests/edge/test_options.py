"""Whatever a request may carry can be typed, and is called by its option when it is wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import typer

from service.core.action_fields import FIELDS_OF
from service.core.fields import Field
from service.edge.cli import app
from service.edge.options import option_of

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
