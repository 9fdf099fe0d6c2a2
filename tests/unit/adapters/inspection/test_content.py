import time

import pytest

from wagateway.adapters.inspection.content import HEAD_BYTES, true_type
from wagateway.domain.mimetype import UNKNOWN

JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
WEBP = b"RIFF\x10\0\0\0WEBPVP8 "
AVIF = b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf"
MP4 = b"\0\0\0\x18ftypisom\0\0\2\0isomiso2"
M4A = b"\0\0\0\x18ftypM4A \0\0\2\0isomiso2"
GP3 = b"\0\0\0\x18ftyp3gp4\0\0\2\0isom3gp4"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
OPUS = b"OggS\0\2" + bytes(20) + b"\1\x13OpusHead\1\1"
WEBM = b"\x1aE\xdf\xa3\x9fB\x86\x81\1B\xf7\x81\1B\xf2\x81\4B\xf3\x81\x08B\x82\x84webm"
MKV = WEBM.replace(b"webm", b"matroska")
MP3 = b"\xff\xfb\x90\x64" + bytes(60)
ZIP = b"PK\x03\x04\x14\0\0\0"
EXE = b"MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff\0\0"
SEVEN_ZIP = b"7z\xbc\xaf\x27\x1c\0\4" + bytes(64)
BMP = b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
POLYGLOT_GIF = b"GIF89a/*<html><script>alert(1)</script>*/=1;alert(1)//"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.mark.parametrize(
    ("head", "declared"),
    [
        (JPEG, "image/jpeg"),
        (JPEG, "image/jpg"),
        (PNG, "image/png"),
        (WEBP, "image/webp"),
        (AVIF, "image/avif"),
        (HEIC, "image/heic"),
        (POLYGLOT_GIF, "image/gif"),
        (OPUS, "audio/ogg; codecs=opus"),
        (OPUS, "application/ogg"),
        (MP4, "video/mp4"),
        (MP4, "audio/mp4"),
        (M4A, "audio/mp4"),
        (M4A, "audio/aac"),
        (M4A, "video/mp4"),
        (GP3, "video/3gpp"),
        (GP3, "audio/3gpp"),
        (WEBM, "audio/webm"),
        (MKV, "video/x-matroska"),
        (MP3, "audio/mpeg"),
        (b"ID3\4\0", "audio/mp3"),
        (bytes(64), "audio/mpeg"),
        (b"#!AMR\n", "audio/amr"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/x-wav"),
        (b"%PDF-1.7\n", "application/pdf"),
        (ZIP, DOCX),
        (ZIP, "application/zip"),
        (ZIP, "application/vnd.android.package-archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/msword"),
        (EXE, "application/x-msdownload"),
        (SEVEN_ZIP, "application/x-7z-compressed"),
        (BMP, "image/bmp"),
        (b"hello", "text/plain"),
        (b"hello", "text/plain; charset=utf-8"),
        (b"The free world", "text/plain"),
        (b"MZ is short for Mark Zbikowski", "text/plain"),
        (b"a,b\n1,2\n", "text/csv"),
        (b"BEGIN:VCARD\n", "text/vcard"),
        (b'{"a": 1}', "application/json"),
        (b"{\\rtf1 hello}", "application/rtf"),
        ("\ufeffhello".encode("utf-16-le"), "text/plain"),
        (b"<p>hello", "text/html"),
        (b"<p>hello", "text/plain"),
        (SVG, "image/svg+xml"),
    ],
)
def test_lets_stand_what_may_be_true(head: bytes, declared: str) -> None:
    assert true_type(head, declared) == declared


@pytest.mark.parametrize(
    ("head", "declared", "true"),
    [
        (PNG, "image/jpeg", "image/png"),
        (JPEG, "text/html", "image/jpeg"),
        (JPEG, "application/zip", "image/jpeg"),
        (JPEG, "image/svg+xml", "image/jpeg"),
        (MP4, "text/html", "video/mp4"),
        (MP4, "image/jpeg", "video/mp4"),
        (POLYGLOT_GIF, "text/html", "image/gif"),
        (POLYGLOT_GIF, "application/javascript", "image/gif"),
        (ZIP, "application/pdf", "application/zip"),
        (ZIP, "text/html", "application/zip"),
        (ZIP, "application/javascript", "application/zip"),
        (ZIP, "application/xhtml+xml", "application/zip"),
        (ZIP, "image/jpeg", "application/zip"),
        (EXE, "image/jpeg", "application/x-executable"),
        (EXE, "text/plain", "application/x-executable"),
        (SEVEN_ZIP, "image/bmp", UNKNOWN),
        (SEVEN_ZIP, "image/jpeg", UNKNOWN),
        (SEVEN_ZIP, "text/html", UNKNOWN),
        (bytes(64), "image/jpeg", UNKNOWN),
        (bytes(64), "image/svg+xml", UNKNOWN),
        (b"", "image/jpeg", UNKNOWN),
        (b"<html><script>", "image/jpeg", "text/html"),
        (b"\xef\xbb\xbf \n<!DOCTYPE html>", "image/jpeg", "text/html"),
        (b"<!-- a --> <ScRiPt>", "image/png", "text/html"),
        (b"<!-- never closed", "image/png", "text/html"),
        (b"\xff\xfe<\0h\0t\0m\0l\0>\0", "image/png", "text/html"),
        (SVG, "image/png", "image/svg+xml"),
        (b'<?xml version="1.0"?>\n<!-- a -->' + SVG, "image/png", "image/svg+xml"),
        (
            b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY a 'b'>]><svg>",
            "image/png",
            "image/svg+xml",
        ),
        (b"<x:svg xmlns:x='a'>", "image/png", "image/svg+xml"),
        (b"<?xml version='1.0'?><rss>", "image/png", "text/xml"),
        (b"/* a */ // b\n alert(1)", "image/png", "text/javascript"),
        (b"(function () {})()", "image/png", "text/javascript"),
        (b"'use strict'; x", "image/png", "text/javascript"),
        (b"#EXTM3U\nhttp://127.0.0.1/a.ts", "video/mp4", "text/plain"),
        (b"hello", "image/gif", "text/plain"),
        (b"hello", "application/pdf", "text/plain"),
    ],
)
def test_says_what_is_found_where_it_contradicts(head: bytes, declared: str, true: str) -> None:
    assert true_type(head, declared) == true


@pytest.mark.parametrize(
    "declared", [None, "", "application/octet-stream", "nonsense", "image/jpeg\r\nX: y", "x" * 999]
)
def test_names_what_was_not_declared_in_earnest(declared: str | None) -> None:
    assert true_type(JPEG, declared) == "image/jpeg"
    assert true_type(b"\1\2\3\4", declared) == UNKNOWN
    assert true_type(M4A, declared) == "audio/mp4"
    assert true_type(GP3, declared) == "video/3gpp"


@pytest.mark.parametrize(
    "piece", [b"/**/", b"//\n", b"<!---->", b"<!--", b"<?xml>", b" ", b"<a", b"(" * 3, b"\xff"]
)
def test_no_text_takes_long(piece: bytes) -> None:
    head = (piece * HEAD_BYTES)[:HEAD_BYTES]
    began = time.process_time()
    true_type(head, "image/jpeg")
    true_type(head + b"$", "x/y")
    assert time.process_time() - began < 1
