"""The commands and programs of the tutorial, the quick start and connect.md run against the local AWS stand-in."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from slipway.local.stack import LocalAws
from tests.e2e.commands import environment
from tests.e2e.daemons import a_request, daemon, free_port
from tests.support.readme import ROOT, SAMPLES

INSTALLATION = ("make demo\n. .venv/bin/activate\n",)
LONGEST_SECONDS = 120.0


def blocks(page: str) -> list[str]:
    """Return what a page tells its reader to type."""
    return re.findall(r"^```sh\n(.*?)^```$", (ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)


def settings(aws: LocalAws, folder: Path) -> dict[str, str]:
    """Return the environment of the shell: the stand-in, `slipway` and `aws` on the path, a free port, short intervals."""
    tools = folder / "bin"
    tools.mkdir()
    for name, module in {"slipway": "slipway", "aws": "tests.docs.aws_cli"}.items():
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
        (tools / name).chmod(0o755)
    (tools / "python").symlink_to(sys.executable)
    (folder / "config").symlink_to(ROOT / "config")
    known = environment(aws)
    stack = {f"STAND_IN_{name}": known.pop(name) for name in ("SLIPWAY_QUEUE_URL", "SLIPWAY_TOPIC_ARN")}
    own = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SLIPWAY_HTTP_PORT": str(free_port()),
        "SLIPWAY_SWEEP_INTERVAL": "0.5",
    }
    return known | stack | own


async def run(script: str, folder: Path, env: dict[str, str]) -> str:
    """Run a script in bash, as typed, and return its output. A command that fails ends it."""
    output = folder / "output.txt"
    with output.open("w") as file:
        process = await asyncio.create_subprocess_exec(
            "bash", "-euxc", script, cwd=folder, env=env, start_new_session=True, stdout=file, stderr=asyncio.subprocess.STDOUT
        )
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            code = await process.wait()
    except TimeoutError:
        code = -1
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert code == 0, output.read_text()
    return output.read_text()


async def test_the_tutorial_works_as_written(tmp_path: Path) -> None:
    steps = blocks("docs/tutorial.md")
    assert steps[0] in INSTALLATION
    async with LocalAws(creation_seconds=(0.5, 1.0)) as aws:
        env = settings(aws, tmp_path)
        output = await run("\n".join(steps[1:]), tmp_path, env)
        left = await run("aws sqs list-queues; aws sns list-topics", tmp_path, env)
    event = next(json.loads(line) for line in output.splitlines() if line.startswith('{"specversion"'))
    assert event["type"] == "slipway.deployment.active.v1"
    assert event["data"]["modelDeploymentName"] == "first-model"
    assert [made.deleted is not None for made in aws.bedrock.account().made] == [True], "the last step deletes it"
    created = (env["STAND_IN_SLIPWAY_QUEUE_URL"], env["STAND_IN_SLIPWAY_TOPIC_ARN"], "slipway-outcomes", "dead-letters")
    assert [name for name in created if name in left] == []


def test_the_quick_start_has_six_commands_of_the_tutorial() -> None:
    quick = next(block for block in blocks("README.md") if "cloudformation" in block).splitlines()
    assert len(quick) <= 6
    tutorial = "\n".join(blocks("docs/tutorial.md"))
    assert all(part in tutorial for line in quick for part in line.split(" && ")), quick


@pytest.mark.parametrize("is_raw", [True, False], ids=["raw", "enveloped"])
async def test_a_subscribed_consumer_gets_what_its_filter_lets_through(is_raw: bool, tmp_path: Path) -> None:  # noqa: FBT001
    (subscribe,) = (block for block in blocks("docs/how-to/connect.md") if "sns subscribe" in block)
    if not is_raw:
        subscribe = subscribe.replace('"RawMessageDelivery": "true"', '"RawMessageDelivery": "false"')
    async with LocalAws(creation_seconds=(0.2, 0.4)) as aws, daemon(aws):
        env = settings(aws, tmp_path)
        env["SLIPWAY_TOPIC_ARN"] = aws.topic_arn
        url = (await run(f'{subscribe}\necho "$OUTCOMES_URL"', tmp_path, env)).splitlines()[-1]
        assert "sns.amazonaws.com" in await run(
            f"aws sqs get-queue-attributes --queue-url {url} --attribute-names Policy", tmp_path, env
        )
        consumer = await asyncio.create_subprocess_exec(
            sys.executable, str(SAMPLES / "consumer.py"), url, env=env, stdout=asyncio.subprocess.PIPE
        )  # fmt: skip
        try:
            for name in ("other-bot", "support-bot"):
                await aws.send(a_request(name))
            assert consumer.stdout is not None
            async with asyncio.timeout(LONGEST_SECONDS):
                line = (await consumer.stdout.readline()).decode()
            assert line.startswith("Active support-bot arn:aws:bedrock:")
        finally:
            consumer.kill()
            await consumer.wait()


EVENT = {"id": "e-1", "data": {"outcome": "Active", "modelDeploymentName": "bot", "customModelDeploymentArn": "arn:x"}}
RAW = json.dumps(EVENT)
ENVELOPE = json.dumps({"Type": "Notification", "MessageId": "n-1", "Message": RAW})


def lambda_consumer() -> Any:
    """Load the sample as Lambda does."""
    spec = importlib.util.spec_from_file_location("lambda_consumer", SAMPLES / "lambda_consumer.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "record",
    [{"messageId": "m-1", "body": RAW}, {"messageId": "m-1", "body": ENVELOPE}, {"Sns": {"MessageId": "m-1", "Message": RAW}}],
    ids=["raw", "enveloped", "SNS"],
)
def test_the_lambda_function_reads_every_form(record: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert lambda_consumer().handler({"Records": [record]}, None) == {"batchItemFailures": []}
    assert capsys.readouterr().out == "Active bot arn:x\n"


def test_the_lambda_function_returns_only_what_failed() -> None:
    good, bad = {"messageId": "m-1", "body": RAW}, {"messageId": "m-2", "body": json.dumps({"id": "e-2"})}
    answer = lambda_consumer().handler({"Records": [good, bad]}, None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m-2"}]}
