"""Text and ids that PostgreSQL can hold."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wagateway.domain.text import clean_id, clean_text

_awkward = st.text(alphabet="%0025D8aé😀\x00\ud800\udfff\ue000\uffff", max_size=12)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("", ""),
        ("Olá, 世界 👨‍👩‍👧 \u202e", "Olá, 世界 👨‍👩‍👧 \u202e"),
        ("a\x00b", "a\ufffdb"),
        ("\ud800", "\ufffd"),
        ("\udfff\ud800x", "\ufffd\ufffdx"),
        ("\ud7ff\ue000\x01\uffff", "\ud7ff\ue000\x01\uffff"),
    ],
)
def test_only_what_cannot_be_stored_is_replaced(raw: str, expected: str) -> None:
    assert clean_text(raw) == expected


@given(_awkward)
def test_clean_text_is_storable_and_stays_so(text: str) -> None:
    cleaned = clean_text(text)
    assert "\x00" not in cleaned
    assert cleaned.encode().decode() == cleaned
    assert clean_text(cleaned) == cleaned
    assert len(cleaned) == len(text)


@given(_awkward)
def test_an_id_is_storable_and_can_be_read_back(text: str) -> None:
    cleaned = clean_id(text)
    assert "\x00" not in cleaned
    assert cleaned.encode().decode() == cleaned
    assert re.sub("%([0-9A-F]{4})", lambda m: chr(int(m[1], 16)), cleaned) == text


def test_a_usual_id_stays_as_it_is() -> None:
    for usual in ("false_5511987650102@c.us_3EB0C7-A.1", "2A5B6C'; DROP TABLE x;--", "ação 😀"):
        assert clean_id(usual) == usual
