"""Asking a running daemon how it is."""

from __future__ import annotations

import http.client
import os

from slipway.settings.load import WrongSetting, find_endpoint


def ask_livez(config: str | None, port: int | None) -> int:
    """Print what the daemon on this machine says of its health; answer 0 when it is healthy, else 1.

    It is asked where a daemon with these settings listens; `port` goes before them.
    """
    try:
        host, found = find_endpoint(os.environ, config)
    except WrongSetting as wrong:
        print(wrong)  # noqa: T201  here and below this is what the command prints
        return 1
    if not (asked := port or found):
        print("http_port is 0: this daemon has no HTTP endpoint; set SLIPWAY_HTTP_PORT")  # noqa: T201
        return 1
    connection = http.client.HTTPConnection(host, asked, timeout=5)
    try:
        connection.request("GET", "/livez")
        answer = connection.getresponse()
        print(answer.read().decode(errors="replace"))  # noqa: T201
    except (OSError, http.client.HTTPException) as error:
        print(f"no answer from {host}:{asked}: {getattr(error, 'strerror', None) or error}")  # noqa: T201
        return 1
    finally:
        connection.close()
    return 0 if answer.status == http.client.OK else 1
