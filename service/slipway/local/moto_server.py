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
    """Sends each response in one piece and closes the connection, which werkzeug cannot reuse."""

    disable_nagle_algorithm = True
    wbufsize = -1
    dates = "answer"
    """The mode of the `Date` header: see `stack.Dates`."""
    _arrived = 0.0

    def parse_request(self) -> bool:
        """Read the head of a request, and note its time of arrival."""
        self._arrived = time.time()
        return super().parse_request()

    def send_response(self, code: int, message: str | None = None) -> None:
        """Start a response, without logging. moto sets the `Server` header itself: aiohttp's strict mode refuses it twice."""
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
    # Without the cache moto lists its own folder at every request.
    application.get_backend_for_host = cache(application.get_backend_for_host)  # type: ignore[method-assign]
    handler = type("_Dated", (_Brief,), {"dates": sys.argv[2]})
    answers = AwsAnswers(application)
    server = make_server("127.0.0.1", 0, answers, threaded=True, request_handler=handler, fd=int(sys.argv[1]))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write("serving\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()
    os._exit(0)  # at once: without waiting for threads in long polls


if __name__ == "__main__":
    main()
