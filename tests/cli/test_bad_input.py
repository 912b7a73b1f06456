"""Wrong input is named with its remedy in one line, with the documented exit code, and never with a traceback."""

from __future__ import annotations

import asyncio
import sys

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
        (["list", "--model", "nope"], f'--model: "nope" is not the ARN of a custom model; give one like {MODEL}'),
        (["doctor", "--model", "nope"], '--model: "nope" is not the ARN of a custom model'),
        (["probe", "--model", "nope"], '--model: "nope" is not the ARN of a custom model'),
        (["local", "--port", "99999"], '--port: "99999" is not a whole number from 0 to 65535'),
        (["local", "--creation-seconds", "5", "1"], "--creation-seconds: not two numbers of at least 0, the shorter first"),
        (["health", "--port", "0"], '--port: "0" is not a whole number from 1 to 65535'),
        (["dlq", "redrive"], "ID / --all: name messages by their ids, or use --all; not both"),
        (["dlq", "redrive", "--unsound", "x"], "--unsound: it has no effect without --all"),
        (["deploy", "bot", MODEL, "--retries", "many"], '--retries: "many" is not a whole number from 0 to 10'),
        (["deploy", "bot", MODEL, "--if-exists", "x"], '--if-exists: "x" is not one of adopt, update, replace, fail'),
        (
            ["deploy", "bot", MODEL, "--at-most", "5"],
            "--at-most: it has no effect without --wait; add --wait or omit --at-most",
        ),
        (["deploy", "bot", MODEL, "--events-queue", "x"], "--events-queue: it has no effect without --wait"),
        (
            ["deploy", "bot", MODEL, "--wait", "--at-most", "soon"],
            '--at-most: "soon" is not a duration of at least 1s; use one',
        ),
        (["deploy", "bot", MODEL, "--dry-run", "--wait"], "--wait: it has no effect with --dry-run"),
        (["deploy", "bot", MODEL, "--smoke-expect", "x"], "--smoke-expect: it has no effect without --smoke-test"),
        (["deploy"], "NAME and MODEL_ARN missing: give each of them, or a file with -f. See slipway deploy --help"),
        (["update", "bot"], "MODEL_ARN missing: give it, or a file with -f"),
        (["probe", "--yes"], "--yes: it has no effect without --model"),
        (["watch", "--every", "0"], '--every: "0" is not a duration of at least 1s'),
        (["list", "-o", "xml"], '--output / -o: "xml" is not one of table, wide, json, yaml'),
        (["list", "--status", "foo"], '--status: "foo" is not one of creating, active, failed'),
        (["list", "--query", "a", "-o", "table"], "--query: it has no effect with -o table"),
        (["list", "--query", "a["], '--query: not a JMESPath expression at character 3: "a["'),
        (["version", "--json", "-o", "yaml"], "--json: it is the same as -o json, and -o yaml was given too"),
        (["versoin"], 'there is no command "versoin"; did you mean version? See slipway --help'),
        (["frobnicate"], 'there is no command "frobnicate"; the help lists all commands. See slipway --help'),
        (["deploy", "--timeot", "5"], 'there is no option "--timeot"; did you mean --timeout? See slipway deploy --help'),
        (["deploy", "--frobnicate"], 'there is no option "--frobnicate"; the help lists all options'),
        (["schema"], "DOCUMENT is missing. See slipway schema --help"),
    ],
)
async def test_an_option_is_named_before_anything_is_asked(words: list[str], said: str) -> None:
    ran = await typed(None, *words)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert ran.err.startswith(f"slipway: {said}")


@pytest.mark.parametrize(
    ("more", "words", "said"),
    [
        ({"AWS_ENDPOINT_URL": "nonsense"}, ["list"], "Invalid endpoint: nonsense; look at AWS_PROFILE, AWS_REGION and"),
        ({"AWS_REGION": "b a d"}, ["dlq", "list"], "AWS_REGION contains white space"),
        ({"AWS_REGION": "b_a_d"}, ["dlq", "list"], "doesn't match a supported format; look at AWS_PROFILE, AWS_REGION and"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, ["audit"], "no AWS credentials were found; set AWS_PROFILE"),
        ({}, ["list"], "cannot connect to 127.0.0.1:9 (Connection refused); check the network and the endp"),
        ({}, ["delete", "bot", "--request-id", "r-1"], "the request may have been sent: see slipway explain r-1, or repeat"),
        ({}, ["watch", "--daemon", "http://127.0.0.1:9"], "check the network and the endpoints (AWS_ENDPOINT_URL)"),
        ({}, ["deploy", "bot", MODEL, "--daemon", "nonsense"], '"nonsense" is not a daemon\'s address; give one like http://'),
        ({}, ["deploy", "bot", MODEL, "--daemon", "localhost:80"], '"localhost:80" is not a daemon\'s address; give one like'),
        (
            {},
            ["deploy", "bot", MODEL, "--daemon", "http://127.0.0.1:9"],
            "no daemon answers at http://127.0.0.1:9 (Connection refused); start it, or give its own address",
        ),
        (
            {},
            ["deploy", "bot", MODEL, "--wait", "--events-queue", "http://127.0.0.1:9/123456789012/events"],
            "name a queue that is subscribed to the topic and that you may read; nothing was sent",
        ),
        (
            {},
            ["triggers", "test", "/nonexistent", "--triggers", "config/triggers.toml"],
            "FILE: /nonexistent cannot be read",
        ),
        ({}, ["triggers", "test", "--triggers", "/nonexistent"], '--triggers names "/nonexistent", which cannot be read'),
        ({"SLIPWAY_TRIGGERS": "/nonexistent"}, ["triggers", "test"], 'SLIPWAY_TRIGGERS names "/nonexistent"'),
        (
            {},
            ["audit", "--events", "/nonexistent"],
            "--events: /nonexistent cannot be read (No such file or directory); name a",
        ),
        (
            {"SLIPWAY_QUEUE_URL": None, "SLIPWAY_TOPIC_ARN": None},
            ["deploy", "bot", MODEL],
            "SLIPWAY_QUEUE_URL and SLIPWAY_TOPIC_ARN are not set; use the URL of an SQS queue",
        ),
        (
            {},
            ["deploy", "bot", MODEL, "--timeout", "soon"],
            '--timeout: is "soon", not a number of seconds or a duration such as 90m',
        ),
        ({}, ["deploy", "bot", MODEL, "--expires-after", "400d"], "--expires-after: is the number 34560000, more than"),
        ({}, ["deploy", "b@t", MODEL], 'NAME: is "b@t", whose character 2'),
        ({}, ["deploy", "-f", "/nonexistent"], '--file: "/nonexistent" cannot be read (No such file or directory)'),
        ({}, ["deploy", "-f", "README.md"], '--file: "README.md" is not JSON in UTF-8'),
        ({}, ["update", "-f", "config/samples/plain.json"], 'is "deploy", not update; use slipway deploy'),
        (
            {},
            ["deploy", "bot", MODEL, "--target", "nope"],
            '--target: the settings have no target "nope", only default; use one',
        ),
        ({}, ["requests"], "no daemon answers at http://127.0.0.1:8080"),
        ({"AWS_REGION": None}, ["list", "--profile", "nobody"], "The config profile (nobody) could not be found"),
        ({}, ["config", "--config", "/nonexistent"], '--config names "/nonexistent", which cannot be read (No such file'),
    ],
)
async def test_what_cannot_be_done_is_one_line_with_its_remedy(
    more: dict[str, str | None], words: list[str], said: str
) -> None:
    given = {name: value for name, value in (SET | more).items() if value is not None}
    ran = await typed(None, *words, **given)
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


@pytest.mark.parametrize("words", [["demo"], ["local"], ["local", "--detach"]])
async def test_without_the_extra_the_command_that_installs_it_is_named(words: list[str]) -> None:
    script = (
        f"import sys; sys.modules['moto'] = None; sys.argv = {['slipway', *words]!r}; from slipway.__main__ import main; main()"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert (process.returncode, out.decode()) == (2, "")
    assert err.decode() == "slipway: moto is not installed; run pip install 'slipway-bedrock[local]'\n"
