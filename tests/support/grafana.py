"""The Grafana dashboard, made from a table: `python -m tests.support.grafana` writes it, a test holds it to the code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.support.readme import ROOT

FOLDER = ROOT / "config" / "grafana"
DASHBOARD = FOLDER / "dashboard.json"
COLUMNS = 24
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_CHOSEN = 'job=~"$job", instance=~"$instance"'
_OF_TARGETS = f'{_CHOSEN}, target=~"$target"'


@dataclass(frozen=True)
class Panel:
    """One picture. In a query `$only`, or within braces `$chosen`, stands for what is chosen on top of the page.

    `$there` (within braces `$chosen_there`) stands for it where a series is of a target: then only the chosen ones are shown.
    """

    title: str
    queries: tuple[tuple[str, str], ...]
    """Each with its legend."""
    why: str
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 12
    height: int = 8
    stacked: bool = False


_SHARES = ((0.5, "p50"), (0.9, "p90"))


def _quantiles_there(histogram: str, window: str = "6h") -> tuple[tuple[str, str], ...]:
    query = "histogram_quantile({}, sum by (le, target) (rate({}_bucket$there[{}])))"
    return tuple((query.format(share, histogram, window), f"{said}, {{{{target}}}}") for share, said in _SHARES)


def _number(title: str, query: str, why: str, unit: str = "short") -> Panel:
    """A small panel with one number."""
    return Panel(title, ((query, ""),), why, unit=unit, kind="stat", width=4, height=4)


ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Now",
        (
            _number("Requests in progress", "sum(slipway_requests_held$there)", "In all replicas, whatever they wait for."),
            _number("Deployments in creation", "sum(slipway_deployments_in_flight$there)", "Those that Slipway watches."),
            _number(
                "Requests waiting for a slot",
                "sum(slipway_requests_waiting_for_slot$there)",
                "In the fair queues of all replicas.",
            ),
            _number(
                "Oldest request",
                "max(slipway_oldest_request_seconds$only)",
                "Since its first receipt. No value: no request is in progress.",
                unit="s",
            ),
            _number(
                "Blocked replicas",
                "sum(slipway_blocked$only)",
                "Requests wait there, and only a person can let them continue: see the status page.",
            ),
            _number(
                "Dead letters",
                'max(slipway_backlog_messages{queue="dead_letters", state="visible", $chosen})',
                "Messages in the dead-letter queue. No value: not known.",
            ),
        ),
    ),
    (
        "Requests",
        (
            Panel(
                "Requests by what they wait for",
                (("sum by (target, reason) (slipway_requests_waiting$there) > 0", "{{reason}}, {{target}}"),),
                "NoSlot: the quota is full. InCreation: Bedrock creates the deployment. AccessDenied: a permission is missing.",
                stacked=True,
            ),
            Panel(
                "Finished requests per hour",
                (
                    (
                        "sum by (target, outcome) (increase(slipway_requests_finished_total$there[1h])) > 0",
                        "{{outcome}}, {{target}}",
                    ),
                ),
                "By outcome. Each has an event.",
                stacked=True,
            ),
            Panel(
                "Time from receipt to outcome",
                _quantiles_there("slipway_request_seconds"),
                "Includes the wait for a slot.",
                unit="s",
            ),
            Panel(
                "Creation time",
                _quantiles_there("slipway_creation_seconds"),
                "From the creation of a deployment until it is Active or Failed, by Bedrock's clock.",
                unit="s",
            ),
            Panel(
                "Messages in the queues",
                (("max by (queue, state) (slipway_backlog_messages$only)", "{{queue}}, {{state}}"),),
                "As SQS counts them. In flight: received by a replica.",
            ),
            Panel(
                "Problems by reason",
                (("max by (reason) (slipway_problems$only) > 0", "{{reason}}"),),
                "What the replicas report on their status pages.",
                stacked=True,
            ),
        ),
    ),
    (
        "Quotas and targets",
        (
            Panel(
                "Quota of deployments in total",
                (
                    ('max by (target) (slipway_quota_used{scope="total", $chosen_there})', "used, {{target}}"),
                    ('max by (target) (slipway_quota_limit{scope="total", $chosen_there})', "limit, {{target}}"),
                ),
                "Everybody's deployments. If used is at the limit, only a delete frees a slot. No limit: it is not known.",
            ),
            Panel(
                "Quota of deployments in creation",
                (
                    ('max by (target) (slipway_quota_used{scope="creating", $chosen_there})', "used, {{target}}"),
                    ('max by (target) (slipway_quota_limit{scope="creating", $chosen_there})', "limit, {{target}}"),
                ),
                "Slots become free when creations end.",
            ),
            Panel(
                "Requests by target",
                (
                    ("sum by (target) (slipway_requests_held$there)", "in progress, {{target}}"),
                    ("sum by (target) (slipway_requests_waiting_for_slot$there)", "waiting for a slot, {{target}}"),
                ),
                "Each target has a fair queue of its own.",
            ),
            Panel(
                "Deployments in creation",
                (("sum by (target) (slipway_deployments_in_flight$there)", "{{target}}"),),
                "Those that Slipway watches, in all replicas.",
                stacked=True,
            ),
            Panel(
                "Creates refused because of a quota, per hour",
                (("sum by (target) (increase(slipway_quota_refusals_total$there[1h]))", "{{target}}"),),
                "How limits are learned. A refused request keeps its queue position.",
            ),
        ),
    ),
    (
        "Calls to AWS",
        (
            Panel(
                "Calls per second",
                (("sum by (operation) (rate(slipway_calls_total$only[5m]))", "{{operation}}"),),
                "A sweep costs a few calls, however many deployments are in flight.",
                stacked=True,
            ),
            Panel(
                "Calls not applied, per second",
                (
                    (
                        'sum by (operation, answer) (rate(slipway_calls_total{answer!="Applied", $chosen}[5m]))',
                        "{{operation}} {{answer}}",
                    ),
                ),
                "Throttled, denied, refused or unanswered. A throttled operation is called more slowly; others are not.",
                stacked=True,
            ),
            Panel(
                "Duration of a sweep",
                _quantiles_there("slipway_sweep_seconds", "30m"),
                "One List pass over all deployments in flight.",
                unit="s",
            ),
            Panel(
                "Sweeps per hour",
                (
                    ("sum by (target) (increase(slipway_sweeps_total$there[1h]))", "completed, {{target}}"),
                    ("sum by (target) (increase(slipway_sweeps_failed_total$there[1h]))", "failed, {{target}}"),
                ),
                "While sweeps fail, outcomes are noticed late.",
            ),
        ),
    ),
    (
        "The daemon",
        (
            Panel(
                "Shortest remaining lease",
                (("slipway_lease_margin_seconds$only", "{{instance}}"),),
                "Of all messages in progress. Near 0 another replica may receive a message.",
                unit="s",
                width=8,
            ),
            Panel(
                "Delay of the event loop",
                (
                    ("slipway_loop_lag_seconds$only", "{{instance}}"),
                    ("slipway_loop_longest_stall_seconds$only", "{{instance}}, longest since the start"),
                ),
                "Beyond 5 s /livez fails, and the process is restarted.",
                unit="s",
                width=8,
            ),
            Panel(
                "Faults per hour",
                (
                    ("sum(increase(slipway_faults_total$only[1h]))", "exceptions (bugs)"),
                    ("sum(increase(slipway_leases_lost_total$only[1h]))", "leases lost"),
                    (
                        "sum by (target) (increase(slipway_unknown_answers_total$there[1h]))",
                        "creates without an answer, {{target}}",
                    ),
                    ("sum(increase(slipway_duplicate_deliveries_total$only[1h]))", "duplicate deliveries"),
                ),
                "Only exceptions are bugs. The others are handled.",
                width=8,
            ),
            Panel(
                "CPU",
                (("rate(process_cpu_seconds_total$only[5m])", "{{instance}}"),),
                "Share of one core.",
                unit="percentunit",
                width=8,
            ),
            Panel("Memory", (("process_resident_memory_bytes$only", "{{instance}}"),), "Resident.", unit="bytes", width=8),
            Panel(
                "Clock and credentials",
                (
                    ("slipway_clock_skew_seconds$only", "{{instance}}, clock ahead of AWS's"),
                    ("slipway_credentials_left_seconds$only", "{{instance}}, credentials valid for"),
                ),
                "Beyond 5 minutes of skew AWS refuses signatures. Credentials that do not expire are not shown.",
                unit="s",
                width=8,
            ),
        ),
    ),
)


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it: any Prometheus, any job, any instances, any targets."""
    return {
        "title": "Slipway",
        "uid": "slipway",
        "description": "A deployment daemon for Amazon Bedrock custom models: requests from SQS, outcomes to SNS.",
        "tags": ["slipway", "bedrock"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                _source(),
                _chosen("job", "slipway_build_info"),
                _chosen("instance", 'slipway_build_info{job=~"$job"}'),
                _chosen("target", f"slipway_requests_waiting_for_slot{{{_CHOSEN}}}"),
            ]
        },
        "panels": _panels(),
    }


def _source() -> dict[str, Any]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _chosen(label: str, series: str) -> dict[str, Any]:
    query = {"query": f"label_values({series}, {label})", "refId": label}
    return {"name": label, "type": "query", "datasource": _SOURCE, "query": query, "refresh": 2, "multi": True,
            "includeAll": True, "current": {"text": "All", "value": "$__all"}}  # fmt: skip


def _panels() -> list[dict[str, Any]]:
    numbers, made, y = count(1), list[dict[str, Any]](), 0
    for title, panels in ROWS:
        place = {"h": 1, "w": COLUMNS, "x": 0, "y": y}
        made.append({"id": next(numbers), "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []})
        x, y = 0, y + 1
        for panel in panels:
            if x + panel.width > COLUMNS:
                x, y = 0, y + panel.height
            made.append(_panel(panel, next(numbers), {"h": panel.height, "w": panel.width, "x": x, "y": y}))
            x += panel.width
        y += panels[-1].height
    return made


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + at),
            "datasource": _SOURCE,
            "expr": query.replace("$there", f"{{{_OF_TARGETS}}}")
            .replace("$chosen_there", _OF_TARGETS)
            .replace("$only", "{$chosen}")
            .replace("$chosen", _CHOSEN),
            "legendFormat": legend,
        }
        for at, (query, legend) in enumerate(panel.queries)
    ]
    custom = {"fillOpacity": 15, "lineWidth": 2, "showPoints": "never"}
    if panel.stacked:
        custom |= {"stacking": {"mode": "normal"}}
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0} | ({"custom": custom} if panel.kind == "timeseries" else {})
    if "skew" in str(panel.queries):
        del defaults["min"]
    return {"id": number, "type": panel.kind, "title": panel.title, "description": panel.why, "datasource": _SOURCE,
            "gridPos": place, "targets": targets, "fieldConfig": {"defaults": defaults, "overrides": []}}  # fmt: skip


def _query(text: str) -> str:
    """Return a query with what is chosen on top of the page."""
    there = text.replace("$there", "{$chosen_there}").replace("$chosen_there", _OF_TARGETS)
    return there.replace("$only", "{$chosen}").replace("$chosen", _CHOSEN)


def main() -> None:
    """Write the dashboard."""
    DASHBOARD.write_text(json.dumps(dashboard(), indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
