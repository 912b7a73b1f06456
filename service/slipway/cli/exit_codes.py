"""What the commands exit with, the same everywhere: for scripts."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    TIMED_OUT = 3
    REJECTED = 4
    CANCELLED = 5
    UNAVAILABLE = 6
    STOPPED_WATCHING = 130


MEANINGS: Final[Mapping[Exit, str]] = {
    Exit.OK: "it ended well, it lives, or nothing was found",
    Exit.FAILURE: "it ended `Failed`, it does not live, something was found, no rule matches, or there is no such thing",
    Exit.USAGE: "an option, an argument or a setting is wrong, or somebody who was to be asked did not answer",
    Exit.TIMED_OUT: "`--wait`: it ended `TimedOut`",
    Exit.REJECTED: "`--wait`: it ended `Rejected`",
    Exit.CANCELLED: "`--wait`: it ended `Cancelled` (the cancel itself, in `CancelTaken`, ends well)",
    Exit.UNAVAILABLE: "`--wait`: it has ended, and how is only in its event; or `--at-most` was over first",
    Exit.STOPPED_WATCHING: "Ctrl-C: watching has stopped, and nothing else; `probe` has taken away what it made",
}
"""The table in docs/reference/commands.md is made of these."""
