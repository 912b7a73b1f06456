"""The probe, in virtual time, against accounts that answer differently where AWS documents nothing: it finds each answer."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from slipway.aws.adapters.retry import Caller
from slipway.cli.output import Exit
from slipway.cli.probe.client import PREFIX, TAG, Plan, ProbeClient
from slipway.cli.probe.command import describe_plan, smoke_result
from slipway.cli.probe.questions import SHARE, ProbeRun, read_account
from slipway.core.diagnostics.probe import ProbeFinding, Question, terms_of, unasked
from tests.simulator.bedrock import Account, Rules, WatchedBedrock
from tests.simulator.simulation import MODEL
from tests.simulator.virtual_loop import run
from tests.simulator.wire_faults import Fault, Wire, no_faults
from tests.simulator.wire_faults import Plan as Faults

USUAL = Rules(creation_seconds=(300.0, 300.0), update_seconds=(60.0, 60.0))


class Probed:
    """An account that is probed."""

    def __init__(self, rules: Rules, plan: Faults = no_faults, *, slots: int = 1, patience: float = 3600.0) -> None:
        self.account = Account(random.Random(1), rules)
        self.wire = Wire(random.Random(2), plan)
        caller = Caller(most_open=8, call_timeout=10.0, rng=random.Random(3), tally=Counter(), attempts=3)
        self.bedrock = WatchedBedrock(self.account, self.wire, caller, self.account.now)
        self.told: list[str] = []
        self.client = ProbeClient(self.bedrock, Plan(MODEL, slots, patience, "abc123"), self.told.append)
        self.experiment = ProbeRun(self.client)

    async def run(self) -> dict[Question, ProbeFinding]:
        await self.experiment.run()
        return self.experiment.found

    @property
    def is_clean(self) -> bool:
        return not self.experiment.left and not [one for one in self.account.existing() if one.name.startswith(PREFIX)]


def probe(slots: int = 1, others: int = 0, **terms: Any) -> dict[Question, ProbeFinding]:
    """Probe an account with these terms, in which others have some deployments."""

    async def main() -> dict[Question, ProbeFinding]:
        at = Probed(USUAL.changed(terms), slots=slots)
        for number in range(others):
            at.account.add(f"other-{number}", MODEL, {}).ends = 0.0
        found = await at.run()
        assert at.is_clean
        assert len(at.account.existing()) == others
        assert all(TAG in {tag["key"] for tag in one.tags} for one in at.account.made[others:])
        return found

    return run(main())


@pytest.fixture(scope="module")
def usual() -> Mapping[Question, ProbeFinding]:
    return probe()


ANSWERS: list[tuple[dict[str, Any], Question, dict[str, Any]]] = [
    ({}, Question.GET_LAG, {"get_lag_seconds": 0.0}),
    ({"get_lag_seconds": 12.0}, Question.GET_LAG, {"get_lag_seconds": 12.0}),
    ({}, Question.LIST_LAG, {"list_lag_seconds": 0.0}),
    ({"list_lag_seconds": 30.0}, Question.LIST_LAG, {"list_lag_seconds": 30.0}),
    ({}, Question.TAKEN, {"taken_code": USUAL.taken_code, "taken_text": USUAL.taken_text}),
    (
        {"taken_code": "ConflictException", "taken_text": "No."},
        Question.TAKEN,
        {"taken_code": "ConflictException", "taken_text": "No."},
    ),
    ({}, Question.TOKEN, {"token_answer": "same"}),
    ({"token_answer": "any"}, Question.TOKEN, {"token_answer": "any"}),
    ({"token_answer": "error"}, Question.TOKEN, {"token_answer": "error"}),
    ({"token_seconds": 0.0}, Question.TOKEN, {"token_seconds": 0.0}),
    ({"token_seconds": 0.0}, Question.TOKEN_AGE, {"token_seconds": 0.0}),
    ({"token_seconds": 190.0}, Question.TOKEN_AGE, {"token_seconds": pytest.approx(190.0, abs=25.0)}),
    ({}, Question.TOKEN_AGE, {}),
    ({}, Question.DELETE_BUSY, {"delete_conflicts": True}),
    ({"delete_conflicts": False}, Question.DELETE_BUSY, {"delete_conflicts": False}),
    ({}, Question.CREATION, {"creation_seconds": [300.0, 300.0]}),
    ({"creation_seconds": (900.0, 900.0)}, Question.CREATION, {"creation_seconds": [900.0, 900.0]}),
    ({}, Question.READY, {"unready_seconds": 0.0}),
    ({"unready_seconds": 40.0}, Question.READY, {"unready_seconds": pytest.approx(40.0, abs=6.0)}),
    ({}, Question.DETAILS, {"details_lag_seconds": 0.0}),
    ({"details_lag_seconds": 20.0}, Question.DETAILS, {"details_lag_seconds": pytest.approx(20.0, abs=2.0)}),
    ({"failing": 1.0}, Question.FAILED_NAME, {"failed_holds_name": True}),
    ({"failing": 1.0, "failed_holds_name": False}, Question.FAILED_NAME, {"failed_holds_name": False}),
    ({}, Question.RESERVED, {"name_reserved_seconds": 0.0}),
    ({"name_reserved_seconds": 240.0}, Question.RESERVED, {"name_reserved_seconds": pytest.approx(240.0, rel=SHARE)}),
    (
        {"name_reserved_seconds": 90.0, "delete_conflicts": False},
        Question.RESERVED,
        {"name_reserved_seconds": pytest.approx(90.0, rel=SHARE)},
    ),
]


@pytest.mark.parametrize(("terms", "question", "expected"), ANSWERS, ids=str)
def test_each_answer_is_found(
    terms: dict[str, Any], question: Question, expected: dict[str, Any], usual: Mapping[Question, ProbeFinding]
) -> None:
    finding = (probe(**terms) if terms else usual)[question]
    assert finding.answer is not None
    assert finding.evidence
    close = {name: pytest.approx(value, abs=1.1) if isinstance(value, float) else value for name, value in expected.items()}
    assert finding.terms == close
    assert not finding.is_odd


QUOTAS: list[tuple[dict[str, Any], int, int, dict[str, Any], bool | None]] = [
    ({"max_creating": 2}, 4, 0, {"max_creating": 2}, False),
    ({"max_creating": 3, "quota_first": True}, 4, 5, {"max_creating": 3}, True),
    ({"max_creating": 9, "max_total": 7}, 4, 5, {"max_total": 7}, False),
    ({"max_creating": 9, "max_total": 90}, 3, 1, {}, None),
]


@pytest.mark.parametrize(("terms", "slots", "others", "expected", "is_first"), QUOTAS, ids=str)
def test_the_quota_is_found_and_told_from_the_other(
    terms: dict[str, Any], slots: int, others: int, expected: dict[str, Any], is_first: object
) -> None:
    found = probe(slots, others, **terms)
    assert found[Question.QUOTA].terms == expected
    assert found[Question.QUOTA_FIRST].terms == ({} if is_first is None else {"quota_first": is_first})
    if not expected:
        assert found[Question.QUOTA].answer == "at least 3 at once"


def test_a_model_that_is_not_active_shows_its_error_and_makes_nothing() -> None:
    async def main() -> None:
        at = Probed(USUAL.changed({"models": {MODEL: "Creating"}, "model_code": "ConflictException", "model_text": "Not yet."}))
        found = await at.run()
        assert found[Question.MODEL].terms == {"model_code": "ConflictException", "model_text": "Not yet."}
        assert not at.account.made
        assert Question.TAKEN not in found
        assert any("no deployment could be created" in said for said in at.told)

    run(main())


def test_what_slipway_would_not_recognise_is_odd() -> None:
    for terms in ({"taken_text": "Nope."}, {"taken_code": "ThrottlingException"}):
        finding = probe(1, 0, **terms)[Question.TAKEN]
        assert finding.is_odd, terms
        assert smoke_result([finding], []) is Exit.FAILURE


def test_the_terms_that_it_prints_make_an_account_that_answers_alike() -> None:
    account: dict[str, Any] = {
        "max_creating": 2, "quota_first": True, "taken_code": "ConflictException", "taken_text": "It exists.",
        "token_answer": "any", "get_lag_seconds": 3.0, "list_lag_seconds": 9.0, "creation_seconds": (420.0, 420.0),
        "update_seconds": (90.0, 90.0), "details_lag_seconds": 6.0, "unready_seconds": 15.0, "name_reserved_seconds": 60.0,
    }  # fmt: skip
    terms: dict[str, Any] = terms_of(list(probe(3, **account).values()))
    again: dict[str, Any] = terms_of(list(probe(3, **terms).values()))
    assert set(account) <= set(terms)
    assert set(again) == set(terms)
    for name, value in terms.items():
        said = again[name]
        close = isinstance(value, float) or (isinstance(value, list) and isinstance(value[0], float))
        assert said == (pytest.approx(value, rel=2 * SHARE, abs=1.5) if close else value), name


def test_looking_costs_nothing_and_shows_what_is_to_be_seen() -> None:
    async def main() -> None:
        at = Probed(USUAL.changed({"page_size": 2, "status_text": "Warming"}))
        found = {finding.question: finding for finding in (await read_account(at.bedrock))[0]}
        assert {question for question, finding in found.items() if finding.answer is None} == {
            Question.PAGE, Question.WORDS, Question.BOUND, Question.CREATION,
        }  # fmt: skip
        for number in range(5):
            at.account.add(f"bot-{number}", MODEL, {})
            await asyncio.sleep(100.0)
        at.account.add(f"{PREFIX}old-1", MODEL, {})
        found = {finding.question: finding for finding in (await read_account(at.bedrock))[0]}
        assert found[Question.PAGE].terms == {"page_size": 2}
        assert found[Question.WORDS].terms == {"status_text": "Warming"}
        assert found[Question.CREATION].terms == {"creation_seconds": [300.0, 300.0]}
        assert found[Question.BOUND].answer is not None
        assert found[Question.UNKNOWN_NAME].answer == "ResourceNotFoundException, as documented"
        assert found[Question.LEFTOVER].answer == f"1: {PREFIX}old-1"
        assert {question for question, finding in found.items() if finding.is_odd} == {Question.LEFTOVER, Question.WORDS}
        assert set(at.wire.calls) == {"ListCustomModelDeployments", "GetCustomModelDeployment"}
        assert {finding.question for finding in unasked(list(found.values()), "why")} == set(Question) - set(found)

    run(main())


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.5, 30.0, 299.0, 330.0, 362.0, 370.0])
@pytest.mark.parametrize("terms", [{}, {"delete_conflicts": False}], ids=str)
def test_whenever_it_is_stopped_it_takes_everything_away(seconds: float, terms: dict[str, Any]) -> None:
    async def main() -> None:
        at = Probed(USUAL.changed({"name_reserved_seconds": 20.0} | terms), slots=2)
        asyncio.get_running_loop().call_later(seconds, at.client.stop)
        await at.run()
        assert at.is_clean
        assert at.client.is_stopped

    run(main())


def test_who_cannot_wait_is_told_what_is_left() -> None:
    async def main() -> None:
        at = Probed(USUAL)
        loop = asyncio.get_running_loop()
        for seconds in (10.0, 20.0):
            loop.call_later(seconds, at.client.stop)
        await at.run()
        assert at.experiment.left == [one.arn for one in at.account.existing()]
        assert loop.time() < 1030.0
        assert smoke_result([], at.experiment.left) is Exit.FAILURE

    run(main())


def test_what_is_never_made_is_waited_for_no_longer_than_asked_and_told() -> None:
    async def main() -> None:
        at = Probed(USUAL.changed({"endless_names": "."}), patience=600.0)
        found = await at.run()
        assert found[Question.CREATION].answer is None
        assert at.experiment.left == [one.arn for one in at.account.existing()]

    run(main())


FAULTS = (Fault.RESPONSE_LOST, Fault.ZOMBIE, Fault.DENIED, Fault.EMPTY)
OPERATIONS = ("CreateCustomModelDeployment", "GetCustomModelDeployment", "ListCustomModelDeployments",
              "DeleteCustomModelDeployment", "Converse")  # fmt: skip


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_befalls_a_call_it_takes_everything_away(operation: str, fault: Fault) -> None:
    async def main(unlucky: range) -> None:
        met = Counter[str]()

        def plan(called: str, _: int) -> Fault | None:
            met[called] += 1
            return fault if called == operation and met[called] in unlucky else None

        at = Probed(USUAL.changed({"list_lag_seconds": 5.0}), plan, slots=2)
        await at.run()
        assert at.is_clean, unlucky

    for first in (1, 2, 4):
        run(main(range(first, first + 1)))
        run(main(range(first, first + 4)))


def test_what_it_says_that_it_will_make_it_makes_and_no_more() -> None:
    async def main() -> None:
        at = Probed(USUAL.changed({"max_creating": 9}), slots=3)
        at.account.add("other", MODEL, {}).ends += 10_000.0
        existing = (await read_account(at.bedrock))[1]
        said = describe_plan(at.client.plan, existing, "123456789012 us-east-1")
        for part in (
            MODEL,
            "up to 4 deployments",
            f"{PREFIX}abc123-",
            "3 in creation at once",
            "There are 1",
            "1 of them in creation",
        ):
            assert part in said, part
        await at.run()
        assert len(at.account.made) - 1 == at.client.plan.most

    run(main())


def test_a_name_that_a_failed_deployment_does_not_hold_is_not_waited_for() -> None:
    found = probe(failing_attempts=1, failed_holds_name=False)
    assert found[Question.FAILED_NAME].terms == {"failed_holds_name": False}
    assert found[Question.RESERVED].answer is None
    assert found[Question.GONE].answer is not None
