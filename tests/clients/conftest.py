"""A simulated WAHA on a real port, for clients that nobody here wrote."""

from collections.abc import Iterator
from itertools import islice

import pytest
from tests.support.public_client import KEY
from tests.support.served import Served

from wagateway.simulator.engine import EngineName
from wagateway.simulator.faults import Faults
from wagateway.simulator.rest import create_app
from wagateway.simulator.serving import in_thread
from wagateway.simulator.simulation import Scenario, simulate
from wagateway.simulator.waha_server import WahaServer


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    scenario = Scenario(seed=7, sessions=4, served=True, past=240, faults=Faults())
    server = WahaServer.of(scenario, api_key=KEY)
    for _ in islice(server.watch(simulate(scenario)), 3000):
        pass
    server.settle()
    engines = [hosted.engine.name for hosted in server.sessions.values()]
    assert engines == [EngineName.NOWEB, EngineName.GOWS, EngineName.WEBJS, EngineName.NOWEB]
    with in_thread(create_app(server)) as url:
        yield Served(server, url)
