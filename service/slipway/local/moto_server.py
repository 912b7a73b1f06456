"""SQS and SNS as a separate process, started by `stack.Queues`. It ends when its standard input is closed.

So it ends with its parent, also after kill -9. It is a separate process because moto responds in threads, which would compete
with the code under test for the interpreter.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from functools import cache
from typing import Final

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from slipway.local.moto_protocol import AwsAnswers, patch_roles
from slipway.local.moto_queues import patch_moto

OLD_SECONDS: Final = 3600.0
"""Age of a `Date` in the mode `old`."""


class _Brief(MotoRequestHandler):
    """Answers each call in one piece, on a connection of its own: werkzeug cannot keep one for the next call."""

    disable_nagle_algorithm = True
    wbufsize = -1
    dates = "answer"
    """When the `Date` was: see `stack.Dates`."""
    _arrived = 0.0

    def parse_request(self) -> bool:
        """Read the head of a request, which arrives now."""
        self._arrived = time.time()
        return super().parse_request()

    def send_response(self, code: int, message: str | None = None) -> None:
        """Begin an answer, and log nothing. moto names the server itself: twice is refused by aiohttp in its strict mode."""
        self.send_response_only(code, message)
        if self.dates == "none":
            return
        at = self._arrived if self.dates == "arrival" else time.time()
        if self.dates == "old":
            at -= OLD_SECONDS
        self.send_header("Date", self.date_time_string(int(at)))


def main() -> None:
    """Serve until standard input ends. Arguments: the descriptor of the listening socket, and one of `stack.Dates`."""
    patch_moto()
    patch_roles()
    application = DomainDispatcherApplication(create_backend_app)
    # At every request it would list the folder that moto lies in and look at each entry: 40 % of the work of a send.
    application.get_backend_for_host = cache(application.get_backend_for_host)  # type: ignore[method-assign]
    handler = type("_Dated", (_Brief,), {"dates": sys.argv[2]})
    answers = AwsAnswers(application)
    server = make_server("127.0.0.1", 0, answers, threaded=True, request_handler=handler, fd=int(sys.argv[1]))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write("serving\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()
    os._exit(0)  # at once: threads in long polls are not waited for


if __name__ == "__main__":
    main()
