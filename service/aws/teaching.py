"""What the pinned botocore does not know yet, taught by its own means: a directory more where its loader looks for models."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

UPDATE: Final = "UpdateCustomModelDeployment"
_MODELS: Final = Path(__file__).parent / "models"


def teach_update(loader: Any) -> None:  # noqa: ANN401  botocore has no types
    """Let clients made from this loader know UpdateCustomModelDeployment; a botocore that has it already keeps its own.

    Before the first client is made. What is looked at to see whether it is there the loader keeps, for the client to use.
    """
    version = loader.determine_latest_version("bedrock", "service-2")
    known = loader.load_data(f"bedrock/{version}/service-2")["operations"]
    if UPDATE not in known:
        loader.search_paths.append(str(_MODELS))
