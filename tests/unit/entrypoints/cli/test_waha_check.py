import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.unit.entrypoints.cli.waha import HMAC_KEY, KEY, TOKEN, Answers, answers, session, waha
from tests.unit.entrypoints.cli.waha import webhook as hook

from wagateway.entrypoints.findings import Finding, Verdict
from wagateway.entrypoints.secrets import GatewaySecrets
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.waha_check import Heard, waha_findings
from wagateway.entrypoints.waha_webhook import EVENTS

SECRETS = GatewaySecrets(api_token="api", webhook_token=TOKEN, webhook_hmac_key=HMAC_KEY)
NOW = datetime(2026, 10, 3, 12, 0, tzinfo=UTC)
NOTHING_HEARD = Heard(asked_at=NOW, last_event_at={})
HEARD = Heard(asked_at=NOW, last_event_at={"vendas": NOW - timedelta(hours=23)})
SILENT = Heard(asked_at=NOW, last_event_at={"vendas": NOW - timedelta(days=53, hours=2)})


async def findings(
    given: Answers,
    *,
    timezone: str = "UTC",
    key: str | None = KEY,
    heard: Heard | None = NOTHING_HEARD,
    secrets: GatewaySecrets | None = SECRETS,
) -> list[Finding]:
    with waha(given) as url:
        settings = Settings(engine_url=url, engine_key=key, timezone=timezone)
        return [finding async for finding in waha_findings(settings, secrets, heard)]


async def of_webhooks(*webhooks: dict[str, Any]) -> list[Finding]:
    found = await findings(answers(session(*webhooks)))
    assert [f.verdict for f in found[:2]] == [Verdict.OK, Verdict.OK]
    return found[2:]


def verdicts(found: Sequence[Finding]) -> list[str]:
    return [finding.verdict.value for finding in found]


async def test_finds_nothing_wrong_with_a_good_webhook() -> None:
    found = await findings(answers(session(hook())))
    assert verdicts(found) == ["ok", "ok", "ok"]
    assert "WAHA 2026.9.2" in found[0].found


async def test_accepts_a_signature_instead_of_the_token() -> None:
    found = await of_webhooks(hook(customHeaders=None, hmac={"key": HMAC_KEY}))
    assert verdicts(found) == ["ok"]


async def test_a_token_in_clear_over_a_network_is_told() -> None:
    clear = "http://gateway.example:4011/webhooks/messages"
    [told] = await of_webhooks(hook(url=clear))
    assert told.verdict is Verdict.WARN
    assert "gateway.example in clear" in told.found
    assert "hmac.key" in (told.mend or "")
    for good in (
        hook(url=clear, customHeaders=None, hmac={"key": HMAC_KEY}),
        hook(url="http://127.0.0.1:4011/webhooks/messages"),
        hook(url="https://gateway.example/webhooks/messages"),
    ):
        assert verdicts(await of_webhooks(good)) == ["ok"]


@pytest.mark.parametrize("key", [None, KEY])
async def test_a_waha_that_lets_everybody_in_is_told(key: str | None) -> None:
    with waha(answers(session(hook())), key=None) as url:
        settings = Settings(engine_url=url, engine_key=key)
        found = [f async for f in waha_findings(settings, SECRETS, NOTHING_HEARD)]
    assert [f.hop for f in found if f.verdict is Verdict.WARN] == ["waha key"]
    assert "WAHA_API_KEY" in (found[0].mend or "")


async def test_skips_a_waha_that_is_not_configured() -> None:
    found = [f async for f in waha_findings(Settings(), SECRETS, None)]
    assert verdicts(found) == ["skipped"]
    assert "WHATSAPP_CORE_URL" in (found[0].mend or "")


async def test_names_an_address_where_nothing_listens() -> None:
    with waha({}) as url:
        pass
    settings = Settings(engine_url=url.replace("http://", "http://somebody:hidden-word@"))
    found = [f async for f in waha_findings(settings, SECRETS, None)]
    assert verdicts(found) == ["fail"]
    assert url in found[0].found
    assert "hidden-word" not in found[0].found


@pytest.mark.parametrize("ping", [(200, {"hello": "world"}), (404, {}), (200, ["pong"])])
async def test_names_something_that_is_not_waha(ping: tuple[int, Any]) -> None:
    found = await findings({"/ping": ping})
    assert verdicts(found) == ["fail"]
    assert "not WAHA" in found[0].found


@pytest.mark.parametrize("key", [None, "another-key"])
async def test_names_a_missing_or_wrong_key(key: str | None) -> None:
    found = await findings(answers(session(hook())), key=key)
    assert verdicts(found) == ["fail"]
    assert ("none is configured" in found[0].found) is (key is None)
    assert "WHATSAPP_API_KEY" in (found[0].mend or "")


async def test_names_an_answer_that_it_does_not_understand() -> None:
    found = await findings(answers() | {"/api/sessions": (200, {"sessions": 3})})
    assert verdicts(found) == ["fail"]


async def test_looks_at_stopped_sessions_too() -> None:
    found = await findings(answers(session(hook(), status="SCAN_QR_CODE")))
    assert verdicts(found) == ["ok", "warn", "ok"]
    assert "QR" in (found[1].mend or "")


async def test_warns_of_a_waha_without_sessions() -> None:
    assert verdicts(await findings(answers())) == ["warn"]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (hook(url="https://other.example.com/hook?key=hidden-word"), "fail"),
        (hook(url="http://localhost:4012/webhooks/messages"), "fail"),
        (hook(customHeaders=None), "fail"),
        (hook(customHeaders=[{"name": "x-whatsapp-token", "value": "wrong"}]), "fail"),
        (hook(hmac={"key": "wrong"}), "fail"),
        (hook(events=["message", "session.status"]), "fail"),
        (hook(events=None), "fail"),
        (hook(events=[*hook()["events"], "message"]), "warn"),
        (hook(events=["*"]), "ok"),
        (hook(events=["*", "message"]), "ok"),
        (hook(events=[event for event in EVENTS if event != "message.reaction"]), "warn"),
        (hook(events=[event for event in EVENTS if not event.startswith("label.")]), "warn"),
        (hook(retries=None), "warn"),
        (hook(retries={"policy": "constant", "delaySeconds": 2, "attempts": 15}), "warn"),
        (hook(retries={"policy": "linear", "delaySeconds": 60, "attempts": 30}), "ok"),
    ],
)
async def test_judges_a_webhook(config: dict[str, Any], expected: str) -> None:
    found = await of_webhooks(config)
    assert verdicts(found) == [expected]


async def test_says_how_to_mend_every_trouble() -> None:
    found = await of_webhooks(hook(events=["message"], customHeaders=None, retries=None))
    assert verdicts(found) == ["fail", "fail", "warn"]
    assert all(finding.mend for finding in found)


async def test_accepts_other_webhooks_beside_ours() -> None:
    found = await of_webhooks(hook(url="https://other.example.com/", events=["*"]), hook())
    assert verdicts(found) == ["ok"]


async def test_warns_of_two_webhooks_that_lead_here() -> None:
    found = await of_webhooks(hook(), hook(url="http://127.0.0.1:4011/webhooks/messages"))
    assert verdicts(found) == ["warn"]


async def test_never_shows_a_secret() -> None:
    bad = hook(
        url=f"http://user:{HMAC_KEY}@gateway:4011/webhooks?token={TOKEN}",
        customHeaders=[{"name": "X-Whatsapp-Token", "value": "the-wrong-token"}],
        hmac={"key": "the-wrong-key"},
    )
    found = await findings(answers(session(bad), session(hook(hmac={"key": "the-wrong-key"}))))
    text = json.dumps([[f.found, f.mend] for f in found])
    assert "fail" in verdicts(found)
    for secret in (HMAC_KEY, TOKEN, KEY, "the-wrong-token", "the-wrong-key"):
        assert secret not in text


@pytest.mark.parametrize(
    ("heard", "status", "expected"),
    [
        (HEARD, "WORKING", "ok"),
        (SILENT, "WORKING", "warn"),
        (SILENT, "STOPPED", "ok"),
        (NOTHING_HEARD, "WORKING", "fail"),
        (NOTHING_HEARD, "STOPPED", "warn"),
        (None, "WORKING", "warn"),
    ],
)
async def test_judges_a_session_without_webhook_by_what_arrived(
    heard: Heard | None, status: str, expected: str
) -> None:
    found = await findings(answers(session(status=status)), heard=heard)
    assert found[-1].verdict.value == expected


@pytest.mark.parametrize("webhooks", [(), (hook(),)], ids=["of the environment", "of its own"])
async def test_a_working_session_that_fell_silent_is_a_warning(
    webhooks: tuple[dict[str, Any], ...],
) -> None:
    silent = await findings(answers(session(*webhooks)), heard=SILENT)
    (warning,) = [f for f in silent if f.verdict is Verdict.WARN]
    assert "for 53 days" in warning.found
    assert warning.mend
    heard = await findings(answers(session(*webhooks)), heard=HEARD)
    assert verdicts(heard) == ["ok", "ok", "ok"]


async def test_tells_times_in_the_zone_of_the_settings() -> None:
    found = await findings(answers(session()), heard=HEARD, timezone="America/Sao_Paulo")
    assert "2026-10-02 10:00 -03" in found[-1].found


async def test_says_which_events_would_only_be_kept_raw() -> None:
    found = await of_webhooks(hook(events=["message.any"]))
    archived, raw = found
    assert "message.reaction" in archived.found
    assert "call.received" not in archived.found
    assert "call.received" in raw.found
    assert "label.upsert" in raw.found
    assert "keeps these events raw" in (raw.mend or "")


async def test_says_so_when_our_secrets_are_not_known() -> None:
    found = await findings(answers(session(hook())), secrets=None)
    assert verdicts(found) == ["ok", "ok", "skipped"]
