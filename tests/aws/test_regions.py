"""Where things are, told from the SDK's settings, the queue and the topic."""

import pytest

from slipway.aws.sdk.regions import NotConfigured, Regions, find_home, find_regions, find_targets
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


@pytest.mark.parametrize("arn", ["", "t", "arn:aws:sns::123456789012:t", "arn:aws:sqs:us-east-1:123456789012:t"])
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
        DEFAULT: Target(DEFAULT, HOME),
        "west": Target("west", Home("aws", "123456789012", "us-west-2")),
        "gov": Target("gov", Home("aws-us-gov", "210987654321", "us-gov-west-1"), rules),
    }
    assert find_targets([TargetSettings(DEFAULT, role=ROLE)], HOME)[DEFAULT].home.account == "210987654321"


@pytest.mark.parametrize(
    ("wanted", "twin"),
    [
        (
            [TargetSettings(DEFAULT), TargetSettings("twin")],
            "twin is account 123456789012 in Region us-east-1, as target default is",
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
    with pytest.raises(
        NotConfigured, match=f"^target {twin}; give it another region or role_arn, or leave one of the two out$"
    ):
        find_targets(wanted, HOME)
