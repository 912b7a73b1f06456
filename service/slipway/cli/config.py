"""`slipway config`: the settings in force, and where each came from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from slipway.cli.exit_codes import Exit
from slipway.cli.output import is_terminal, print_facts, print_json, print_table
from slipway.cli.runner import say
from slipway.core.requests.targets import DEFAULT, TargetSettings
from slipway.settings.fields import SETTINGS, written
from slipway.settings.load import Settings, WrongSetting, load
from slipway.settings.targets import TABLE

_SECRET: Final = ("SECRET", "TOKEN", "PASSWORD", "KEY_ID")
_OF_AWS: Final = ("AWS_",)
NOT_SHOWN: Final = "(set, not shown)"


def print_config(config: Path | None, *, as_json: bool) -> Exit:
    """Print them, Slipway's own and then the AWS SDK's variables that are set; answer the exit code."""
    try:
        settings = load(os.environ, str(config) if config else None)
    except WrongSetting as wrong:
        say(str(wrong))
        return Exit.USAGE
    own = [(each.name, getattr(settings, each.name), settings.provenance[each.name]) for each in SETTINGS]
    own += [
        (name, value, settings.provenance[TABLE]) for each in settings.targets for name, value in _of_target(each, settings)
    ]
    sdk = [(name, masked(name, value), name) for name, value in sorted(os.environ.items()) if name.startswith(_OF_AWS)]
    if as_json:
        print_json({name: {"value": value, "from": origin} for name, value, origin in [*own, *sdk]})
        return Exit.OK
    rows = [(name, written(value).strip('"'), origin) for name, value, origin in [*own, *sdk]]
    if is_terminal():
        sources = {name: "environment" if origin == name else origin for name, _, origin in rows}
        print_facts({name: f"{value or '-'} ({sources[name]})" for name, value, _ in rows})
    else:
        print_table(("setting", "value", "from"), rows)
    return Exit.OK


def _of_target(wanted: TargetSettings, settings: Settings) -> Iterator[tuple[str, object]]:
    """Answer what a target has of its own: of the default, what does not stand among the other settings."""
    role, rules = wanted.role, wanted.rules
    said: dict[str, object] = {"region": wanted.region}
    if role is not None:
        said |= {"role_arn": role.arn, "session_name": role.session_name, "external_id": role.external_id and NOT_SHOWN}
    said |= {"models": list(rules.models), "names": list(rules.names)}
    if wanted.name != DEFAULT or rules.max_creating != settings.max_creating:
        said["max_creating"] = rules.max_creating
    if wanted.name != DEFAULT or rules.max_total != settings.max_total:
        said["max_total"] = rules.max_total
    for key, value in said.items():
        if value or value == 0:
            yield f"{TABLE}.{wanted.name}.{key}", value


def masked(name: str, value: str) -> str:
    """Answer a value as it may be shown: of a secret, only that it is set."""
    return NOT_SHOWN if any(word in name for word in _SECRET) else value
