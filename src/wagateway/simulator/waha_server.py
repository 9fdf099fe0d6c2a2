"""The simulated WAHA server: what its sessions keep, fed by the deliveries that make webhooks.

    scenario = Scenario(seed=7, served=True, past=500)
    server = WahaServer.of(scenario, api_key="secret")
    for delivery in server.watch(simulate(scenario)):
        ...  # the store has it now; post it unless it is lost

`wagateway.simulator.rest.create_app` is its REST API.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Self

from wagateway.simulator.bait import Bait
from wagateway.simulator.dice import Dice
from wagateway.simulator.engine import Engine, EngineName
from wagateway.simulator.faults import Faults
from wagateway.simulator.file_faults import FileFaults
from wagateway.simulator.filing import Filing
from wagateway.simulator.hosted import (
    SCAN_QR_CODE,
    STARTING,
    STOPPED,
    WORKING,
    Hosted,
)
from wagateway.simulator.offers import Media
from wagateway.simulator.past import past_facts
from wagateway.simulator.rest_files import Bucket, FileServer
from wagateway.simulator.simulation import Scenario, traffics
from wagateway.simulator.traffic import Delivery
from wagateway.simulator.truth import Truth
from wagateway.simulator.voice import Voice

_SHRINK_WINDOW_MS = 10_000
_SHRINK_SHARE = 0.5


class WahaServer:
    """All sessions of a simulated WAHA.

    Attributes:
        sessions: by name.
        api_key: what requests must carry; None: any or none will do.
        faults: those of REST and of the store; see `faults.SERVED_MEANINGS`.
        store_enabled: False: NOWEB sessions have no store, and answer 400 to what needs it.
        filing: the files that it saved; its clock is `time.monotonic` unless another is given.
        files: what serves them.
        bucket: the same for the bucket, where the engines name one; to be served elsewhere.
        bait: what is asked of this server by who follows an address into a trap.
        wait_s: how long a call waits for a session that is not WORKING before it is refused;
            WAHA waits 5 s.
        announce: told of each delivery that a request causes, such as a change of status.
    """

    def __init__(
        self,
        engines: Iterable[Engine],
        *,
        api_key: str | None = None,
        faults: Faults | None = None,
        seed: int = 1,
        hmac_key: str | None = None,
        store_enabled: bool = True,
        wait_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sessions = {engine.session: Hosted(engine) for engine in engines}
        self.api_key = api_key
        self.faults = faults or Faults()
        self.seed = seed
        self.store_enabled = store_enabled
        self.wait_s = wait_s
        media = next((hosted.engine.files for hosted in self.sessions.values()), Media())
        self.filing = Filing(media.lifetime_s, clock)
        engine = next((hosted.engine.name.value for hosted in self.sessions.values()), "")
        self.files = FileServer(self.filing, FileFaults(self.faults, seed), media, engine)
        self.bucket = Bucket(self.files, media)
        self.bait = Bait()
        self.announce: Callable[[Delivery], None] = lambda _delivery: None
        self._hmac_key = hmac_key
        self._now_ms = 0
        self._announced = 0
        self._window = 0

    @classmethod
    def of(
        cls,
        scenario: Scenario,
        *,
        api_key: str | None = None,
        store_enabled: bool = True,
        wait_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> Self:
        """Return the server of *scenario*, which has its past in the store from the beginning."""
        streams = traffics(scenario)
        server = cls(
            [stream.first_engine() for stream in streams],
            api_key=api_key,
            faults=scenario.faults,
            seed=scenario.seed,
            hmac_key=scenario.hmac_key,
            store_enabled=store_enabled,
            wait_s=wait_s,
            clock=clock,
        )
        share, rest = divmod(scenario.past, len(streams))
        for number, stream in enumerate(streams):
            hosted = server.sessions[stream.session]
            for fact in past_facts(hosted.engine, stream.plan, share + (number < rest)):
                hosted.store.take(fact)
                hosted.around.take(fact)
        server._now_ms = int(scenario.start.timestamp() * 1000)
        return server

    def watch(self, deliveries: Iterable[Delivery]) -> Iterator[Delivery]:
        """Yield *deliveries* after taking them in; see `take`."""
        for delivery in deliveries:
            if self.take(delivery):
                yield delivery

    def take(self, delivery: Delivery) -> bool:
        """Take in a delivery that is due, lost ones too.

        Returns:
            False where the session was stopped on request: nothing of it is sent.
        """
        self._now_ms = max(self._now_ms, delivery.due_ms)
        self._lose()
        if delivery.fact is None:
            return True
        hosted = self.sessions[delivery.fact.session]
        sent = not hosted.interrupted
        if sent and delivery.engine:
            self.filing.take(delivery.engine, delivery.fact, ago_s=delivery.held_ms / 1000)
        hosted.take(delivery)
        return sent

    def settle(self) -> None:
        """Let all sessions that nobody stopped be WORKING: the traffic is over."""
        for hosted in self.sessions.values():
            hosted.settle()

    def witness(self, truth: Truth) -> None:
        """Tell *truth* what an archive must hold because the lists show it now.

        What they showed for a while only, such as what was deleted since, may be there.
        """
        for hosted in self.sessions.values():
            if self.store_enabled or hosted.engine.name is not EngineName.NOWEB:
                hosted.witness(truth)

    def start(self, hosted: Hosted) -> None:
        """Start a session, unless it runs."""
        if hosted.status in {WORKING, STARTING, SCAN_QR_CODE}:
            return
        self._run(hosted)

    def stop(self, hosted: Hosted) -> None:
        """Stop a session: nothing reaches its store until it is started."""
        if hosted.status == STOPPED:
            return
        hosted.interrupt()
        self._change(hosted, STOPPED)

    def restart(self, hosted: Hosted) -> None:
        """Stop and start a session."""
        self.stop(hosted)
        self._run(hosted)

    def log_out(self, hosted: Hosted) -> None:
        """Unpair a session: its store is empty, and it waits for a phone; see `pair`."""
        hosted.interrupt()
        hosted.log_out()
        self._change(hosted, STOPPED)
        self._run(hosted)

    def pair(self, hosted: Hosted) -> None:
        """Link the phone of the simulated account again; the old messages stay away."""
        if hosted.paired:
            return
        hosted.paired = True
        self._run(hosted)

    def _run(self, hosted: Hosted) -> None:
        self._change(hosted, STARTING)
        if not hosted.paired:
            self._change(hosted, SCAN_QR_CODE)
            return
        hosted.resume()
        self._change(hosted, WORKING)

    def _change(self, hosted: Hosted, status: str) -> None:
        happening = hosted.change(status, self._now_ms)
        self._announced += 1
        voice = Voice(
            hosted.engine,
            key=f"{self.seed}/request/{self._announced}",
            faults=Faults(),
            also_as_message=0.0,
            metadata={},
            hmac_key=self._hmac_key,
        )
        for due_ms, request in voice.requests(happening, Dice("request", self._announced)):
            self.announce(
                Delivery(
                    offset_s=0.0,
                    event=request.event,
                    body=request.body,
                    headers=request.headers,
                    due_ms=due_ms,
                )
            )

    def _lose(self) -> None:
        """Let stores lose older messages, and WAHA its files, where the seed says so."""
        window = self._now_ms // _SHRINK_WINDOW_MS
        if window == self._window:
            return
        self._window = window
        if Dice("wipe", self.seed, window).chance(self.faults.file_wipe):
            self.filing.wipe()
        for hosted in self.sessions.values():
            dice = Dice("shrink", self.seed, hosted.name, window)
            if dice.chance(self.faults.shrink):
                hosted.forget(dice, _SHRINK_SHARE)
