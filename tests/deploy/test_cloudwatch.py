"""The alarms for CloudWatch are the alerts, on metrics that exist, and have the form that CloudFormation takes."""

from __future__ import annotations

import re

import pytest
import yaml  # type: ignore[import-untyped]  # read as plain values

from tests.deploy.tools import tool
from tests.support.cloudwatch import ALARMS, ALERTS, FILES, FOLDER, agent
from tests.support.measured import measured
from tests.support.readme import ROOT


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_what_the_table_makes(name: str) -> None:
    assert (FOLDER / name).read_text("utf-8") == FILES[name](), "python -m tests.support.cloudwatch writes it"


def test_there_is_an_alarm_for_each_alert() -> None:
    groups = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    assert list(ALARMS) == [rule["alert"] for group in groups for rule in group["rules"]]


def test_every_alarm_is_on_a_metric_with_these_labels_and_the_agent_publishes_it() -> None:
    labels = {sample.name: set(sample.labels) for metric in measured()[0] for sample in metric.samples}
    declared = {
        (selector.strip("^$"), tuple(given["dimensions"][0]))
        for given in agent()["logs"]["metrics_collected"]["prometheus"]["emf_processor"]["metric_declaration"]
        for selector in given["metric_selectors"]
    }
    for name, alarm in ALARMS.items():
        for metric, dimensions, _ in alarm.metrics.values():
            assert set(dimensions) - {"job"} <= labels[metric], name
            assert (metric, tuple(dimensions)) in declared, name
        ids = set(re.findall(r"\b[a-z]+\b", alarm.expression))
        assert ids <= set(alarm.metrics), name
        assert bool(alarm.expression) == ("m" not in alarm.metrics), name


def test_the_template_has_no_finding() -> None:
    assert tool("cfn-lint", str((FOLDER / "alarms.yaml").relative_to(ROOT))) == ""
