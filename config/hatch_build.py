"""Build hook: make the README's links absolute, so that they work on a package index."""  # noqa: INP001  loaded by its path

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_RELATIVE_LINK = re.compile(r"(!?\[[^\]]*\]\()(?!https?://|#|mailto:)([^)]+)\)")


class AbsoluteLinks(MetadataHookInterface):
    """Set `readme` to README.md with links to the repository of `[project.urls]`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the readme of the built distributions."""
        text = (Path(self.root) / "README.md").read_text("utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": absolute(text, metadata["urls"]["Source"])}


def absolute(text: str, repository: str) -> str:
    """Return a page of the repository's root with absolute links: pictures to their content, other links to their pages."""
    return _RELATIVE_LINK.sub(
        lambda found: f"{found[1]}{repository}/{'raw' if found[1].startswith('!') else 'blob'}/main/{found[2]})", text
    )
