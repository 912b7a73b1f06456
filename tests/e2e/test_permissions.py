"""Permissions from end to end: senders with keys of their own, of which one writes what only Slipway may."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from slipway.core.sqs.messages import CONTINUATION
from slipway.local.behaviour import Behaviour
from slipway.local.stack import LocalAws
from tests.e2e.daemons import Daemon, a_request, daemon, listening
from tests.e2e.senders import send

QUICK = Behaviour(max_creating=5, max_total=100, creation_seconds=(0.1, 0.3))
RULES = """
[[rule]]
name = "team"
senders = ["AIDAteam"]
actions = ["deploy", "delete"]
force_tags = [{ key = "team", value = "support" }]
"""


async def test_each_sender_may_do_what_his_rule_permits_and_nobody_passes_for_another(tmp_path: Path) -> None:
    rules = tmp_path / "permissions.toml"
    rules.write_text(RULES, "utf-8")
    settings = {"SLIPWAY_PERMISSIONS": str(rules), "SLIPWAY_VISIBILITY_TIMEOUT": "10"}
    async with LocalAws(terms=QUICK) as box, daemon(box, **settings) as process, listening(box) as results:
        await process.until(lambda: bool(process.lines("permissions.loaded")))
        assert process.lines("permissions.loaded")[0]["own_sender"] == "AIDAlocal"
        claim = {"origin": "m-1", "firstReceivedAt": box.bedrock.now(), "hops": 1, "sender": "AIDAteam"}
        send(box, "team", a_request("bot"))
        send(box, "team", a_request("fails-once", retries=1))
        send(box, "eve", a_request("plain"))
        send(box, "eve", a_request("claims"), **{CONTINUATION: json.dumps(claim)})
        send(box, "local", a_request("own"))
        await results.until(lambda: len(results.outcomes()) == 5)
        said = {name: {outcome for outcome, _ in each} for name, each in results.outcomes().items()}
        assert said == {
            "bot": {"Active"},
            "fails-once": {"Failed"},
            "plain": {"Rejected"},
            "claims": {"Rejected"},
            "own": {"Rejected"},
        }
        made = box.bedrock.account().made
        assert sorted(one.name for one in made) == ["bot", "fails-once", "fails-once"], "the second attempt was handed on"
        assert all({"key": "team", "value": "support"} in one.tags for one in made)
        (claimed,) = [event["data"] for event in results.events if event["data"]["requestId"] == "claims"]
        assert claimed["code"] == "NotPermitted"
        assert 'no permission rule is for the sender "AIDAeve"' in claimed["message"]
        code, _ = await process.end(signal.SIGTERM)
        assert code == 0


async def test_wrong_permissions_stop_the_start_with_rule_and_key(tmp_path: Path) -> None:
    rules = tmp_path / "permissions.toml"
    rules.write_text(RULES.replace("actions", "action"), "utf-8")
    async with LocalAws(terms=QUICK) as box:
        process = Daemon(box, {"SLIPWAY_PERMISSIONS": str(rules)})
        await process.start()
        assert await process.process.wait() == 2
        await process.end()
        (line,) = [entry["line"] for entry in process.entries]
        assert line == f'slipway: {rules}: rule "team": the key "action" is unknown; did you mean actions?\n'
