"""The whole thing: a real process, real aioboto3, real HTTP; boto3's body in, the topic's subscription out."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import jsonschema
import pytest

from slipway.core.events.schema import event_schema
from slipway.core.lifecycle.tags import OWNER_TAG, RECEIVED_TAG, REQUEST_TAG
from slipway.local.behaviour import Behaviour, FaultRule
from slipway.local.demo import sample
from slipway.local.stack import LocalAws
from tests.e2e.daemons import MODEL, a_request, daemon, listening
from tests.support.poison import POISON, is_sendable
from tests.support.readme import ROOT, SAMPLES

QUICK = Behaviour(max_creating=50, max_total=500, creation_seconds=(1.0, 2.0))


def test_a_boto3_program_asks_and_a_subscription_hears() -> None:
    def produce(environment: dict[str, str], fifo: bool) -> None:  # noqa: FBT001
        client = boto3.client(
            "sqs",
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            region_name=environment["AWS_REGION"],
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )
        wanted = {"modelDeploymentName": "bot", "modelArn": MODEL, "tags": [{"key": "team", "value": "x"}]}
        more: dict[str, Any] = {"MessageGroupId": "g", "MessageDeduplicationId": "d"} if fifo else {}
        client.send_message(QueueUrl=environment["SLIPWAY_QUEUE_URL"], MessageBody=json.dumps(wanted), **more)
        client.close()

    async def main(*, fifo: bool) -> None:
        async with (
            LocalAws(terms=QUICK, fifo=fifo) as box,
            daemon(box, SLIPWAY_PROGRESS_EVENTS="true") as process,
            listening(box) as results,
        ):
            await asyncio.to_thread(produce, box.environment(), fifo)
            await results.until(lambda: bool(results.outcomes()))
            for event in results.events:
                jsonschema.Draft202012Validator(event_schema()).validate({k: v for k, v in event.items() if k != "heard"})
            assert [event["data"]["outcome"] for event in results.events] == ["Accepted", "Creating", "Active"]
            made = box.bedrock.account().made[0]
            assert results.events[-1]["data"]["customModelDeploymentArn"] == made.arn
            assert {tag["key"] for tag in made.tags} == {"team", REQUEST_TAG, RECEIVED_TAG, OWNER_TAG}
            await process.until(lambda: len(process.lines("request.finished")) == 1)
            process.process.send_signal(signal.SIGTERM)
            await process.until(lambda: bool(process.lines("daemon.stopping")))
            await box.send(a_request("late"), group="g")
            code, took = await process.end(signal.SIGTERM)
            assert code == 0
            assert took < 25

    for fifo in (False, True):
        asyncio.run(main(fifo=fifo))


async def test_every_sample_ends_as_its_name_says(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[targets.research]\nregion = "us-west-2"\nrole_arn = "arn:aws:iam::210987654321:role/slipway"\n', "utf-8")
    triggers = str(ROOT / "config" / "triggers.toml")
    otherwise = {"cancel": "Failed", "failing": "Failed", "invalid": "Rejected", "update": "Updated"}
    otherwise |= dict.fromkeys(("delete", "delete-by-force"), "Deleted")
    late = ("cancel", "update")  # of what has ended already, and of what the plain one makes
    settings = {
        "SLIPWAY_CONFIG": str(own),
        "SLIPWAY_TRIGGERS": triggers,
        "SLIPWAY_REPLY_TO": "arn:aws:sns:us-east-1:123456789012:slipway-*",
    }
    terms = replace(QUICK, update_seconds=(0.5, 1.0))
    async with LocalAws(terms=terms) as box, daemon(box, **settings), listening(box) as results:
        names = sorted(path.stem for path in SAMPLES.glob("*.json"))
        for name in names:
            if name not in late:
                await box.send(sample(f"{name}.json"))
        await results.until(lambda: len(results.outcomes()) == len(names) - len(late))
        for name in late:
            await box.send(sample(f"{name}.json"))
        await results.until(lambda: len(results.outcomes()) == len(names))
        endings = sorted(outcome for said in results.outcomes().values() for outcome, _ in said)
        assert endings == sorted(otherwise.get(name, "Active") for name in names)
        heard = Counter(each.operation for each in box.askers.heard)
        assert heard["SendTaskHeartbeat"] >= 1
        assert (heard["SendTaskSuccess"], heard["SendPipelineExecutionStepSuccess"]) == (1, 1)
        copied = [event["id"] for event in results.events if event["data"]["requestId"] == "notes-1"]
        assert (len(copied), len(set(copied))) == (2, 1), "once as always, and once by replyTo"


async def test_two_in_creation_ten_in_total_and_one_deleted_by_hand() -> None:
    terms = Behaviour(creation_seconds=(1.0, 1.5))
    async with (
        LocalAws(terms=terms) as box,
        daemon(box, SLIPWAY_PROGRESS_EVENTS="true") as process,
        listening(box) as results,
    ):
        account = box.bedrock.account()
        for number in range(12):
            await box.send(a_request(f"bot-{number}"))
        await results.until(lambda: len(results.outcomes()) == 10)
        waiting = {event["data"]["requestId"] for event in results.events if event["data"].get("reason") == "NoSlot"}
        assert {f"bot-{number}" for number in range(12)} - set(results.outcomes()) <= waiting
        account.delete(box.bedrock.now(), account.made[0].name)
        await results.until(lambda: len(results.outcomes()) == 11)
        assert {outcome for said in results.outcomes().values() for outcome, _ in said} == {"Active"}
        assert (account.most_creating, account.most_total) == (2, 10)
        await process.wait_for_page("/metrics", lambda text: 'slipway_requests_waiting_for_slot{target="default"} 1.0' in text)


async def test_killed_in_the_middle_of_two_hundred_and_started_again() -> None:
    terms = replace(QUICK, max_creating=20, max_total=500)
    async with LocalAws(terms=terms) as box, listening(box) as results:
        await asyncio.gather(*(box.send(a_request(f"bot-{number}")) for number in range(200)))
        async with daemon(box, SLIPWAY_VISIBILITY_TIMEOUT="10") as first:
            await first.until(lambda: len(box.bedrock.account().made) >= 50)
            await first.end(signal.SIGKILL)
        async with daemon(box, SLIPWAY_VISIBILITY_TIMEOUT="10"):
            await results.until(lambda: len(results.outcomes()) == 200)
        assert all(len(said) == 1 for said in results.outcomes().values()), "one result, one id"
        made = box.bedrock.account().made
        assert len(made) == len({one.name for one in made}) == 200, "no twin"
        tagged = {tag["value"] for one in made for tag in one.tags if tag["key"] == REQUEST_TAG}
        assert tagged == set(results.outcomes()), "no orphan"


async def test_sigterm_gives_back_what_is_held_and_another_finishes() -> None:
    terms = Behaviour(max_creating=10, max_total=500, creation_seconds=(3.0, 4.0))
    async with LocalAws(terms=terms) as box, listening(box) as results:
        await asyncio.gather(*(box.send(a_request(f"bot-{number}")) for number in range(200)))
        async with daemon(box, SLIPWAY_VISIBILITY_TIMEOUT="300") as first:
            await first.until(lambda: len(box.bedrock.account().made) >= 10 and len(first.lines("request.accepted")) >= 200)
            code, took = await first.end(signal.SIGTERM)
            assert code == 0
            assert took < 25
            assert not first.lines("daemon.left_early")
        box.bedrock.terms = replace(terms, max_creating=200, creation_seconds=(0.5, 1.0))
        async with daemon(box) as second:
            # Visible at once, and not after the visibility timeout.
            await second.until(lambda: len(second.lines("request.accepted")) >= 200 - len(results.outcomes()), 60.0)
            await results.until(lambda: len(results.outcomes()) == 200)
        assert len(box.bedrock.account().made) == 200


async def test_throttled_and_every_tenth_answer_lost() -> None:
    async with LocalAws(terms=QUICK) as box, daemon(box) as process, listening(box) as results:
        box.bedrock.faults.failures["CreateCustomModelDeployment"] = FaultRule(
            rate=4.0, burst=2, every=10, kind="response lost"
        )
        await asyncio.gather(*(box.send(a_request(f"bot-{number}")) for number in range(40)))
        await results.until(lambda: len(results.outcomes()) == 40)
        made = box.bedrock.account().made
        assert len(made) == len({one.name for one in made}) == 40
        assert box.bedrock.faults.fired["response lost"] >= 3
        assert box.bedrock.faults.fired["throttled"] >= 1
        assert not process.lines("sweep.failed")
        assert not process.lines("receive.failed")


# A body of 1 MiB is what SQS takes: the client that sends it here warns that it is large, and is right.
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_poison_between_good_requests() -> None:
    bodies = [body for _, body in POISON if is_sendable(body)]
    async with LocalAws(terms=QUICK) as box, daemon(box) as process, listening(box) as results:
        for number, body in enumerate(bodies):
            await box.send(body)
            if number % 10 == 0:
                await box.send(a_request(f"good-{number}"))
        good = {f"good-{number}" for number in range(0, len(bodies), 10)}
        await results.until(lambda: good <= set(results.outcomes()) and len(process.lines("request.rejected")) >= len(bodies))
        rejected = [event["data"] for event in results.events if event["data"]["outcome"] == "Rejected"]
        assert all(data["message"] for data in rejected)
        assert process.process.returncode is None
        assert not process.lines("request.faulted")


async def test_health_says_what_is_so() -> None:
    async with LocalAws(terms=QUICK) as box, daemon(box) as process, listening(box) as results:
        await box.send(a_request("bot"))
        await results.until(lambda: bool(results.outcomes()))
        assert (await process.ask("/livez"))[0] == 200
        await process.wait_for_page("/readyz", lambda text: {"ready": True, "troubles": {}}.items() <= json.loads(text).items())
        assert (await process.ask("/metrics"))[0] == 200
        text = await process.wait_for_page(
            "/metrics", lambda text: 'slipway_requests_finished_total{outcome="Active",target="default"} 1.0' in text
        )
        assert 'slipway_calls_total{answer="Applied",operation="CreateCustomModelDeployment"} 1.0' in text
        for name in (
            'unknown_answers_total{target="default"}', "adoptions_total",
            "duplicate_deliveries_total", "lease_margin_seconds", "leases_lost_total", "loop_lag_seconds",
        ):  # fmt: skip
            assert f"\nslipway_{name} " in text, "what carries the proof into production"
        assert "\nslipway_oldest_request_seconds " not in text, "no request is in progress"
        skew = re.search(r"^slipway_clock_skew_seconds (\S+)$", text, re.MULTILINE)
        assert skew is not None
        assert abs(float(skew[1])) < 60, "the box and the daemon are on one machine"
        assert "credentials_left_seconds" not in text, "the box's keys do not run out"


async def test_not_ready_says_why() -> None:
    async with LocalAws(terms=replace(QUICK, denied=("ListCustomModelDeployments",))) as box, daemon(box) as process:
        await process.until(lambda: bool(process.lines("daemon.started")))
        status, text = await process.ask("/readyz")
        assert status == 503
        assert set(json.loads(text)["troubles"]) == {"bedrock"}
        await process.wait_for_page("/readyz", lambda text: "AccessDenied" in json.loads(text)["troubles"]["bedrock"])


@pytest.mark.parametrize(
    ("settings", "named"),
    [({"SLIPWAY_MAX_HELD": "0"}, "SLIPWAY_MAX_HELD"), ({"SLIPWAY_SWEEP_INTERVALL": "1"}, "SLIPWAY_SWEEP_INTERVAL")],
)
async def test_a_wrong_setting_stops_the_start_with_a_sentence(settings: dict[str, str], named: str) -> None:
    async with LocalAws(terms=QUICK) as box, daemon(box, **settings) as process:
        assert (await process.end(signal.SIGCONT))[0] == 2
        assert named in str(process.entries)


async def test_waiting_for_a_queue_that_does_not_answer_yet_ends_cleanly_on_sigterm() -> None:
    async with LocalAws(terms=QUICK) as box, daemon(box, AWS_ENDPOINT_URL="http://127.0.0.1:9") as process:
        await process.until(lambda: bool(process.lines("daemon.waiting")))
        assert (await process.end(signal.SIGTERM))[0] == 0


async def test_a_second_signal_hurries() -> None:
    async with LocalAws(terms=QUICK) as box, daemon(box) as process:
        await process.until(lambda: bool(process.lines("daemon.started")))
        process.process.send_signal(signal.SIGTERM)
        await process.until(lambda: bool(process.lines("daemon.stopping")))
        code, took = await process.end(signal.SIGINT)
        assert code == 0
        assert took < 10, "not the twenty seconds of the long poll that is open"
