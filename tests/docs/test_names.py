"""Metrics, log events, alerts and settings are called on all pages what they are called in the code."""

from __future__ import annotations

import re

import pytest

from slipway.core.sqs.messages import CONTINUATION
from slipway.settings.fields import SETTINGS, variable
from slipway.settings.load import CONFIG_VARIABLE
from tests.support.cloudformation import TEMPLATE
from tests.support.log_events import MEANINGS
from tests.support.measured import metrics_table
from tests.support.readme import PAGES, ROOT

TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text("utf-8") for page in PAGES}
ENDINGS = (".py", ".toml")
"""Of files, which are called like log events."""
NOUNS = {name.partition(".")[0] for name in MEANINGS}
ALERTS = (ROOT / "config" / "grafana" / "alerts.yaml").read_text("utf-8")


@pytest.fixture(scope="module")
def metrics() -> set[str]:
    return set(re.findall(r"`(slipway_\w+)`", metrics_table()))


@pytest.mark.parametrize("page", TEXTS)
def test_metrics_log_events_alerts_and_settings_exist(page: str, metrics: set[str]) -> None:
    text = TEXTS[page]
    assert set(re.findall(r"\bslipway_[a-z_]+\b", text)) <= metrics
    said = set(re.findall(r"`([a-z]+\.[a-z_]+)`", text))
    assert {name for name in said if name.partition(".")[0] in NOUNS and not name.endswith(ENDINGS)} <= set(MEANINGS)
    assert {name for name in re.findall(r"`(Slipway[A-Z]\w+)`", text) if f"alert: {name}\n" not in ALERTS} <= {CONTINUATION}
    variables = {variable(setting.name) for setting in SETTINGS} | {CONFIG_VARIABLE}
    assert set(re.findall(r"\bSLIPWAY_[A-Z_]+\b", text)) <= variables


def test_every_alert_and_alarm_has_an_entry_in_the_runbook() -> None:
    runbook = TEXTS["docs/how-to/runbook.md"]
    entries = re.findall(r"^### (Slipway\w+)$", runbook, re.MULTILINE)
    assert entries == re.findall(r"- alert: (\w+)$", ALERTS, re.MULTILINE)
    alarms = re.findall(r'AlarmName: !Sub \["\$\{Prefix\}-([a-z-]+)"', TEMPLATE.read_text("utf-8"))
    assert sorted(re.findall(r"^\| `…-([a-z-]+)`", runbook, re.MULTILINE)) == sorted(alarms)
