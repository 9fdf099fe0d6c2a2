"""A little HTTP server in the shapes of WAHA 2026.9.2's REST API."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from typing_extensions import override

from wagateway.entrypoints.waha_webhook import EVENTS

KEY = "nB8-7cXe_3VkQ5yMw2Rj"
TOKEN = "kX3-9vQz_7LmT2bRw8Ye"
HMAC_KEY = "pD5-4nHs_1GcV6jZt0Ua"
Answers = Mapping[str, tuple[int, Any]]


def webhook(**changes: object) -> dict[str, Any]:
    """Return a webhook that serves us well, or one that differs by *changes*."""
    return {
        "url": "https://gateway.example/webhooks/messages",
        "events": list(EVENTS),
        "hmac": None,
        "retries": {"policy": "exponential", "delaySeconds": 2, "attempts": 12},
        "customHeaders": [{"name": "X-Whatsapp-Token", "value": TOKEN}],
    } | changes


def session(
    *webhooks: dict[str, Any], name: str = "vendas", status: str = "WORKING"
) -> dict[str, Any]:
    """Return a session as ``GET /api/sessions`` lists it."""
    return {
        "name": name,
        "status": status,
        "config": {"metadata": {"tenant": "42"}, "proxy": None, "webhooks": list(webhooks)},
        "me": {"id": "5511912340001@c.us", "pushName": "Padaria", "lid": "180000000000001@lid"},
        "presence": None,
        "timestamps": {"activity": 1791000382000},
        "assignedWorker": "waha-1",
        "engine": {"engine": "NOWEB"},
    }


def answers(*sessions: dict[str, Any]) -> dict[str, tuple[int, Any]]:
    """Return what a WAHA with *sessions* answers, by path."""
    version = {"version": "2026.9.2", "engine": "NOWEB", "tier": "CORE", "browser": None}
    return {
        "/ping": (200, {"message": "pong"}),
        "/api/server/version": (200, version),
        "/api/sessions": (200, list(sessions)),
    }


class _Waha(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answers: Answers, asked: list[str], key: str | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.key = key
        self.answers = answers
        self.asked = asked


class _Handler(BaseHTTPRequestHandler):
    server: _Waha

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.server.asked.append(path)
        status, body = self.server.answers.get(path, (404, {"statusCode": 404}))
        if path == "/api/sessions" and urlsplit(self.path).query != "all=true":
            body = [held for held in body if held["status"] == "WORKING"]
        wanted = self.server.key
        if path.startswith("/api/") and wanted and self.headers["X-Api-Key"] != wanted:
            status, body = 401, {"message": "Unauthorized", "statusCode": 401}
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def waha(
    answers: Answers, asked: list[str] | None = None, *, key: str | None = KEY
) -> Iterator[str]:
    """Run it; yield its address, and add the paths that are asked for to *asked*.

    Without a *key* it lets everybody in.
    """
    with _Waha(answers, [] if asked is None else asked, key) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
