"""Which preview stays with a message's file; stores are compared in tests/contracts."""

import itertools

import pytest
from tests.support.deliveries import ANA, ANA_LID, NOON, SECOND, delivery, seen

from wagateway.domain.downloads import FileLedger, FileRecord
from wagateway.domain.identity import Jid
from wagateway.domain.ledger import Ledger, Move
from wagateway.domain.media import Download, completed, expired
from wagateway.domain.messages import Kind, MediaFacts
from wagateway.domain.projection import records_of
from wagateway.domain.records import AuthorKey

SMALL, LARGE = b"\xff\xd8\xff small", b"\xff\xd8\xff larger"
FACTS = MediaFacts(mimetype="image/jpeg")


class Files:
    """A ledger of messages, and their files as a store keeps them."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.files: dict[AuthorKey, FileRecord] = {}
        self.writes = 0

    def tell(self, preview: bytes | None, *, n: int = 0, chat: Jid = ANA) -> None:
        picture = seen(None, chat=chat, kind=Kind.IMAGE, media=FACTS, preview=preview)
        told = delivery(picture, at=NOON + n * SECOND)
        self.ledger.apply(told, records_of(told, {}))
        self.settle()

    def link(self) -> None:
        self.ledger.move(self.ledger.records(), Move(lid=ANA_LID, old=ANA_LID, new=ANA))
        self.settle()

    def settle(self) -> None:
        files = FileLedger(self.ledger.changes(), NOON)
        changes = files.changes({k: self.files[k] for k in files.asked() if k in self.files})
        for key in changes.removed:
            del self.files[key]
        written = [*changes.added, *changes.saved]
        self.writes += len(written)
        self.files |= {file.key: file for file in written}
        self.ledger.settle()

    def stand(self, download: Download) -> None:
        self.files = {key: file.standing(download, None) for key, file in self.files.items()}

    @property
    def previews(self) -> list[bytes | None]:
        return [file.preview for file in self.files.values()]


_TOLD = [(None, ANA), (SMALL, ANA_LID), (LARGE, ANA_LID), (SMALL, ANA)]


@pytest.mark.parametrize("order", list(itertools.permutations(range(len(_TOLD)))))
def test_the_largest_stays_in_whatever_order_it_comes(order: tuple[int, ...]) -> None:
    files = Files()
    for n in order:
        preview, chat = _TOLD[n]
        files.tell(preview, n=n, chat=chat)
    files.link()
    assert files.previews == [LARGE]


def test_what_is_no_better_is_not_written() -> None:
    files = Files()
    for preview in (LARGE, LARGE, SMALL, None):
        files.tell(preview)
    assert files.writes == 1


def test_it_stays_while_the_file_is_not_stored() -> None:
    files = Files()
    files.tell(SMALL)
    files.stand(expired(Download(), "gone"))
    assert files.previews == [SMALL]
    files.tell(LARGE, n=1)
    assert files.previews == [LARGE]


def test_it_goes_once_the_file_is_stored() -> None:
    files = Files()
    files.tell(SMALL)
    files.stand(completed(Download(), "ab" * 32))
    files.tell(LARGE, n=1)
    assert files.previews == [None]
