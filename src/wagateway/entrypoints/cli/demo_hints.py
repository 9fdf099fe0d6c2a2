"""What to try on a running demo: lines that work as they are."""

import shlex
from collections.abc import Iterator
from urllib.parse import parse_qs, quote, urlsplit

from wagateway.adapters.embedded.binaries import binaries
from wagateway.domain.views import ChatView
from wagateway.entrypoints.http.auth import API_TOKEN_HEADER
from wagateway.entrypoints.secrets import GatewaySecrets
from wagateway.entrypoints.settings import Settings

_QUERY = (
    "SELECT sent_at, coalesce(sender_name, sender_id) AS sender, kind, left(text, 60) AS text "
    "FROM whatsapp_gateway.current_messages ORDER BY sent_at DESC LIMIT 10"
)


def hints(
    url: str, settings: Settings, secrets: GatewaySecrets, chat: ChatView, database_url: str
) -> Iterator[str]:
    """Yield lines to try.

    Args:
        url: where the gateway is.
        settings: of the demo.
        secrets: of the demo; its API token is shown.
        chat: with messages in it.
        database_url: of the embedded server.
    """
    session, chat_id = quote(chat.session, safe=""), quote(chat.id, safe="@")
    token = shlex.quote(f"{API_TOKEN_HEADER}: {secrets.api_token}")
    yield "Try, in another terminal:"
    paths = {
        "the account": "/api/sessions",
        "its chats": f"/api/chats/{session}?limit=10",
        "the latest messages of one of them": f"/api/messages/{session}/{chat_id}?limit=5",
        "what is kept raw only, such as calls": "/api/events?outcome=ignored&limit=5",
    }
    for what, path in paths.items():
        yield f"- {what}:"
        yield f"  curl -s -H {token} {shlex.quote(url + path)}"
    yield "- the latest messages of all, in SQL:"
    yield f"  {_psql(settings, database_url)}"
    yield f"The API's description, to read and try: {url}/docs"
    yield ""


def _psql(settings: Settings, database_url: str) -> str:
    where = parse_qs(urlsplit(database_url).query)
    password = shlex.quote(str(settings.data_dir.expanduser().resolve() / "postgres.password"))
    words = [str(binaries() / "psql"), "-h", where["host"][0], "-p", where["port"][0]]
    words += ["-U", "wagateway", "-d", "wagateway", "-c", _QUERY]
    return f'PGPASSWORD="$(cat {password})" {shlex.join(words)}'
