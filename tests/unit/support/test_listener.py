"""A server of the tests leaves nothing behind, whenever it ends."""

import asyncio
import gc
import socket
import sys

import pytest
from tests.support.listener import listening


async def wait_for_ever(*_: object) -> None:
    await asyncio.Event().wait()


async def test_a_connection_is_closed_however_far_it_has_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that was left open would be told as a warning in whatever test came later."""
    left_open: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: left_open.append(told.exc_value))
    for steps in range(8):
        async with listening(wait_for_ever) as port:
            with socket.create_connection(("127.0.0.1", port)):
                for _ in range(steps):
                    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    assert left_open == []


async def test_what_a_server_does_wrong_is_told() -> None:
    async def stumble(*_: object) -> None:
        raise LookupError("the test is wrong")

    async def ask() -> None:
        async with listening(stumble) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    with pytest.raises(LookupError):
        await ask()
