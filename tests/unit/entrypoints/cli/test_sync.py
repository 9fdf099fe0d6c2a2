"""``wagateway sync`` against a simulated WAHA: what it waits for, what it says, how it ends."""

import time
from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest

from wagateway.adapters.waha.client import open_engine
from wagateway.adapters.waha.transport import Manners
from wagateway.domain.events import SessionStatus
from wagateway.domain.identity import SessionName
from wagateway.entrypoints import workers
from wagateway.entrypoints.cli.endings import ExitCode
from wagateway.entrypoints.cli.sync import LeftOut, Outcome, Wish, ending, read_now, show
from wagateway.entrypoints.containers import Services, open_services
from wagateway.entrypoints.settings import Settings
from wagateway.simulator.engine import EngineName
from wagateway.simulator.faults import Faults
from wagateway.simulator.rest import create_app
from wagateway.simulator.serving import in_thread
from wagateway.simulator.simulation import Scenario
from wagateway.simulator.waha_server import WahaServer

PAST = 80
ALL = Wish(session=None, chat=None, full=False, since=None, what="sync")


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask as fast as it goes, since the simulated WAHA is nobody's phone."""
    hasty = partial(open_engine, manners=Manners(per_second=10_000))
    monkeypatch.setattr(workers, "open_engine", hasty)


@pytest.fixture
def waha() -> WahaServer:
    scenario = Scenario(
        seed=6, sessions=2, engine=EngineName.GOWS, faults=Faults(), served=True, past=PAST
    )
    return WahaServer.of(scenario)


@pytest.fixture
def settings(waha: WahaServer) -> Iterator[Settings]:
    with in_thread(create_app(waha)) as url:
        yield Settings(database_url="memory://", engine_url=url)


@pytest.fixture
async def services(settings: Settings) -> AsyncIterator[Services]:
    async with open_services(settings) as opened:
        yield opened


async def read(settings: Settings, services: Services, wish: Wish = ALL) -> Outcome:
    return (await read_now(settings, services, wish))[1]


async def test_what_is_paused_is_told_and_is_not_done(
    settings: Settings, services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    done = await read(settings, services)
    assert (done.paused, done.left_out, ending(done, ALL)) == (0, [], ExitCode.OK)
    assert done.stored >= PAST

    name = done.sessions[0].session
    wish = Wish(session=name, chat=None, full=False, since=None, what="sync")
    chats = await services.sync.pause(name, None) - 1
    again = await read(settings, services, wish)
    assert (again.paused, ending(again, wish)) == (chats, ExitCode.FAILED)
    capsys.readouterr()
    show(again, wish, "UTC")
    told = capsys.readouterr().out
    assert " read, 0 of them new.\n" in told
    assert f"Not all was read: {chats} chats are paused" in told
    assert f"`wagateway sync {name} --resume`" in told

    looked_at = Wish(session=name, chat=None, full=False, since=None, what="status")
    assert ending(again, looked_at) is ExitCode.OK


async def test_a_session_that_is_stopped_is_said_at_once_and_the_others_are_read(
    waha: WahaServer,
    settings: Settings,
    services: Services,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await read(settings, services)
    stopped, *_ = sorted(map(SessionName, waha.sessions))
    waha.stop(waha.sessions[stopped])
    began = time.monotonic()
    done = await read(settings, services)
    assert time.monotonic() - began < 15
    assert done.left_out == [LeftOut(session=stopped, status=SessionStatus.STOPPED)]
    assert ending(done, ALL) is ExitCode.FAILED
    assert f"{stopped} is left out: it is STOPPED in WAHA" in capsys.readouterr().err
    others = [report for report in done.sessions if report.session != stopped]
    assert [report.health.level for report in others] == ["healthy"]

    alone = Wish(session=stopped, chat=None, full=False, since=None, what="sync")
    assert ending(await read(settings, services, alone), alone) is ExitCode.FAILED


async def test_a_session_that_waha_has_no_more_is_not_waited_for(
    waha: WahaServer, settings: Settings, services: Services
) -> None:
    await read(settings, services)
    gone = SessionName(next(iter(waha.sessions)))
    del waha.sessions[gone]
    done = await read(settings, services)
    assert done.left_out == [LeftOut(session=gone, status=None)]
    assert ending(done, ALL) is ExitCode.OK
    named = Wish(session=gone, chat=None, full=False, since=None, what="sync")
    assert ending(await read(settings, services, named), named) is ExitCode.FAILED
