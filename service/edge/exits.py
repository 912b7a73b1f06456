"""What the commands exit with, the same everywhere: for scripts."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    NOT_WELL = 1
    NOT_DONE = 2


MEANINGS: Final[Mapping[Exit, str]] = {
    Exit.OK: "it ended well, it lives, or nothing was found",
    Exit.NOT_WELL: "it ended `Failed`, it does not live, or something was found",
    Exit.NOT_DONE: "an option or a setting is wrong, or somebody who was to be asked did not answer",
}
"""The README's table is made of these."""
