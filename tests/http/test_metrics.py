"""The metrics, by Prometheus's conventions; and the dashboard and the alerts, which name no others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

import pytest
import yaml  # type: ignore[import-untyped]  # read as plain values, which are checked
from prometheus_client import Metric

from slipway.core.call_errors import CallFailed
from slipway.core.lifecycle.outcomes import WAITS, OutcomeKind, Reason
from slipway.http.health import LoopLagMonitor
from slipway.http.metrics import Measures
from slipway.logs import Losses
from slipway.settings.load import default_values
from tests.simulator.simulation import World
from tests.simulator.virtual_loop import run
from tests.support.diagnosis import diagnosis_of
from tests.support.grafana import COLUMNS, DASHBOARD, FOLDER, dashboard
from tests.support.measured import measured

ANSWERS = {"Applied", *(kind.__name__ for kind in CallFailed.__subclasses__())}
SCOPES = {"creating", "total"}
MOST_VALUES = 40
"""Of one label: outcomes, reasons, operations, answers. Never what comes from a request."""
OF_TARGETS = {"job", "instance"}
"""Labels that Prometheus gives to whatever it scrapes."""
WORDS = re.compile(r"sum|max|min|abs|rate|increase|histogram_quantile|by|without|and|or|unless|on|ignoring|bool|offset")


@pytest.fixture(scope="module")
def own() -> list[Metric]:
    return measured()[0]


def series(metrics: list[Metric]) -> dict[str, dict[str, set[str]]]:
    """Return the values of each label, by the name of the series as queries name it."""
    found: dict[str, dict[str, set[str]]] = {}
    for metric in metrics:
        for sample in metric.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


def test_names_are_by_the_conventions(own: list[Metric]) -> None:
    for metric in own:
        name = metric.name
        assert re.fullmatch(r"slipway_[a-z]+(_[a-z]+)*", name)
        assert not re.search(r"milli|micro|minute|hour|percent|ratio_|kilo|mega", name), "base units"
        assert "seconds" not in name or name.endswith("_seconds"), "the unit is the last word"
        assert not name.endswith(("_total", "_count", "_sum", "_bucket", "_info", "_created")), "what the library adds"
        assert not re.search(r"_(counter|gauge|histogram|summary)$", name), "no type in a name"
        for sample in metric.samples:
            assert sample.name.endswith("_total") == (metric.type == "counter"), "counters, and they alone"
            for label in sample.labels:
                assert re.fullmatch(r"[a-z]+(_[a-z]+)*", label)
                assert label not in OF_TARGETS
                assert label not in name.split("_"), "what a label says is not said by the name"


def test_each_says_what_it_is_once(own: list[Metric]) -> None:
    texts = [metric.documentation for metric in own]
    assert len(texts) == len(set(texts))
    assert all(text[0].isupper() and text.endswith(".") for text in texts)
    names = [metric.name for metric in own]
    assert len(names) == len(set(names))


def test_more_requests_make_no_more_series(own: list[Metric]) -> None:
    many = series(measured(requests=40)[0])
    few = series(own)
    assert set(many) == set(few)
    for name, labels in many.items():
        for label, values in labels.items():
            assert len(values) <= MOST_VALUES
            assert label == "le" or not any(re.search(r"bot-|r-\d|t-\d", value) for value in values), (name, label)


def test_labels_have_the_words_that_are_used_everywhere(own: list[Metric]) -> None:
    found = series(own)
    assert found["slipway_requests_finished_total"]["outcome"] <= set(OutcomeKind)
    waits = next(metric for metric in own if metric.name == "slipway_requests_waiting")
    assert {sample.labels["reason"] for sample in waits.samples if sample.value} == {Reason.NO_SLOT, Reason.IN_CREATION}
    assert found["slipway_requests_waiting"]["reason"] == set(WAITS), "also those that are 0"
    assert found["slipway_calls_total"]["answer"] <= ANSWERS


def queries() -> Iterator[str]:
    """All that is asked of Prometheus by the dashboard and by the alerts."""
    made = json.loads(DASHBOARD.read_text("utf-8"))
    for variable in made["templating"]["list"][1:]:
        yield variable["query"]["query"]
    for panel in made["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))
    for rule in rules():
        yield str(rule["expr"])


def rules() -> list[Mapping[str, object]]:
    groups = yaml.safe_load((FOLDER / "alerts.yaml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture(scope="module")
def known(own: list[Metric]) -> dict[str, dict[str, set[str]]]:
    return series(own) | series(measured()[1]) | {"up": {}}


@pytest.mark.parametrize("query", sorted(set(queries())))
def test_every_query_names_what_there_is(query: str, known: dict[str, dict[str, set[str]]]) -> None:
    labels: set[str] = set(OF_TARGETS)
    values: dict[str, set[str]] = {}
    listed = re.fullmatch(r"label_values\((.*), (\w+)\)", query)
    query = listed[1] if listed else query
    bare = re.sub(r'"[^"]*"', '""', query)
    assert bare.count("(") == bare.count(")")
    metrics = set(re.findall(r"\b[a-z_]+\b(?!\s*\()", re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|without|on) \([^)]*\)", "", bare)))
    metrics = {word for word in metrics if not WORDS.fullmatch(word)} - OF_TARGETS
    assert metrics
    for metric in metrics:
        assert metric in known, metric
        labels |= known[metric].keys()
        for label, said in known[metric].items():
            values.setdefault(label, set()).update(said)
    assert not listed or listed[2] in labels
    for selected in re.findall(r"\{([^}]*)\}", query):
        for label, value in re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"', selected):
            assert label in labels, label
            if label in values and value != f"${label}":
                assert value in values[label] | SCOPES | ANSWERS | set(OutcomeKind) | set(Reason), value
    for grouped in re.findall(r"\b(?:by|without|on) \(([^)]*)\)", query):
        assert {label.strip() for label in grouped.split(",")} <= labels, grouped


def test_each_panel_shows_the_chosen_targets_wherever_there_are_some(known: dict[str, dict[str, set[str]]]) -> None:
    made = json.loads(DASHBOARD.read_text("utf-8"))
    variables = {variable["name"]: variable for variable in made["templating"]["list"]}
    assert variables["target"]["multi"]
    asked: set[str] = set()
    by_target: set[str] = set()
    for panel in made["panels"]:
        for query in (target["expr"] for target in panel.get("targets", [])):
            selected = dict(re.findall(r"(\w+)\{([^}]*)\}", query))
            there = {metric for metric in selected if "target" in known[metric]}
            assert there == {metric for metric, chosen in selected.items() if 'target=~"$target"' in chosen}, panel["title"]
            asked |= there
            by_target |= there if re.search(r"by \([^)]*\btarget\b", query) else set()
    assert by_target == asked
    assert asked >= {"slipway_requests_waiting_for_slot", "slipway_deployments_in_flight", "slipway_creation_seconds_bucket"}


def test_the_dashboard_is_what_the_code_makes_and_its_panels_do_not_overlap() -> None:
    made = json.loads(DASHBOARD.read_text("utf-8"))
    assert made == dashboard(), "python -m tests.support.grafana writes it"
    taken: set[tuple[int, int]] = set()
    for panel in made["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + dx, place["y"] + dy) for dx in range(place["w"]) for dy in range(place["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < COLUMNS
        taken |= cells
    assert len({panel["id"] for panel in made["panels"]}) == len(made["panels"])


def test_every_metric_of_the_daemon_is_on_the_dashboard_or_in_an_alert_or_is_told_elsewhere(own: list[Metric]) -> None:
    elsewhere = {
        "slipway_messages_received", "slipway_leases_extended", "slipway_events_published", "slipway_events_unmatched",
        "slipway_adoptions", "slipway_settlements", "slipway_replies", "slipway_requests_waiting_for_turn",
        "slipway_events_given_up", "slipway_requests_put_off", "slipway_requests_postponed", "slipway_dead_letters",
    }  # fmt: skip
    asked = " ".join(queries())
    unasked = {metric.name for metric in own if metric.name not in asked}
    assert unasked == elsewhere


def test_every_alert_says_what_is_so_and_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        said = rule["annotations"]
        assert isinstance(said, dict)
        assert set(said) == {"summary", "description", "runbook"}
        assert all(said[key].endswith(".") for key in ("summary", "description"))
        assert said["runbook"] == f"docs/how-to/runbook.md#{str(rule['alert']).lower()}"
        assert rule["labels"] in ({"severity": "critical"}, {"severity": "warning"})
        used = re.findall(r"\{\{ \$labels\.(\w+) \}\}", " ".join(said.values()))
        kept = re.findall(r"\bby \(([^)]*)\)", str(rule["expr"]))
        for label in used:
            assert not kept or all(label in group.split(", ") for group in kept), f"{label} is summed away"


def test_an_alert_on_an_age_can_fire_before_the_default_timeout_ends_the_request() -> None:
    timeout = default_values()["timeout"]
    limits = [re.fullmatch(r".*slipway_oldest_request_seconds\) > (\d+)", str(rule["expr"])) for rule in rules()]
    seconds = [int(found[1]) for found in limits if found]
    assert seconds
    assert all(0 < limit < timeout for limit in seconds)


def test_what_is_not_known_is_absent_and_never_zero() -> None:
    async def main() -> None:
        world = World()
        world.start()
        slipway = world.replicas["a"].slipway
        diagnosis = diagnosis_of(slipway, queues={"requests": None})
        measures = Measures(diagnosis, LoopLagMonitor(), {}, Losses(), skew=lambda: None, credentials_left=lambda: None)
        await diagnosis.backlogs.refresh()
        found = series(list(measures.collect()))
        unknown = {"quota_used", "quota_limit", "backlog_messages", "oldest_request_seconds", "clock_skew_seconds"}
        assert not {f"slipway_{name}" for name in unknown} & set(found)
        await world.stop()

    run(main())


def test_quotas_and_requests_are_of_a_target() -> None:
    (used,) = (metric for metric in measured()[0] if metric.name == "slipway_quota_used")
    assert {(sample.labels["target"], sample.labels["scope"]) for sample in used.samples} == {
        ("default", "creating"),
        ("default", "total"),
    }
    found = series(measured()[0])
    for name in ("requests_finished_total", "requests_waiting", "requests_held", "request_seconds_bucket", "quota_limit"):
        assert found[f"slipway_{name}"]["target"] == {"default"}, name
    assert found["slipway_dead_letters_total"]["result"] == {"Sent", "GivenUp"}, "also those that are 0"
