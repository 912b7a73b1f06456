"""Asking a running daemon how it is."""

from __future__ import annotations

import http.client
import os

DEFAULT_PORT = 8080


def ask_livez(port: int | None) -> int:
    """Print what the daemon on this machine says of its life; answer 0 when it lives, else 1."""
    asked = port if port is not None else int(os.environ.get("SLIPWAY_HTTP_PORT", DEFAULT_PORT))
    connection = http.client.HTTPConnection("127.0.0.1", asked, timeout=5)
    try:
        connection.request("GET", "/livez")
        answer = connection.getresponse()
        print(answer.read().decode(errors="replace"))  # noqa: T201  this is what the command prints
    except OSError as error:
        print(f"no answer from 127.0.0.1:{asked}: {error}")  # noqa: T201
        return 1
    finally:
        connection.close()
    return 0 if answer.status == http.client.OK else 1
