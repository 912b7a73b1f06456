"""The calls of the last hour, minute by minute."""

from __future__ import annotations

from collections import Counter

import pytest

from slipway.core.call_errors import CallFailed, Denied, ResourceMissing, Throttled, UnknownResult
from slipway.http.health import ANSWERED, DENIED, MINUTES, RECENT_MINUTES, THROTTLED, CallHistory


class Clock:
    """Goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_calls_stand_in_the_minute_in_which_they_were_counted() -> None:
    clock, counted = Clock(), Counter({("List", "Applied"): 5})
    minutes = CallHistory(counted, clock)
    minutes.note()
    clock.now += 60
    counted["List", "Applied"] += 2
    counted["Create", "Throttled"] += 3
    counted["Create", "Denied"] += 1
    counted["Create", "QuotaFull"] += 1
    hour = minutes.hour()
    assert [dict(minute) for minute in hour.minutes[-3:]] == [{}, {ANSWERED: 5}, {ANSWERED: 3, THROTTLED: 3, DENIED: 1}]
    assert hour.operations == {"List": {ANSWERED: 7}, "Create": {ANSWERED: 1, THROTTLED: 3, DENIED: 1}}
    assert hour.total(THROTTLED) == 3


def test_after_an_hour_they_are_forgotten_whether_or_not_anything_was_called() -> None:
    clock, counted = Clock(), Counter({("List", "Applied"): 5})
    minutes = CallHistory(counted, clock)
    minutes.note()
    clock.now += 59 * 60
    assert minutes.hour().total(ANSWERED) == 5
    clock.now += 60
    assert minutes.hour().total(ANSWERED) == 0
    assert minutes.hour().operations == {}


def test_days_of_calls_are_kept_as_one_hour() -> None:
    clock, counted = Clock(), Counter[tuple[str, str]]()
    minutes = CallHistory(counted, clock)
    for _ in range(3000):
        clock.now += 61
        counted["List", "Applied"] += 1
        minutes.note()
    hour = minutes.hour()
    assert len(hour.minutes) == MINUTES
    assert MINUTES - 2 <= hour.total(ANSWERED) <= MINUTES


@pytest.mark.parametrize(
    ("failure", "kind"),
    [(Throttled, "throttled"), (Denied, "denied"), (UnknownResult, "failed"), (ResourceMissing, "answered")],
)
def test_a_failure_is_counted_under_the_name_that_the_retry_layer_gives_it(failure: type[CallFailed], kind: str) -> None:
    counted: Counter[tuple[str, str]] = Counter()
    history = CallHistory(counted, lambda: 30.0)
    counted["Get", failure.__name__] += 2
    assert history.hour().total(kind) == 2


def test_an_operation_is_denied_if_it_was_lately_and_never_answered_otherwise() -> None:
    clock, counted = Clock(), Counter({("Receive", "Denied"): 1, ("Delete", "Denied"): 1, ("Delete", "Applied"): 1})
    history = CallHistory(counted, clock)
    assert history.denied() == ("Receive",), "some deletes are allowed: it is not the operation"
    clock.now += RECENT_MINUTES * 60
    assert history.denied() == ()
    counted["Receive", "Denied"] += 1
    assert history.denied() == ("Receive",)
    counted["Receive", "Applied"] += 1
    assert history.denied() == ()
