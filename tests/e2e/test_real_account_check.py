"""`make live` against the local stand-in: asks first, deploys once, deletes what it made, and reports."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from slipway.local.behaviour import Behaviour
from slipway.local.stack import LocalAws
from tests.e2e.commands import environment
from tests.e2e.daemons import MODEL
from tests.support.readme import ROOT

QUICK = Behaviour(max_creating=2, max_total=10, creation_seconds=(0.5, 1.0))
STUCK = Behaviour(max_creating=2, max_total=10, creation_seconds=(6.0, 6.0))


def existing(box: LocalAws) -> int:
    """Return how many deployments there are."""
    return box.bedrock.account().counts(box.bedrock.now())[1]


def names(folder: Path) -> list[str]:
    """Return what is in a folder."""
    return [path.name for path in folder.iterdir()]


class Check:
    """The check as a process of its own."""

    def __init__(self, box: LocalAws, folder: Path, *words: str) -> None:
        self.report = folder / "report.md"
        self._command = [sys.executable, "-m", "tests.live", "--model", MODEL, "--report", str(self.report), *words]
        self._environment = environment(box, PYTHONPATH=str(ROOT), SLIPWAY_SWEEP_INTERVAL="0.5")
        self._folder = folder
        self.process: asyncio.subprocess.Process

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *self._command,
            cwd=self._folder,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def end(self) -> tuple[int, str]:
        async with asyncio.timeout(240.0):
            out, _ = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, out.decode()


async def test_it_deploys_once_deletes_that_and_reports(tmp_path: Path) -> None:
    async with LocalAws(terms=QUICK) as box:
        check = Check(box, tmp_path, "--yes", "--at-most", "120")
        await check.start()
        code, out = await check.end()
        report = check.report.read_text("utf-8")
        (made,) = box.bedrock.account().made
        assert made.name.startswith("slipway-live-")
        assert not existing(box)
        assert names(tmp_path) == ["report.md"], "the log is in the report"
        for step in ("doctor", "probe", "deploy", "get", "delete", "serve"):
            assert f"| `slipway {step}" in report, out
        assert '"Active"' in report
        assert "daemon.stopped" in report
        assert (code, "all is well" in report) == (0, True), report


async def test_nobody_is_asked_so_nothing_is_done(tmp_path: Path) -> None:
    async with LocalAws(terms=QUICK) as box:
        check = Check(box, tmp_path)
        await check.start()
        code, out = await check.end()
        assert (code, "Nothing was done" in out) == (2, True)
        assert not box.bedrock.account().made
        assert not names(tmp_path)


async def test_what_was_created_is_deleted_when_it_is_interrupted(tmp_path: Path) -> None:
    async with LocalAws(terms=STUCK) as box:
        check = Check(box, tmp_path, "--yes", "--at-most", "120")
        await check.start()
        async with asyncio.timeout(120.0):
            while not existing(box):  # noqa: ASYNC110  the stand-in notifies nobody
                await asyncio.sleep(0.1)
        check.process.send_signal(signal.SIGTERM)
        code, out = await check.end()
        assert code == 1, out
        assert len(box.bedrock.account().made) == 1
        assert not existing(box), out
        assert "something is not well" in check.report.read_text("utf-8")
