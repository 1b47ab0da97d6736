"""Requests to Restate are repeated while it may only be away, and nothing else is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web

from cascade.engines.restate_admin import moved_uri
from cascade.engines.restate_client import RestateEngine
from cascade.engines.restate_http import PAUSES_S, RestateHttp
from cascade.events import Outcome
from cascade.token import StepToken
from hermes.core.errors import HermesBug, StoreUnavailable
from hermes.core.plan import ONE_SMS

T0 = datetime(2026, 1, 1, tzinfo=UTC)
INGRESS, INVOCATION = ({"x-restate-error-source": source} for source in ("ingress", "invocation"))


class Fake:
    """A server that answers from a list, and what it was asked."""

    def __init__(self) -> None:
        self.answers: list[web.Response] = []
        self.asked: list[str] = []
        self.slept: list[float] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.raw_path}")
        return self.answers.pop(0)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
async def engine(fake: Fake) -> AsyncIterator[RestateEngine]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", fake.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}/"
        yield RestateEngine(RestateHttp(session, url, url, fake.sleep))
    await runner.cleanup()


def answer(status: int, headers: dict[str, str] | None = None, body: str = "{}") -> web.Response:
    return web.Response(status=status, headers=headers, text=body)


def accepted() -> web.Response:
    return answer(202, body='{"invocationId":"inv_1","status":"Accepted"}')


async def test_what_the_ingress_says_of_itself_is_tried_again(
    fake: Fake, engine: RestateEngine
) -> None:
    fake.answers = [answer(503, INGRESS), answer(429, INGRESS), accepted()]
    assert await engine.start("a/b", ONE_SMS) == "accepted"
    assert fake.asked == ["POST /restate/send/Cascade/a%2Fb/run"] * 3
    assert fake.slept == [*PAUSES_S]


async def test_a_server_that_stays_away_is_unavailable(fake: Fake, engine: RestateEngine) -> None:
    fake.answers = [answer(503, INGRESS) for _ in range(3)]
    with pytest.raises(StoreUnavailable, match="503"):
        await engine.start("a", ONE_SMS)


async def test_a_workflow_that_is_not_registered_yet_is_unavailable(
    fake: Fake, engine: RestateEngine
) -> None:
    fake.answers = [answer(404, INGRESS)]
    with pytest.raises(StoreUnavailable, match="not registered"):
        await engine.start("a", ONE_SMS)


async def test_a_request_restate_does_not_understand_is_our_bug_and_not_repeated(
    fake: Fake, engine: RestateEngine
) -> None:
    fake.answers = [answer(400, INGRESS, "bad request")]
    with pytest.raises(HermesBug, match="bad request"):
        await engine.start("a", ONE_SMS)
    assert len(fake.asked) == 1


async def test_a_failed_cascade_is_not_taken_for_a_server_that_is_away(
    fake: Fake, engine: RestateEngine
) -> None:
    fake.answers = [answer(500, INVOCATION, "killed"), answer(404, INGRESS)]
    assert (await engine.status("a")).phase == "done"
    assert fake.slept == []


async def test_an_error_about_a_token_does_not_quote_it(fake: Fake, engine: RestateEngine) -> None:
    fake.answers = [answer(500, INGRESS) for _ in range(3)]
    token = str(StepToken("delivered", "sign_1secret"))
    with pytest.raises(StoreUnavailable) as caught:
        await engine.outcome(token, Outcome(0, "delivered", T0))
    assert "sign_1secret" not in str(caught.value)
    assert fake.asked[0] == "POST /restate/awakeables/sign_1secret/resolve"


async def test_a_token_restate_calls_malformed_is_unknown_for_good(
    fake: Fake, engine: RestateEngine
) -> None:
    fake.answers = [answer(400, INGRESS, "bad awakeable id")]
    token = str(StepToken("delivered", "sign_1x"))
    assert await engine.outcome(token, Outcome(0, "delivered", T0)) == "unknown"


async def test_health_never_raises(fake: Fake, engine: RestateEngine) -> None:
    fake.answers = [answer(200), answer(500), answer(500), answer(500)]
    health = await engine.health()
    assert not health.is_up
    assert "500" in health.detail


@pytest.mark.parametrize(
    ("uri", "moved"),
    [
        ("http://127.0.0.1:1/v1", "http://127.0.0.1:9/v1"),
        ("http://127.0.0.1:1/v2/", "http://127.0.0.1:9/v2"),
        ("http://127.0.0.1:9/v1", None),  # it is there already
        ("http://127.0.0.1:1/v3", None),  # not served here
        ("http://other:1/v1", None),  # another host's
    ],
)
def test_only_this_hosts_own_versions_are_moved(uri: str, moved: str | None) -> None:
    assert moved_uri(uri, "http://127.0.0.1:9", (1, 2)) == moved
