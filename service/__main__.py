"""`slipway`, which is `python -m service`, too."""

import sys
from typing import Final

from service.edge.starting import serving, start

INTERRUPTED: Final = 130
"""Ctrl-C while it starts. From then on a signal is its own affair."""


def main() -> None:
    """Start the daemon, or run another command."""
    try:
        if (settings := serving(sys.argv[1:])) is not None:
            sys.exit(start(*settings))
        from service.edge.cli import run  # noqa: PLC0415  the daemon does without

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
