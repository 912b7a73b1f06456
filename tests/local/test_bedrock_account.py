"""The model of Bedrock, without I/O: quotas, names, tokens, models, updates."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.local.behaviour import Behaviour, WrongBehaviour
from slipway.local.validation import Refusal
from tests.local.conftest import MODEL, OTHER_MODEL, code_of, make_account

IMPORTED = "arn:aws:bedrock:us-east-1:123456789012:custom-model/imported/abcdefghijkl"


def tags(count: int) -> list[dict[str, str]]:
    return [{"key": f"k{number}", "value": "v"} for number in range(count)]


@pytest.mark.parametrize(
    "name", ["a", "a" * 63, "support-bot_v42", "0", "a-"], ids=["one", "longest", "mixed", "digit", "separator last"]
)
def test_names_that_are_taken(name: str) -> None:
    assert make_account().create(0.0, name, MODEL).name == name


@pytest.mark.parametrize(
    ("given_", "code"),
    [
        ({"name": ""}, "ValidationException"),
        ({"name": "a" * 64}, "ValidationException"),
        ({"name": "a--b"}, "ValidationException"),
        ({"name": "a_-b"}, "ValidationException"),
        ({"name": "-a"}, "ValidationException"),
        ({"name": "a.b"}, "ValidationException"),
        ({"name": "a\n"}, "ValidationException"),
        ({"model_arn": "support-bot"}, "ValidationException"),
        ({"model_arn": MODEL + "m"}, "ValidationException"),
        ({"model_arn": MODEL.upper()}, "ValidationException"),
        ({"model_arn": MODEL.replace("custom-model", "foundation-model")}, "ValidationException"),
        ({"description": ""}, "ValidationException"),
        ({"description": "d" * 2049}, "ValidationException"),
        ({"token": ""}, "ValidationException"),
        ({"token": "a" * 257}, "ValidationException"),
        ({"token": "-a"}, "ValidationException"),
        ({"token": "a_b"}, "ValidationException"),
        ({"tags": tags(51)}, "TooManyTagsException"),
        ({"tags": [{"key": "", "value": ""}]}, "ValidationException"),
        ({"tags": [{"key": "k" * 129, "value": ""}]}, "ValidationException"),
        ({"tags": [{"key": "k", "value": "v" * 257}]}, "ValidationException"),
        ({"tags": [{"key": "k!", "value": ""}]}, "ValidationException"),
        ({"tags": [{"key": "aws:k", "value": ""}]}, "ValidationException"),
        ({"tags": [{"key": "k", "value": "1"}, {"key": "k", "value": "2"}]}, "ValidationException"),
    ],
)
def test_what_create_refuses_leaves_nothing_behind(given_: dict[str, Any], code: str) -> None:
    account = make_account()
    assert code_of(lambda: account.create(0.0, **({"name": "a", "model_arn": MODEL} | given_))) == code
    assert account.made == []


@pytest.mark.parametrize(
    "given_",
    [{"model_arn": IMPORTED}, {"description": "d" * 2048}, {"token": "a" * 256}, {"token": "a-1"}, {"tags": tags(50)}],
)
def test_what_create_just_takes(given_: dict[str, Any]) -> None:
    assert make_account().create(0.0, **({"name": "a", "model_arn": MODEL} | given_)).exists(0.0)


def test_a_creation_takes_its_time_and_then_ends() -> None:
    account = make_account(failing=0.0)
    one = account.create(100.0, "a", MODEL)
    assert [one.status(now) for now in (100.0, 159.9, 160.0, 1e12)] == ["Creating", "Creating", "Active", "Active"]
    assert [one.updated(now) for now in (100.0, 160.0)] == [100.0, 160.0]


def test_names_can_fail_or_never_end() -> None:
    account = make_account(max_creating=3, fail_names="^bad-", endless_names="^slow-")
    made = [account.create(0.0, name, MODEL) for name in ("bad-one", "slow-one", "good")]
    assert [one.status(1e9) for one in made] == ["Failed", "Creating", "Active"]


def test_the_quota_in_creation_frees_when_one_ends() -> None:
    account = make_account()
    account.create(0.0, "a", MODEL)
    account.create(0.0, "b", MODEL)
    assert code_of(lambda: account.create(59.9, "c", MODEL)) == "ServiceQuotaExceededException"
    account.create(60.0, "c", MODEL)
    assert account.most_creating == 2


@pytest.mark.parametrize("counts", [True, False])
def test_whether_a_failed_one_takes_a_slot(counts: bool) -> None:  # noqa: FBT001  a case of the table
    account = make_account(max_total=1, failed_counts=counts, failing=1.0)
    account.create(0.0, "a", MODEL)
    if counts:
        assert code_of(lambda: account.create(100.0, "b", MODEL)) == "ServiceQuotaExceededException"
    else:
        account.create(100.0, "b", MODEL)


def test_quotas_can_be_changed_while_it_runs() -> None:
    account = make_account(max_creating=0)
    assert code_of(lambda: account.create(0.0, "a", MODEL)) == "ServiceQuotaExceededException"
    account.terms = account.terms.changed({"max_creating": 1})
    account.create(0.0, "a", MODEL)


def test_a_name_is_one_deployment_s_and_may_stay_taken_after_it() -> None:
    account = make_account(name_reserved_seconds=120.0, taken_code="ConflictException")
    account.create(0.0, "a", MODEL)
    assert code_of(lambda: account.create(100.0, "a", MODEL)) == "ConflictException"
    account.delete(100.0, "a")
    assert code_of(lambda: account.create(219.9, "a", MODEL)) == "ConflictException"
    account.create(220.0, "a", MODEL)


def test_a_failed_one_may_give_up_its_name() -> None:
    account = make_account(failing=1.0, failed_holds_name=False)
    first = account.create(0.0, "a", MODEL)
    second = account.create(60.0, "a", MODEL)
    assert account.get(60.0, "a") is second
    assert account.get(60.0, first.arn) is first


def test_a_token_makes_one_deployment_while_it_is_remembered() -> None:
    account = make_account(token_seconds=600.0)
    first = account.create(0.0, "a", MODEL, token="t")
    assert account.create(599.0, "a", MODEL, token="t") is first
    assert code_of(lambda: account.create(600.0, "a", MODEL, token="t")) == "ValidationException"
    assert len(account.made) == 1


@pytest.mark.parametrize(
    ("answer", "is_refused"), [("same", True), ("any", False), ("error", True)], ids=["same", "any", "error"]
)
def test_what_a_token_with_other_parameters_answers(answer: str, is_refused: bool) -> None:  # noqa: FBT001  a case of the table
    account = make_account(token_answer=answer)
    first = account.create(0.0, "a", MODEL, token="t")
    if is_refused:
        assert code_of(lambda: account.create(1.0, "b", MODEL, token="t")) == "ValidationException"
    else:
        assert account.create(1.0, "b", MODEL, token="t") is first


@pytest.mark.parametrize(
    ("status", "create", "look"),
    [
        ("Creating", "ValidationException", "Creating"),
        ("Failed", "ValidationException", "Failed"),
        ("Missing", "ResourceNotFoundException", None),
    ],
)
def test_a_model_that_cannot_be_deployed(status: str, create: str, look: str | None) -> None:
    account = make_account(models={MODEL: status})
    assert code_of(lambda: account.create(0.0, "a", MODEL)) == create
    assert account.create(0.0, "b", OTHER_MODEL).exists(0.0)
    if look is None:
        assert code_of(lambda: account.model_status(MODEL)) == "ResourceNotFoundException"
    else:
        assert account.model_status(MODEL) == look


def test_get_is_behind_after_create() -> None:
    account = make_account(get_lag_seconds=5.0)
    one = account.create(0.0, "a", MODEL)
    assert code_of(lambda: account.get(4.9, "a")) == "ResourceNotFoundException"
    assert account.get(5.0, "a") is one


def test_delete_is_a_conflict_while_something_is_under_way() -> None:
    account = make_account()
    account.create(0.0, "a", MODEL)
    assert code_of(lambda: account.delete(30.0, "a")) == "ConflictException"
    account.update(60.0, "a", OTHER_MODEL)
    assert code_of(lambda: account.delete(89.9, "a")) == "ConflictException"
    account.delete(90.0, "a")
    for call in (account.get, account.delete, account.tags):
        assert code_of(lambda call=call: call(90.0, account.made[0].arn)) == "ResourceNotFoundException"


@pytest.mark.parametrize(("failing", "model", "word"), [(0.0, OTHER_MODEL, "UpdateCompleted"), (1.0, MODEL, "UpdateFailed")])
def test_an_update_serves_the_old_model_until_it_has_succeeded(failing: float, model: str, word: str) -> None:
    account = make_account(update_failing=failing)
    account.create(0.0, "a", MODEL)
    one = account.update(60.0, "a", OTHER_MODEL)
    assert one.update is not None
    assert (one.model_arn(89.9), one.update.status(89.9)) == (MODEL, "Updating")
    assert code_of(lambda: account.update(89.9, "a", OTHER_MODEL)) == "ValidationException"
    assert (one.model_arn(90.0), one.update.status(90.0)) == (model, word)


def test_an_update_to_a_bad_model_fails_and_get_may_show_the_one_before_for_a_while() -> None:
    account = make_account(bad_models="o$", details_lag_seconds=10.0)
    one = account.create(0.0, "a", MODEL)
    account.update(60.0, "a", OTHER_MODEL)
    assert account.shown_update(65.0, one) is None
    assert account.shown_update(70.0, one) is one.update
    assert one.model_arn(90.0) == MODEL
    account.update(100.0, "a", OTHER_MODEL)
    shown = account.shown_update(105.0, one)
    assert shown is not None
    assert shown.status(105.0) == "UpdateFailed"


def test_tags_are_written_over_and_beside_each_other() -> None:
    account = make_account()
    one = account.create(0.0, "a", MODEL, tags=[{"key": "team", "value": "x"}])
    account.tag(1.0, one.arn, [{"key": "team", "value": "y"}, {"key": "more", "value": ""}])
    assert account.tags(1.0, one.arn) == [{"key": "team", "value": "y"}, {"key": "more", "value": ""}]
    assert code_of(lambda: account.tag(1.0, one.arn, tags(49))) == "TooManyTagsException"
    assert code_of(lambda: account.tag(1.0, one.arn, [{"key": "aws:x", "value": ""}])) == "ValidationException"
    assert code_of(lambda: account.tag(1.0, f"{one.arn}x", [])) == "ResourceNotFoundException"


@given(
    seed=st.integers(0, 1000),
    steps=st.lists(st.tuples(st.sampled_from("cdu"), st.integers(0, 5), st.floats(0, 40)), max_size=60),
)
def test_no_order_of_calls_breaks_the_quotas_or_the_names(seed: int, steps: list[tuple[str, int, float]]) -> None:
    account = make_account(
        seed, max_creating=2, max_total=4, creation_seconds=(10.0, 60.0), failing=0.3, delete_conflicts=False
    )
    now = 0.0
    for call, name, passed in steps:
        now += passed
        try:
            match call:
                case "c":
                    account.create(now, f"a{name}", MODEL)
                case "d":
                    account.delete(now, f"a{name}")
                case _:
                    account.update(now, f"a{name}", OTHER_MODEL)
        except Refusal as refusal:
            assert refusal.status in {400, 404}  # noqa: PT017  which ones come is chance
        existing = [one for one in account.made if one.exists(now)]
        creating = [one for one in existing if one.status(now) == "Creating"]
        assert account.counts(now) == (len(creating), len(existing))
        assert len(creating) <= 2
        assert len(existing) <= 4
        assert len({one.name for one in existing}) == len(existing)
        assert len({one.arn for one in account.made}) == len(account.made)


def test_the_same_seed_lives_the_same_life() -> None:
    def life(seed: int) -> list[tuple[str, float, bool]]:
        account = make_account(seed, max_creating=99, max_total=99, creation_seconds=(1.0, 9.0), failing=0.5)
        return [(one.arn, one.ends, one.fails) for one in (account.create(0.0, f"a{at}", MODEL) for at in range(20))]

    assert life(7) == life(7) != life(8)


@pytest.mark.parametrize(
    "changes",
    [
        {"max_creatign": 3},
        {"max_creating": "3"},
        {"max_total": -1},
        {"failed_counts": 1},
        {"creation_seconds": [1]},
        {"creation_seconds": ["1", "2"]},
        {"creation_seconds": [2, 1]},
        {"denied": [1]},
        {"models": {MODEL: 1}},
        {"fail_names": 1},
    ],
)
def test_a_wrong_term_is_named(changes: dict[str, Any]) -> None:
    with pytest.raises(WrongBehaviour, match=next(iter(changes))):
        Behaviour().changed(changes)


def test_what_was_changed_can_be_changed_back() -> None:
    changes = {"denied": ["GetCustomModel"], "models": {MODEL: "Missing"}, "creation_seconds": [0, 0], "failing": 1}
    changed = Behaviour().changed(changes)
    assert changed != Behaviour()
    assert changed.changed({each: getattr(Behaviour(), each) for each in changes}) == Behaviour()
