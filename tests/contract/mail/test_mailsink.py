"""The sink: what it keeps, how it behaves by the recipient, what it reports, and its API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiosmtplib
import pytest
from aiohttp.test_utils import TestClient, TestServer

from hermes.adapters.bounce_rules_file import load_rules
from hermes.adapters.mail_listener import InboundMail, ListenerSettings, MailListener
from hermes.mail.address import parse_address, parse_mailbox
from hermes.mail.dsn import Report, read_report
from hermes.mail.message import ALWAYS, ON_TROUBLE, Content, Mail, Notify, Origin, compose
from hermes.mail.verdict import Classifier
from hermes.mail.verp import Verp
from hermes.mailsink.behaviour import BEHAVIOURS
from hermes.mailsink.control import Control
from hermes.mailsink.sink import Sink, SinkSettings
from tests.contract.mail.relay_client import client, outcome, until

ATTEMPT = "msg_01jnq3h4f8abcdefghjkmnpqrs.0.1"
VERP = Verp("bounce.acme.example", (b"secret",))
ORIGIN = Origin(parse_mailbox("Acme <hello@acme.example>"), "acme.example", VERP)
CLASSIFIER = Classifier(load_rules())


def mail_of_ours(recipient: str, notify: tuple[Notify, ...] = ALWAYS) -> Mail:
    content = Content("Grüße", "Your code is 1234.\n", "<p>1234</p>")
    at = datetime(2025, 3, 3, tzinfo=UTC)
    return replace(compose(ATTEMPT, parse_address(recipient), content, ORIGIN, at), notify=notify)


class Stand:
    """A sink whose reports come back to a listener, as Hermes reads them."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        settings = ListenerSettings("127.0.0.1", 0, "bounce.acme.example")
        self.listener = MailListener(settings, VERP, self.store)

    async def store(self, mail: InboundMail) -> None:
        self.reports.append(
            read_report(mail.content, mail.recipient, mail.sender, VERP, CLASSIFIER)
        )

    async def start(self, **more: Any) -> None:
        await self.listener.start()
        reports = ("127.0.0.1", self.listener.port)
        self.sink = Sink(SinkSettings(reports=reports, confirm_after=0.05, **more))
        await self.sink.start()


@asynccontextmanager
async def standing(**more: Any) -> AsyncIterator[Stand]:
    stand = Stand()
    await stand.start(**more)
    try:
        yield stand
    finally:
        await stand.sink.stop()
        await stand.listener.stop()


OUTCOMES = {
    "confirm": "accepted",
    "bounce": "accepted",
    "full": "accepted",
    "blocked": "accepted",
    "delay": "accepted",
    "complain": "accepted",
    "silent": "accepted",
    "slow": "accepted",
    "reject": "550 rcpt",
    "defer": "451 rcpt",
    "spam": "554 content",
    "busy": "421 rcpt",
    "drop": "Lost",
}


def test_every_behaviour_has_its_outcome() -> None:
    assert OUTCOMES.keys() == BEHAVIOURS.keys()


@pytest.mark.parametrize("name", OUTCOMES)
async def test_a_recipient_decides_what_the_relay_says(name: str) -> None:
    async with standing() as stand, client(stand.sink.port) as made:
        await made.opened()
        future = made.submit(f"{name}+0.1@x.example")
        await asyncio.wait([future], timeout=10)
        assert outcome(future) == OUTCOMES[name]


async def test_a_recipient_that_was_put_off_is_accepted_the_second_time() -> None:
    async with standing() as stand, client(stand.sink.port) as made:
        await made.opened()
        assert not (await made.send("defer@x.example")).is_accepted
        assert (await made.send("DEFER@x.example")).is_accepted
        assert not (await made.send("defer@y.example")).is_accepted


REPORTS = [
    ("anna", "delivered", "delivered", ""),
    ("confirm+0.1", "delivered", "delivered", ""),
    ("bounce+0.1", "failed", "undelivered", "InvalidRecipient"),
    ("full+0.1", "failed", "undelivered", "QuotaIssues"),
    ("blocked+0.1", "failed", "undelivered", "SpamBlock"),
    ("delay+0.1", "delayed", "enroute", "Greylisted"),
    ("complain+0.1", "complaint", None, "Complaint"),
]


@pytest.mark.parametrize(("local", "state", "event", "label"), REPORTS)
async def test_a_report_comes_back_and_names_the_attempt(
    local: str, state: str, event: str | None, label: str
) -> None:
    async with standing() as stand, client(stand.sink.port) as made:
        await made.opened()
        result = await made.relay.submit(mail_of_ours(f"{local}@x.example"))
        assert result.is_accepted
        await until(lambda: bool(stand.reports))
        (report,) = stand.reports
        assert (report.attempt, report.found_by) == (ATTEMPT, "verp")
        assert (report.state, report.event, report.label) == (state, event, label)


@pytest.mark.parametrize("local", ["silent", "anna"])
async def test_no_report_comes_where_none_is_due(local: str) -> None:
    """A delivery is reported to those who asked for it alone (RFC 3461, 4.1)."""
    async with standing() as stand, client(stand.sink.port) as made:
        await made.opened()
        await made.relay.submit(mail_of_ours(f"{local}@x.example", ON_TROUBLE))
        await made.relay.submit(mail_of_ours("bounce+0.2@x.example", ON_TROUBLE))
        await until(lambda: bool(stand.reports))
        assert [report.state for report in stand.reports] == ["failed"]


async def test_a_report_waits_for_a_listener_that_is_away() -> None:
    async with standing() as stand, client(stand.sink.port) as made:
        await made.opened()
        port = stand.listener.port
        await stand.listener.stop()
        await made.relay.submit(mail_of_ours("bounce+0@x.example"))
        await until(lambda: stand.sink.report_count == 1)
        settings = ListenerSettings("127.0.0.1", port, "bounce.acme.example")
        stand.listener = MailListener(settings, VERP, stand.store)
        await stand.listener.start()
        await until(lambda: bool(stand.reports))


async def test_the_latest_mails_are_kept() -> None:
    async with standing(keep=5) as stand, client(stand.sink.port) as made:
        await made.opened()
        assert await made.send_many(12, "silent@x.example") == {"accepted": 12}
        assert (stand.sink.mailbox.count, len(stand.sink.mailbox)) == (12, 5)


@asynccontextmanager
async def control(stand: Stand) -> AsyncIterator[TestClient[Any, Any]]:
    async with TestClient(TestServer(Control(stand.sink).application())) as http:
        yield http


async def got(http: TestClient[Any, Any], path: str) -> Any:
    async with http.get(path) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def test_the_api_lists_and_shows_what_came() -> None:
    async with standing() as stand, client(stand.sink.port) as made, control(stand) as http:
        await made.opened()
        await made.relay.submit(mail_of_ours("silent@x.example"))
        await made.relay.submit(mail_of_ours("anna@x.example"))
        listed = await got(http, "/mails")
        assert [(each["number"], each["recipient"]) for each in listed["mails"]] == [
            (1, "silent@x.example"),
            (2, "anna@x.example"),
        ]
        first = listed["mails"][0]
        assert (first["subject"], first["fate"], first["envelope_id"]) == (
            "Grüße",
            "silent",
            ATTEMPT,
        )
        assert first["message_id"] == f"<{ATTEMPT}@acme.example>"
        assert first["sender"] == VERP.return_path(ATTEMPT)
        shown = await got(http, "/mails/1")
        assert shown["text"].splitlines() == ["Your code is 1234."]
        assert shown["html"].splitlines() == ["<p>1234</p>"]
        assert shown["headers"]["X-Hermes-Id"] == ATTEMPT
        async with http.get("/mails/1/raw") as answer:
            assert await answer.read() == mail_of_ours("silent@x.example").content
        only = await got(http, "/mails?to=ANNA@x.example")
        assert [each["number"] for each in only["mails"]] == [2]
        later = await got(http, "/mails?since=1&limit=1")
        assert ([each["number"] for each in later["mails"]], later["last"]) == ([2], 2)
        assert (await got(http, "/stats"))["mails"] == 2
        assert (await got(http, "/behaviours")).keys() == BEHAVIOURS.keys()


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/mails/7", 404, "no mail 7 is kept"),
        ("/mails/x", 404, "no mail x is kept"),
        ("/mails?since=-1", 400, "since is no whole number of 0 or more"),
        ("/mails?limit=" + "9" * 99, 400, "limit is no whole number of 0 or more"),
        ("/nothing", 404, "not found"),
    ],
)
async def test_a_bad_request_gets_a_sentence(path: str, status: int, error: str) -> None:
    async with standing() as stand, control(stand) as http, http.get(path) as answer:
        assert (answer.status, await answer.json()) == (status, {"error": error})


async def test_forgotten_mails_are_gone_and_the_numbers_go_on() -> None:
    async with standing() as stand, client(stand.sink.port) as made, control(stand) as http:
        await made.opened()
        await made.send("silent@x.example")
        async with http.delete("/mails") as answer:
            assert answer.status == 200
        assert (await got(http, "/mails")) == {"last": 1, "mails": []}
        await made.send("silent@x.example")
        assert [each["number"] for each in (await got(http, "/mails"))["mails"]] == [2]


async def test_any_mail_can_be_shown() -> None:
    async with standing() as stand, control(stand) as http:
        for content in (
            b"",
            b"\xff\x00\r\nno header",
            b"Subject: =?x?b?//?=\r\nContent-Type: text/plain; charset=nothing\r\n\r\nhi",
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" * 2000,
            b"From: \x00<\r\nTo: ,;:<>@\r\n\r\n",
        ):
            smtp = aiosmtplib.SMTP(hostname="127.0.0.1", port=stand.sink.port, start_tls=False)
            async with smtp:
                await smtp.sendmail("a@b.example", ["silent@x.example"], content)
        listed = await got(http, "/mails")
        for each in listed["mails"]:
            await got(http, f"/mails/{each['number']}")
        assert len(listed["mails"]) == 5
