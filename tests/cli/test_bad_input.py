"""What is wrong is named, with what to do, in one line and with the documented exit; never with a traceback."""

from __future__ import annotations

import pytest

from tests.e2e.commands import typed

MODEL = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"
SET = {
    "SLIPWAY_QUEUE_URL": "http://127.0.0.1:9/123456789012/slipway-requests",
    "SLIPWAY_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:slipway-events",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "made-up",
    "AWS_SECRET_ACCESS_KEY": "made-up",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["explain", " "], "REQUEST_OR_NAME: it is empty; give a name, an id or an ARN"),
        (["get", ""], "NAME_OR_ARN: it is empty"),
        (["list", "--model", "nope"], f"--model: nope is no ARN of a custom model; give one like {MODEL}"),
        (["doctor", "--model", "nope"], "--model: nope is no ARN of a custom model"),
        (["probe", "--model", "nope"], "--model: nope is no ARN of a custom model"),
        (["local", "--port", "99999"], "--port"),
        (["local", "--creation-seconds", "5", "1"], "--creation-seconds: they are two numbers, not below 0, the shorter first"),
        (["health", "--port", "0"], "--port"),
        (["dlq", "redrive"], "name letters by their ids, or say --all; not both"),
    ],
)
async def test_an_option_is_named_before_anything_is_asked(words: list[str], said: str) -> None:
    ran = await typed(None, *words)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err.replace("'", "")


@pytest.mark.parametrize(
    ("more", "words", "said"),
    [
        ({"AWS_ENDPOINT_URL": "nonsense"}, ["list"], "Invalid endpoint: nonsense; look at AWS_PROFILE, AWS_REGION and"),
        ({"AWS_REGION": "b a d"}, ["dlq", "list"], "AWS_REGION contains white space"),
        ({"AWS_REGION": "b_a_d"}, ["dlq", "list"], "doesn't match a supported format; look at AWS_PROFILE, AWS_REGION and"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, ["audit"], "no AWS credentials were found; set AWS_PROFILE"),
        ({}, ["list"], "check the network and the endpoints (AWS_ENDPOINT_URL)"),
        ({}, ["delete", "bot", "--request-id", "r-1"], "it may have been sent all the same: see slipway explain r-1, or ask"),
        ({}, ["watch", "--daemon", "http://127.0.0.1:9"], "check the network and the endpoints (AWS_ENDPOINT_URL)"),
        ({}, ["deploy", "bot", MODEL, "--daemon", "nonsense"], '"nonsense" is no daemon\'s address; give one like http://'),
        ({}, ["deploy", "bot", MODEL, "--daemon", "localhost:80"], '"localhost:80" is no daemon\'s address; give one like'),
        (
            {},
            ["deploy", "bot", MODEL, "--daemon", "http://127.0.0.1:9"],
            "no daemon answers at http://127.0.0.1:9 (Connection refused); start it, or give its own address",
        ),
        (
            {},
            ["deploy", "bot", MODEL, "--wait", "--events-queue", "http://127.0.0.1:9/123456789012/events"],
            "name a queue that is subscribed to the topic, and that you may read; nothing was sent",
        ),
        (
            {},
            ["triggers", "test", "/nonexistent", "--triggers", "config/triggers.toml"],
            "FILE /nonexistent cannot be read",
        ),
        ({}, ["triggers", "test", "--triggers", "/nonexistent"], '--triggers names "/nonexistent", which cannot be read'),
        ({"SLIPWAY_TRIGGERS": "/nonexistent"}, ["triggers", "test"], 'SLIPWAY_TRIGGERS names "/nonexistent"'),
        ({}, ["audit", "--events", "/nonexistent"], "--events /nonexistent cannot be read (No such file or directory); name a"),
        ({}, ["config", "--config", "/nonexistent"], '--config names "/nonexistent", which cannot be read (No such file'),
    ],
)
async def test_what_cannot_be_done_is_one_line_with_its_remedy(more: dict[str, str], words: list[str], said: str) -> None:
    ran = await typed(None, *words, **(SET | more))
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert ran.err.startswith("slipway: ")
    assert said in ran.err


async def test_what_keeps_the_doctor_from_looking_is_a_finding_with_a_remedy() -> None:
    nobody = {"AWS_ACCESS_KEY_ID": ""}
    for wrong in ({"AWS_ENDPOINT_URL": "nonsense"}, nobody, {"AWS_PROFILE": "nobody"}, {"SLIPWAY_QUEUE_URL": "x"}):
        ran = await typed(None, "doctor", "--json", **(SET | {"AWS_SECRET_ACCESS_KEY": ""} | wrong))
        assert ran.code == 1
        (finding,) = ran.json["findings"]
        assert finding["about"] == "settings"
        assert finding["message"]
        assert finding["remedy"], finding


async def test_health_without_a_port_is_no_life() -> None:
    for wrong in ("abc", "0", "99999"):
        ran = await typed(None, "health", SLIPWAY_HTTP_PORT=wrong)
        assert (ran.code, ran.out.count("\n")) == (1, 1)
        assert "SLIPWAY_HTTP_PORT" in ran.out
    ran = await typed(None, "health", "--port", "9")
    assert (ran.code, ran.out) == (1, "no answer from 127.0.0.1:9: Connection refused\n")
