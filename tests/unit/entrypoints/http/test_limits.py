"""How often one client may ask, and fail to prove who it is."""

import hmac
from collections.abc import AsyncIterator, Mapping

import msgspec
import pytest
from litestar import Litestar
from litestar.types import HTTPReceiveMessage
from structlog.testing import capture_logs
from tests.contracts.test_rate_limit import FakeClock
from tests.unit.entrypoints.http.world import (
    API_TOKEN,
    BOTH,
    HMAC_KEY,
    HMAC_ONLY,
    JSON,
    WEBHOOK_TOKEN,
    Answer,
    Ingesting,
    application,
    raw_request,
)

from wagateway.adapters.memory.rate_limit import InMemoryRateLimit
from wagateway.entrypoints.http.auth import HttpSecurity
from wagateway.entrypoints.http.clients import TrustedProxies
from wagateway.entrypoints.http.limits import Limits
from wagateway.entrypoints.http.problems import Problem

BODY = b'{"event":"message"}'
RIGHT = {"X-Api-Token": API_TOKEN}
WRONG = {"X-Api-Token": "wrong"}
SIGNED = {"X-Webhook-Hmac": hmac.digest(HMAC_KEY.encode(), BODY, "sha512").hex()}
FORGED = {"X-Webhook-Hmac": "0" * 128}
TOKEN = {"X-Whatsapp-Token": WEBHOOK_TOKEN}
WRONG_TOKEN = {"X-Whatsapp-Token": "wrong"}
WEBHOOK = "/webhooks/messages"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class Asking:
    """Asks an application with a limit of three requests and two failures a minute."""

    def __init__(
        self, clock: FakeClock, *, security: HttpSecurity = BOTH, proxies: tuple[str, ...] = ()
    ) -> None:
        self.ingest = Ingesting()
        self.app: Litestar = application(
            ingest=self.ingest,
            security=security,
            limits=Limits(
                requests=InMemoryRateLimit(3, clock_ns=clock),
                failures=InMemoryRateLimit(2, clock_ns=clock),
                proxies=TrustedProxies.named(proxies),
            ),
        )

    async def get(self, path: str, headers: Mapping[str, str]) -> Answer:
        raw = [(k.lower().encode(), v.encode()) for k, v in headers.items()]
        return await raw_request(self.app, path, method="GET", headers=raw)

    async def statuses(self, times: int, path: str, headers: Mapping[str, str]) -> list[int]:
        return [(await self.get(path, headers)).status for _ in range(times)]

    async def post(self, headers: Mapping[str, str]) -> Answer:
        async def body() -> AsyncIterator[HTTPReceiveMessage]:
            yield {"type": "http.request", "body": BODY, "more_body": False}

        raw = [(k.lower().encode(), v.encode()) for k, v in {**JSON, **headers}.items()]
        return await raw_request(self.app, WEBHOOK, headers=raw, body=body())

    async def posted(self, times: int, headers: Mapping[str, str]) -> list[int]:
        return [(await self.post(headers)).status for _ in range(times)]


class TestApi:
    async def test_who_asks_too_often_is_told_how_long_to_wait(self, clock: FakeClock) -> None:
        asking = Asking(clock)
        assert await asking.statuses(3, "/api/sessions", RIGHT) == [200] * 3
        answer = await asking.get("/api/sessions", RIGHT)
        assert answer.status == 429
        assert answer.headers["retry-after"] == "20"
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        told = msgspec.json.decode(answer.body, type=Problem)
        assert told.type == "/docs#problem-too-many-requests"
        assert "after 20 s" in told.detail
        clock.pass_s(20)
        assert await asking.statuses(2, "/api/sessions", RIGHT) == [200, 429]

    async def test_every_route_counts_whether_it_exists_or_not(self, clock: FakeClock) -> None:
        asking = Asking(clock)
        paths = ["/api/chats/none", "/api/nothing", "//api/sessions"]
        for path in paths:
            assert (await asking.get(path, RIGHT)).status in {200, 404}
        assert (await asking.get("/api/sessions", RIGHT)).status == 429

    async def test_who_fails_too_often_is_told_to_wait_as_well(self, clock: FakeClock) -> None:
        asking = Asking(clock)
        assert await asking.statuses(3, "/api/sessions", WRONG) == [401, 401, 429]
        assert await asking.statuses(1, "/api/sessions", {}) == [429]
        assert (await asking.get("/api/sessions", WRONG)).headers["retry-after"] == "30"

    async def test_who_is_turned_away_fills_no_log(self, clock: FakeClock) -> None:
        asking = Asking(clock)
        with capture_logs() as logs:
            await asking.statuses(100, "/api/sessions", WRONG)
        requests = [each for each in logs if each["event"] == "request"]
        assert len(requests) == 100
        assert [each["status"] for each in requests if each["log_level"] == "info"] == [401, 401]

    async def test_a_right_token_is_let_in_whatever_others_did(self, clock: FakeClock) -> None:
        asking = Asking(clock)
        await asking.statuses(9, "/api/sessions", WRONG)
        assert await asking.statuses(1, "/api/sessions", RIGHT) == [200]

    async def test_health_and_documentation_are_not_counted(self, clock: FakeClock) -> None:
        asking = Asking(clock)
        assert await asking.statuses(9, "/health", {}) == [200] * 9
        assert await asking.statuses(9, "/docs", {}) == [200] * 9

    async def test_the_metrics_count_failures(self, clock: FakeClock) -> None:
        asking = Asking(clock)
        assert await asking.statuses(3, "/metrics", WRONG) == [401, 401, 429]
        assert await asking.statuses(9, "/metrics", RIGHT) == [200] * 9

    async def test_clients_are_told_apart_behind_a_named_proxy_alone(
        self, clock: FakeClock
    ) -> None:
        def of(client: int) -> dict[str, str]:
            return RIGHT | {"X-Forwarded-For": f"198.51.100.{client}"}

        named = Asking(clock, proxies=("127.0.0.1",))
        unnamed = Asking(clock)
        assert [(await named.get("/api/sessions", of(n))).status for n in range(9)] == [200] * 9
        assert [(await unnamed.get("/api/sessions", of(n))).status for n in range(5)] == [
            *(200, 200, 200, 429, 429)
        ]


class TestWebhook:
    @pytest.mark.parametrize("proof", [TOKEN, SIGNED, TOKEN | SIGNED])
    async def test_what_is_proven_is_never_counted(
        self, clock: FakeClock, proof: dict[str, str]
    ) -> None:
        asking = Asking(clock)
        assert await asking.posted(50, proof) == [200] * 50

    @pytest.mark.parametrize("proof", [WRONG_TOKEN, FORGED, {}])
    async def test_who_fails_too_often_is_told_to_wait(
        self, clock: FakeClock, proof: dict[str, str]
    ) -> None:
        asking = Asking(clock)
        assert await asking.posted(3, proof) == [401, 401, 429]
        answer = await asking.post(proof)
        assert (answer.headers["retry-after"], answer.headers["connection"]) == ("30", "close")
        assert asking.ingest.bodies == []

    async def test_no_body_is_read_of_who_only_ever_failed(self, clock: FakeClock) -> None:
        asking = Asking(clock, security=HMAC_ONLY)
        await asking.posted(2, FORGED)
        answer = await asking.post(FORGED)
        assert (answer.status, answer.bytes_read) == (429, 0)
        clock.pass_s(30)
        assert await asking.posted(2, SIGNED) == [200, 200]  # one that is due is enough to prove it

    async def test_who_never_ends_a_body_fails_as_well(self, clock: FakeClock) -> None:
        async def cut() -> AsyncIterator[HTTPReceiveMessage]:
            yield {"type": "http.request", "body": BODY, "more_body": True}
            yield {"type": "http.disconnect"}

        asking = Asking(clock, security=HMAC_ONLY)
        raw = [(k.lower().encode(), v.encode()) for k, v in {**JSON, **FORGED}.items()]
        for _ in range(2):
            await raw_request(asking.app, WEBHOOK, headers=raw, body=cut())
        assert await asking.posted(1, FORGED) == [429]

    @pytest.mark.parametrize("proof", [TOKEN, SIGNED])
    async def test_the_engine_is_not_kept_out_by_who_shares_its_address(
        self, clock: FakeClock, proof: dict[str, str]
    ) -> None:
        asking = Asking(clock)
        await asking.post(proof)
        await asking.posted(20, FORGED)
        await asking.posted(20, WRONG_TOKEN)
        assert await asking.posted(20, proof) == [200] * 20

    async def test_failures_anywhere_count_together(self, clock: FakeClock) -> None:
        asking = Asking(clock)
        assert (await asking.get("/api/sessions", WRONG)).status == 401
        assert await asking.posted(2, WRONG_TOKEN) == [401, 429]


async def test_who_proved_themselves_are_remembered_within_bounds() -> None:
    limits = Limits()
    for number in range(3000):
        limits.proved(str(number))
    assert len(limits._proven) == 1000  # noqa: SLF001 - what it costs, nobody else tells


async def test_without_limits_nothing_is_counted() -> None:
    app = application()
    for _ in range(200):
        assert (await raw_request(app, "/api/sessions", method="GET")).status == 401
