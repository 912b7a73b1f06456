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

    `$there` stands for it where a series is of a target: then only the chosen ones are shown.
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


_SHARES = ((0.5, "half"), (0.9, "nine in ten"))


def _quantiles(histogram: str) -> tuple[tuple[str, str], ...]:
    query = "histogram_quantile({}, sum by (le) (rate({}_bucket$only[6h])))"
    return tuple((query.format(share, histogram), said) for share, said in _SHARES)


def _quantiles_there(histogram: str, window: str = "6h") -> tuple[tuple[str, str], ...]:
    query = "histogram_quantile({}, sum by (le, target) (rate({}_bucket$there[{}])))"
    return tuple((query.format(share, histogram, window), f"{said}, {{{{target}}}}") for share, said in _SHARES)


ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Now",
        (
            Panel(
                "Held",
                (("sum(slipway_requests_held$only)", ""),),
                "Messages that replicas hold.",
                kind="stat",
                width=6,
                height=4,
            ),
            Panel(
                "In creation",
                (("sum(slipway_deployments_in_flight$there)", ""),),
                "Deployments that Slipway has in creation.",
                kind="stat",
                width=6,
                height=4,
            ),
            Panel(
                "Waiting for a slot",
                (("sum(slipway_requests_waiting_for_slot$there)", ""),),
                "Requests in line, in all replicas.",
                kind="stat",
                width=6,
                height=4,
            ),
            Panel(
                "Oldest request",
                (("max(slipway_oldest_request_seconds$only)", ""),),
                "Since it was first received.",
                unit="s",
                kind="stat",
                width=6,
                height=4,
            ),
        ),
    ),
    (
        "Requests",
        (
            Panel(
                "What requests wait for",
                (("sum by (reason) (slipway_requests_waiting$only)", "{{reason}}"),),
                "NoSlot is a full quota; AccessDenied and Throttled are troubles; InCreation is Bedrock at work.",
                stacked=True,
            ),
            Panel(
                "Ended, in an hour",
                (("sum by (outcome) (increase(slipway_requests_finished_total$only[1h]))", "{{outcome}}"),),
                "By outcome. Each has its event.",
                stacked=True,
            ),
            Panel(
                "From the first receipt to the outcome",
                _quantiles("slipway_request_seconds"),
                "Waits for a slot are part of it.",
                unit="s",
            ),
            Panel(
                "Creation",
                _quantiles_there("slipway_creation_seconds"),
                "How long Bedrock took to create, by its own clock.",
                unit="s",
            ),
        ),
    ),
    (
        "The targets",
        (
            Panel(
                "In line for a slot",
                (("sum by (target) (slipway_requests_waiting_for_slot$there)", "{{target}}"),),
                "Each target has a line of its own; in all replicas.",
                stacked=True,
            ),
            Panel(
                "In creation",
                (("sum by (target) (slipway_deployments_in_flight$there)", "{{target}}"),),
                "Deployments that Slipway has in creation, of all replicas.",
                stacked=True,
            ),
            Panel(
                "Deployments in the account",
                (
                    ("max by (target) (slipway_account_deployments$there)", "in all, {{target}}"),
                    ("max by (target) (slipway_account_deployments_creating$there)", "in creation, {{target}}"),
                ),
                "Everybody's, as far as Slipway has had to count them.",
            ),
            Panel(
                "Creates refused for want of a slot, in an hour",
                (("sum by (target) (increase(slipway_quota_refusals_total$there[1h]))", "{{target}}"),),
                "How the quota is learned; each refused request keeps its place in line.",
            ),
        ),
    ),
    (
        "Calls to AWS",
        (
            Panel(
                "Calls a second",
                (("sum by (operation) (rate(slipway_calls_total$only[5m]))", "{{operation}}"),),
                "Polling costs a few calls a tick, however much is in flight.",
                stacked=True,
            ),
            Panel(
                "Calls that were not applied, a second",
                (
                    (
                        'sum by (operation, answer) (rate(slipway_calls_total{answer!="Applied", $chosen}[5m]))',
                        "{{operation}} {{answer}}",
                    ),
                ),
                "Throttled calls slow their own operation down, and no other.",
                stacked=True,
            ),
            Panel(
                "Duration of a sweep",
                _quantiles_there("slipway_sweep_seconds", "30m"),
                "One look at everything in flight.",
                unit="s",
            ),
            Panel(
                "Sweeps, in an hour",
                (
                    ("sum by (target) (increase(slipway_sweeps_total$there[1h]))", "done, {{target}}"),
                    ("sum by (target) (increase(slipway_sweeps_failed_total$there[1h]))", "failed, {{target}}"),
                ),
                "While sweeps fail, ends are heard of late, and nothing else happens.",
            ),
        ),
    ),
    (
        "The daemon",
        (
            Panel(
                "Lease margin",
                (("slipway_lease_margin_seconds$only", "{{instance}}"),),
                "The shortest time for which a lease still holds: far from 0, always.",
                unit="s",
                width=8,
            ),
            Panel(
                "Lateness of the event loop",
                (
                    ("slipway_loop_lag_seconds$only", "{{instance}}"),
                    ("slipway_loop_longest_stall_seconds$only", "{{instance}}, longest ever"),
                ),
                "Beyond 5 s /livez says that the process should be restarted.",
                unit="s",
                width=8,
            ),
            Panel(
                "What should not happen, in an hour",
                (
                    ("sum(increase(slipway_faults_total$only[1h]))", "bugs"),
                    ("sum(increase(slipway_leases_lost_total$only[1h]))", "leases lost"),
                    (
                        "sum by (target) (increase(slipway_unknown_answers_total$there[1h]))",
                        "creates without an answer, {{target}}",
                    ),
                    ("sum(increase(slipway_duplicate_deliveries_total$only[1h]))", "duplicate deliveries"),
                ),
                "Only the first is a mistake; the others are weather, and are dealt with.",
                width=8,
            ),
            Panel(
                "CPU",
                (("rate(process_cpu_seconds_total$only[5m])", "{{instance}}"),),
                "Of one core.",
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
                "Beyond 5 minutes of skew AWS refuses signatures. Keys that do not run out are not shown.",
                unit="s",
                width=8,
            ),
        ),
    ),
)


def dashboard() -> dict[str, Any]:
    """Answer the dashboard as Grafana imports it: any Prometheus, any job, any instances, any targets."""
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
            "expr": query.replace("$there", f"{{{_OF_TARGETS}}}").replace("$only", "{$chosen}").replace("$chosen", _CHOSEN),
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


def main() -> None:
    """Write the dashboard."""
    DASHBOARD.write_text(json.dumps(dashboard(), indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
