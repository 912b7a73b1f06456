"""`slipway local`: the local AWS stand-in, in the foreground or in the background."""

from __future__ import annotations

import asyncio
import errno
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from slipway.local.behaviour import Behaviour
from slipway.local.stack import LocalAws

PORT: Final = 4566
BEDROCK_PORT: Final = 4567
START_SECONDS: Final = 60.0
"""How long a stand-in in the background may take to start."""
_END: Final = "# To change how Bedrock behaves:"
"""The last heading of the directions."""
_ARN: Final = "arn:aws:bedrock:{region}:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"


async def serve_local_aws(
    *,
    terms: Behaviour,
    port: int = PORT,
    bedrock_port: int = BEDROCK_PORT,
    fifo: bool = False,
    env_file: Path | None = None,
) -> int:
    """Serve until SIGINT or SIGTERM; return the exit code: 0, or 2 with one line that names what cannot be opened.

    `env_file` gets the variables, one NAME=VALUE on each line, before the directions are printed.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    try:
        async with LocalAws(terms=terms, port=port, bedrock_port=bedrock_port, fifo=fifo) as box:
            if env_file is not None and not _write_variables(env_file, box):
                return 2
            sys.stdout.write(_directions(box, fifo=fifo))
            sys.stdout.flush()
            await stopping.wait()
    except OSError as error:
        if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
            raise
        said = "is in use" if error.errno == errno.EADDRINUSE else "needs more privileges"
        sys.stderr.write(f"slipway: port {port} or {bedrock_port} {said}; choose others with --port and --bedrock-port\n")
        return 2
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    return 0


def detach_local_aws(words: Sequence[str], *, env_file: Path | None) -> int:
    """Start the stand-in in the background, and wait until it serves; return the exit code.

    `words` are the arguments of this command. What the stand-in prints at its start is printed here.
    """
    directory = Path(tempfile.mkdtemp(prefix="slipway-local-"))
    ready, log = env_file or directory / "env", directory / "log"
    ready.unlink(missing_ok=True)
    options = [word for word in words if word != "--detach"]
    command = [sys.executable, "-m", "slipway", *options, *([] if env_file else ["--env-file", str(ready)])]
    with log.open("w") as output:
        process = subprocess.Popen(  # noqa: S603  this program, with the arguments that it was given
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and _END not in log.read_text("utf-8"):
        if time.monotonic() > until:
            process.terminate()
            sys.stderr.write(f"slipway: the stand-in did not start within {START_SECONDS:g} s; read {log}\n")
            return 2
        time.sleep(0.1)
    text = log.read_text("utf-8")
    if (code := process.poll()) is not None:
        sys.stderr.write(text)
        return code
    sys.stdout.write(f"{text}# It serves in the background and logs to {log}. To stop it: kill {process.pid}\n")
    return 0


def _write_variables(path: Path, box: LocalAws) -> bool:
    try:
        path.write_text("".join(f"{name}={value}\n" for name, value in box.environment().items()), "utf-8")
    except OSError as error:
        sys.stderr.write(f"slipway: --env-file: {path} cannot be written ({error.strerror}); name a file that can\n")
        return False
    return True


def _directions(box: LocalAws, *, fifo: bool) -> str:
    exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in box.environment().items())
    group = " --message-group-id one" if fifo else ""
    body = f'{{"modelDeploymentName": "support-bot-v42", "modelArn": "{_ARN.format(region=box.region)}"}}'
    sent, waiting = f"{group} --message-body {shlex.quote(body)}", " --wait-time-seconds 20"
    return f"""\
{exports}

# The local AWS stand-in serves until it is stopped. In another shell, with the lines above, run slipway serve; in a third:
#   aws sqs send-message --endpoint-url "$AWS_ENDPOINT_URL" --queue-url "$SLIPWAY_QUEUE_URL"{sent}
#   aws bedrock list-custom-model-deployments --endpoint-url "$AWS_ENDPOINT_URL_BEDROCK"
#   aws sqs receive-message --endpoint-url "$AWS_ENDPOINT_URL" --queue-url "$SLIPWAY_LOCAL_RESULTS_QUEUE_URL"{waiting}
{_END}
#   curl -X PATCH "$AWS_ENDPOINT_URL_BEDROCK/_slipway/terms" -d '{{"max_creating": 5}}'
"""
