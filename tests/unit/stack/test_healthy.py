"""The health check of the image, against something that answers."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[3] / "compose" / "image" / "healthy.py"


@contextmanager
def answering(status: bytes) -> Iterator[int]:
    """Yield a port that answers one request with *status*."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def exit_code(**environ: str) -> int:
    command = [sys.executable, "-I", "-S", str(SCRIPT)]
    return subprocess.run(command, env=environ, check=False, timeout=20).returncode


def test_200_is_healthy() -> None:
    with answering(b"200 OK") as port:
        assert exit_code(WHATSAPP_GATEWAY_API_PORT=str(port)) == 0


def test_the_port_of_a_worker_is_asked_where_it_has_one() -> None:
    with answering(b"200 OK") as port:
        code = exit_code(WHATSAPP_GATEWAY_API_PORT="1", WHATSAPP_WORKER_HEALTH_PORT=str(port))
    assert code == 0


def test_anything_else_is_not() -> None:
    with answering(b"503 Service Unavailable") as port:
        assert exit_code(WHATSAPP_GATEWAY_API_PORT=str(port)) == 1
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert exit_code(WHATSAPP_GATEWAY_API_PORT=str(port)) == 1
    assert exit_code(WHATSAPP_GATEWAY_API_PORT="no number") == 1
