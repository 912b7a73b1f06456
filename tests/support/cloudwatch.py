"""The alerts as CloudWatch alarms, with the settings of its agent: `python -m tests.support.cloudwatch` writes them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import yaml  # type: ignore[import-untyped]  # written as plain values

from tests.support.readme import ROOT

FOLDER: Final = ROOT / "config" / "deploy" / "cloudwatch"
ALERTS: Final = ROOT / "config" / "grafana" / "alerts.yaml"
NAMESPACE: Final = "Slipway"
_JOB: Final = {"job": "slipway"}
_TARGET: Final = {**_JOB, "target": {"Ref": "Target"}}


@dataclass(frozen=True)
class Alarm:
    """One alarm on one metric, or on an expression of several. `for_minutes` is how long it must be so."""

    metrics: dict[str, tuple[str, dict[str, Any], str]]
    """By id: the metric, its dimensions and its statistic. The id `m` alone needs no expression."""
    threshold: float
    period_minutes: int = 5
    for_minutes: int = 5
    comparison: str = "GreaterThanThreshold"
    expression: str = ""
    missing: str = "notBreaching"


def _one(metric: str, statistic: str, threshold: float, dimensions: dict[str, Any] | None = None, **more: Any) -> Alarm:
    return Alarm({"m": (metric, dimensions or _JOB, statistic)}, threshold, **more)


ALARMS: Final[dict[str, Alarm]] = {
    "SlipwayDown": _one("slipway_loop_lag_seconds", "SampleCount", 1, comparison="LessThanThreshold", missing="breaching"),
    "SlipwayBlocked": _one("slipway_blocked", "Maximum", 0, for_minutes=15),
    "SlipwayQuotaFull": Alarm(
        {
            "used": ("slipway_quota_used", {**_TARGET, "scope": "total"}, "Maximum"),
            "limit": ("slipway_quota_limit", {**_TARGET, "scope": "total"}, "Maximum"),
            "waiting": ("slipway_requests_waiting_for_slot", _TARGET, "Maximum"),
        },
        0,
        for_minutes=30,
        expression="IF(used >= limit AND waiting > 0, 1, 0)",
    ),
    "SlipwayFault": _one("slipway_faults_total", "Sum", 0),
    "SlipwayDenied": _one("slipway_calls_total", "Sum", 0, {**_JOB, "answer": "Denied"}, for_minutes=10),
    "SlipwaySweepsFail": Alarm(
        {
            "flying": ("slipway_deployments_in_flight", _TARGET, "Maximum"),
            "sweeps": ("slipway_sweeps_total", _TARGET, "Sum"),
        },
        0,
        for_minutes=10,
        expression="IF(flying > 0 AND FILL(sweeps, 0) == 0, 1, 0)",
    ),
    "SlipwayCredentialsRunOut": _one("slipway_credentials_left_seconds", "Minimum", 120, comparison="LessThanThreshold"),
    "SlipwayDeadLetters": _one(
        "slipway_backlog_messages", "Maximum", 0, {**_JOB, "queue": "dead_letters", "state": "visible"}, for_minutes=15
    ),
    "SlipwayQueueNotDrained": _one(
        "slipway_backlog_messages", "Minimum", 0, {**_JOB, "queue": "requests", "state": "visible"}, for_minutes=30
    ),
    "SlipwayThrottled": Alarm(
        {
            "throttled": ("slipway_calls_total", {**_JOB, "answer": "Throttled"}, "Sum"),
            "all": ("slipway_calls_total", _JOB, "Sum"),
        },
        0.2,
        for_minutes=15,
        expression="throttled / all",
    ),
    "SlipwayRequestsTimeOut": _one(
        "slipway_requests_finished_total", "Sum", 0, {**_JOB, "outcome": "TimedOut"}, period_minutes=60, for_minutes=60
    ),
    "SlipwayMostFail": Alarm(
        {
            "failed": ("slipway_requests_finished_total", {**_JOB, "outcome": "Failed"}, "Sum"),
            "all": ("slipway_requests_finished_total", _JOB, "Sum"),
        },
        0.5,
        period_minutes=360,
        for_minutes=360,
        expression="IF(all >= 4, failed / all, 0)",
    ),
    "SlipwayRejects": _one(
        "slipway_requests_finished_total", "Sum", 4, {**_JOB, "outcome": "Rejected"}, period_minutes=60, for_minutes=60
    ),
    "SlipwayOldRequest": _one("slipway_oldest_request_seconds", "Maximum", 5400),
    "SlipwayLeasesLost": _one("slipway_leases_lost_total", "Sum", 0, period_minutes=15, for_minutes=15),
    "SlipwayLeaseMarginLow": _one("slipway_lease_margin_seconds", "Minimum", 20, comparison="LessThanThreshold"),
    "SlipwayLoopLate": _one("slipway_loop_lag_seconds", "Maximum", 1),
    "SlipwayClockWrong": Alarm(
        {"skew": ("slipway_clock_skew_seconds", _JOB, "Average")}, 60, for_minutes=10, expression="ABS(skew)"
    ),
    "SlipwayLogLinesLost": _one("slipway_log_lines_lost_total", "Sum", 0, period_minutes=15, for_minutes=15),
}
"""By the name of the alert in config/grafana."""


def agent() -> dict[str, Any]:
    """Return the settings of the CloudWatch agent: which metrics it takes from its Prometheus scrape, with which dimensions."""
    selected: dict[tuple[str, ...], set[str]] = {}
    for alarm in ALARMS.values():
        for metric, dimensions, _ in alarm.metrics.values():
            selected.setdefault(tuple(dimensions), set()).add(metric)
    declarations = [
        {
            "source_labels": ["job"],
            "label_matcher": "^slipway$",
            "dimensions": [list(dimensions)],
            "metric_selectors": [f"^{metric}$" for metric in sorted(metrics)],
        }
        for dimensions, metrics in sorted(selected.items())
    ]
    emf = {"metric_namespace": NAMESPACE, "metric_declaration": declarations}
    path = "/etc/cloudwatch-agent/prometheus.yaml"
    prometheus = {"prometheus_config_path": path, "log_group_name": "/slipway/metrics", "emf_processor": emf}
    return {"logs": {"metrics_collected": {"prometheus": prometheus}, "force_flush_interval": 30}}


def template() -> str:
    """Return the CloudFormation template with the alarms."""
    document = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "CloudWatch alarms on the metrics of Slipway, as the CloudWatch agent publishes them",
        "Parameters": {
            "AlarmTopicArn": {"Type": "String", "Default": "", "Description": "SNS topic for notifications; empty for none"},
            "Target": {"Type": "String", "Default": "default", "Description": "Target whose quota and sweeps are watched"},
        },
        "Conditions": {"HasTopic": {"Fn::Not": [{"Fn::Equals": [{"Ref": "AlarmTopicArn"}, ""]}]}},
        "Resources": {name: _resource(name, alarm) for name, alarm in ALARMS.items()},
    }
    head = "# Generated by `python -m tests.support.cloudwatch`: the alerts of config/grafana/alerts.yaml for CloudWatch.\n"
    copied = json.loads(json.dumps(document))  # without shared objects, for which YAML has aliases
    return head + str(yaml.safe_dump(copied, sort_keys=False, width=120, default_flow_style=False))


def _resource(name: str, alarm: Alarm) -> dict[str, Any]:
    summaries = {
        rule["alert"]: rule["annotations"]
        for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
        for rule in group["rules"]
    }
    said = summaries[name]
    queries: list[dict[str, Any]] = [
        {"Id": key, "ReturnData": key == "m", "MetricStat": _statistic(metric, dimensions, statistic, alarm.period_minutes)}
        for key, (metric, dimensions, statistic) in alarm.metrics.items()
    ]
    if alarm.expression:
        queries.append({"Id": "alarm", "Expression": alarm.expression, "Label": name, "ReturnData": True})
    actions = {"Fn::If": ["HasTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}
    properties: dict[str, Any] = {
        "AlarmDescription": f"{said['description']} See {said['runbook']}",
        "ComparisonOperator": alarm.comparison,
        "Threshold": alarm.threshold,
        "EvaluationPeriods": max(1, alarm.for_minutes // alarm.period_minutes),
        "TreatMissingData": alarm.missing,
        "Metrics": queries,
        "AlarmActions": actions,
        "OKActions": actions,
    }
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}


def _statistic(metric: str, dimensions: dict[str, Any], statistic: str, period_minutes: int) -> dict[str, Any]:
    pairs = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    return {
        "Metric": {"Namespace": NAMESPACE, "MetricName": metric, "Dimensions": pairs},
        "Period": 60 * period_minutes,
        "Stat": statistic,
    }


FILES: Final = {"agent.json": lambda: json.dumps(agent(), indent=2) + "\n", "alarms.yaml": template}


def main() -> None:
    """Write the files."""
    for name, text in FILES.items():
        (FOLDER / name).write_text(text(), "utf-8")


if __name__ == "__main__":
    main()
