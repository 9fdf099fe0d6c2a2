import pytest

from wagateway.domain.filenames import (
    MAX_NAME_CHARS,
    content_disposition,
    safe_filename,
)
from wagateway.domain.mimetype import UNKNOWN, safe_mimetype


@pytest.mark.parametrize(
    ("filename", "header"),
    [
        ("a.pdf", "attachment; filename=\"a.pdf\"; filename*=UTF-8''a.pdf"),
        (
            "ação 1.pdf",
            "attachment; filename=\"a__o 1.pdf\"; filename*=UTF-8''a%C3%A7%C3%A3o%201.pdf",
        ),
        ('a"b\\c.txt', "attachment; filename=\"a_b_c.txt\"; filename*=UTF-8''a%22b_c.txt"),
        ("100%.txt", "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt"),
        ("a\r\nX-Evil: 1", "attachment; filename=\"aX-Evil: 1\"; filename*=UTF-8''aX-Evil%3A%201"),
        ("", "attachment"),
        (None, "attachment"),
        ("\x00", "attachment"),
    ],
)
def test_a_name_is_told_to_old_and_new_programs(filename: str | None, header: str) -> None:
    assert content_disposition(filename, inline=False) == header
    assert content_disposition(filename, inline=True) == header.replace("attachment", "inline", 1)
    assert header.isascii()
    assert header.isprintable()


@pytest.mark.parametrize(
    ("filename", "safe"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\x.txt", "C:_x.txt"),
        ("..", ""),
        (" .bashrc ", "bashrc"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("\ufeffa\u200b.txt", "a.txt"),
        ("a\ud800.txt", "a.txt"),
        ("nota 🎉.txt", "nota 🎉.txt"),
        ("XX.XX", "XX.XX"),
    ],
)
def test_a_name_is_one_name_without_what_nobody_sees(filename: str, safe: str) -> None:
    assert safe_filename(filename) == safe


def test_a_long_name_keeps_its_ending() -> None:
    assert safe_filename("x" * 500 + ".pdf") == "x" * (MAX_NAME_CHARS - 4) + ".pdf"
    assert safe_filename("x" * 500) == "x" * MAX_NAME_CHARS
    assert safe_filename("x." + "y" * 500) == "x." + "y" * (MAX_NAME_CHARS - 2)
    assert safe_filename("a." + "x" * 500 + ".pdf") == "a." + "x" * (MAX_NAME_CHARS - 6) + ".pdf"
    assert safe_filename("x" * 500 + "." + "y" * 20) == "x" * (MAX_NAME_CHARS - 21) + "." + "y" * 20
    assert safe_filename("x" * 500 + "." + "y" * 21) == "x" * MAX_NAME_CHARS
    assert safe_filename("a.b" + "x" * (MAX_NAME_CHARS - 3)) == "a.b" + "x" * (MAX_NAME_CHARS - 3)
    assert safe_filename("x" * MAX_NAME_CHARS) == "x" * MAX_NAME_CHARS


@pytest.mark.parametrize(
    "mimetype",
    ["image/jpeg", "audio/ogg; codecs=opus", "image/svg+xml", 'video/mp4; codecs="avc1.4d, mp4a"'],
)
def test_a_type_stays_as_it_is(mimetype: str) -> None:
    assert safe_mimetype(mimetype) == mimetype


@pytest.mark.parametrize(
    "mimetype",
    ["", "image", "image/", "a/b\r\nX: 1", "a/b\n", "imagem/ção", "a/b; x", "a/" + "b" * 300],
)
def test_what_is_no_type_is_unknown(mimetype: str) -> None:
    assert safe_mimetype(mimetype) == UNKNOWN
