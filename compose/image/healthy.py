"""Tells by its exit code whether the process of this container answers its health check.

The worker's where WHATSAPP_WORKER_HEALTH_PORT is set, else that of webhook and API. Nothing but the
standard library, and little of that, since it runs every few seconds.
"""

import os
import socket
import sys

_DEFAULT_PORT = "4011"
_PATIENCE_S = 4.0


def port() -> int:
    """Return the port of this machine that answers."""
    names = ("WHATSAPP_WORKER_HEALTH_PORT", "WHATSAPP_GATEWAY_API_PORT")
    return int(next(filter(None, map(os.environ.get, names)), _DEFAULT_PORT))


def is_healthy(number: int) -> bool:
    """Tell whether ``GET /health`` there is answered with 200."""
    request = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", number), timeout=_PATIENCE_S) as connection:
        connection.sendall(request)
        return connection.recv(64).split(b" ")[1:2] == [b"200"]


if __name__ == "__main__":
    try:
        healthy = is_healthy(port())
    except (OSError, ValueError):
        healthy = False
    sys.exit(0 if healthy else 1)
