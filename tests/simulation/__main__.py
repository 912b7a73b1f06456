"""The proof from the command line: `prove`, `replay SEED`, `seeded_bugs NAME`, and `catch` for its own use."""

from __future__ import annotations

import json
import sys


def main(arguments: list[str]) -> int:
    """Do what is asked; answer an exit status."""
    match arguments:
        case ["catch", name, *known]:
            # Before anything of the service is imported.
            from tests.mutation.seeded_bugs import catch  # noqa: PLC0415

            sys.stdout.write(json.dumps(catch(name, *known)) + "\n")
            return 0
        case ["replay", seed]:
            from tests.simulation.prove import replay  # noqa: PLC0415  as above

            return replay(int(seed))
        case ["planted", name]:
            from tests.mutation.seeded_bugs import catch_apart  # noqa: PLC0415  as above

            caught = catch_apart(name)
            sys.stdout.write(f"{name}: {caught or 'NOT CAUGHT'}\n")
            return 0 if caught else 1
        case ["prove", "--minutes", minutes]:
            from tests.simulation.prove import prove  # noqa: PLC0415  as above

            return prove(float(minutes))
        case _:
            sys.stderr.write("usage: python -m tests.simulation prove --minutes N | replay SEED | planted NAME\n")
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
