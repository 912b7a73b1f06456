"""How the daemon begins: with nothing imported that it does not need."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


def start(config: Path | None) -> int:
    """Serve until a signal ends it; answer the exit code."""
    gc.disable()  # until the daemon is ready: what is imported is no garbage, and looking for some takes a tenth of the start
    with _without("rich"):  # structlog would import it, for tracebacks that are not ours: 40 ms of the start, 3 MB
        from service import daemon  # noqa: PLC0415  not before

    return daemon.main(config)


def serving(words: Sequence[str]) -> tuple[Path | None] | None:
    """Answer which settings the daemon is to be started with, where a command line says just that; None for any other.

    typer reads the others, and the same: with pydantic, which takes 85 ms of the start and 10 MiB for as long as it runs.
    """
    match words:
        case ["serve"]:
            return (None,)
        case ["serve", "--config", path] if not path.startswith("-"):
            return (Path(path),)
        case _:
            return None


@contextmanager
def _without(module: str) -> Iterator[None]:
    """Within, whoever imports this module does not find it."""
    before = sys.modules.get(module)
    sys.modules[module] = None  # type: ignore[assignment]  # Python's own way to say that there is none
    try:
        yield
    finally:
        del sys.modules[module]
        if before is not None:
            sys.modules[module] = before
