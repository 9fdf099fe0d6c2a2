"""Looks at files in a process of its own, which hostile files may break without harm."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from wagateway.adapters.inspection.frames import (
    LENGTH_BYTES,
    Finding,
    Programs,
    Ready,
    Request,
    Terms,
    framed,
    length,
)
from wagateway.domain.errors import Rejected, Unavailable
from wagateway.domain.mimetype import UNKNOWN
from wagateway.ports.media_inspector import Looked, MediaInspector

_LOOK = "wagateway.adapters.inspection.looking:look"
_CHILD = "wagateway.adapters.inspection.child"
_LIBRARIES = ("PIL", "puremagic", "pypdfium2")
_START_S = 60.0
"""A busy machine is no failure."""

_LONGEST_DECLARED_CHARS = 1000
_BROKE = "the program that reads files ended over this one"


@asynccontextmanager
async def open_inspector(
    *,
    timeout_s: float = 20.0,
    memory_bytes: int = 2**30,
    files_per_process: int = 500,
    search_path: str | None = None,
    look: str = _LOOK,
) -> AsyncIterator[MediaInspector]:
    """Look at files while the context is open; its process starts with the first file.

    Args:
        timeout_s: for one file, more than 0.
        memory_bytes: of addresses, for the process and for each that it starts; not kept on
            systems that cannot limit it.
        files_per_process: 1 or more; then another takes over.
        search_path: where ffmpeg and ffprobe are looked for; None: as in the terminal.
        look: ``module:function``, a `looking.Look`.

    Raises:
        Rejected: the extra ``media`` is not installed.
    """
    if missing := [name for name in _LIBRARIES if not _is_installed(name)]:
        raise Rejected(
            f"To look at media, {', '.join(missing)} must be there: pip install 'wagateway[media]'."
        )
    programs = Programs(
        ffmpeg=_program("ffmpeg", search_path), ffprobe=_program("ffprobe", search_path)
    )
    terms = Terms(
        look=look,
        programs=programs,
        seconds=max(1, round(timeout_s)),
        memory_bytes=memory_bytes,
        files=files_per_process,
    )
    inspector = ProcessInspector(terms, timeout_s)
    try:
        yield inspector
    finally:
        await inspector.close()


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ValueError:  # it is known to be absent
        return False


def _program(name: str, search_path: str | None) -> str | None:
    found = shutil.which(name, path=search_path)
    return found and str(Path(found).absolute())


class ProcessInspector(MediaInspector):
    """Looks at one file at a time; made by `open_inspector`."""

    def __init__(self, terms: Terms, timeout_s: float) -> None:
        self._terms = terms
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()
        self._child: _Child | None = None
        self._is_closed = False

    @property
    def pid(self) -> int | None:
        """The id of the process, which leads a group of its own; None while there is none."""
        return self._child.pid if self._child else None

    @override
    async def inspect(self, file: Path, *, declared: str | None) -> Looked:
        if declared is not None and len(declared) > _LONGEST_DECLARED_CHARS:
            declared = None
        request = Request(path=os.fsencode(file), declared=_writable(declared))
        async with self._turn:
            is_new = self._child is None or self._child.has_ended
            found = await self._asked(request)
            if found.broke and not is_new:
                # An earlier file may have broken it, or the system ended it meanwhile.
                found = await self._asked(request)
            return found.looked

    async def close(self) -> None:
        """End the process, and all that it started; who waits for an answer gets Unavailable."""
        self._is_closed = True
        await self._end()

    async def _asked(self, request: Request) -> "_Found":
        child = await self._started()
        found = _Found()
        stays = False
        try:
            async with asyncio.timeout(self._timeout_s):
                async for finding in child.ask(request):
                    found.looked = finding.looked
                    stays = finding.is_last and not finding.leaves
        except TimeoutError:
            found.add(f"it takes longer than {self._timeout_s:g} s to read")
        except (EOFError, OSError, ValueError):
            self._check_is_open()
            found.broke = True
            found.add(_BROKE)
        finally:
            if not stays:
                await self._end()
        return found

    async def _started(self) -> "_Child":
        self._check_is_open()
        if self._child is not None and not self._child.has_ended:
            return self._child
        await self._end()
        with _start_errors():
            self._child = child = await _Child.start()
            try:
                self._check_is_open()  # it may have been closed since
                async with asyncio.timeout(_START_S):
                    await child.ready(self._terms)
            except BaseException:
                await self._end()
                self._check_is_open()
                raise
        return child

    def _check_is_open(self) -> None:
        if self._is_closed:
            raise Unavailable("Media are no longer looked at: this was closed.")

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await child.end()


class _Found:
    """What is found of one file until now."""

    def __init__(self) -> None:
        self.looked = Looked(mimetype=UNKNOWN)
        self.broke = False

    def add(self, problem: str) -> None:
        self.looked = replace(self.looked, problem=problem)


class _Child:
    """One process that looks at files."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls) -> "_Child":
        process = await asyncio.create_subprocess_exec(
            # Without the folder that it starts in: what lies there is not ours.
            *(sys.executable, "-P", "-B", "-m", _CHILD),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd="/",
            env=_environment(),
            start_new_session=True,
        )
        return cls(process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.returncode is not None

    async def ready(self, terms: Terms) -> None:
        await self._send(framed(terms))
        msgspec.msgpack.decode(await self._frame(), type=Ready)

    async def ask(self, request: Request) -> AsyncIterator[Finding]:
        await self._send(framed(request))
        while True:
            finding = msgspec.msgpack.decode(await self._frame(), type=Finding)
            yield finding
            if finding.is_last:
                return

    async def end(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()

    async def _send(self, frame: bytes) -> None:
        if self._process.stdin is None:
            raise EOFError
        self._process.stdin.write(frame)
        await self._process.stdin.drain()

    async def _frame(self) -> bytes:
        if self._process.stdout is None:
            raise EOFError
        head = await self._process.stdout.readexactly(LENGTH_BYTES)
        return await self._process.stdout.readexactly(length(head))


def _environment() -> dict[str, str]:
    """Return what the process needs to find the same modules, and nothing that we know."""
    found = os.pathsep.join(str(Path(each).absolute()) for each in sys.path if each)
    return {"PYTHONPATH": found, "LC_ALL": "C.UTF-8", "MALLOC_ARENA_MAX": "1"}


def _writable(declared: str | None) -> str | None:
    """Return *declared* unless it has half characters, which no frame can carry."""
    return declared if declared is not None and declared.isascii() else None


@contextmanager
def _start_errors() -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError, ValueError) as exc:  # a timeout is an OSError
        raise Unavailable(
            f"The program that looks at media could not be started: {type(exc).__name__}."
        ) from exc
