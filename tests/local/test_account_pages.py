"""What List shows of the model of Bedrock: filters, orders, pages that hold still, and how far behind it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.local.bedrock_account import StandInDeployment
from tests.local.conftest import MODEL, OTHER_MODEL, code_of, make_account


def test_list_is_behind_the_truth() -> None:
    account = make_account(list_lag_seconds=5.0)
    one = account.create(0.0, "a", MODEL)
    assert account.list_all(4.9) == ([], None)
    assert account.list_all(5.0) == ([one], None)
    assert account.list_all(64.9, status_equals="Active") == ([], None)
    assert account.list_all(65.0, status_equals="Active") == ([one], None)
    account.delete(70.0, "a")
    assert account.list_all(74.9) == ([one], None)
    assert account.list_all(75.0) == ([], None)


def test_filters_and_orders() -> None:
    account = make_account(max_creating=9)
    made = [account.create(float(at), f"bot-{at}", model) for at, model in enumerate((MODEL, OTHER_MODEL, MODEL))]
    now = 61.0

    def names(**filters: Any) -> list[str]:
        return [one.name for one in account.list_all(now, **filters)[0]]

    assert names() == ["bot-2", "bot-1", "bot-0"]
    assert names(ascending=True) == ["bot-0", "bot-1", "bot-2"]
    assert names(name_contains="t-1") == ["bot-1"]
    assert names(status_equals="Creating") == ["bot-2"]
    assert names(model_arn_equals=MODEL) == ["bot-2", "bot-0"]
    assert names(created_after=made[0].created, created_before=made[2].created) == ["bot-1"]


def test_a_clock_that_is_set_back_loses_nothing_from_the_pages() -> None:
    account = make_account(max_creating=9)
    made = [account.create(now, f"a{at}", MODEL) for at, now in enumerate((100.0, 50.0, 120.0))]
    assert account.list_all(200.0, created_after=99.0, ascending=True)[0] == made


@pytest.mark.parametrize("wrong", [{"max_results": 0}, {"max_results": 1001}, {"next_token": "made-up"}])
def test_what_list_refuses(wrong: dict[str, Any]) -> None:
    assert code_of(lambda: make_account().list_all(0.0, **wrong)) == "ValidationException"


@given(
    count=st.integers(0, 30),
    size=st.integers(1, 7),
    ascending=st.booleans(),
    spread=st.sampled_from([0.0, 1.0]),
    deletions=st.lists(st.integers(0, 29), max_size=10),
)
def test_pages_show_once_whatever_exists_throughout(
    count: int,
    size: int,
    ascending: bool,  # noqa: FBT001  both ways
    spread: float,
    deletions: list[int],
) -> None:
    account = make_account(max_creating=99, max_total=99, delete_conflicts=False)
    made = [account.create(at * spread, f"a{at}", MODEL) for at in range(count)]
    seen: list[StandInDeployment] = []
    going = iter(deletions)
    token, now = None, 40.0
    while True:
        page, token = account.list_all(now, max_results=size, next_token=token, ascending=ascending)
        seen += page
        if token is None:
            break
        gone = next(going, count)
        if gone < count and made[gone].exists(now):
            account.delete(now, made[gone].arn)
        if len(account.made) < count + 5:
            account.create(now, f"new{len(account.made)}", MODEL)
    there_throughout = [one for one in made if one.exists(now)]
    assert [one for one in seen if one in there_throughout] == (there_throughout if ascending else there_throughout[::-1])
    assert len({one.arn for one in seen}) == len(seen)
