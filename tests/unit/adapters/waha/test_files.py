"""Files are fetched from the engine and the configured store alone, whatever an event names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wagateway.adapters.waha.files import Source, source_of
from wagateway.domain.errors import InvalidInput

ENGINE = "http://waha:3000"
STORE = "https://minio.example:9000"
FILE = "/api/files/vendas/3A4D2F4B668CFC48E605.jpeg"


@pytest.mark.parametrize("engine", [ENGINE, f"{ENGINE}/", "https://waha.example/behind/a/proxy"])
@pytest.mark.parametrize(
    "host",
    ["http://localhost:3000", "https://waha.example", "http://169.254.169.254", "http://[::1]"],
)
def test_an_engines_own_file_is_asked_for_where_we_reach_the_engine(host: str, engine: str) -> None:
    found = source_of(host + FILE, engine_url=engine, store_url=STORE)
    assert found == Source(url=engine.rstrip("/") + FILE, with_key=True)


def test_an_engine_behind_a_proxy_may_know_its_path_there() -> None:
    engine = "https://waha.example/behind/a/proxy"
    found = source_of(engine + FILE, engine_url=f"{engine}/")
    assert found == Source(url=engine + FILE, with_key=True)
    with pytest.raises(InvalidInput):
        source_of(f"https://waha.example/another{FILE}", engine_url=engine)


def test_what_is_escaped_stays_so() -> None:
    path = "/api/files/vendas/false_5511987650103%40c.us_3A55%20E.jpeg"
    assert source_of(f"http://x{path}", engine_url=ENGINE).url == ENGINE + path


def test_a_query_of_the_engines_own_is_left_out() -> None:
    assert source_of(f"http://x{FILE}?to=http://y#z", engine_url=ENGINE).url == ENGINE + FILE


def test_a_signed_address_in_the_store_gets_no_key() -> None:
    signed = f"{STORE}/media/vendas/3A.jpeg?X-Amz-Expires=604800&X-Amz-Signature=ab"
    found = source_of(signed, engine_url=ENGINE, store_url=STORE)
    assert found == Source(url=signed, with_key=False)


def test_a_usual_port_may_be_named_or_not() -> None:
    found = source_of("https://s3/media/a", engine_url=ENGINE, store_url="https://s3:443")
    assert not found.with_key


@pytest.mark.parametrize(
    "offered",
    [
        "",
        "not an address",
        FILE,
        "//waha" + FILE,
        "file:///etc/passwd",
        "file://localhost" + FILE,
        "gopher://waha:3000" + FILE,
        "javascript:alert(1)",
        "http:///api/files/a/b",
        "http://",
        "http://user:secret@waha:3000" + FILE,
        "http://[::1" + FILE,
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost:6379/",
        "https://mmg.whatsapp.net/v/t62.7118-24/116779938_n.enc?oh=01",
        "http://waha:3000/api/sessions",
        "http://waha:3000/api/files",
        "http://waha:3000/api/files/vendas/",
        "http://waha:3000/api/files/vendas/a/b",
        "http://waha:3000/api/files/../sessions",
        "http://waha:3000/api/files/vendas/..",
        "http://waha:3000/api/files/./a",
        "http://waha:3000/api/files/%2e%2e/sessions",
        "http://waha:3000/api/files/vendas%2f..%2f..%2fsessions/a",
        "http://waha:3000/api/files/vendas/%252e%252e",
        "http://waha:3000/api/files/vendas/..%5c..%5csessions",
        "http://waha:3000/api/files/vendas/a%0d%0aX-Api-Key:%20x",
        "http://waha:3000/api/files/vendas/a%00.jpeg",
        "http://waha:3000//api/files/vendas/a",
        "http://x@minio.example:9000/media/a",
        "http://minio.example:9000/media/a",
        "https://minio.example/media/a",
        "https://minio.example:9000.evil.example/media/a",
        "https://minio.example:9000@evil.example/media/a",
        "https://evil.example/https://minio.example:9000/media/a",
        "http://waha" + FILE + "a" * 5000,
    ],
)
def test_nothing_else_is_followed(offered: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        source_of(offered, engine_url=ENGINE, store_url=STORE)
    assert "secret" not in str(caught.value)


@given(offered=st.text() | st.from_regex(r"https?://[a-z.@:/\\%2e?#]{0,40}/api/files/.{0,40}"))
def test_no_text_leads_anywhere_else(offered: str) -> None:
    try:
        found = source_of(offered, engine_url=ENGINE, store_url=STORE)
    except InvalidInput:
        return
    assert found.url.startswith((f"{ENGINE}/api/files/", f"{STORE}/"))
    assert "/../" not in found.url or not found.with_key
