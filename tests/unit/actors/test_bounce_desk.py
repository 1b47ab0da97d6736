"""Reports that come by mail: told once as events, by those alone whose return path is ours."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from uuid import UUID

import pytest
import structlog

from actors.bounce_desk import BounceDesk
from actors.event_sink import EventSink
from hermes.adapters.bounce_rules_file import load_rules
from hermes.adapters.mail_listener import InboundMail
from hermes.adapters.postgres import BadRow
from hermes.core.errors import StoreUnavailable
from hermes.core.event import Event, Source, decode_envelope
from hermes.core.ids import decode_message_id
from hermes.core.witness import Witness
from hermes.mail.reply import Reply
from hermes.mail.verdict import Classifier
from hermes.mail.verp import Verp
from hermes.mailsink.behaviour import ReportKind
from hermes.mailsink.report import Returned, make_report
from hermes.ports.stream import EVENTS
from hermes.ports.suppression_store import Recipient
from hermes.testing.memory_stream import MemoryBelt, MemoryStreams

MESSAGE = "msg_01jnq3h4f8abcdefghjkmnpqrs"
ATTEMPT = f"{MESSAGE}.1.0"
VERP = Verp("bounce.acme.example", (b"secret",))
PATH = VERP.return_path(ATTEMPT)
AT = datetime(2026, 1, 1, tzinfo=UTC)
NOBODY = Reply(550, ("5.1.1 <anna@x.example>: no such mailbox",))
FULL = Reply(552, ("5.2.2 mailbox is full",))
GREY = Reply(450, ("4.7.1 greylisted, try again later",))
GOOD = Reply(250, ("2.1.5 delivered",))


class ListedSteps:
    """A suppression list that notes what was asked of it."""

    def __init__(self) -> None:
        self.listed: dict[tuple[UUID, int], str] = {}
        self.error: Exception | None = None

    async def suppress_attempt(self, message: UUID, step: int, reason: str) -> bool:
        if self.error is not None:
            raise self.error
        is_new = (message, step) not in self.listed
        self.listed[message, step] = reason
        return is_new

    async def suppressed(self, wanted: Collection[Recipient]) -> set[Recipient]:
        return set(wanted)


class Stand:
    """A desk, the belt behind it and the list beside it."""

    def __init__(self, server: MemoryStreams) -> None:
        self.server, self.list = server, ListedSteps()
        self.desk = BounceDesk(
            VERP,
            Classifier(load_rules()),
            EventSink(MemoryBelt(server), "h1-bounces"),
            self.list,
            Witness(Source("h1", "receipts/bounces"), "mail"),
            lambda: AT,
            structlog.get_logger(),
        )

    def told(self) -> list[Event]:
        """Give the events on the belt."""
        messages = self.server.streams[EVENTS].messages.values()
        return [event for _, data in messages for event in decode_envelope(data)]


@pytest.fixture
async def stand() -> Stand:
    server = MemoryStreams()
    await server.ensure(())
    return Stand(server)


def report(kind: ReportKind, reply: Reply = GOOD, to: str = PATH, number: int = 1) -> InboundMail:
    """Make the report of a mail to anna, as it comes to the listener."""
    content = b"Subject: hi\r\nFrom: hello@acme.example\r\n\r\nhello\r\n"
    returned = Returned(PATH, "anna@x.example", ATTEMPT, content)
    mail = make_report(kind, returned, reply, "mta.example", number, AT)
    return InboundMail(VERP.attempt_of(to), "", to, mail.content)


@pytest.mark.parametrize(
    ("kind", "reply", "event", "code"),
    [
        ("delivered", GOOD, "delivered", None),
        ("failed", NOBODY, "undelivered", "dsn_5.1.1"),
        ("delayed", GREY, "enroute", "dsn_4.7.1"),
        ("complaint", GOOD, "complaint", "feedback_abuse"),
    ],
)
async def test_a_report_becomes_an_event_of_the_attempt_it_is_signed_for(
    stand: Stand, kind: ReportKind, reply: Reply, event: str, code: str | None
) -> None:
    await stand.desk.store(report(kind, reply))
    (told,) = stand.told()
    assert (told.message, told.step, told.attempt_n) == (MESSAGE, 1, 0)
    assert (told.kind, told.at, told.carrier) == (event, AT, "mail")
    assert (told.reason.code if told.reason else None) == code
    assert "@" not in repr(told)
    assert stand.desk.counts[event] == 1


async def test_a_report_that_comes_again_is_the_same_event(stand: Stand) -> None:
    await stand.desk.store(report("failed", NOBODY))
    await stand.desk.store(report("failed", NOBODY, number=2))
    assert len({event.id for event in stand.told()}) == 1
    assert stand.desk.counts["suppressed"] == 1


@pytest.mark.parametrize(
    ("kind", "reply", "listed"),
    [
        ("failed", NOBODY, "dsn_5.1.1"),
        ("complaint", GOOD, "feedback_abuse"),
        ("failed", FULL, None),
        ("delayed", GREY, None),
        ("delivered", GOOD, None),
    ],
)
async def test_only_nobody_and_who_complains_get_no_more_mail(
    stand: Stand, kind: ReportKind, reply: Reply, listed: str | None
) -> None:
    await stand.desk.store(report(kind, reply))
    step = (decode_message_id(MESSAGE), 1)
    assert stand.list.listed == ({} if listed is None else {step: listed})


async def test_what_no_return_path_of_ours_signs_tells_nothing(stand: Stand) -> None:
    mail = report("failed", NOBODY, to="fbl@bounce.acme.example")
    forged = mail.content.replace(PATH.encode(), b"b+forged@bounce.acme.example")
    await stand.desk.store(InboundMail(None, "", mail.recipient, forged))
    assert stand.told() == []
    assert stand.list.listed == {}
    assert stand.desk.counts["unsigned"] == 1


async def test_what_is_no_report_is_counted_and_nothing_more(stand: Stand) -> None:
    for content in (b"", b"\0\xff" * 99, b"Subject: Out of office\r\n\r\nback on Monday\r\n"):
        await stand.desk.store(InboundMail(ATTEMPT, "", PATH, content))
    assert stand.told() == []
    assert stand.desk.counts["untold"] == 3


async def test_while_the_belt_has_no_room_the_sender_comes_again(stand: Stand) -> None:
    stand.server.streams[EVENTS].max_bytes = 1
    with pytest.raises(StoreUnavailable):
        await stand.desk.store(report("failed", NOBODY))
    assert stand.list.listed == {}
    del stand.server.streams[EVENTS]
    with pytest.raises(StoreUnavailable):
        await stand.desk.store(report("failed", NOBODY))
    await stand.server.ensure(())
    await stand.desk.store(report("failed", NOBODY))
    assert len(stand.told()) == 1
    assert stand.desk.counts["put_off"] == 2


async def test_while_the_ledger_is_away_the_sender_comes_again(stand: Stand) -> None:
    stand.list.error = StoreUnavailable("postgresql", "gone")
    with pytest.raises(StoreUnavailable):
        await stand.desk.store(report("complaint"))
    stand.list.error = None
    await stand.desk.store(report("complaint"))
    assert len({event.id for event in stand.told()}) == 1
    assert len(stand.list.listed) == 1


async def test_an_address_the_ledger_cannot_take_is_not_asked_for_again(stand: Stand) -> None:
    stand.list.error = BadRow("invalid")
    await stand.desk.store(report("failed", NOBODY))
    assert len(stand.told()) == 1
