"""Prometheus metrics, read from the daemon's counters at scrape time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeVar, get_args

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from slipway import __version__
from slipway.aws.connect import ANSWERS, OPERATIONS
from slipway.core.diagnostics.severity import ProblemKind, Severity, severity_of
from slipway.core.events.callbacks import Callback
from slipway.core.lifecycle.outcomes import OutcomeKind, Settlement
from slipway.http.health import Diagnosis, LoopLagMonitor
from slipway.logs import Losses
from slipway.worker.kernel.telemetry import Histogram
from slipway.worker.publishing.callbacks import UNDELIVERED
from slipway.worker.queue.dead_letter import GIVEN_UP, SENT
from slipway.worker.runtime.target_runtime import TargetRuntime

T = TypeVar("T")

_SETTLEMENTS: Final = [kind.__name__ for kind in get_args(Settlement)]
_REPLIES: Final = [*(kind.__name__ for kind in get_args(Callback)), *UNDELIVERED]
_NO_CALLS: Final = dict.fromkeys(((operation, answer) for operation in OPERATIONS for answer in ANSWERS), 0)


class Measures(Collector):
    """All metrics of one daemon. `calls` counts calls by operation and answer.

    Every label value of a counter exists from the start, because `increase` misses the first increment of a new series.
    `skew` and `credentials_left` return seconds, or None if unknown: then the metric is absent.
    """

    def __init__(
        self,
        diagnosis: Diagnosis,
        pulse: LoopLagMonitor,
        calls: Mapping[tuple[str, str], int],
        lost: Losses,
        *,
        skew: Callable[[], float | None],
        credentials_left: Callable[[], float | None],
    ) -> None:
        self._diagnosis = diagnosis
        self._slipway = diagnosis.slipway
        self._pulse = pulse
        self._calls = calls
        self._lost = lost
        self._skew = skew
        self._credentials_left = credentials_left

    def collect(self) -> Iterable[Metric]:
        """Return all metrics as they are now."""
        yield InfoMetricFamily("slipway_build", "Version of Slipway.", {"version": __version__})
        yield from self._counters()
        yield from self._gauges()
        yield from self._state()
        yield from self._of_targets()

    def _counters(self) -> Iterator[Metric]:
        tally = self._slipway.counters
        yield _counter("slipway_messages_received", "Messages received from the queue.", tally.messages_received)
        yield _counter(
            "slipway_duplicate_deliveries",
            "Messages delivered again by SQS while their request was in progress.",
            tally.duplicate_deliveries,
        )
        yield _counter("slipway_leases_extended", "Extensions of a message's visibility timeout.", tally.leases_extended)
        yield _counter(
            "slipway_leases_lost", "Messages whose lease was lost: another replica may have them.", tally.leases_lost
        )
        yield _counter("slipway_events_published", "Events published to the topic.", tally.events_published)
        yield _counter("slipway_events_unmatched", "Upstream events that no trigger matched.", tally.events_unmatched)
        yield _counter(
            "slipway_events_given_up", "Outcomes that SNS refused in every form and that were given up.", tally.events_given_up
        )
        yield _counter(
            "slipway_requests_put_off", "Requests continued later because their outcome could not be published.", tally.put_off
        )
        dead_letters = _all((SENT, GIVEN_UP), tally.dead_letters)
        yield _labelled("slipway_dead_letters", "Messages sent to the dead-letter queue, by result.", "result", dead_letters)
        yield _counter("slipway_adoptions", "Requests that adopted an existing deployment.", tally.adoptions)
        yield _counter(
            "slipway_requests_postponed", "Waiting requests returned to the queue to make room for others.", tally.postponed
        )
        yield _counter("slipway_faults", "Unexpected exceptions, which are bugs.", tally.faults)
        yield _lines_lost(self._lost)
        endings = CounterMetricFamily(
            "slipway_requests_finished", "Finished requests, by outcome.", labels=["target", "outcome"]
        )
        for name, site in self._slipway.runtimes.items():
            for outcome, count in sorted(_all(OutcomeKind, site.counters.endings).items()):
                endings.add_metric([name, outcome], count)
        yield endings
        yield _labelled(
            "slipway_settlements", "Settled messages, by settlement.", "settlement", _all(_SETTLEMENTS, tally.settlements)
        )
        yield _labelled(
            "slipway_replies",
            "Replies to callers (tasks, pipeline steps, reply queues), by kind.",
            "reply",
            _all(_REPLIES, tally.replies),
        )
        calls = CounterMetricFamily("slipway_calls", "Calls to AWS, by operation and answer.", labels=["operation", "answer"])
        for (operation, answer), count in sorted({**_NO_CALLS, **self._calls}.items()):
            calls.add_metric([operation, answer], count)
        yield calls

    def _gauges(self) -> Iterator[Metric]:
        slipway = self._slipway
        held = Counter(slipway.runtime_of(lease).target.name for lease in slipway.held_leases)
        yield _by_target(
            "slipway_requests_held", "Requests in progress in this replica.", {name: held[name] for name in slipway.runtimes}
        )
        waits = GaugeMetricFamily(
            "slipway_requests_waiting", "Requests in progress, by the reason why they wait.", labels=["target", "reason"]
        )
        for (name, reason), count in sorted(slipway.waits_by_target().items()):
            waits.add_metric([name, reason], count)
        yield waits
        yield GaugeMetricFamily(
            "slipway_requests_waiting_for_turn",
            "Requests that wait for an earlier request for the same deployment.",
            len(slipway.request_order),
        )
        if slipway.held_leases:
            text = "Age of the oldest request in progress, since its first receipt. Absent if none is."
            yield GaugeMetricFamily("slipway_oldest_request_seconds", text, slipway.oldest_seconds())
        yield GaugeMetricFamily(
            "slipway_lease_margin_seconds", "Shortest remaining lease of all messages in progress.", slipway.lease_margin()
        )
        yield GaugeMetricFamily("slipway_loop_lag_seconds", "Current delay of the event loop.", self._pulse.lag())
        yield GaugeMetricFamily(
            "slipway_loop_longest_stall_seconds", "Longest delay of the event loop since the start.", self._pulse.longest_stall
        )
        if (skew := self._skew()) is not None:
            yield GaugeMetricFamily("slipway_clock_skew_seconds", "How far the host's clock is ahead of AWS's clock.", skew)
        if (left := self._credentials_left()) is not None:
            yield GaugeMetricFamily("slipway_credentials_left_seconds", "Remaining validity of the AWS credentials.", left)

    def _state(self) -> Iterator[Metric]:
        """Yield the severity, and the message counts of the queues as far as they are known."""
        problems = self._diagnosis.problems()
        count = _all(ProblemKind, Counter(problem.kind.value for problem in problems))
        reasons = GaugeMetricFamily("slipway_problems", "Problems that the daemon reports, by reason.", labels=["reason"])
        for reason, number in sorted(count.items()):
            reasons.add_metric([reason], number)
        yield reasons
        is_blocked = severity_of(problems) is Severity.BLOCKED
        yield GaugeMetricFamily(
            "slipway_blocked", "Whether requests wait and only a person can let them continue: 1 or 0.", int(is_blocked)
        )
        backlogs = GaugeMetricFamily(
            "slipway_backlog_messages",
            "Messages in a queue, by whether a replica has received them, as SQS counts them. Absent if not known.",
            labels=["queue", "state"],
        )
        for queue, backlog in self._diagnosis.backlogs.known().items():
            for state, number in (
                ("visible", backlog.visible),
                ("in_flight", backlog.in_flight),
                ("delayed", backlog.delayed),
            ):
                backlogs.add_metric([queue, state], number)
        yield backlogs

    def _quotas(self) -> Iterator[Metric]:
        """Yield what is known of the quotas of each account: what is not known is absent."""
        used = GaugeMetricFamily(
            "slipway_quota_used",
            "Deployments in creation and in total in the account, whoever created them. Absent if not counted lately.",
            labels=["target", "scope"],
        )
        limit = GaugeMetricFamily(
            "slipway_quota_limit",
            "Limit of deployments in creation and in total, from the settings or learned. Absent if not known.",
            labels=["target", "scope", "source"],
        )
        for name, site in self._slipway.runtimes.items():
            quota = site.slots.quota
            if (counts := site.slots.known_counts()) is not None:
                used.add_metric([name, "creating"], counts.creating)
                used.add_metric([name, "total"], counts.total)
            limits = (
                ("creating", quota.limit_in_creation, quota.max_creating),
                ("total", quota.limit_in_total, quota.max_total),
            )
            for scope, value, configured in limits:
                if value:
                    limit.add_metric([name, scope, "settings" if value == configured else "learned"], value)
        yield used
        yield limit

    def _of_targets(self) -> Iterator[Metric]:
        """Yield the metrics of each target."""

        def of(what: Callable[[TargetRuntime], T]) -> dict[str, T]:
            return {name: what(site) for name, site in self._slipway.runtimes.items()}

        refusals, unknown = of(lambda site: site.counters.quota_refusals), of(lambda site: site.counters.unknown_answers)
        yield _labelled("slipway_unknown_answers", "Creates without a readable response.", "target", unknown)
        yield _labelled("slipway_quota_refusals", "Creates that Bedrock refused because a quota was full.", "target", refusals)
        yield _labelled(
            "slipway_sweeps", "Completed sweeps of ListCustomModelDeployments.", "target", of(lambda site: site.counters.sweeps)
        )
        yield _labelled(
            "slipway_sweeps_failed",
            "Failed sweeps of ListCustomModelDeployments.",
            "target",
            of(lambda site: site.counters.sweeps_failed),
        )
        in_flight, waiting = of(lambda site: site.watcher.in_flight), of(lambda site: site.slots.waiting)
        yield _by_target("slipway_deployments_in_flight", "Deployments in creation that this replica watches.", in_flight)
        yield _by_target("slipway_requests_waiting_for_slot", "Requests that wait for a creation slot.", waiting)
        yield from self._quotas()
        requests = of(lambda site: site.counters.request_seconds)
        yield _histograms(
            "slipway_request_seconds", "Time from the first receipt of a request to its published outcome.", requests
        )
        creations, sweeps = of(lambda site: site.counters.creation_seconds), of(lambda site: site.counters.sweep_seconds)
        yield _histograms(
            "slipway_creation_seconds", "Time from the creation of a deployment until it is Active or Failed.", creations
        )
        yield _histograms("slipway_sweep_seconds", "Duration of a sweep.", sweeps)


def registry_of(measures: Measures) -> CollectorRegistry:
    """Return a registry with the daemon's measures, and those of its process."""
    registry = CollectorRegistry()
    registry.register(measures)
    _add_standard(registry)
    return registry


class _Losses(Collector):
    def __init__(self, lost: Losses) -> None:
        self._lost = lost

    def collect(self) -> Iterable[Metric]:
        yield _lines_lost(self._lost)


def process_registry(lost: Losses) -> CollectorRegistry:
    """Return a registry with the metrics of the process, used while the daemon starts."""
    registry = CollectorRegistry()
    registry.register(_Losses(lost))
    _add_standard(registry)
    return registry


def _lines_lost(lost: Losses) -> Metric:
    return _counter(
        "slipway_log_lines_lost", "Log lines that were dropped because the output could not be written.", lost.lines
    )


def _add_standard(registry: CollectorRegistry) -> None:
    for standard in (ProcessCollector, PlatformCollector, GCCollector):
        standard(registry=registry)


def _all(values: Iterable[str], counts: Mapping[str, int]) -> Mapping[str, int]:
    return {**dict.fromkeys(values, 0), **counts}


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value)


def _labelled(name: str, text: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in sorted(counts.items()):
        family.add_metric([value], count)
    return family


def _by_target(name: str, text: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["target"])
    for target, value in values.items():
        family.add_metric([target], value)
    return family


def _histograms(name: str, text: str, histograms: Mapping[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=["target"])
    for target, histogram in histograms.items():
        family.add_metric([target], _buckets(histogram), histogram.total)
    return family


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    buckets: list[tuple[str, float]] = []
    seen = 0
    for bound, count in zip([*map(str, histogram.bounds), "+Inf"], histogram.counts, strict=True):
        seen += count
        buckets.append((bound, seen))
    return buckets
