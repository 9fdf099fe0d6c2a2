"""What WAHA keeps of the files that it got from WhatsApp: for a while, under names of its own."""

from collections.abc import Callable

from msgspec import Struct

from wagateway.simulator.contents import Attachment, Fetch
from wagateway.simulator.engine import Engine
from wagateway.simulator.facts import Fact
from wagateway.simulator.fates import Gone
from wagateway.simulator.files import File
from wagateway.simulator.happenings import Note, OfMessage, Sent


class _Saved(Struct, frozen=True):
    """A file and when it was saved, by the clock."""

    file: File
    at_s: float


class Filing:
    """The saved files of all sessions.

    A file lives for so long from when it was saved, however often it is asked for meanwhile.

    Attributes:
        asked: how often each message's file was asked for again, by session and name.
    """

    def __init__(self, lifetime_s: float, clock: Callable[[], float]) -> None:
        """Keep nothing yet.

        Args:
            lifetime_s: seconds for which a file is kept; 0 is for ever.
            clock: tells the seconds since whenever.
        """
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._saved: dict[tuple[str, str], _Saved] = {}
        self.asked: dict[tuple[str, str], int] = {}

    def save(self, session: str, name: str, file: File, *, ago_s: float = 0.0) -> None:
        """Keep *file* as of *ago_s* seconds before, unless it is there already."""
        if self.find(session, name) is None:
            self._saved[session, name] = _Saved(file, self._clock() - ago_s)

    def find(self, session: str, name: str) -> File | None:
        """Return the file of this name, None where there is none, or none any more."""
        saved = self._saved.get((session, name))
        if saved is None:
            return None
        if 0 < self._lifetime_s <= self._clock() - saved.at_s:
            del self._saved[session, name]
            return None
        return saved.file

    def wipe(self) -> None:
        """Lose all files, as WAHA does when it starts."""
        self._saved.clear()

    def take(self, engine: Engine, fact: Fact, *, ago_s: float) -> None:
        """Save the files that an event offers: its own and the one that it quotes."""
        happening = fact.happening
        if not isinstance(happening, OfMessage) or not fact.sure:
            return
        note = happening.note
        if isinstance(happening, Sent):
            offered = [each for each in (note, note.quotes) if each and engine.shows_file(each)]
        else:
            offered = [note] if fact.repeats else []
        for each in offered:
            file = each.content
            if isinstance(file, Attachment) and file.fetch is Fetch.SAVED and not file.fate.early:
                self._save(engine, each, file, ago_s)

    def ask(self, engine: Engine, note: Note) -> Fetch | Gone:
        """Get the file of *note* from WhatsApp once more, and save it.

        Returns:
            How WAHA fared; a Gone where WhatsApp has it no longer.
        """
        file = note.content
        if not isinstance(file, Attachment):
            return Fetch.UNTOLD
        name = engine.session, engine.file_name(note, file)
        if self.find(*name) is not None:
            return Fetch.SAVED
        if file.gone:
            return file.gone
        self.asked[name] = self.asked.get(name, 0) + 1
        if file.fate.second and self.asked[name] == 1:
            return Fetch.FAILED
        self._save(engine, note, file, 0.0)
        return Fetch.SAVED

    def _save(self, engine: Engine, note: Note, file: Attachment, ago_s: float) -> None:
        if file.file is not None:
            self.save(engine.session, engine.file_name(note, file), file.file, ago_s=ago_s)
