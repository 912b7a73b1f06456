"""`slipway local`: AWS in a box until it is stopped."""

from __future__ import annotations

import asyncio
import errno
import shlex
import signal
import sys
from typing import Final

from slipway.local.behaviour import Behaviour
from slipway.local.stack import LocalAws

PORT: Final = 4566
BEDROCK_PORT: Final = 4567
_ARN: Final = "arn:aws:bedrock:{region}:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"


async def serve_local_aws(*, terms: Behaviour, port: int = PORT, bedrock_port: int = BEDROCK_PORT, fifo: bool = False) -> int:
    """Serve until SIGINT or SIGTERM, and answer the exit code: 0, or 2 with one line that says which port cannot be had."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    try:
        async with LocalAws(terms=terms, port=port, bedrock_port=bedrock_port, fifo=fifo) as box:
            sys.stdout.write(_directions(box, fifo=fifo))
            sys.stdout.flush()
            await stopping.wait()
    except OSError as error:
        if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
            raise
        said = "is taken" if error.errno == errno.EADDRINUSE else "is not for everybody"
        sys.stderr.write(f"slipway: port {port} or {bedrock_port} {said}; choose others with --port and --bedrock-port\n")
        return 2
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    return 0


def _directions(box: LocalAws, *, fifo: bool) -> str:
    exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in box.environment().items())
    group = " --message-group-id one" if fifo else ""
    body = f'{{"modelDeploymentName": "support-bot-v42", "modelArn": "{_ARN.format(region=box.region)}"}}'
    sent, waiting = f"{group} --message-body {shlex.quote(body)}", " --wait-time-seconds 20"
    return f"""\
{exports}

# AWS in a box serves until it is stopped. In another shell, with the lines above, run `slipway serve`; then, in a third:
#   aws sqs send-message --endpoint-url "$AWS_ENDPOINT_URL" --queue-url "$SLIPWAY_QUEUE_URL"{sent}
#   aws bedrock list-custom-model-deployments --endpoint-url "$AWS_ENDPOINT_URL_BEDROCK"
#   aws sqs receive-message --endpoint-url "$AWS_ENDPOINT_URL" --queue-url "$SLIPWAY_LOCAL_RESULTS_QUEUE_URL"{waiting}
# How Bedrock behaves can be changed meanwhile:
#   curl -X PATCH "$AWS_ENDPOINT_URL_BEDROCK/_slipway/terms" -d '{{"max_creating": 5}}'
"""
