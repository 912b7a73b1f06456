"""The real client under virtual time: a whole life of a request, with every answer of the wire at every call of it."""

from __future__ import annotations

import os

import pytest

from tests.simulation import credential_refresh as refreshing
from tests.simulation import real_client as realclient
from tests.simulation.faults import FATES
from tests.simulation.real_client import SCENES, cases, some, spoken, strange

PARTS = 5
"""All cases take a minute: each run of CI takes one part, by the number of the run where there is one."""
PART = int(os.environ.get("PROOF_PART", "0")) % PARTS
ONCE_BROKEN = (
    "plain: clock two days ahead, no Date on ReceiveMessage #1",  # timed out at once, by the clock of the machine
)


@pytest.mark.parametrize("case", [*ONCE_BROKEN, *SCENES])
def test_a_life_over_the_real_client_ends_well(case: str) -> None:
    report = some([spoken(case)])
    assert not report.violations, report.violations[0]
    assert report.calls > 10


def test_no_answer_of_the_wire_to_any_call_breaks_a_promise() -> None:
    share = sorted(cases(), key=lambda case: [fate.kind for fate in case.fates])[PART::PARTS]
    report = some(share)
    assert not report.violations, report.violations[0]
    assert report.lifetimes == len(share) > 400
    assert set(report.fired) == set(FATES)


def test_several_strange_answers_in_one_life_break_nothing() -> None:
    report = some([strange(seed) for seed in range(100)])
    assert not report.violations, report.violations[0]


def test_a_case_can_be_said_and_read() -> None:
    case = strange(7)
    assert spoken(str(case)) == case == spoken("7")


def test_a_proof_goes_on_for_as_long_as_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realclient, "cases", lambda: [spoken("plain")])
    assert realclient.prove(0.0).lifetimes == 1


def test_three_days_of_credentials_that_last_minutes_fail_no_call_while_they_are_valid() -> None:
    report = refreshing.live()
    assert not report.violations, report.violations[0]
    assert report.requests > 150
    assert report.outages > 8
    assert set(report.refreshes) == {*refreshing.MANNERS, "while away"}
