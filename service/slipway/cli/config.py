"""`slipway config`: the settings in force, and the origin of each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from slipway.cli.exit_codes import Exit
from slipway.cli.output import Output
from slipway.cli.runner import say
from slipway.core.requests.targets import DEFAULT, TargetSettings
from slipway.settings.fields import SETTINGS, written
from slipway.settings.load import NO_QUEUE, NOT_SET, Settings, WrongSetting, load
from slipway.settings.targets import TABLE

_SECRET_WORDS: Final = ("SECRET", "TOKEN", "PASSWORD", "KEY_ID")
_SDK_PREFIX: Final = "AWS_"
HIDDEN: Final = "(set, not shown)"


def print_config(config: Path | None, output: Output) -> Exit:
    """Print Slipway's settings and the AWS SDK's variables that are set; return the exit code."""
    try:
        settings = load(os.environ, str(config) if config else None, optional=NO_QUEUE)
    except WrongSetting as wrong:
        say(str(wrong))
        return Exit.USAGE
    own: list[tuple[str, object, str]] = [
        (each.name, _shown(each.name, getattr(settings, each.name)), settings.provenance[each.name]) for each in SETTINGS
    ]
    own += [
        (name, value, settings.provenance[TABLE])
        for target in settings.targets
        for name, value in _target_settings(target, settings)
    ]
    sdk = [(name, masked(name, value), name) for name, value in sorted(os.environ.items()) if name.startswith(_SDK_PREFIX)]
    if output.is_document:
        output.print_document(
            {name: {"value": None if origin == NOT_SET else value, "from": origin} for name, value, origin in [*own, *sdk]}
        )
    else:
        rows = [(name, written(value).strip('"'), origin) for name, value, origin in [*own, *sdk]]
        output.print_table(("setting", "value", "from"), rows)
    return Exit.OK


def _target_settings(target: TargetSettings, settings: Settings) -> Iterator[tuple[str, object]]:
    """Return the settings of a target by name; of the default, only those that are not among Slipway's own."""
    role, rules = target.role, target.rules
    values: dict[str, object] = {"region": target.region}
    if role is not None:
        values |= {"role_arn": role.arn, "session_name": role.session_name, "external_id": role.external_id and HIDDEN}
    values |= {"models": list(rules.models), "names": list(rules.names)}
    if target.name != DEFAULT or rules.max_creating != settings.max_creating:
        values["max_creating"] = rules.max_creating
    if target.name != DEFAULT or rules.max_total != settings.max_total:
        values["max_total"] = rules.max_total
    for key, value in values.items():
        if value or value == 0:
            yield f"{TABLE}.{target.name}.{key}", value


def _shown(name: str, value: object) -> object:
    return HIDDEN if value and any(word in name.upper() for word in _SECRET_WORDS) else value


def masked(name: str, value: str) -> str:
    """Return a value as it may be shown: of a secret, only that it is set."""
    return HIDDEN if any(word in name for word in _SECRET_WORDS) else value
