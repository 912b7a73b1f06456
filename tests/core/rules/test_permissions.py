"""Permissions: what a rule permits and with which tags, the reasons of its rejections, and the errors of a wrong file."""

from __future__ import annotations

import tomllib
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.core.events.publish import Times, announce_outcome
from slipway.core.lifecycle.outcomes import Outcome, OutcomeKind
from slipway.core.parsing import client_token, parse_request
from slipway.core.requests.fields import ACTIONS, MOST_TAGS, OWN_TAGS
from slipway.core.requests.models import AnyRequest, Cancel, Delete, Deploy
from slipway.core.rules.permissions import FIELDS, PermissionRule, WrongPermissions, check_permission, read_permissions
from slipway.core.schema.rejection import LONGEST_REASON, RejectionCode, RequestRejected
from tests.support.bodies import ARN, GOOD, HOME, eventbridge, message, requests

TEAM, OWN = "AROATEAM:monday", "AROASLIPWAY:a"
JOB = ARN.replace("custom-model/", "model-customization-job/")


def asked(body: object = GOOD, **more: object) -> AnyRequest:
    return parse_request(message(GOOD | more if body is GOOD else body), HOME)


def refusal(request: AnyRequest, *rules: PermissionRule, sender: str | None = TEAM, own: str | None = OWN) -> RequestRejected:
    with pytest.raises(RequestRejected) as refused:
        check_permission(request, sender, rules, own)
    assert refused.value.code is RejectionCode.NOT_PERMITTED
    assert refused.value.request_id == request.request_id
    return refused.value


def tags(*keys: str) -> list[dict[str, str]]:
    return [{"key": key, "value": "given"} for key in keys]


def test_without_rules_everything_is_permitted_as_it_is() -> None:
    assert check_permission(asked(), None, ()) == asked()


def test_the_first_rule_that_is_for_the_sender_decides() -> None:
    rules = (
        PermissionRule(name="elsewhere", senders=("AROAOTHER:*",)),
        PermissionRule(name="team", senders=("AIDA*", "AROATEAM:*"), names=("support-*",)),
        PermissionRule(name="everybody"),
    )
    assert check_permission(asked(), TEAM, rules).rule == "team"
    assert check_permission(asked(), "AROAOTHER:x", rules).rule == "elsewhere"
    assert check_permission(asked(), "AIDANOBODY", rules).rule == "team"
    assert check_permission(asked(), None, rules).rule == "everybody"
    refused = refusal(asked(modelDeploymentName="search-1"), *rules)
    assert refused.reason == (
        'rule "team" does not permit modelDeploymentName "search-1", only support-*; '
        "change the request, or have the rule changed"
    )
    assert refused.field == "modelDeploymentName"


@pytest.mark.parametrize(
    ("sender", "said"), [("AROAX:y", 'the sender "AROAX:y"'), (None, "a message without SenderId"), ("", 'the sender ""')]
)
def test_what_no_rule_is_for_is_refused(sender: str | None, said: str) -> None:
    refused = refusal(asked(), PermissionRule(name="a", senders=("AROATEAM:*",)), sender=sender)
    assert refused.reason == f"no permission rule is for {said}; have it added to the senders of one"


UPDATE = {"action": "update", "customModelDeploymentIdentifier": "bot", "modelArn": ARN}
DELETE = {"action": "delete", "customModelDeploymentIdentifier": "bot"}
BY_ARN = DELETE | {
    "customModelDeploymentIdentifier": "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghijkl"
}
CANCEL = {"action": "cancel", "cancels": "r-1"}
BY_JOB = {"modelDeploymentName": "bot", "customizationJob": JOB}


@pytest.mark.parametrize(
    ("restriction", "body", "said"),
    [
        ({"actions": ("deploy",)}, UPDATE, 'action "update", only deploy;'),
        ({"actions": ("deploy", "update")}, DELETE, 'action "delete", only deploy, update;'),
        ({"actions": ("deploy",)}, CANCEL, 'action "cancel", only deploy;'),
        ({"actions": ("delete",)}, GOOD, 'action "deploy", only delete;'),
        ({"actions": ("deploy",)}, GOOD | {"ifExists": "update"}, 'ifExists "update", which needs the action update, only'),
        ({"actions": ("deploy",)}, GOOD | {"ifExists": "replace"}, 'ifExists "replace", which needs the action delete, only'),
        ({"names": ("a*", "*z")}, DELETE, 'customModelDeploymentIdentifier "bot", only a*, *z;'),
        ({"names": ("b*",)}, BY_ARN, "only b*, by their names;"),
        ({"models": ("*/imported/*",)}, UPDATE, "modelArn "),
        ({"models": (ARN,)}, BY_JOB, "customizationJob "),
        ({"models": ("*nova*",)}, BY_JOB | {"customizationJob": "tune-7"}, 'customizationJob "tune-7", only *nova*;'),
        ({"targets": ("research",)}, GOOD, 'target "default", only research;'),
        ({"max_priority": 5}, GOOD | {"priority": 6}, "priority 6, only up to 5;"),
        ({"max_priority": -1}, GOOD, "priority 0, only up to -1;"),
        (
            {"allow_tags": ("team", "cost-*")},
            GOOD | {"tags": tags("cost-x", "owner")},
            'the tag "owner" in tags, only team, cost-*;',
        ),
        ({"allow_tags": ()}, GOOD | {"tags": tags("team")}, 'the tag "team" in tags, only none;'),
    ],
    ids=str,
)
def test_what_a_rule_does_not_permit_is_named(restriction: dict[str, Any], body: dict[str, Any], said: str) -> None:
    refused = refusal(asked(body), PermissionRule(name="team", **restriction)).reason
    assert refused.startswith('rule "team" does not permit ')
    assert said in refused
    assert refused.endswith("; change the request, or have the rule changed")


@pytest.mark.parametrize(
    ("restriction", "body"),
    [
        ({"actions": ("deploy", "update")}, GOOD | {"ifExists": "update"}),
        ({"actions": ("deploy",)}, GOOD | {"ifExists": "fail", "retries": 0, "onFailure": "keep"}),
        (
            {"actions": ("deploy", "delete")},
            GOOD | {"ifExists": "replace", "retries": 3, "onFailure": "delete", "expiresAfter": 3600},
        ),
        ({"tenants": ("a*",)}, GOOD | {"tenant": "a-1"}),
        ({"tenants": ("a*",)}, GOOD),
        ({"names": ("*",), "max_priority": -1}, BY_ARN),
        ({"names": ("a*",), "models": ("none",), "targets": ("none",), "max_priority": -1}, CANCEL),
        ({"models": ("*:model-customization-job/amazon.nova-lite-v1:*",)}, BY_JOB),
        ({"models": ("tune-*",)}, BY_JOB | {"customizationJob": "tune-7"}),
        ({"targets": ("default",), "max_priority": 0, "names": ("support-*",), "models": (ARN,)}, GOOD),
        ({"force_tags": (("team", "t"),), "allow_tags": ()}, GOOD | {"tags": tags("team")}),
    ],
    ids=str,
)
def test_what_a_rule_permits(restriction: dict[str, Any], body: dict[str, Any]) -> None:
    assert check_permission(asked(body), TEAM, (PermissionRule(name="team", **restriction),)).rule == "team"


def test_forced_tags_are_added_and_go_before_what_was_given() -> None:
    rule = PermissionRule(name="team", force_tags=(("team", "support"), ("env", "prod")))
    request = check_permission(asked(tags=tags("x", "team")), TEAM, (rule,))
    assert isinstance(request, Deploy)
    assert request.tags == (("x", "given"), ("team", "support"), ("env", "prod"))


def test_forced_tags_that_leave_no_room_are_said_before_bedrock_says_it() -> None:
    most = MOST_TAGS - OWN_TAGS
    rule = PermissionRule(name="team", force_tags=(("team", "support"),))
    refused = refusal(asked(tags=tags(*(f"t{number}" for number in range(most)))), rule)
    assert f"so many tags: with those that it adds they are {most + 1}, more than {most};" in refused.reason
    assert (
        check_permission(asked(tags=tags("team", *(f"t{number}" for number in range(most - 1)))), TEAM, (rule,)).rule == "team"
    )


def test_a_request_that_a_trigger_made_is_permitted_like_any_other() -> None:
    request = parse_request(message(eventbridge(GOOD)), HOME)
    assert "AIDAEVENTS" in refusal(request, PermissionRule(name="a", senders=("AROATEAM:*",)), sender="AIDAEVENTS").reason


EXPIRED = BY_ARN | {"ifExpired": True}


@pytest.mark.parametrize(
    ("body", "sender", "own"),
    [
        (EXPIRED, TEAM, OWN),
        (EXPIRED, OWN, None),
        (EXPIRED, None, OWN),
        (EXPIRED, "AROASLIPWAYX:a", OWN),
        (BY_ARN, OWN, OWN),
        (GOOD, OWN, OWN),
    ],
)
def test_nothing_but_the_deletion_of_what_has_expired_is_slipways_own_business(
    body: dict[str, Any], sender: str | None, own: str | None
) -> None:
    rules = (PermissionRule(name="a", senders=("nobody",)),)
    request = check_permission(asked(EXPIRED), "AROASLIPWAY:another-session", rules, OWN)
    assert isinstance(request, Delete)
    assert request.if_expired
    refusal(asked(body), *rules, sender=sender, own=own)


patterns = st.lists(st.sampled_from(["*", "support-*", "a*", "*nova*", "deploy", "tune-*", "x"]), max_size=3).map(tuple)
pairs = st.tuples(st.sampled_from(["team", "env", "cost-x"]), st.sampled_from(["", "prod"]))
rules = st.builds(
    PermissionRule,
    name=st.just("r"),
    senders=st.sampled_from([(), ("AROATEAM:*",), ("AROAOTHER:*",)]),
    actions=st.lists(st.sampled_from(ACTIONS), max_size=3).map(tuple),
    targets=st.sampled_from([(), ("default",)]),
    models=patterns,
    names=patterns,
    force_tags=st.lists(pairs, max_size=3, unique_by=lambda pair: pair[0]).map(tuple),
    allow_tags=st.one_of(st.none(), patterns),
    max_priority=st.one_of(st.none(), st.integers(-100, 100)),
)


@given(requests(), st.lists(rules, min_size=1, max_size=4), st.sampled_from([TEAM, "AIDAX", None]))
def test_what_is_permitted_is_the_same_request_with_its_tags_and_stays_so(
    body: dict[str, Any], given_rules: list[PermissionRule], sender: str | None
) -> None:
    request = asked(body)
    rule = next((each for each in given_rules if each.is_for(sender)), None)
    if rule is None or [*rule.objections(request)]:
        refused = refusal(request, *given_rules, sender=sender)
        assert 0 < len(refused.reason) <= LONGEST_REASON
        assert refused.reason.isprintable()
        return
    permitted = check_permission(request, sender, given_rules, OWN)
    assert permitted.rule == rule.name
    assert not isinstance(permitted, Cancel) or permitted == replace(request, rule=rule.name)
    if isinstance(permitted, Deploy) and isinstance(request, Deploy):
        assert set(rule.force_tags) <= set(permitted.tags)
        assert len({key for key, _ in permitted.tags}) == len(permitted.tags) <= MOST_TAGS - OWN_TAGS
        assert replace(permitted, tags=request.tags, rule=None) == request
        assert client_token(permitted) == client_token(request)
    assert check_permission(permitted, sender, given_rules, OWN) == permitted
    times, outcome = Times(1.0, 0.0, 2.0), Outcome(OutcomeKind.FAILED)
    ids = {announce_outcome(each, outcome, times, "urn:s").event_id for each in (request, permitted)}
    assert len(ids) == 1


HEAD = "[[rule]]\nname = 'a'\n"


def read(text: str) -> tuple[PermissionRule, ...]:
    return read_permissions(tomllib.loads(text))


def test_a_rule_may_say_everything_or_only_its_name() -> None:
    text = """
    [[rule]]
    name = "team"
    senders = ["AROATEAM:*"]
    actions = ["deploy", "cancel"]
    targets = ["research"]
    models = ["*nova*"]
    names = ["support-*"]
    force_tags = [{ key = "team", value = "support" }]
    allow_tags = []
    max_priority = 5
    [[rule]]
    name = "rest"
    """
    team, rest = read(text)
    assert team == PermissionRule(
        name="team",
        senders=("AROATEAM:*",),
        actions=("deploy", "cancel"),
        targets=("research",),
        models=("*nova*",),
        names=("support-*",),
        force_tags=(("team", "support"),),
        allow_tags=(),
        max_priority=5,
    )
    assert rest == PermissionRule(name="rest")


def test_every_key_of_a_rule_is_one_of_its_fields() -> None:
    assert [field.name for field in FIELDS] == [field.name for field in fields(PermissionRule)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is no rule; begin one with [[rule]], or remove the file"),
        ("[[rules]]\n", 'the key "rules" is unknown; begin each rule with [[rule]]'),
        ("rule = [5]", "rule 1 is not a table; begin it with [[rule]]"),
        ("[[rule]]\n", "rule 1: name is missing; use 1 to 64 letters"),
        (HEAD * 2, 'rule 2: name "a" is used by an earlier rule; give each rule its own'),
        (HEAD + "sender = ['x']", 'rule "a": the key "sender" is unknown; did you mean senders?'),
        (HEAD + "senders = 'x'", 'rule "a": senders is the string "x", not a list; use a list of patterns'),
        (HEAD + "senders = []", 'rule "a": senders is empty; use a list of patterns'),
        (HEAD + "names = ['a**']", 'rule "a": names[0] is "a**", which does not have the right form; use a list of patterns'),
        (HEAD + r"names = ['a\']", 'rule "a": names[0] is '),
        (
            HEAD + "actions = ['deploi']",
            'rule "a": actions[0] is "deploi", not one of deploy, update, delete, cancel; use a list',
        ),
        (HEAD + "models = [5]", 'rule "a": models[0] is the number 5, not a string; use a list of patterns'),
        (
            HEAD + "force_tags = [{ key = 'aws:x', value = '' }]",
            'rule "a": force_tags[0].key is "aws:x", and the prefix aws: is',
        ),
        (HEAD + "force_tags = [{ key = 'x' }]", 'rule "a": force_tags[0].value is missing;'),
        (
            HEAD + "force_tags = { x = 'y' }",
            'rule "a": force_tags is an object, not a list; use a list of tags like { key = "team"',
        ),
        (HEAD + "max_priority = 'high'", 'rule "a": max_priority is the string "high", not a whole number; use a whole number'),
    ],
    ids=str,
)
def test_wrong_rules_are_refused_with_rule_and_key(text: str, said: str) -> None:
    with pytest.raises(WrongPermissions) as wrong:
        read(text)
    assert str(wrong.value).startswith(said)
