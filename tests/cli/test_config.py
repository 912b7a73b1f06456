"""`slipway triggers test`: the rule, the request, and an exit code for scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from slipway.cli.main import app
from tests.support.readme import ROOT, SAMPLES

RULES = str(ROOT / "config" / "triggers.toml")
EVENT = (SAMPLES / "bedrock-job-completed.json").read_text("utf-8")


def ran(*arguments: str, given: str | None = None, **environment: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["triggers", "test", *arguments], input=given, env=environment)
    return result.exit_code, result.stdout, result.stderr


def test_a_matching_event_shows_its_rule_and_its_request() -> None:
    code, out, err = ran(str(SAMPLES / "bedrock-job-completed.json"), "--triggers", RULES)
    assert (code, err) == (0, "slipway: matched by trigger bedrock-customization-completed\n")
    shown = json.loads(out)
    assert shown == {
        "modelDeploymentName": "support-tune-2026-11-23",
        "customizationJob": json.loads(EVENT)["detail"]["jobName"],
        "requestId": json.loads(EVENT)["id"],
    }


def test_an_event_may_come_from_standard_input_and_the_rules_from_the_environment() -> None:
    code, out, _ = ran(given=EVENT, SLIPWAY_TRIGGERS=RULES)
    assert code == 0
    assert json.loads(out)["requestId"] == json.loads(EVENT)["id"]


def test_an_event_that_no_rule_matches() -> None:
    code, out, err = ran("-", "--triggers", RULES, given=EVENT.replace('"Completed"', '"Stopped"'))
    assert (code, out) == (1, "")
    assert err.startswith("slipway: no trigger matches Model Customization Job State Change of aws.bedrock")


def test_what_is_no_event_is_shown_as_it_is_and_a_pipeline_that_stops_is_no_request() -> None:
    plain = (SAMPLES / "plain.json").read_text("utf-8")
    code, out, err = ran("-", "--triggers", RULES, given=plain)
    assert (code, json.loads(out), err) == (0, json.loads(plain), "slipway: not an event: this is a request already\n")
    code, out, err = ran("-", "--triggers", RULES, given='{"token": "Qk3vX9aZ1b", "status": "Stopping"}')
    assert (code, out, err) == (
        1,
        "",
        "slipway: no request: the pipeline is being stopped; its step would be answered, and its request cancelled\n",
    )


def test_an_event_that_would_be_rejected() -> None:
    code, out, err = ran("-", "--triggers", RULES, given=EVENT.replace('"jobName"', '"job"'))
    assert (code, out) == (1, "")
    assert "the request would be rejected (TriggerUnfilled)" in err
    assert "{detail.jobName}" in err


def test_without_an_event_of_json_or_rules_nothing_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLIPWAY_TRIGGERS", raising=False)
    assert ran("-", "--triggers", RULES, given="{")[0] == 1
    assert ran(str(tmp_path / "none.json"), "--triggers", RULES)[0] == 2
    code, _, err = ran("-", given=EVENT)
    assert (code, err) == (2, "slipway: there are no triggers; name their file with --triggers or SLIPWAY_TRIGGERS\n")
    wrong = tmp_path / "triggers.toml"
    wrong.write_text("[[trigger]]\n", "utf-8")
    code, _, err = ran("-", "--triggers", str(wrong), given=EVENT)
    assert code == 2
    assert "rule 1: name is missing" in err


def test_the_targets_are_those_of_the_settings(tmp_path: Path) -> None:
    settings = tmp_path / "own.toml"
    settings.write_text(
        '[targets.research]\nregion = "us-west-2"\nrole_arn = "arn:aws:iam::210987654321:role/slipway"\nnames = ["bot-*"]\n'
    )
    rules = tmp_path / "triggers.toml"
    rules.write_text("""
[[trigger]]
name = "trained"
pattern = '{"source": ["training"]}'
[trigger.request]
modelDeploymentName = "{detail.name}"
modelArn = "arn:aws:bedrock:us-west-2:210987654321:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"
target = "research"
""")

    def of(name: str, **place: str) -> str:
        event = {"source": "training", "detail-type": "Done", "id": "e-1", "detail": {"name": name}} | place
        return json.dumps(event)

    here = {"account": "123456789012", "region": "us-east-1"}
    code, out, err = ran("-", "--config", str(settings), given=of("bot-1", **here))
    assert (code, json.loads(out)["target"]) == (0, "research"), err
    assert ran("-", "--config", str(settings), given=of("bot-1", account="210987654321", region="us-west-2"))[0] == 0
    code, _, err = ran("-", "--config", str(settings), given=of("other", **here))
    assert (code, "is not allowed by the rule names of target research" in err) == (1, True)
    code, _, err = ran("-", "--triggers", str(rules), given=of("bot-1", **here))
    assert (code, "use one of default" in err) == (1, True)
    topic = "arn:aws:sns:us-west-2:210987654321:events"
    code, _, err = ran("-", "--config", str(settings), given=of("bot-1", **here), SLIPWAY_TOPIC_ARN=topic)
    assert code == 0, f"the topic may be in a central account, which says nothing of the default target: {err}"


PERMISSIONS = str(ROOT / "config" / "permissions.toml")
TEAM = "AROAEXAMPLESUPPORT001:ci"


def tried(*arguments: str, given: str | None = None, **environment: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["permissions", "test", *arguments], input=given, env=environment)
    return result.exit_code, result.stdout, result.stderr


def test_a_permitted_request_shows_its_rule_and_its_tags() -> None:
    code, out, err = tried(str(SAMPLES / "plain.json"), "--sender", TEAM, "--permissions", PERMISSIONS)
    assert (code, out, err) == (0, "permitted by rule support\ntag team=support\ntag cost-center=4711\n", "")
    code, out, _ = tried("-", "--sender", "AROAX:y", given=EVENT, SLIPWAY_TRIGGERS=RULES, SLIPWAY_PERMISSIONS=PERMISSIONS)
    assert (code, out) == (0, "permitted by rule everybody-else\n")
    elsewhere = (
        (SAMPLES / "plain.json").read_text("utf-8").replace("us-east-1", "us-west-2").replace("{", '{"target": "west",', 1)
    )
    code, _, err = tried("-", "--sender", TEAM, "--permissions", PERMISSIONS, given=elsewhere)
    assert (code, err.split(",")[0]) == (
        1,
        'slipway: the request would be rejected (NotPermitted): rule "support" does not permit target "west"',
    )


def test_a_request_that_would_be_rejected_or_rules_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLIPWAY_PERMISSIONS", raising=False)
    delete = (SAMPLES / "delete.json").read_text("utf-8")
    code, out, err = tried("-", "--sender", "AROAX:y", "--permissions", PERMISSIONS, given=delete)
    assert (code, out) == (1, "")
    assert err.startswith(
        'slipway: the request would be rejected (NotPermitted): rule "everybody-else" does not permit action "delete"'
    )
    assert tried("-", "--sender", TEAM, "--permissions", PERMISSIONS, given="{")[0] == 1
    assert tried(str(tmp_path / "none.json"), "--sender", TEAM, "--permissions", PERMISSIONS)[0] == 2
    code, _, err = tried("-", "--sender", TEAM, given=delete)
    assert (code, err) == (2, "slipway: there are no permissions; name their file with --permissions or SLIPWAY_PERMISSIONS\n")
    wrong = tmp_path / "permissions.toml"
    wrong.write_text("[[rule]]\n", "utf-8")
    code, _, err = tried("-", "--sender", TEAM, "--permissions", str(wrong), given=delete)
    assert (code, err.split(": ", 2)[2]) == (
        2,
        "rule 1: name is missing; use 1 to 64 letters, digits, and . _ - after the first\n",
    )
