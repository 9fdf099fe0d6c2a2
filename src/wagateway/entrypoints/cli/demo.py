"""``wagateway demo``: the whole gateway, and a simulated WAHA that posts to its webhook."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import psycopg
import rich_click as click
from msgspec import Struct
from msgspec.structs import replace

from wagateway.adapters.embedded.server import occupant_of, url_of_running
from wagateway.domain.errors import Conflict, NotFound, StoreUnavailable
from wagateway.domain.identity import SessionName
from wagateway.entrypoints.cli.demo_hints import hints
from wagateway.entrypoints.cli.demo_screen import Screen, open_screen
from wagateway.entrypoints.cli.figures import Figures, Tally, Watch
from wagateway.entrypoints.cli.output import counted, note
from wagateway.entrypoints.cli.up import hide_from_logs
from wagateway.entrypoints.containers import Services, open_services
from wagateway.entrypoints.http.auth import WEBHOOK_TOKEN_HEADER
from wagateway.entrypoints.secrets import GatewaySecrets, ensure_secrets
from wagateway.entrypoints.serve import (
    address_of,
    base_url,
    build_app,
    ended,
    listen,
    run_until_stopped,
    serving,
)
from wagateway.entrypoints.settings import Settings, load_settings
from wagateway.entrypoints.waha_webhook import WEBHOOK_PATH
from wagateway.entrypoints.whereabouts import left_in_folder
from wagateway.ports.archive import ArchiveReader
from wagateway.simulator.engine import EngineName
from wagateway.simulator.post import Poster
from wagateway.simulator.traffic import Delivery, Traffic

_HOST = "127.0.0.1"
_HISTORY = timedelta(days=3)
_LOOK_EVERY_S = 1.0
_FIRST_LOOK_S = 0.2


class Scenario(Struct, frozen=True, kw_only=True):
    """What the command line asks for.

    Attributes:
        data_dir: None: ``demo`` in the gateway's own data folder.
        port: wished for; another one is taken when it is in use.
        seed: which account.
        engine: a name of EngineName in any case, or ``mix``.
        rate: deliveries per second.
        count: deliveries to stop after; None: never.
    """

    data_dir: Path | None
    port: int
    seed: int
    engine: str
    rate: float
    count: int | None

    @property
    def session(self) -> SessionName:
        """Of its own for each account, so that no two are taken for one."""
        return SessionName("demo" if self.seed == 1 else f"demo-{self.seed}")


def run_demo(scenario: Scenario) -> None:
    """Run until stopped, or until the scenario's count is delivered.

    Raises:
        Conflict: the data folder is in use, holds another archive, or does not fit.
        WagatewayError: see `open_services` and `ensure_secrets`.
    """
    settings = _settings(scenario)
    _refuse_folder_in_use(settings)  # before anything is said about the port
    with _listener(scenario.port) as listener:
        secrets = ensure_secrets(settings.data_dir, settings)
        hide_from_logs(settings, secrets)
        run_until_stopped(_demo(scenario, settings, secrets, listener))


def _settings(scenario: Scenario) -> Settings:
    given = load_settings(data_dir=scenario.data_dir, log_level="warning")
    # Nothing of the user's own gateway: neither its database nor its tokens, which are shown here.
    return replace(
        given,
        data_dir=(scenario.data_dir or given.data_dir / "demo").expanduser().resolve(),
        database_url=None,
        direct_url=None,
        auto_migrate=True,
        api_token=None,
        webhook_token=None,
        webhook_hmac_key=None,
    )


def _refuse_folder_in_use(settings: Settings) -> None:
    """Raise Conflict where another demo runs in the folder; one that starts now is met later."""
    holder = occupant_of(settings.data_dir)
    if holder is not None:
        raise Conflict(
            f"The data folder {settings.data_dir} is in use by process {holder.pid}, probably "
            "another demo: stop it first, or choose another folder with --data-dir."
        )


def _listener(port: int) -> socket.socket:
    try:
        return listen(_HOST, port)
    except Conflict:
        listener = listen(_HOST, 0)
        note(f"Port {port} is in use; the demo takes {listener.getsockname()[1]} instead.")
        return listener


async def _demo(
    scenario: Scenario, settings: Settings, secrets: GatewaySecrets, listener: socket.socket
) -> None:
    url = base_url(listener)
    async with open_services(settings) as services:
        await _refuse_archive_without_demo(services.reader, settings)
        tally = Tally(services.ingest)
        poster = Poster(
            url + WEBHOOK_PATH, headers={WEBHOOK_TOKEN_HEADER: secrets.webhook_token or ""}
        )
        watch = Watch(poster.counts, tally, await url_of_running(settings.data_dir) or "")
        held: Figures | None = None
        try:
            async with serving(build_app(settings, services, secrets, ingest=tally), listener):
                with left_in_folder(settings, *address_of(listener)), open_screen() as screen:
                    screen.say([f"The demo's archive is in {settings.data_dir}.", ""])
                    reporter = _Reporter(scenario, settings, secrets, url, services, watch, screen)
                    try:
                        async with reporter.reporting():
                            await poster.run(await _deliveries(scenario, services.reader))
                    finally:
                        held = await reporter.sum_up()
        finally:
            if held is not None:  # below the last figures, which stay on the screen
                click.echo("\n".join(_summary(held, settings)))


async def _refuse_archive_without_demo(reader: ArchiveReader, settings: Settings) -> None:
    """Raise Conflict where others were archived and no demo: invented people are not to join."""
    names = [held.session for held in await reader.sessions()]
    if names and not any(name == "demo" or name.startswith("demo-") for name in names):
        raise Conflict(
            f"The data folder {settings.data_dir} holds an archive that no demo made, of session "
            f"{names[0]!r}: choose another folder with --data-dir."
        )


async def _deliveries(scenario: Scenario, reader: ArchiveReader) -> Iterable[Delivery]:
    traffic = Traffic(
        start=datetime.now(UTC),
        seed=scenario.seed,
        session=scenario.session,
        engine=None if scenario.engine == "mix" else EngineName(scenario.engine.upper()),
        history=timedelta(0) if await _has_begun(scenario, reader) else _HISTORY,
        rate=scenario.rate,
    )
    return islice(traffic, scenario.count)


async def _has_begun(scenario: Scenario, reader: ArchiveReader) -> bool:
    return any(held.session == scenario.session for held in await reader.sessions())


class _Reporter:
    """Keeps the screen up to date beside the work."""

    def __init__(
        self,
        scenario: Scenario,
        settings: Settings,
        secrets: GatewaySecrets,
        url: str,
        services: Services,
        watch: Watch,
        screen: Screen,
    ) -> None:
        self._session = scenario.session
        self._settings = settings
        self._secrets = secrets
        self._url = url
        self._reader = services.reader
        self._watch = watch
        self._screen = screen

    @asynccontextmanager
    async def reporting(self) -> AsyncIterator[None]:
        """Report while the context is open; what is inside ends when nobody reads any more."""
        work = asyncio.current_task()
        task = asyncio.create_task(self._report())

        def stop(_: asyncio.Task[None]) -> None:
            if work is not None:
                work.cancel()

        task.add_done_callback(stop)
        try:
            yield
        finally:
            task.remove_done_callback(stop)
            await ended(task)

    async def sum_up(self) -> Figures | None:
        """Show the last figures and return them, where the database still answers."""
        with suppress(psycopg.Error):
            held = await self._watch.look()
            self._screen.show(held)
            return held
        return None

    async def _report(self) -> None:
        hinted = False
        while True:
            with suppress(psycopg.Error, StoreUnavailable):  # it is started again by itself
                figures = await self._watch.look()
                self._screen.show(figures)
                if figures.messages and not hinted:
                    self._screen.say(await self._hints())
                    hinted = True
            await asyncio.sleep(_LOOK_EVERY_S if hinted else _FIRST_LOOK_S)

    async def _hints(self) -> list[str]:
        with suppress(NotFound):
            page = await self._reader.chats(self._session, limit=1)
            if page.chats:
                chat = page.chats[0]
                url = await url_of_running(self._settings.data_dir) or ""
                return list(hints(self._url, self._settings, self._secrets, chat, url))
        return []


def _summary(held: Figures, settings: Settings) -> Iterator[str]:
    answered = held.answered
    yield (
        f"{counted(held.delivered, 'delivery', 'deliveries')}: "
        f"{counted(answered.stored, 'event')} stored, {counted(answered.duplicates, 'duplicate')}, "
        f"{answered.ignored:,} kept raw only, {answered.failed:,} failed."
    )
    if answered.ignored:
        yield "Kept raw only are calls, presence and what else the archive has no place for yet."
    yield (
        f"The archive holds {counted(held.messages, 'message')} in {counted(held.chats, 'chat')}."
    )
    yield "Run it again to continue it, or remove its folder to begin anew:"
    yield f"  {settings.data_dir}"
