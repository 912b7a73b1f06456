"""The sample requests, from a checkout or an installed package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def sample(name: str) -> str:
    """Answer the text of a file of `config/samples`."""
    installed = resources.files("service") / "_config" / "samples" / name
    source = installed if installed.is_file() else Path(__file__).parents[2] / "config" / "samples" / name
    return source.read_text("utf-8")
