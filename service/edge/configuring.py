"""`slipway config`: the settings in force, and where each came from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from service.edge.errands import say
from service.edge.exits import Exit
from service.edge.printing import print_json, print_table
from service.setting_fields import SETTINGS, written
from service.settings import WrongSetting, load

_SECRET: Final = ("SECRET", "TOKEN", "PASSWORD", "KEY_ID")
_OF_AWS: Final = ("AWS_",)


def print_config(config: Path | None, *, as_json: bool) -> Exit:
    """Print them, Slipway's own and then the AWS SDK's variables that are set; answer the exit code."""
    try:
        settings = load(os.environ, str(config) if config else None)
    except WrongSetting as wrong:
        say(str(wrong))
        return Exit.NOT_DONE
    own = [(each.name, getattr(settings, each.name), settings.provenance[each.name]) for each in SETTINGS]
    sdk = [(name, masked(name, value), name) for name, value in sorted(os.environ.items()) if name.startswith(_OF_AWS)]
    if as_json:
        print_json({name: {"value": value, "from": origin} for name, value, origin in [*own, *sdk]})
    else:
        print_table(
            ("setting", "value", "from"), [(name, written(value).strip('"'), origin) for name, value, origin in [*own, *sdk]]
        )
    return Exit.OK


def masked(name: str, value: str) -> str:
    """Answer a value as it may be shown: of a secret, only that it is set."""
    return "(set, not shown)" if any(word in name for word in _SECRET) else value
