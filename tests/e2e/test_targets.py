"""Several targets, for real: roles assumed at an STS, three accounts, one of them broken and one throttled."""

from __future__ import annotations

import json
from pathlib import Path

from slipway.local.behaviour import Behaviour, FaultRule
from slipway.local.demo import sample
from slipway.local.stack import LocalAws
from tests.e2e.daemons import MODEL, a_request, daemon, listening

TARGETS = """
[targets.broken]
role_arn = "arn:aws:iam::200000000001:role/denied-slipway"

[targets.slow]
region = "us-west-2"
role_arn = "arn:aws:iam::200000000002:role/slipway"
external_id = "slipway-slow"

[targets.research]
region = "us-west-2"
role_arn = "arn:aws:iam::210987654321:role/slipway"
names = ["bot-*", "research-*"]
"""
BROKEN, SLOW, RESEARCH = ("us-east-1", "200000000001"), ("us-west-2", "200000000002"), ("us-west-2", "210987654321")
TERMS = Behaviour(creation_seconds=(0.5, 1.0), max_creating=20, max_total=100)
MANY = 12


def written(folder: Path) -> str:
    path = folder / "own.toml"
    path.write_text(TARGETS, "utf-8")
    return str(path)


def ask(target: str, place: tuple[str, str], name: str, **more: object) -> str:
    model = MODEL.replace("us-east-1:123456789012", ":".join(place))
    return a_request(name, modelArn=model, target=target, requestId=f"{name} in {target}", **more)


def waits(text: str) -> set[str | None]:
    """Return what those wait for that are for the broken target; None is for one that tries again at this moment."""
    return {one.get("waitsFor") for one in json.loads(text)["requests"] if one["target"] == "broken"}


async def test_of_three_targets_one_broken_and_one_throttled_to_a_call_a_second_the_third_does_not_notice(
    tmp_path: Path,
) -> None:
    async with LocalAws(terms=TERMS) as box, listening(box) as results:
        slow = box.bedrock.faults_of(*SLOW)
        slow.failures["*"] = FaultRule(rate=1.0, burst=1.0)
        async with daemon(box, SLIPWAY_CONFIG=written(tmp_path)) as process:
            for number in range(MANY):
                for target, place in (("broken", BROKEN), ("slow", SLOW), ("research", RESEARCH)):
                    await box.send(ask(target, place, f"bot-{number}", timeout=30 if target == "broken" else 600))
            wanted = {f"bot-{number} in research" for number in range(MANY)}
            await results.until(lambda: wanted <= set(results.outcomes()))
            assert not {request for request in results.outcomes() if request.endswith("broken")}, "they wait still"
            denied = "AssumeRole of arn:aws:iam::200000000001:role/denied-slipway"
            said = json.loads(await process.wait_for_page("/readyz", lambda text: denied in text))
            assert said["ready"] is True
            assert denied in said["troubles"]["bedrock in broken"]
            held = json.loads(await process.wait_for_page("/requests", lambda text: waits(text) == {"AccessDenied"}))
            assert set(held["targets"]) == {"broken", "slow", "research"}
            await results.until(lambda: len(results.outcomes()) == 3 * MANY, 180.0)
            metrics = (await process.ask("/metrics"))[1]  # taken for the sweeps, which have been
        ends = {event["data"]["requestId"]: event for event in results.events}
        outcomes = {
            target: {event["data"]["outcome"] for event in ends.values() if event["data"].get("target") == target}
            for target in ("broken", "slow", "research")
        }
        assert outcomes == {"broken": {"TimedOut"}, "slow": {"Active"}, "research": {"Active"}}
        assert {event["data"].get("reason") for event in ends.values()} == {None, "AccessDenied"}
        assert ends["bot-0 in research"]["source"] == "urn:slipway:210987654321:us-west-2"
        account = box.bedrock.account(*RESEARCH)
        assert all(answer.endswith(" OK") for answer in account.calls), account.calls
        assert account.calls["CreateCustomModelDeployment OK"] == len(account.made) == MANY, "one call for each"
        assert slow.fired["throttled"] > 0
        assert not box.bedrock.account(*BROKEN).calls, "nothing was asked of it without credentials"
        assert not box.bedrock.account().made
        # What it waited for, as the daemon tells it: nothing but its own creations.
        paused = [entry for entry in process.lines("request.paused") if entry.get("target") == "research"]
        retried = [entry for entry in process.lines("retry.scheduled") if entry.get("target") == "research"]
        assert (paused, retried) == ([], [])
        assert 'slipway_sweeps_failed_total{target="research"} 0.0' in metrics


async def test_a_role_that_cannot_be_assumed_stops_no_start_and_what_is_not_allowed_is_rejected(tmp_path: Path) -> None:
    async with LocalAws(terms=TERMS) as box, listening(box) as results, daemon(box, SLIPWAY_CONFIG=written(tmp_path)):
        await box.send(a_request("bot"))
        await box.send(sample("target.json"))
        await box.send(ask("research", RESEARCH, "other"))
        await box.send(ask("nowhere", RESEARCH, "bot"))
        await results.until(lambda: len(results.outcomes()) == 4)
        data = {event["data"]["requestId"]: event["data"] for event in results.events}
        assert (data["bot"]["outcome"], data["train-research-3"]["outcome"]) == ("Active", "Active")
        assert (data["other in research"]["code"], data["bot in nowhere"]["code"]) == ("NotAllowed", "InvalidField")
        assert "use one of default, broken, slow, research" in data["bot in nowhere"]["message"]
        assert [one.name for one in box.bedrock.account(*RESEARCH).made] == ["research-bot-v3"]


async def test_two_targets_in_one_place_stop_the_start_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('[targets.twin]\nregion = "us-east-1"\n', "utf-8")
    async with LocalAws(terms=TERMS) as box, daemon(box, SLIPWAY_CONFIG=str(path)) as process:
        assert await process.process.wait() == 2
        await process.until(lambda: bool(process.lines("daemon.refused")))
        (refused,) = process.lines("daemon.refused")
        assert refused["message"].startswith(
            "target twin is the daemon's own account in Region us-east-1, as target default is"
        )
