"""The table of fields has botocore's keys, lengths and patterns, though some are written otherwise."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from typing import Any

import botocore.loaders
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.aws.sdk import clients as teaching
from slipway.core.requests.fields import IDENTIFIER, REPLY_FIELDS
from slipway.core.requests.models import DELETE, DEPLOY, UPDATE
from slipway.core.schema.fields import Field, value_problem

BY_NAME = {field.name: field for field in DEPLOY}
TAG_KEY, TAG_VALUE = BY_NAME["tags"].entry
MODEL: dict[str, Any] = botocore.loaders.Loader().load_service_model("bedrock", "service-2")
EXTRAS = json.loads((teaching._MODELS / "bedrock/2023-04-20/service-2.sdk-extras.json").read_text())["merge"]  # noqa: SLF001
CREATE = MODEL["shapes"]["CreateCustomModelDeploymentRequest"]


def shape(name: str) -> dict[str, Any]:
    found: dict[str, Any] = MODEL["shapes"][CREATE["members"][name]["shape"]]
    return found


def test_the_keys_are_those_of_botocore_and_our_own() -> None:
    own = {"action", "customizationJob", "requestId", "timeout", "priority", "tenant", "target"}
    own |= {"ifExists", "onFailure", "retries", "smokeTest", "expiresAfter"}
    own |= {field.name for field in REPLY_FIELDS}
    assert set(BY_NAME) == set(CREATE["members"]) | own, f"botocore {version('botocore')}"
    assert [field.name for field in DEPLOY if field.required] == CREATE["required"]


@pytest.mark.parametrize("name", ["modelDeploymentName", "modelArn", "description", "clientRequestToken"])
@settings(max_examples=200)
@given(data=st.data())
def test_the_constraints_are_botocores(name: str, data: st.DataObject) -> None:
    field, theirs = BY_NAME[name], shape(name)
    assert (field.least, field.most) == (theirs["min"], theirs["max"])
    check_same_texts(field, theirs["pattern"], data)


def test_an_update_names_what_botocores_does() -> None:
    theirs = EXTRAS["shapes"]["UpdateCustomModelDeploymentRequest"]
    own = {"action", "rollback", "smokeTest", "force", "requestId", "timeout", "tenant", "target"}
    own |= {field.name for field in REPLY_FIELDS}
    assert {field.name for field in UPDATE} == set(theirs["members"]) | own


def test_a_delete_names_what_botocores_does() -> None:
    theirs = MODEL["shapes"]["DeleteCustomModelDeploymentRequest"]
    own = {"action", "force", "ifExpired", "requestId", "timeout", "tenant", "target", *(field.name for field in REPLY_FIELDS)}
    assert {field.name for field in DELETE} == set(theirs["members"]) | own


@settings(max_examples=200)
@given(data=st.data())
def test_the_constraints_of_identifiers_are_botocores(data: st.DataObject) -> None:
    theirs = MODEL["shapes"]["CustomModelDeploymentIdentifier"]
    assert (IDENTIFIER.least, IDENTIFIER.most) == (theirs["min"], theirs["max"])
    check_same_texts(IDENTIFIER, theirs["pattern"].replace("^", ""), data)


@pytest.mark.parametrize(("field", "name"), [(TAG_KEY, "TagKey"), (TAG_VALUE, "TagValue")])
@given(data=st.data())
def test_the_constraints_of_tags_are_botocores(field: Field, name: str, data: st.DataObject) -> None:
    theirs = MODEL["shapes"][name]
    assert (field.least, field.most) == (theirs["min"], theirs["max"])
    plain_spaces_only = theirs["pattern"].replace(r"\s", " ")
    check_same_texts(field, plain_spaces_only, data)


@settings(max_examples=200)
@given(data=st.data())
def test_a_customization_job_is_named_as_botocore_would(data: st.DataObject) -> None:
    field, theirs = BY_NAME["customizationJob"], MODEL["shapes"]["ModelCustomizationJobIdentifier"]
    assert field.most == theirs["max"]
    partitions = theirs["pattern"].replace("aws(-[^:]+)?", r"aws(-[a-z0-9\-]+)?")
    check_same_texts(field, partitions, data)


def check_same_texts(field: Field, pattern: str, data: st.DataObject) -> None:
    """Whatever their pattern lets pass, ours does, and the other way round."""
    least, most = int(field.least or 0), int(field.most or 0)
    theirs = data.draw(st.from_regex(pattern, fullmatch=True).filter(lambda text: least <= len(text) <= most))
    is_reserved = theirs.lower().startswith(field.reserved) if field.reserved else False
    is_controlled = any(ord(character) < 32 or 127 <= ord(character) < 160 for character in theirs if character != "\t")
    is_line = bool({"\u2028", "\u2029"} & set(theirs))
    assert (value_problem(field, theirs) is None) != (is_reserved or is_controlled or is_line)
    ours = data.draw(st.from_regex(field.pattern or f"[{field.letters}]{{{least},99}}", fullmatch=True))
    if value_problem(field, ours) is None:
        assert re.fullmatch(pattern, ours)
