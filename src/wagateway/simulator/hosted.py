"""One session of the simulated WAHA server: its status, and what its engine knows."""

from wagateway.simulator.dice import Dice
from wagateway.simulator.engine import Engine
from wagateway.simulator.facts import Fact
from wagateway.simulator.happenings import SessionChanged
from wagateway.simulator.rest_rows import row_fact
from wagateway.simulator.store import Store
from wagateway.simulator.surroundings import Circle, Surroundings
from wagateway.simulator.traffic import Delivery
from wagateway.simulator.truth import Truth
from wagateway.simulator.wire import Payload

WORKING, STOPPED, STARTING, SCAN_QR_CODE = "WORKING", "STOPPED", "STARTING", "SCAN_QR_CODE"
_KEPT_STATUSES = 3


class Hosted:
    """A session.

    Attributes:
        engine: of the account that has the session now.
        store, around: what that engine keeps.
        paired: whether a phone is linked.
        status: in WAHA's words.
        active_ms: when the latest event was due, on the simulated clock; None before the first.
        shown_subjects: what lists called each group, so that somebody may have read it.
        qr_number: how many QR codes were shown.
    """

    def __init__(self, engine: Engine) -> None:
        self.name = engine.session
        self.engine = engine
        self.store = Store(engine)
        self.around = Surroundings(engine.world)
        self.paired = True
        self.status = WORKING
        self.active_ms: int | None = None
        self.shown_subjects: dict[str, set[str]] = {}
        self.qr_number = 0
        self._former: list[tuple[Engine, Store, Surroundings]] = []
        self._latest_ms = 0
        self._status_ms = 0
        self._statuses: tuple[tuple[str, int], ...] = ()
        self._held: list[Delivery] | None = None

    @property
    def me(self) -> Payload | None:
        """What WAHA says of the account, None while there is none."""
        return self.engine.me() if self.paired else None

    @property
    def interrupted(self) -> bool:
        """Whether it was stopped or logged out on request: nothing comes in until it runs again."""
        return self._held is not None

    def take(self, delivery: Delivery) -> None:
        """Take in what is due now, whether its webhook arrives or not."""
        fact = delivery.fact
        if fact is None or delivery.engine is None:
            return
        if self._held is not None:
            self._held.append(delivery)
            return
        self.active_ms = delivery.due_ms
        if fact.account != self.engine.account and not self._hand_over(fact, delivery.engine):
            return
        self._latest_ms = max(self._latest_ms, fact.happening.at_ms)
        if isinstance(fact.happening, SessionChanged):
            self._follow(fact.happening)
        self.store.take(fact)
        self.around.take(fact)

    def change(self, status: str, at_ms: int) -> SessionChanged:
        """Put the session into *status*, on request; return what its webhook tells."""
        self.status = status
        self._statuses = (*self._statuses, (status, at_ms))[-_KEPT_STATUSES:]
        return SessionChanged(at_ms=at_ms, scene=0, statuses=self._statuses)

    def interrupt(self) -> None:
        """Let nothing in from now on."""
        self._held = self._held or []

    def resume(self) -> None:
        """Catch up with what happened meanwhile: without webhooks."""
        held, self._held = self._held or [], None
        for delivery in held:
            self.take(delivery)

    def log_out(self) -> None:
        """Forget the account and its messages."""
        self.paired = False
        self.store.wipe()

    def settle(self) -> None:
        """Be WORKING, unless somebody asked for another status."""
        if not self.interrupted:
            self.status = WORKING

    def show_subject(self, circle: Circle) -> None:
        """Remember that somebody may have read what a group is called."""
        self.shown_subjects.setdefault(circle.group.jid, set()).add(circle.subject)

    def forget(self, dice: Dice, share: float) -> None:
        """Let the store lose *share* of the older half of its messages."""
        self.store.forget(dice, share)

    def witness(self, truth: Truth) -> None:
        """Tell *truth* what an archive must hold because the lists show it, and what it may."""
        former = [(engine, store, around, True) for engine, store, around in self._former]
        for engine, store, around, over in (*former, (self.engine, self.store, self.around, False)):
            truth.suspect(self.name, engine.account, around.linked.values())
            for group, subjects in self.shown_subjects.items():
                truth.suspect_subjects(self.name, engine.account, group, subjects)
            for kept in store.gone():
                truth.glimpse(row_fact(engine, kept, self.name))
            for kept in store.rows():
                tell = truth.glimpse if over or not self.paired else truth.tell
                tell(row_fact(engine, kept, self.name))

    def _hand_over(self, fact: Fact, engine: Engine) -> bool:
        """Let another account have the session, unless *fact* is a latecomer of a former one."""
        if fact.happening.at_ms < self._latest_ms:
            return False
        self._former.append((self.engine, self.store, self.around))
        self.engine, self.store = engine, Store(engine)
        self.around = Surroundings(engine.world)
        return True

    def _follow(self, happening: SessionChanged) -> None:
        if happening.at_ms >= self._status_ms:
            self._status_ms = happening.at_ms
            self._statuses = happening.statuses
            self.status = happening.statuses[-1][0]
