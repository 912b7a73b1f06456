"""What wraps the SDK, as X-Ray and other APMs do, breaks no call."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.aws.test_wire_matrix import OPERATIONS


def test_every_operation_works_under_the_xray_sdks_patch() -> None:
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.aws.xray"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((".", "service"))},
    )
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert told["without"] == dict.fromkeys(OPERATIONS, "applied")
    assert told["within"] == dict.fromkeys(OPERATIONS, "applied")
    assert set(told["others"].values()) == {"applied"}, told["others"]
    assert told["sender"] == "u"
    assert "CreateCustomModelDeployment" in told["recorded"], "the patch is what made the calls"
