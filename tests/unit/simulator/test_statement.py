"""What of a message never changes, by its content."""

from typing import Any

import pytest
from tests.unit.simulator.tales import ANA, AT, BIA, BY_LID, POLL, note

from wagateway.simulator.contents import (
    Attachment,
    AttachmentKind,
    Card,
    Cards,
    Content,
    Gathering,
    LivePlace,
    Place,
)
from wagateway.simulator.happenings import Address
from wagateway.simulator.statement import facts_of, instant

FILE = Attachment(
    kind=AttachmentKind.DOCUMENT,
    mimetype="application/pdf",
    extension="pdf",
    size_bytes=12_345,
    caption="o pedido",
    filename="pedido.pdf",
)
CARDS = (Card(name="Ana", vcard="BEGIN:VCARD…1"), Card(name="Bia", vcard="BEGIN:VCARD…2"))


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        (
            FILE,
            {
                "text": "o pedido",
                "view_once": False,
                "media": {
                    "mimetype": "application/pdf",
                    "filename": "pedido.pdf",
                    "size_bytes": 12_345,
                },
            },
        ),
        (
            Place(latitude=-23.5, longitude=-46.6, name="Padaria", street="Rua A, 1"),
            {
                "text": None,
                "location": {"latitude": -23.5, "longitude": -46.6, "name": "Padaria"},
            },
        ),
        (
            LivePlace(latitude=-23.5, longitude=-46.6, accuracy_m=5, speed_mps=1.5),
            {"text": None, "location": {"latitude": -23.5, "longitude": -46.6}},
        ),
        (CARDS[0], {"contacts": [{"vcard": "BEGIN:VCARD…1"}]}),
        (
            Cards(cards=CARDS),
            {"contacts": [{"vcard": "BEGIN:VCARD…1"}, {"vcard": "BEGIN:VCARD…2"}]},
        ),
        (POLL, {"poll": {"question": "Sabor?", "options": ["Fubá", "Milho", "Laranja"]}}),
        (
            Gathering(name="Inauguração", description="Com bolo", starts_ms=1, where="Aqui"),
            {"text": "Inauguração", "event": {"name": "Inauguração", "description": "Com bolo"}},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_content_has_its_own_facts(content: Content, facts: dict[str, Any]) -> None:
    told = facts_of(note(content), str(content.kind), {})
    assert told["kind"] == content.kind
    assert told == told | facts
    common = {"sent_at", "kind", "text", "reply_to", "mentions", "forwarded"}
    others = {name for name in told.keys() - common - facts.keys() if told[name] is not None}
    assert others == set()


def test_replies_mentions_and_forwards_are_told() -> None:
    said = note(
        chat=BY_LID,
        address=Address.LID,
        quotes=note(stanza="A0"),
        mentions=(ANA, BIA),
        forwarded=2,
    )
    told = facts_of(said, "text", {ANA.lid_jid: ANA.phone_jid})
    assert told["reply_to"] == {"id": "A0"}
    assert told["mentions"] == [ANA.phone_jid, BIA.lid_jid]
    assert told["forwarded"] is True


def test_of_what_the_engine_hides_only_kind_and_time_are_certain() -> None:
    assert facts_of(note(FILE), "unknown", {}) == {"sent_at": AT, "kind": "unknown"}


def test_instants_are_whole_seconds_that_passed() -> None:
    assert instant(1_767_610_800_999) == "2026-01-05T11:00:00Z"
