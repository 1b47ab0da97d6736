"""A real Postfix as the relay: our sink is the world behind it, our listener gets its reports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hermes.adapters.bounce_rules_file import load_rules
from hermes.adapters.mail_listener import InboundMail, ListenerSettings, MailListener
from hermes.mail.address import parse_address, parse_mailbox
from hermes.mail.dsn import Report, read_report
from hermes.mail.message import ALWAYS, Content, Mail, Origin, compose
from hermes.mail.outcome import queue_id_of
from hermes.mail.verdict import Classifier
from hermes.mail.verp import Verp
from hermes.mailsink.sink import Sink, SinkSettings
from tests.contract.mail.postfix import missing, postfix
from tests.contract.mail.relay_client import Client, client, until

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "there")

WITHIN = 60.0
MESSAGE = "msg_01jnq3h4f8abcdefghjkmnpqrs"
VERP = Verp("bounce.acme.example", (b"secret",))
ORIGIN = Origin(parse_mailbox("Acme <hello@acme.example>"), "acme.example", VERP)
CLASSIFIER = Classifier(load_rules())


def mail(step: int, recipient: str) -> Mail:
    to = parse_address(recipient)
    at = datetime(2025, 3, 3, tzinfo=UTC)
    made = compose(f"{MESSAGE}.{step}.0", to, Content("Grüße", ".\nhello\n"), ORIGIN, at)
    return replace(made, notify=ALWAYS)


@dataclass
class Stand:
    """The relay's client, the world behind it, and what came back."""

    client: Client
    world: Sink
    reports: list[Report]

    def of(self, step: int) -> list[Report]:
        return [each for each in self.reports if each.attempt == f"{MESSAGE}.{step}.0"]


@pytest.fixture(params=[True, False], ids=["world with DSN", "world without DSN"])
async def stand(
    request: pytest.FixtureRequest, public_dir: Callable[[], Path]
) -> AsyncIterator[Stand]:
    reports: list[Report] = []

    async def store(came: InboundMail) -> None:
        reports.append(read_report(came.content, came.recipient, came.sender, VERP, CLASSIFIER))

    listener = MailListener(ListenerSettings("127.0.0.1", 0, "bounce.acme.example"), VERP, store)
    await listener.start()
    back = ("127.0.0.1", listener.port)
    world = Sink(SinkSettings(reports=back, confirm_after=0.1, dsn=request.param))
    await world.start()
    try:
        async with postfix(public_dir(), world.port, listener.port) as port, client(port) as made:
            await made.opened()
            yield Stand(made, world, reports)
    finally:
        await world.stop()
        await listener.stop()


async def test_postfix_takes_our_mail_and_what_it_reports_is_understood(stand: Stand) -> None:
    recipients = ["anna@x.example", "reject@x.example", "defer@x.example", "spam@x.example"]
    for step, recipient in enumerate(recipients):
        result = await stand.client.relay.submit(mail(step, recipient))
        assert result.is_accepted
        assert queue_id_of(result.reply)
    for step in range(len(recipients)):
        await until(lambda step=step: bool(stand.of(step)), WITHIN)  # type: ignore[misc]
    told = {step: (stand.of(step)[0].kind, stand.of(step)[0].found_by) for step in range(4)}
    assert set(told.values()) == {("dsn", "verp")}
    assert (stand.of(1)[0].state, stand.of(1)[0].label) == ("failed", "InvalidRecipient")
    assert (stand.of(3)[0].state, stand.of(3)[0].label) == ("failed", "SpamContent")
    # a world that knows DSN reports the delivery itself, else Postfix says that it passed it on
    success = "delivered" if stand.world.settings.dsn else "relayed"
    assert [stand.of(step)[0].state for step in (0, 2)] == [success, success]
    (kept,) = stand.world.mailbox.since(0, 10, recipients[0])
    assert b".\r\nhello\r\n" in kept.content
    assert kept.sender == VERP.return_path(f"{MESSAGE}.0.0")


async def test_postfix_tells_of_what_it_delivers_itself_and_of_who_it_does_not_know(
    stand: Stand,
) -> None:
    for step, recipient in enumerate(("anna@mailbox.example", "gone@mailbox.example")):
        assert (await stand.client.relay.submit(mail(step, recipient))).is_accepted
        await until(lambda step=step: bool(stand.of(step)), WITHIN)  # type: ignore[misc]
    delivered, failed = stand.of(0)[0], stand.of(1)[0]
    assert delivered.is_signed
    assert (delivered.kind, delivered.state, delivered.suppress) == ("dsn", "delivered", False)
    assert failed.is_signed
    assert (failed.state, failed.label, failed.suppress) == ("failed", "InvalidRecipient", True)
    assert failed.reason is not None
    assert failed.reason.code == "dsn_5.1.1"
    assert "@" not in failed.reason.text


async def test_many_mails_go_through_postfix_once_each(stand: Stand) -> None:
    assert await stand.client.send_many(100, "silent@x.example") == {"accepted": 100}
    await until(lambda: stand.world.mailbox.count >= 100, WITHIN)
    assert stand.world.mailbox.count == 100
