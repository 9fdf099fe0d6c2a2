import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from wagateway.entrypoints.strangers import stranger_on

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells whose a port is")

LISTEN = """
import os, socket
os.setuid(NOBODY)
listener = socket.create_server((HOST, 0), family=FAMILY)
print(listener.getsockname()[1], flush=True)
input()
"""
NOBODY = 65534


def test_who_runs_this_is_no_stranger(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert stranger_on(listener.getsockname()[1], tmp_path) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone may start others' programs")
@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", "AF_INET"), ("::1", "AF_INET6")])
def test_another_user_is_one_unless_the_folder_is_theirs(
    tmp_path: Path, host: str, family: str
) -> None:
    names = {"HOST": repr(host), "FAMILY": f"socket.{family}", "NOBODY": str(NOBODY)}
    program = LISTEN
    for name, value in names.items():
        program = program.replace(name, value)
    with subprocess.Popen(
        [sys.executable, "-I", "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        port = int(other.stdout.readline())
        try:
            assert stranger_on(port, tmp_path) == NOBODY
            assert stranger_on(port + 1, tmp_path) is None
            os.chown(tmp_path, NOBODY, NOBODY)
            assert stranger_on(port, tmp_path) is None
        finally:
            other.kill()
