"""`slipway`, which is `python -m service`, too."""

import sys
from typing import Final

from service.edge.starting import serving, start

INTERRUPTED: Final = 130
"""Ctrl-C while it starts. From then on a signal is its own affair."""


def main() -> None:
    """Start the daemon, or run another command."""
    if (settings := serving(sys.argv[1:])) is not None:
        try:
            sys.exit(start(*settings))
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
    from service.edge.cli import app  # noqa: PLC0415  the daemon does without

    app()


if __name__ == "__main__":
    main()
