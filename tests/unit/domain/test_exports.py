"""Names of exported files, whatever strangers called them."""

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wagateway.domain.exports import MAX_NAME_BYTES, ExportedFile, export_names, exported
from wagateway.domain.identity import Jid, SessionName, StanzaId
from wagateway.domain.media import DownloadStatus
from wagateway.domain.messages import Kind
from wagateway.domain.mimetype import ending_of
from wagateway.domain.views import FileView, MediaView

NOON = datetime(2026, 10, 3, 12, tzinfo=UTC)
ANA = Jid("5511987650102@c.us")


def view(
    filename: str | None = None,
    *,
    mimetype: str | None = "image/jpeg",
    chat: Jid = ANA,
    stanza: str = "A1",
    sent_at: datetime = NOON,
    session: str = "vendas",
) -> FileView:
    return FileView(
        session=SessionName(session),
        chat_id=chat,
        id=StanzaId(stanza),
        waha_id=f"false_{chat}_{stanza}",
        from_me=False,
        kind=Kind.IMAGE,
        sent_at=sent_at,
        media=MediaView(
            status=DownloadStatus.COMPLETED, mimetype=mimetype, filename=filename, sha256="ab" * 32
        ),
    )


def name_of(*args: str | None, **more: object) -> str:
    """Return the first name without its tag."""
    first = next(export_names(view(*args, **more)))  # type: ignore[arg-type] # any of its facts
    stem, _, ending = first.rpartition(".")
    return f"{stem[:-9]}.{ending}"


@pytest.mark.parametrize(
    ("filename", "mimetype", "kept"),
    [
        ("pão.jpg", "image/jpeg", "pão.jpg"),
        ("pão.JPEG", "image/jpeg", "pão.jpg"),
        ("pa\u0303o.jpg", "image/jpeg", "pão.jpg"),
        (None, "image/jpeg", "image.jpg"),
        ("", "image/jpeg", "image.jpg"),
        ("...", "image/jpeg", "image.jpg"),
        ("invoice.pdf", "application/x-msdownload", "invoice.pdf.bin"),
        ("invoice.pdf.exe", "application/pdf", "invoice.pdf.exe.pdf"),
        ("page.html", "text/html", "page.html.bin"),
        ("drawing.svg", "image/svg+xml", "drawing.svg.bin"),
        ("voice", "audio/ogg; codecs=opus", "voice.ogg"),
        ("X.jpg", "image/jpeg", "X.jpg"),
        ("x" * 300 + ".jpg", "image/jpeg", "x" * 60 + ".jpg"),
        ("x" + "ã" * 300, "image/jpeg", "x" + "ã" * 29 + ".jpg"),
        ("unknown.dat", None, "unknown.dat.bin"),
        ("../../etc/passwd", "text/plain", "etc_passwd.txt"),
        ("..\\..\\boot.ini", "text/plain", "boot.ini.txt"),
        ("C:\\con", "text/plain", "C__con.txt"),
        ("a\nb\tc  d.txt", "text/plain", "a b c d.txt"),
        ("gpj.\u202etxt.exe", "text/plain", "gpj.txt.exe.txt"),
        ("$(rm -rf ~);`x`.txt", "text/plain", "(rm -rf _)__x.txt"),
        ('a<b>c:"d"|e?f*.txt', "text/plain", "a_b_c__d__e_f.txt"),
    ],
)
def test_says_what_it_was_called_and_what_it_is(
    filename: str | None, mimetype: str | None, kept: str
) -> None:
    assert name_of(filename, mimetype=mimetype) == f"2026-10-03_120000_5511987650102_{kept}"


@pytest.mark.parametrize(
    ("chat", "told"),
    [
        ("5511987650102@c.us", "5511987650102"),
        ("120363000000000101@g.us", "120363000000000101@g_us"),
        ("271000000000102@lid", "271000000000102@lid"),
        ("status@broadcast", "status@broadcast"),
        ("../../x@c.us", "______x"),
        ("a" * 300 + "@newsletter", "a" * 32),
        ("ação\u202e@odd", "a__o_@odd"),
    ],
)
def test_tells_the_chat_however_odd(chat: str, told: str) -> None:
    assert name_of("a.jpg", chat=Jid(chat)) == f"2026-10-03_120000_{told}_a.jpg"


def test_tells_the_time_in_utc() -> None:
    at = NOON.astimezone(timezone(timedelta(hours=-3)))
    assert name_of("a.jpg", sent_at=at).startswith("2026-10-03_120000_")


def test_messages_that_look_alike_have_names_of_their_own() -> None:
    views = [
        view("a.jpg"),
        view("a.jpg", stanza="A2"),
        view("a.jpg", session="suporte"),
        view("a.jpg", chat=Jid("5511987650102@lid")),
    ]
    assert len({next(export_names(each)) for each in views}) == 4


def test_a_chat_whose_name_cannot_be_written_has_a_name_too() -> None:
    assert name_of("a.jpg", chat=Jid("\ud800@odd")) == "2026-10-03_120000__@odd_a.jpg"


def test_a_line_of_the_list_says_what_the_message_has() -> None:
    told = view("pão.jpg", stanza="A2")
    sized = msgspec.structs.replace(told.media, size_bytes=5)
    line = exported(msgspec.structs.replace(told, media=sized, from_me=True), "cd" * 32, "a.jpg")
    assert line == ExportedFile(
        session=SessionName("vendas"),
        chat=ANA,
        message=StanzaId("A2"),
        waha_id=f"false_{ANA}_A2",
        sent_at=NOON,
        from_me=True,
        kind=Kind.IMAGE,
        sha256="cd" * 32,
        size_bytes=5,
        mimetype="image/jpeg",
        filename="pão.jpg",
        name="a.jpg",
    )


def test_the_same_message_has_the_same_names_and_several() -> None:
    names = list(export_names(view("a.jpg")))
    assert names == list(export_names(msgspec.structs.replace(view("a.jpg"))))
    assert len(set(names)) == 3


@given(
    st.text(max_size=300),
    st.text(max_size=600),
    st.one_of(st.none(), st.text(max_size=50), st.just("image/jpeg")),
)
def test_every_file_system_takes_every_name(filename: str, chat: str, mimetype: str | None) -> None:
    for name in export_names(view(filename, chat=Jid(chat), mimetype=mimetype)):
        assert len(name.encode()) <= MAX_NAME_BYTES
        assert not set(name) & set('<>:"/\\|?*\x00')
        assert name.isprintable()
        assert name[:4] == "2026"
        assert name.rpartition(".")[2] == (ending_of(mimetype or "") or "bin")
