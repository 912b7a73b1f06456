"""`slipway`, which is `python -m slipway`, too."""

import signal
import sys
from typing import Final

INTERRUPTED: Final = 130
"""Ctrl-C while it starts. From then on a signal is its own affair."""


def main() -> None:
    """Run a command."""
    if sys.argv[1:2] == ["serve"]:
        signal.signal(signal.SIGTERM, _end)  # until it hears signals itself: process 1 of a container would ignore this one
    try:
        from slipway.cli.main import run  # noqa: PLC0415  Ctrl-C while it is imported is no traceback

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _end(*_: object) -> None:
    """End cleanly: nothing was received yet."""
    sys.exit(0)


if __name__ == "__main__":
    main()
