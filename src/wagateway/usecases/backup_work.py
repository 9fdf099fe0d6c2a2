"""The worker that makes a backup now and then, and lets the oldest go."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

from msgspec import Struct

from wagateway.domain.backups import BackupName, Manifest, expired
from wagateway.domain.errors import Rejected, Unavailable, WagatewayError
from wagateway.ports.backup_turns import BackupTurns
from wagateway.ports.backups import BackupPlace
from wagateway.ports.clock import Clock
from wagateway.usecases.back_up import BackUp, Made, Progress
from wagateway.usecases.restore_backup import CheckBackup, summary


class Regular(Struct, frozen=True, kw_only=True):
    """One regular backup was made and read again.

    Attributes:
        removed: older ones, for which there was no room.
    """

    manifest: Manifest
    new_files: int
    new_bytes: int
    removed: tuple[BackupName, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegularBackup:
    """Makes a backup where it is due, reads it again, and only then removes the oldest.

    Attributes:
        with_media: copy attached files too.
        every: between the beginnings of two.
        keep: how many stay, 1 or more.
        lease: of whoever makes it; it is renewed while that goes on.
        again: after a failure.
    """

    back_up: BackUp
    place: BackupPlace
    turns: BackupTurns
    clock: Clock
    every: timedelta
    keep: int
    with_media: bool = True
    lease: timedelta = timedelta(minutes=5)
    again: timedelta = timedelta(minutes=15)

    async def __call__(self) -> Regular | None:
        """Do it where it is due; None where it is not, or another worker does it.

        Raises:
            Rejected: it cannot be done as it is configured, or what was written cannot be read.
            Unavailable: the database, the media store or the disk is away, or is full.
        """
        begun = self.clock()
        if not await self.turns.claim(begun, until=begun + self.lease):
            return None
        next_at = begun + min(self.again, self.every)
        try:
            async with self._held():
                made = await self.back_up(self.place, with_media=self.with_media, told=_nobody)
                await self._read_again(made)
            next_at = begun + self.every
            return Regular(
                manifest=made.manifest,
                new_files=made.new_files,
                new_bytes=made.new_bytes,
                removed=await self._let_go(),
            )
        except asyncio.CancelledError:
            next_at = self.clock()  # whoever comes next begins at once
            raise
        finally:
            with suppress(WagatewayError):  # else the lease ends by itself
                await self.turns.put_off(next_at)

    async def _read_again(self, made: Made) -> None:
        async with self.place.kept(made.manifest.name) as kept:
            found = await CheckBackup()(kept, told=_nobody, with_media=False)
        if found:
            name = made.manifest.name
            raise Rejected(
                f"the new backup {name} is damaged: {summary(found)}. {await self._removed(name)} "
                "No older one went: look at the disk that it is on; another one is made soon"
            )

    async def _removed(self, damaged: BackupName) -> str:
        """Remove a backup that would take the place of a good one, and say what became of it."""
        try:
            await self.place.remove(damaged)
        except WagatewayError as exc:
            return f"Remove it, else it takes the place of a good one ({exc})."
        return "It was removed."

    async def _let_go(self) -> tuple[BackupName, ...]:
        old = expired(await self.place.names(), self.keep)
        for name in old:
            await self.place.remove(name)
        return tuple(old)

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[None]:
        renewing = asyncio.create_task(self._renew())
        try:
            yield
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self.lease.total_seconds() / 3)
            with suppress(WagatewayError):
                await self.turns.put_off(self.clock() + self.lease)


@dataclass(slots=True, kw_only=True)
class BackupWorker:
    """One process's share of the regular backups; any number of them share one archive.

    Attributes:
        told: is told of each backup.
        troubled: is told why none is made, once for each reason; None: it goes on.
        poll: between two looks whether it is due.
    """

    regular: RegularBackup
    told: Callable[[Regular], None]
    troubled: Callable[[str | None], None]
    poll: timedelta = timedelta(minutes=1)
    _problem: str | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Work until *stop* is set; a backup that is under way then is broken off."""
        while not stop.is_set():
            made = asyncio.create_task(self._turn())
            stopping = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({made, stopping}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                stopping.cancel()
                made.cancel()
                with suppress(asyncio.CancelledError):
                    await made
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self.poll.total_seconds())

    async def _turn(self) -> None:
        try:
            made = await self.regular()
        except (Unavailable, Rejected) as exc:
            self._trouble(str(exc))
            return
        if made is not None:
            self._trouble(None)
            self.told(made)

    def _trouble(self, problem: str | None) -> None:
        if problem != self._problem:
            self._problem = problem
            self.troubled(problem)


def _nobody(_: Progress) -> None:
    """Tell nobody how far it is."""
