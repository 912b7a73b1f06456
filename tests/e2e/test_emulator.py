"""The commands about another target: each assumes its role, and looks at its account."""

from __future__ import annotations

import json
from pathlib import Path

from slipway.core.lifecycle.tags import REQUEST_TAG
from slipway.local.behaviour import Behaviour
from slipway.local.stack import LocalAws
from tests.e2e.commands import Ran, typed
from tests.e2e.daemons import MODEL, daemon

SETTINGS = """
[targets.broken]
role_arn = "arn:aws:iam::200000000001:role/denied-slipway"

[targets.research]
region = "us-west-2"
role_arn = "arn:aws:iam::210987654321:role/slipway"
names = ["bot-*", "endless-*", "fails-*"]
max_total = 2
"""
RULES = """
[[rule]]
name = "ci"
senders = ["arn:aws:iam::123456789012:role/ci"]
targets = ["reserch"]
"""
TRIGGERS = """
[[trigger]]
name = "finished"
pattern = '{"source": ["training"]}'
[trigger.request]
modelDeploymentName = "{detail.name}"
modelArn = "{detail.model}"
target = "nowhere"
"""
RESEARCH = ("us-west-2", "210987654321")
THEIRS = MODEL.replace("us-east-1:123456789012", ":".join(RESEARCH))
TERMS = Behaviour(creation_seconds=(0.5, 1.0), max_creating=20, max_total=100)


def written(folder: Path, **files: str) -> str:
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text, "utf-8")
    path = folder / "own.toml"
    path.write_text(SETTINGS, "utf-8")
    return str(path)


async def test_each_command_is_about_the_target_that_it_names(tmp_path: Path) -> None:
    config = written(tmp_path)
    async with LocalAws(terms=TERMS) as box, daemon(box, SLIPWAY_CONFIG=config) as process:
        url = f"http://127.0.0.1:{process.port}"
        await process.until(lambda: bool(process.lines("daemon.started")))
        box.bedrock.account().add(box.bedrock.now(), "bot", MODEL)

        async def ran(*words: str, port: int = 0) -> Ran:
            return await typed(box, *words, SLIPWAY_CONFIG=config, SLIPWAY_HTTP_PORT=str(port))

        made = await ran("deploy", "bot-1", THEIRS, "--target", "research", "--wait", "--at-most", "300", "--json")
        last = json.loads(made.out.splitlines()[-1])
        assert (made.code, last["state"], last["source"]) == (0, "Active", "Bedrock"), made.err
        research = box.bedrock.account(*RESEARCH)
        assert [one.name for one in research.made] == ["bot-1"]

        listed = await ran("list", "--target", "research")
        assert [row[:2] for row in listed.rows] == [["bot-1", "Active"]]
        assert [row[0] for row in (await ran("list")).rows] == ["bot"]
        assert (await ran("get", "bot-1", "--target", "research")).facts["customModelDeploymentArn"] == research.made[0].arn
        assert (await ran("get", "bot-1")).code == 1

        failed = research.add(box.bedrock.now(), "fails-bot", THEIRS, "", [{"key": REQUEST_TAG, "value": "r-0"}])
        failed.ends = box.bedrock.now()
        audited = await ran("audit", "--target", "research", "--daemon", url, "--json")
        assert [one["kind"] for one in audited.json["findings"]] == ["leftover"]
        assert (await ran("audit", "--daemon", url)).out == "Nothing found.\n"

        await ran("deploy", "endless-bot", THEIRS, "--target", "research", "--request-id", "r-1")
        await process.until(lambda: any(each["deployment"] == "endless-bot" for each in process.lines("request.accepted")))
        seen = (await ran("watch", "--target", "research", "--count", "1", "--daemon", url)).json
        assert seen["slots"]["held"] == 1
        assert {one["modelDeploymentName"] for one in seen["deployments"]} >= {"bot-1", "fails-bot"}
        assert (await ran("watch", "--count", "1", "--daemon", url)).json["slots"]["held"] == 0
        for words in (("r-1",), ("r-1", "--target", "research")):
            explained = await ran("explain", *words, port=process.port)
            assert (explained.code, "endless-bot in target research, request r-1" in explained.out) == (0, True)
        unknown = await ran("explain", "bot-2")
        assert (unknown.code, "Bedrock in broken, research; name one with --target" in unknown.out) == (1, True)
        assert "--target" not in (await ran("explain", "bot-1", "--daemon", url)).out, "the daemon says where it was"

        gone = await ran("delete", "bot-1", "--target", "research", "--wait", "--at-most", "300", port=process.port)
        assert (gone.code, gone.lines[-1][0]) == (0, "Deleted")


async def test_a_target_that_is_not_there_or_cannot_be_reached_is_said(tmp_path: Path) -> None:
    config = written(tmp_path, permissions=RULES, triggers=TRIGGERS)
    async with LocalAws(terms=TERMS) as box:

        async def ran(*words: str) -> Ran:
            return await typed(box, *words, SLIPWAY_CONFIG=config, SLIPWAY_HTTP_PORT="0")

        for word in ("list", "watch", "audit"):
            refused = await ran(word, "--target", "nowhere")
            assert (refused.code, refused.out) == (2, "")
            assert '--target: the settings have no target "nowhere", only default, broken, research' in refused.err
        refused = await ran("deploy", "bot-1", THEIRS, "--target", "nowhere")
        assert (refused.code, refused.err.startswith('slipway: --target: the settings have no target "nowhere"')) == (2, True)
        refused = await ran("deploy", "other", THEIRS, "--target", "research")
        assert 'NAME: "other" is not allowed by the rule names of target research' in refused.err
        refused = await ran("list", "--target", "broken")
        assert (refused.code, refused.out) == (2, "")
        assert "trust policy" in refused.err

        account = box.bedrock.account(*RESEARCH)
        for name in ("bot-1", "bot-2"):
            account.add(box.bedrock.now(), name, THEIRS)
        found = (await ran("doctor", "--json", "--model", THEIRS)).json
        assert [one["about"] for one in found["findings"]] == [
            "permission rules", "permission rules", "trigger rules", "credentials in broken", "slots in research",
        ]  # fmt: skip
        said = " ".join(one["message"] for one in found["findings"])
        for word in ("reserch", "never an ARN", '"finished" has the target "nowhere"', "denied-slipway", "max_total 2"):
            assert word in said
        assert "permissions in research" in [check["about"] for check in found["checked"]]
        (tmp_path / "permissions.toml").write_text("[[rule]]\n", "utf-8")
        broken = (await ran("doctor", "--json")).json["findings"][0]
        assert (broken["about"], broken["remedy"][:30]) == ("permission rules", "use 1 to 64 letters, digits, a")
