"""Exit codes of all commands, for scripts."""

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
    OUTPUT_LOST = 7
    STOPPED_WATCHING = 130


MEANINGS: Final[Mapping[Exit, str]] = {
    Exit.OK: "success, healthy, or nothing to report",
    Exit.FAILURE: "the outcome is `Failed` or `RolledBack`, the daemon is not healthy, something was found, no rule "
    "matches, or what was named does not exist",
    Exit.USAGE: "an option, an argument or a setting is wrong, or AWS or a daemon did not answer",
    Exit.TIMED_OUT: "`--wait`: the outcome is `TimedOut`",
    Exit.REJECTED: "`--wait`: the outcome is `Rejected`",
    Exit.CANCELLED: "`--wait`: the outcome is `Cancelled` (a `cancel` that succeeds exits with 0)",
    Exit.UNAVAILABLE: "`--wait`: the request has ended and only its event has the outcome, or the time of `--at-most` is over",
    Exit.OUTPUT_LOST: "standard output cannot be written (a full disk, a closed pipe): what was done is done",
    Exit.STOPPED_WATCHING: "Ctrl-C: watching has stopped, and the request continues; `probe` has deleted what it created",
}
"""The table in docs/reference/commands.md is generated from these."""
