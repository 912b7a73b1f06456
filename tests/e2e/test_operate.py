"""`slipway doctor`, `dlq` and `config`: what is wrong is found, what is dead is read and sent back."""

from __future__ import annotations

import json
import signal
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aioboto3
import pytest

from slipway.local.behaviour import Behaviour
from slipway.local.stack import LocalAws
from tests.e2e.commands import Terminal, at_terminal, slipway, typed
from tests.e2e.daemons import MODEL, a_request, daemon, listening

QUICK = Behaviour(max_creating=50, max_total=500, creation_seconds=(0.0, 0.0))


def client(box: LocalAws, service: str) -> AbstractAsyncContextManager[Any]:
    made: AbstractAsyncContextManager[Any] = aioboto3.Session().client(
        service,
        endpoint_url=box.environment()["AWS_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    return made


async def test_nothing_is_wrong_with_a_good_box() -> None:
    for fifo in (False, True):
        async with LocalAws(terms=QUICK, fifo=fifo) as box, daemon(box) as process:
            await process.until(lambda: bool(process.lines("daemon.started")))
            url = f"http://127.0.0.1:{process.port}"
            ran = await typed(box, "doctor", "--json", "--model", MODEL, "--daemon", url)
            assert (ran.code, ran.err, ran.json["findings"]) == (0, "", [])
            seen = {check["about"]: check["seen"] for check in ran.json["checked"]}
            assert len(seen) == 10
            assert all(seen.values()), seen
            assert seen["credentials"].endswith(" in us-east-1")
            assert "0 messages, 0 in flight, kept for 14 days" in seen["queue"]
            assert seen["deployments"] == "0, in creation 0"
            assert box.bedrock.account().made == []
            ran = await typed(box, "doctor", SLIPWAY_HTTP_PORT=str(process.port))
            assert [line.split()[1] for line in ran.out.splitlines()[:3]] == ["credentials", "queue", "clock"]
            assert ran.out.endswith(f"✓ daemon http://127.0.0.1:{process.port}  ready\n")


async def test_at_a_terminal_a_good_box_is_said_to_be_well() -> None:
    async with LocalAws(terms=QUICK) as box:
        code, screen = await at_terminal(box, "doctor")
        assert code == 0
        assert [line.split()[:2] for line in screen.splitlines()][:3] == [["✓", "credentials"], ["✓", "queue"], ["✓", "clock"]]


async def test_a_bedrock_api_key_and_kms_keys_are_said() -> None:
    async with LocalAws(terms=QUICK) as box:
        async with client(box, "sqs") as sqs:
            await sqs.set_queue_attributes(QueueUrl=box.queue_url, Attributes={"KmsMasterKeyId": "alias/aws/sqs"})
            await sqs.set_queue_attributes(QueueUrl=box.dead_letter_url, Attributes={"KmsMasterKeyId": "alias/ours"})
        ran = await typed(box, "doctor", "--json", AWS_BEARER_TOKEN_BEDROCK="bedrock-api-key-EXAMPLE")
        assert ran.json["findings"] == []
        assert "Bedrock API key" in [check["about"] for check in ran.json["checked"]]
        notes = " ".join(ran.json["notes"])
        for said in ("AWS_BEARER_TOKEN_BEDROCK is set", "EventBridge and SNS cannot send to it", "kms:Decrypt for alias/ours"):
            assert said in notes


async def test_all_that_was_planted_is_found() -> None:
    denied = ("CreateCustomModelDeployment", "GetCustomModel", "ListTagsForResource")
    async with LocalAws(terms=replace(QUICK, denied=denied)) as box:
        async with client(box, "sqs") as sqs, client(box, "sns") as sns:
            arn = (await sqs.get_queue_attributes(QueueUrl=box.dead_letter_url, AttributeNames=["QueueArn"]))["Attributes"]
            redrive = {"deadLetterTargetArn": arn["QueueArn"], "maxReceiveCount": 1}
            seeded_bugs = {"MessageRetentionPeriod": "3600", "DelaySeconds": "60", "SqsManagedSseEnabled": "false"}
            seeded_bugs["RedrivePolicy"] = json.dumps(redrive)
            await sqs.set_queue_attributes(QueueUrl=box.queue_url, Attributes=seeded_bugs)
            await sqs.set_queue_attributes(QueueUrl=box.dead_letter_url, Attributes={"MessageRetentionPeriod": "600"})
            await sqs.send_message(QueueUrl=box.dead_letter_url, MessageBody="{}")
            (subscribed,) = (await sns.list_subscriptions_by_topic(TopicArn=box.topic_arn))["Subscriptions"]
            await sns.unsubscribe(SubscriptionArn=subscribed["SubscriptionArn"])
        box.bedrock.account().add(box.bedrock.now(), "theirs", MODEL)
        words = ("doctor", "--json", "--daemon", "http://127.0.0.1:9")
        ran = await typed(box, *words, SLIPWAY_MAX_TOTAL="1")
        assert ran.code == 1
        found = [finding["about"] for finding in ran.json["findings"]]
        assert found == [
            "queue retention", "queue delay", "queue encryption", "maxReceiveCount", "dead-letter retention",
            "dead letters", "topic", "permissions", "permissions", "permissions", "slots", "daemon",
        ]  # fmt: skip
        for operation in denied:
            assert any(operation in finding["message"] for finding in ran.json["findings"])
        assert all(finding["remedy"] for finding in ran.json["findings"])


async def test_what_is_not_there_is_found_one_at_a_time() -> None:
    async with LocalAws(terms=QUICK) as box:
        for seeded_bugs, about in (
            ({"SLIPWAY_QUEUE_URL": box.queue_url + "x"}, "queue"),
            ({"SLIPWAY_TOPIC_ARN": box.topic_arn + "x"}, "topic"),
            ({"AWS_REGION": "eu-west-1"}, "Region"),
            ({"SLIPWAY_TIMEOUTT": "1"}, "settings"),
            ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "settings"),
            ({"AWS_ENDPOINT_URL_BEDROCK": "http://127.0.0.1:9"}, "deployments"),
        ):
            ran = await typed(box, "doctor", "--json", **seeded_bugs)
            assert ran.code == 1, seeded_bugs
            assert about in [finding["about"] for finding in ran.json["findings"]], seeded_bugs
        async with client(box, "sqs") as sqs:
            await sqs.delete_queue(QueueUrl=box.dead_letter_url)
        ran = await typed(box, "doctor", SLIPWAY_HTTP_PORT="9")
        assert "- no daemon answers at http://127.0.0.1:9 (Connection refused)" in ran.out
        assert [line for line in ran.out.splitlines() if line.startswith("✗")] == ["✗ dead-letter queue"]


async def test_dead_letters_are_listed_shown_and_sent_back_where_they_are_sound() -> None:
    async with LocalAws(terms=QUICK) as box, daemon(box) as process, listening(box) as results:
        await box.send('{"modelDeploymentname": "bot"}')
        await results.until(lambda: bool(results.outcomes()))
        async with client(box, "sqs") as sqs:
            await sqs.send_message(QueueUrl=box.dead_letter_url, MessageBody=a_request("bot"))
        await process.until(lambda: bool(process.lines("request.rejected")))
        listed = {row[1]: row for row in (await typed(box, "dlq", "list")).rows}
        assert set(listed) == {"UnknownKey", "ReceivedTooOften"}
        assert "did you mean modelDeploymentName?" in listed["UnknownKey"][4]
        assert listed["ReceivedTooOften"][3] == "bot bot"
        shown = (await typed(box, "dlq", "show", listed["UnknownKey"][0])).facts
        assert shown["body"] == '{"modelDeploymentname": "bot"}'
        assert shown["after a redrive"] == "rejected again (UnknownKey)"
        ran = await typed(box, "dlq", "redrive", "--all")
        assert (ran.code, ran.out.split()) == (1, [listed["ReceivedTooOften"][0]])
        assert "sent back: 1; would be rejected again: 1 (UnknownKey 1); name them" in ran.err
        await results.until(lambda: "bot" in results.outcomes())
        assert [row[1] for row in (await typed(box, "dlq", "list")).rows] == ["UnknownKey"]
        ran = await typed(box, "dlq", "redrive", listed["UnknownKey"][0])
        assert ran.code == 0
        await process.until(lambda: len(process.lines("request.rejected")) == 2)
        (letter,) = (await typed(box, "dlq", "list", "--json")).json
        assert letter["code"] == "UnknownKey"
        ran = await typed(box, "dlq", "show", "nothing")
        assert (ran.code, ran.out) == (1, "")
        assert "slipway dlq list" in ran.err
        ran = await typed(box, "dlq", "redrive", "nothing", "-o", "json")
        assert (ran.code, ran.json["sent"], ran.json["notFound"]) == (1, [], ["nothing"])
        ran = await typed(box, "dlq", "redrive")
        assert ran.code == 2
        assert "--all" in ran.err


async def test_dead_letters_of_a_fifo_queue_go_back_into_their_group() -> None:
    async with LocalAws(terms=QUICK, fifo=True) as box, daemon(box), listening(box) as results:
        async with client(box, "sqs") as sqs:
            for name in ("bot-1", "bot-2"):
                await sqs.send_message(
                    QueueUrl=box.dead_letter_url, MessageBody=a_request(name), MessageGroupId=name, MessageDeduplicationId=name
                )
        ran = await typed(box, "dlq", "redrive", "--all")
        assert (ran.code, len(ran.out.split())) == (0, 2)
        await results.until(lambda: {"bot-1", "bot-2"} <= set(results.outcomes()))


async def _fill(sqs: Any, url: str, bodies: list[str]) -> None:
    for begin in range(0, len(bodies), 10):
        entries = [{"Id": str(place), "MessageBody": body} for place, body in enumerate(bodies[begin : begin + 10])]
        assert len((await sqs.send_message_batch(QueueUrl=url, Entries=entries))["Successful"]) == len(entries)


async def _count(sqs: Any, url: str) -> int:
    name = "ApproximateNumberOfMessages"
    return int((await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name]))["Attributes"][name])


async def test_all_of_more_than_a_thousand_dead_letters_are_sent_back() -> None:
    async with LocalAws(terms=QUICK) as box, client(box, "sqs") as sqs:
        await _fill(sqs, box.dead_letter_url, [a_request(f"bot-{number}") for number in range(1_205)])
        ran = await typed(box, "dlq", "redrive", "--all", "--dry-run")
        assert (ran.code, len(set(ran.out.split()))) == (0, 1_205)
        assert "would be sent back: 1205" in ran.err
        assert (await _count(sqs, box.dead_letter_url), await _count(sqs, box.queue_url)) == (1_205, 0)
        ran = await typed(box, "dlq", "redrive", "--all")
        assert (ran.code, len(set(ran.out.split()))) == (0, 1_205)
        assert (await _count(sqs, box.dead_letter_url), await _count(sqs, box.queue_url)) == (0, 1_205)


async def test_each_of_more_than_a_thousand_dead_letters_is_listed_and_shown() -> None:
    async with LocalAws(terms=QUICK) as box, client(box, "sqs") as sqs:
        await _fill(sqs, box.dead_letter_url, [a_request(f"bot-{number}") for number in range(1_205)])
        listed = [letter["messageId"] for letter in (await typed(box, "dlq", "list", "--json")).json]
        assert (len(listed), len(set(listed))) == (1_205, 1_205)
        assert (await typed(box, "dlq", "show", listed[-1])).facts["id"] == listed[-1]
        assert len((await typed(box, "dlq", "list", "--limit", "2")).rows) == 2
        assert await _count(sqs, box.dead_letter_url) == 1_205, "each is released"


async def test_what_would_be_rejected_again_by_the_settings_is_left_and_counted(tmp_path: Path) -> None:
    rules = tmp_path / "permissions.toml"
    rules.write_text('[[rule]]\nname = "all"\nnames = ["bot-*"]\n')
    bodies = [a_request("bot-1"), a_request("other"), a_request("bot-2", target="nowhere"), "{}", "not JSON"]
    bodies.append(a_request("bot-3", replyTo="arn:aws:sns:us-east-1:123456789012:elsewhere"))
    async with LocalAws(terms=QUICK) as box, client(box, "sqs") as sqs:
        await _fill(sqs, box.dead_letter_url, bodies)
        ran = await typed(box, "dlq", "redrive", "--all", SLIPWAY_PERMISSIONS=str(rules))
        assert (ran.code, len(ran.out.split())) == (1, 1)
        for said in (
            "sent back: 1;",
            "rejected again: 5",
            "NotPermitted 1",
            "InvalidField 1",
            "NotJson 1",
            "ReplyNotAllowed 1",
        ):
            assert said in ran.err
        assert (await _count(sqs, box.dead_letter_url), await _count(sqs, box.queue_url)) == (5, 1)
        ran = await typed(box, "dlq", "redrive", "--all", "--unsound", SLIPWAY_PERMISSIONS=str(rules))
        assert (ran.code, len(ran.out.split())) == (0, 5)


async def test_config_says_where_each_setting_came_from_and_keeps_secrets(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("""
max_held = 7
timeout = 60
[targets.default]
max_creating = 3
[targets.research]
region = "us-west-2"
role_arn = "arn:aws:iam::210987654321:role/slipway"
external_id = "hush-hush"
""")
    async with LocalAws(terms=QUICK) as box:
        ran = await typed(box, "config", "--config", str(file), SLIPWAY_TIMEOUT="90", AWS_SECRET_ACCESS_KEY="hush")
        rows = {row[0]: row[1:] for row in ran.rows}
        assert rows["max_held"] == ["7", str(file)]
        assert rows["timeout"] == ["90", "SLIPWAY_TIMEOUT"]
        assert rows["targets.default.max_creating"] == ["3", str(file)]
        assert rows["targets.research.region"] == ["us-west-2", str(file)]
        assert rows["targets.research.external_id"] == ["(set, not shown)", str(file)]
        assert not {"targets.default.max_total", "targets.research.models"} & set(rows), "what nobody has set"
        assert rows["log_level"] == ["info", "default"]
        assert rows["AWS_REGION"] == ["us-east-1", "AWS_REGION"]
        assert "hush" not in ran.out
        assert rows["AWS_SECRET_ACCESS_KEY"][0] == "(set, not shown)"
        ran = await typed(box, "config", "--json", SLIPWAY_HTTP_PORT="x")
        assert (ran.code, ran.out) == (2, "")
        assert "SLIPWAY_HTTP_PORT" in ran.err


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
async def test_a_probe_that_loses_its_terminal_takes_away_what_it_made(number: int) -> None:
    async with LocalAws(terms=replace(QUICK, creation_seconds=(600.0, 600.0), delete_conflicts=False)) as box:
        terminal = Terminal(box, "probe", "--model", MODEL, "--yes")
        await terminal.start()
        try:
            await terminal.until(lambda _: bool(box.bedrock.account().made))
            assert await terminal.end(number) == 130
        finally:
            await terminal.kill()
        assert not [one for one in box.bedrock.account().made if one.exists(box.bedrock.now())]


async def test_a_probe_says_what_it_saw_and_takes_away_what_it_made() -> None:
    terms = replace(QUICK, creation_seconds=(0.0, 0.0), update_seconds=(0.0, 0.0), max_creating=2, taken_text="It exists.")
    async with LocalAws(terms=terms) as box:
        ran = await slipway(box, "probe", "--model", MODEL)
        assert (ran.code, ran.out) == (2, "")
        assert "--yes" in ran.err
        assert not box.bedrock.account().made
        ran = await slipway(box, "probe", "--model", MODEL, "--yes", "--json")
        assert ran.code == 0, ran.err
        said = ran.json
        assert said["terms"]["taken_text"] == "It exists."
        assert Behaviour().changed(said["terms"]).taken_text == "It exists."
        assert said["left"] == []
        found = {one["id"]: one for one in said["findings"]}
        assert "ValidationException: It exists." in found["taken"]["evidence"][0]
        assert found["ready"]["answer"]
        made = box.bedrock.account().made
        assert made
        assert not [one for one in made if one.exists(box.bedrock.now())]
