"""Clients of WAHA that nobody here wrote, each in a process and a folder of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CALLER = Path(__file__).parents[1] / "clients" / "caller.py"
FOLDERS = Path(sys.prefix) / "clients"
"""Where ``scripts/test`` installs them."""
KEY = "k3y-of-a-test"
_END_S = 10


class Raised(Exception):
    """The client raised an exception.

    Attributes:
        kind: the name of its class.
        status: of the HTTP answer, None where the exception carries none.
        said: its text.
        body: the JSON value of the answer, None where the exception carries none.
        fields: which ones it could not decode, of all rows together.
    """

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(told["raised"], told["said"])
        self.kind: str = told["raised"]
        self.status: int | None = told["status"]
        self.said: str = told["said"]
        self.body: Any = told["body"]
        self.fields: set[str] = set(told["fields"])


@dataclass(frozen=True, slots=True)
class PublicClient:
    """One of them, and the process that calls it.

    Attributes:
        version: as its package says.
        file: where it was imported from.
    """

    version: str
    file: Path
    _process: "subprocess.Popen[str]"

    def call(
        self,
        method: str,
        *args: object,
        key: str = KEY,
        read_as: str | None = None,
        asynchronous: bool = False,
        **named: object,
    ) -> Any:  # noqa: ANN401 - whatever the client returns, as JSON
        """Return what the client's *method*, such as ``chats.get_chats``, returns.

        Args:
            method: with the namespace of the client that it belongs to.
            args: of the method; see `made`.
            key: the API key.
            read_as: the client's class that must understand the answer, or each row of it.
            asynchronous: call the method of the client's asynchronous half.
            named: arguments of the method by name.

        Raises:
            Raised: the client did.
        """
        ending = _say(
            self._process,
            {
                "call": method,
                "args": args,
                "named": named,
                "key": key,
                "read_as": read_as,
                "asynchronous": asynchronous,
            },
        )
        if "raised" in ending:
            raise Raised(ending)
        return ending["value"]


def made(by: str, of: object) -> dict[str, object]:
    """Return an argument that the client's class *by* makes of a JSON value."""
    return {"made_by": by, "of": of}


@contextmanager
def public_client(package: str, url: str) -> Iterator[PublicClient]:
    """Start the client of the PyPI package *package* against the server at *url*."""
    folder = FOLDERS / package
    assert folder.is_dir(), f"{folder} is missing: scripts/test installs it"
    process = subprocess.Popen(
        # Nothing but the folder and the standard library: neither the packages of the tests (-S)
        # nor the files beside the script (-P).
        [sys.executable, "-S", "-P", "-X", "utf8", str(CALLER), url, package],
        env={"PYTHONPATH": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    with process:
        try:
            hello = _heard(process)
            yield PublicClient(hello["version"], Path(hello["file"]), process)
            assert process.stdin
            process.stdin.close()
            assert process.wait(_END_S) == 0
        finally:
            process.kill()


def _say(process: "subprocess.Popen[str]", call: dict[str, object]) -> dict[str, Any]:
    assert process.stdin
    process.stdin.write(json.dumps(call) + "\n")
    process.stdin.flush()
    return _heard(process)


def _heard(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout
    line = process.stdout.readline()
    assert line, "the process that calls the client ended; its standard error says why"
    heard: dict[str, Any] = json.loads(line)
    return heard
