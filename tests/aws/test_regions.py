"""Where things are, told from the SDK's settings, the queue and the topic."""

import pytest

from slipway.aws.sdk.regions import NotConfigured, Regions, find_home, find_regions, find_targets, learn_account, reply_region
from slipway.core.requests.targets import DEFAULT, Home, Role, Target, TargetRules, TargetSettings

QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/q"
TOPIC = "arn:aws:sns:us-west-2:123456789012:t"


@pytest.mark.parametrize(
    ("environ", "profile", "bedrock"),
    [
        ({"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-2"}, "ap-south-1", "us-east-1"),
        ({"AWS_DEFAULT_REGION": "us-east-2"}, "ap-south-1", "us-east-2"),
        ({}, "ap-south-1", "ap-south-1"),
        ({"AWS_REGION": ""}, None, "eu-west-1"),
    ],
)
def test_the_sdk_s_settings_come_first(environ: dict[str, str], profile: str | None, bedrock: str) -> None:
    assert find_regions(environ, profile, QUEUE, TOPIC) == Regions(bedrock, queue="eu-west-1", topic="us-west-2")


@pytest.mark.parametrize(
    ("url", "region"),
    [
        (QUEUE, "eu-west-1"),
        ("https://eu-west-1.queue.amazonaws.com/123456789012/q", "eu-west-1"),
        ("https://queue.amazonaws.com/123456789012/q", "us-east-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/q", "cn-north-1"),
        ("https://sqs-fips.us-gov-west-1.amazonaws.com/123456789012/q", "us-gov-west-1"),
        ("https://vpce-0a1b-2c3d.sqs.ap-southeast-2.vpce.amazonaws.com/123456789012/q", "ap-southeast-2"),
        ("http://localhost:4566/000000000000/q", "us-west-2"),
        ("http://sqs.example/000000000000/q", "us-west-2"),
    ],
)
def test_a_queue_says_where_it_is(url: str, region: str) -> None:
    assert find_regions({}, None, url, TOPIC).queue == region


def test_home_is_known_without_asking() -> None:
    regions = Regions(bedrock="us-gov-west-1", queue="x", topic="y")
    assert find_home("arn:aws-us-gov:sns:y:123456789012:t.fifo", regions) == Home("aws-us-gov", "123456789012", "us-gov-west-1")


@pytest.mark.parametrize("arn", ["t", "arn:aws:sns::123456789012:t", "arn:aws:sqs:us-east-1:123456789012:t"])
def test_a_topic_that_is_none_is_a_sentence(arn: str) -> None:
    with pytest.raises(NotConfigured, match=r"SLIPWAY_TOPIC_ARN .* should look like arn:aws:sns:"):
        find_regions({}, None, QUEUE, arn)


HOME = Home("aws", "123456789012", "us-east-1")
ROLE = Role("arn:aws-us-gov:iam::210987654321:role/path/slipway", "slipway")


def test_a_target_is_in_the_account_of_its_role_and_in_the_sdks_region_unless_it_names_one() -> None:
    rules = TargetRules(max_creating=3)
    wanted = [
        TargetSettings(DEFAULT),
        TargetSettings("west", region="us-west-2"),
        TargetSettings("gov", "us-gov-west-1", ROLE, rules),
    ]
    assert find_targets(wanted, HOME) == {
        DEFAULT: Target(DEFAULT, HOME, is_account_known=False),
        "west": Target("west", Home("aws", "123456789012", "us-west-2"), is_account_known=False),
        "gov": Target("gov", Home("aws-us-gov", "210987654321", "us-gov-west-1"), rules),
    }
    assert find_targets([TargetSettings(DEFAULT, role=ROLE)], HOME)[DEFAULT].home.account == "210987654321"


@pytest.mark.parametrize(
    ("wanted", "twin"),
    [
        (
            [TargetSettings(DEFAULT), TargetSettings("twin")],
            "twin is the daemon's own account in Region us-east-1, as target default is",
        ),
        (
            [
                TargetSettings(DEFAULT),
                TargetSettings("a", role=ROLE),
                TargetSettings("b", "us-east-1", Role(f"{ROLE.arn}-2", "s")),
            ],
            "b is account 210987654321 in Region us-east-1, as target a is",
        ),
    ],
)
def test_two_targets_in_one_place_are_a_sentence(wanted: list[TargetSettings], twin: str) -> None:
    with pytest.raises(NotConfigured, match=f"^target {twin}; give it another region or role_arn, or omit one of the two$"):
        find_targets(wanted, HOME)


def test_the_account_that_sts_names_is_that_of_every_target_without_a_role() -> None:
    found = find_targets([TargetSettings(DEFAULT), TargetSettings("gov", "us-gov-west-1", ROLE)], HOME)
    assert found[DEFAULT].is_home_of("arn:aws:bedrock:us-east-1:555555555555:custom-model-deployment/abc"), "it may be any"
    assert not found[DEFAULT].is_home_of("arn:aws:bedrock:us-west-2:555555555555:custom-model-deployment/abc")
    learn_account("555555555555", found)
    assert found[DEFAULT] == Target(DEFAULT, Home("aws", "555555555555", "us-east-1"))
    assert found["gov"].home.account == "210987654321"
    assert not found[DEFAULT].is_home_of("arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abc")


def test_two_targets_that_sts_shows_to_be_one_place_are_a_sentence() -> None:
    role = Role("arn:aws:iam::555555555555:role/slipway", "slipway")
    found = find_targets([TargetSettings(DEFAULT), TargetSettings("same", role=role)], HOME)
    with pytest.raises(NotConfigured, match="target default is account 555555555555 in Region us-east-1, as target same is"):
        learn_account("555555555555", found)


@pytest.mark.parametrize(
    ("address", "region"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/answers", "eu-west-1"),
        ("https://vpce-0a1b2c.sqs.us-west-2.vpce.amazonaws.com/123456789012/answers", "us-west-2"),
        ("https://sqs-fips.us-gov-west-1.amazonaws.com/123456789012/answers", "us-gov-west-1"),
        ("https://ap-south-1.queue.amazonaws.com/123456789012/answers", "ap-south-1"),
        ("arn:aws:sns:eu-west-1:123456789012:answers.fifo", "eu-west-1"),
        ("http://127.0.0.1:4566/123456789012/answers", None),
    ],
)
def test_the_region_of_a_reply_is_in_its_address(address: str, region: str | None) -> None:
    assert reply_region(address) == region
