"""Asking a running daemon how it is."""

from __future__ import annotations

import http.client
import os

DEFAULT_PORT = 8080
LAST_PORT = 65_535


def ask_livez(port: int | None) -> int:
    """Print what the daemon on this machine says of its life; answer 0 when it lives, else 1."""
    asked = port or _port(os.environ.get("SLIPWAY_HTTP_PORT", str(DEFAULT_PORT)))
    if asked is None:
        print("SLIPWAY_HTTP_PORT is no port; set it to the daemon's, 1 to 65535, or say --port")  # noqa: T201
        return 1
    connection = http.client.HTTPConnection("127.0.0.1", asked, timeout=5)
    try:
        connection.request("GET", "/livez")
        answer = connection.getresponse()
        print(answer.read().decode(errors="replace"))  # noqa: T201  this is what the command prints
    except OSError as error:
        print(f"no answer from 127.0.0.1:{asked}: {error.strerror or error}")  # noqa: T201
        return 1
    finally:
        connection.close()
    return 0 if answer.status == http.client.OK else 1


def _port(text: str) -> int | None:
    return int(text) if text.isdecimal() and 0 < int(text) <= LAST_PORT else None
