"""Bounded: nothing grows in three days, a flood stays in the queue, one name is one deployment, one hung call is one call's."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from slipway.worker.kernel.lease import Lease
from slipway.worker.queue.leases import Leases
from tests.simulation import soak as bounded
from tests.simulation.soak import Report

QUICK = 1000
"""Requests; `make prove` makes 30,000."""
SEED = 0
"""Always the same: no commit is to fail for what another seed finds. `make prove` tries others."""


def _in_a_process(scenario: Callable[[int], Report], argument: int) -> Report:
    """Run a scenario in a new process, where memory holds nothing that other tests have left."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(scenario, argument).result()


def test_three_days_leave_memory_and_tasks_as_they_were() -> None:
    report = _in_a_process(bounded.soak, SEED)
    assert not report.violations, (report.violations, report.facts)
    assert report.facts["requests"] > 200
    assert len(report.facts["faults"]) == len(bounded.FAULTS)


def test_a_leak_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[object] = []
    discard = Leases.discard

    def forgetful(leases: Leases, lease: Lease) -> None:
        kept.append(lease)
        discard(leases, lease)

    monkeypatch.setattr(Leases, "discard", forgetful)
    assert any("bytes more" in violation for violation in bounded.soak(1, 30).violations)


def test_failed_calls_leave_no_garbage_behind() -> None:
    report = _in_a_process(bounded.failures, QUICK)
    assert not report.violations, (report.violations, report.facts)
    assert report.facts["faults"] > 0


def test_a_flood_stays_in_the_queue() -> None:
    report = bounded.flood()
    assert not report.violations, (report.violations, report.facts)


def test_a_thousand_messages_of_256_kib_are_bounded_in_bytes() -> None:
    report = bounded.large()
    assert not report.violations, (report.violations, report.facts)


def test_a_thousand_requests_for_one_name_are_one_deployment_and_no_more_work_than_they_are() -> None:
    report = bounded.same_name()
    assert not report.violations, (report.violations, report.facts)


def test_a_call_that_hangs_delays_nobody_else() -> None:
    report = bounded.hung_call()
    assert not report.violations, (report.violations, report.facts)
