"""What a daemon measures that has done a little of everything; and the table of its metrics that the documentation shows."""

from __future__ import annotations

import io
from collections import Counter
from contextlib import redirect_stdout

from prometheus_client import Metric

from slipway.core.diagnostics.status import Backlog
from slipway.http.health import LoopLagMonitor
from slipway.http.metrics import Measures, registry_of
from slipway.logs import Losses
from tests.simulator.bedrock import Rules
from tests.simulator.simulation import World
from tests.simulator.virtual_loop import run
from tests.support.diagnosis import diagnosis_of


def measured(requests: int = 3) -> tuple[list[Metric], list[Metric]]:
    """Return the daemon's own metrics after some requests, and then those of its process."""
    taken: list[Metric] = []
    standard: list[Metric] = []

    async def main() -> None:
        world = World(rules=Rules(max_creating=1))
        world.start()
        slipway = world.replicas["a"].slipway
        calls = Counter({("ListCustomModelDeployments", "Applied"): 3, ("CreateCustomModelDeployment", "Throttled"): 1})
        for number in range(requests):
            world.ask(f"bot-{number}", requestId=f"r-{number}", tenant=f"t-{number}")
        world.sqs.put("{}", group="x")
        await world.until(lambda: slipway.counters.endings["Active"] > 0 and slipway.slots.waiting > 0)
        slipway.counters.replies["Told"] += 1
        queues = {"requests": Backlog(1, 2, 0), "dead_letters": Backlog(1, 0, 0)}
        diagnosis = diagnosis_of(slipway, calls, queues)
        await diagnosis.backlogs.refresh()
        measures = Measures(diagnosis, LoopLagMonitor(), calls, Losses(), skew=lambda: 0.5, credentials_left=lambda: 900.0)
        taken.extend(measures.collect())
        standard.extend(registry_of(measures).collect())
        await world.stop()

    run(main())
    return taken, [metric for metric in standard if not metric.name.startswith("slipway_")]


def metrics_table() -> str:
    """Return the daemon's own metrics, as Prometheus names them."""
    with redirect_stdout(io.StringIO()):  # what it logs meanwhile is nobody's concern
        own, _ = measured()
    lines = ["| metric | is a | by | what it is |", "|---|---|---|---|"]
    for metric in sorted(own, key=lambda metric: metric.name):
        labels = dict.fromkeys(label for sample in metric.samples for label in sample.labels if label != "le")
        suffix = {"counter": "_total", "info": "_info"}.get(metric.type, "")
        by = ", ".join(f"`{label}`" for label in labels)
        lines.append(f"| `{metric.name}{suffix}` | {metric.type} | {by} | {metric.documentation} |")
    return "\n".join(lines) + "\n"
