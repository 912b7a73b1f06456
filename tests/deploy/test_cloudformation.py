"""The CloudFormation template as AWS's own specification sees it."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.deploy.tools import FOLDER, tool
from tests.support.cloudformation import TEMPLATE
from tests.support.readme import ROOT


def test_the_template_has_no_finding() -> None:
    assert tool("cfn-lint", str(TEMPLATE.relative_to(ROOT))) == ""


@pytest.mark.parametrize("name", ["policy.json", "operator-policy.json"])
def test_permissions_name_resources_that_their_actions_are_about(name: str) -> None:
    tool("cfn-lint", "--version")
    (path,) = FOLDER.glob("lib/python*/site-packages/cfnlint/data/AdditionalSpecs/Policies.json")
    services = json.loads(path.read_text("utf-8"))
    policy: Any = json.loads((ROOT / "config" / "deploy" / name).read_text("utf-8"))
    for statement in policy["Statement"]:
        given = statement["Resource"]
        resources = [given] if isinstance(given, str) else given
        for action in statement["Action"]:
            service, _, operation = action.partition(":")
            types = services[service]["Actions"][operation.lower()].get("Resources", [])
            formats = [text for kind in types for text in services[service]["Resources"][kind]["ARNFormats"]]
            if not formats:
                assert resources == ["*"], f"{action} has no resource type"
            elif resources != ["*"]:
                assert any(fnmatchcase(arn, glob(text)) for arn in resources for text in formats), action
            else:
                assert statement["Sid"] == "AnswerCallbacks", f"{action} could name its resource"


def glob(text: str) -> str:
    """Return the pattern of an ARN of AWS's specification, as in `arn:${Partition}:sqs:${Region}:${Account}:.*`."""
    return re.sub(r"\$\{\w+\}|\.\*", "*", text)
