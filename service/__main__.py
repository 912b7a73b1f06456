"""`slipway`, which is `python -m service`, too."""

import sys
from typing import Final

INTERRUPTED: Final = 130
"""Ctrl-C while it starts. From then on a signal is its own affair."""


def main() -> None:
    """Run a command."""
    try:
        from service.edge.cli import run  # noqa: PLC0415  Ctrl-C while it is imported is no traceback

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
