"""The operation that the pinned botocore lacks: taught by its loader's own means, and left alone where it is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aiobotocore.session import AioSession

from slipway.aws.sdk.clients import UPDATE, register_update_operation


def loader_of(directory: Path | None = None) -> Any:
    loader = AioSession().get_component("data_loader")
    if directory is not None:
        loader.search_paths.insert(0, str(directory))
    return loader


def test_the_pinned_botocore_learns_it() -> None:
    loader = loader_of()
    register_update_operation(loader)
    model = loader.load_service_model("bedrock", "service-2")
    assert model["operations"][UPDATE]["http"]["method"] == "PATCH"
    assert "updateDetails" in model["shapes"]["GetCustomModelDeploymentResponse"]["members"]
    assert "status" in model["shapes"]["GetCustomModelDeploymentResponse"]["members"], "merged, and not put in its place"


def test_one_that_knows_it_keeps_its_own(tmp_path: Path) -> None:
    newer = tmp_path / "bedrock" / "2023-04-20"
    newer.mkdir(parents=True)
    (newer / "service-2.json").write_text(json.dumps({"operations": {UPDATE: {"name": UPDATE, "its": "own"}}, "shapes": {}}))
    loader = loader_of(tmp_path)
    before = list(loader.search_paths)
    register_update_operation(loader)
    assert loader.search_paths == before
    assert loader.load_service_model("bedrock", "service-2")["operations"][UPDATE]["its"] == "own"
