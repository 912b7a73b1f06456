"""Check Slipway against a real account, and write a report: `make live MODEL=arn:aws:bedrock:…:custom-model/…`.

It runs doctor, the reading part of probe, and one deployment from end to end through a daemon of its own: deploy, get, delete.
The settings are those of the environment or SLIPWAY_CONFIG, as for every command. It says what it will create and asks first;
what it created it deletes, also after a failure or Ctrl-C. The report shows no account id and can be attached to an issue.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SLIPWAY = Path(sys.executable).with_name("slipway")
MASK = "123456789012"
START_SECONDS = 60
STOP_SECONDS = 60
OK, FOUND, USAGE = 0, 1, 2


@dataclass
class Report:
    """What was run, and how it ended."""

    name: str
    steps: list[tuple[str, int, float, str]] = field(default_factory=list)

    def run(self, *words: str, quiet: bool = False) -> int:
        """Run a command of Slipway and keep what it printed; return its exit code."""
        say(f"slipway {' '.join(words)}")
        begun = time.monotonic()
        ran = subprocess.run([SLIPWAY, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        said = "" if quiet else f"{ran.stdout}{ran.stderr}"
        self.add(f"slipway {' '.join(words)}", ran.returncode, time.monotonic() - begun, said)
        return ran.returncode

    def add(self, what: str, code: int, seconds: float, said: str) -> None:
        """Keep a step."""
        self.steps.append((what, code, seconds, said))
        say(f"  exit {code} after {seconds:.1f} s")

    def text(self, smoke_result: str) -> str:
        """Return the report in Markdown, account ids masked."""
        lines = [
            f"# Slipway on a real account: {smoke_result}", "",
            "| | |", "|---|---|",
            f"| Slipway | {version()} |",
            f"| Python | {platform.python_version()} on {platform.system()} {platform.machine()} |",
            f"| Region | {os.environ.get('AWS_REGION') or os.environ.get('AWS_DEFAULT_REGION') or 'from the profile'} |",
            f"| deployment | {self.name} |", "",
            "| step | exit code | seconds |", "|---|--:|--:|",
            *(f"| `{what}` | {code} | {seconds:.1f} |" for what, code, seconds, _ in self.steps),
        ]  # fmt: skip
        for what, _, _, said in self.steps:
            lines += ["", f"## `{what}`", "", "```", said.strip() or "(no output)", "```"]
        return masked("\n".join(lines) + "\n")


def main(words: Sequence[str] | None = None) -> int:
    """Check the account; return the exit code: 0 all is well, 1 something is not, 2 nothing was tried."""
    parser = argparse.ArgumentParser(prog="make live", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", required=True, metavar="ARN", help="the custom model that is deployed once")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--report", type=Path, default=Path("live-report.md"), help="default: live-report.md")
    parser.add_argument("--at-most", type=int, default=7200, metavar="SECONDS", help="for the deployment; default 7200")
    given = parser.parse_args(words)
    report = Report(f"slipway-live-{secrets.token_hex(3)}")
    say(
        f"This creates one deployment, {report.name}, of {given.model},\n"
        "through a daemon of its own on the queue of your settings. It takes one slot in creation for 8 to 45 minutes,\n"
        "and one of the total until it is deleted in the end. Requests that others send meanwhile are served, too,\n"
        "and their events are published as always."
    )
    if not given.yes and not is_agreed():
        say("Nothing was done.")
        return USAGE
    ends = [report.run("doctor", "--model", given.model), report.run("probe")]
    with stopped_by_exception(), daemon(report) as url:
        try:
            ends.append(deploy(report, given.model, given.at_most, url))
        except KeyboardInterrupt:
            say("Interrupted: what was created is deleted.")
            ends.append(FOUND)
        finally:
            ends.append(delete(report, given.at_most, url))
    ends += [code for what, code, _, _ in report.steps if what == "slipway serve"]
    smoke_result = "all is well" if not any(ends) else "something is not well"
    given.report.write_text(report.text(smoke_result), "utf-8")
    say(f"{smoke_result}. The report is {given.report}.")
    return OK if not any(ends) else FOUND


def deploy(report: Report, model: str, at_most: int, url: str) -> int:
    """Deploy the model and look at it; return the first exit code that is not 0."""
    words = (
        "--request-id",
        report.name,
        "--timeout",
        f"PT{at_most}S",
        "--at-most",
        str(at_most),
        "--wait",
        "--json",
        "--daemon",
        url,
    )
    return report.run("deploy", report.name, model, *words) or report.run("get", report.name, "--json")


def delete(report: Report, at_most: int, url: str) -> int:
    """Delete what was created, if anything was, and say whether it is gone."""
    if report.run("get", report.name, quiet=True) == FOUND:
        return OK
    code = report.run("delete", report.name, "--at-most", str(at_most), "--wait", "--json", "--daemon", url)
    if code:
        say(f"{report.name} may still exist. Delete it: aws bedrock delete-custom-model-deployment "
            f"--custom-model-deployment-identifier {report.name}")  # fmt: skip
    return code


@contextmanager
def daemon(report: Report) -> Iterator[str]:
    """Within, a daemon serves the queue; yield its URL. Its log and its exit code are in the report."""
    log = Path(f"{report.name}.log")
    begun, port = time.monotonic(), free_port()
    with log.open("w", encoding="utf-8") as written:
        # In a session of its own: Ctrl-C at the terminal is not for it, since it deletes what was created.
        process = subprocess.Popen(
            [SLIPWAY, "serve"],
            stdout=written,
            stderr=subprocess.STDOUT,
            env=os.environ | {"SLIPWAY_HTTP_HOST": "127.0.0.1", "SLIPWAY_HTTP_PORT": str(port), "SLIPWAY_LOG_FORMAT": "json"},
            start_new_session=True,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            await_answer(url, process)
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                code = process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
            own = [line for line in log.read_text("utf-8").splitlines() if report.name in line or '"daemon.' in line]
            report.add("slipway serve", code, time.monotonic() - begun, "\n".join(own))
    log.unlink()


def await_answer(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the daemon answers, for START_SECONDS; what it says, or that it ended, the next command tells."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/livez"):  # noqa: S310  the daemon that was started here
                return
        except OSError:
            time.sleep(0.2)


def free_port() -> int:
    """Return a port of loopback that nobody uses now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def stopped_by_exception() -> Iterator[None]:
    """Within, SIGTERM is an exception as Ctrl-C is, so that what was created is deleted."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def is_agreed() -> bool:
    """Ask. Without a terminal the answer is no."""
    return sys.stdin.isatty() and input("Go on? [y/N] ").strip().lower() in {"y", "yes"}


def version() -> str:
    """Return the version that is tried."""
    document = subprocess.run([SLIPWAY, "schema", "asyncapi"], capture_output=True, text=True, check=True).stdout
    return str(json.loads(document)["info"]["version"])


def masked(text: str) -> str:
    """Return the text without account ids: every number of twelve digits is the documentation's."""
    return re.sub(r"(?<!\d)\d{12}(?!\d)", MASK, text)


def say(text: str) -> None:
    """Print for a person."""
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
