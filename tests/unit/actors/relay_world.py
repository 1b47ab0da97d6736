"""The outbound side of a relay over stores in memory, and a relay whose replies the test gives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from time import time

import msgspec
import structlog

from actors.dead_letter_sink import DeadLetterSink
from actors.event_sink import EventSink
from actors.outside import Outside
from actors.relay_submits import RelaySubmits
from hermes.core.carrier import Carrier, RelayAccount
from hermes.core.event import Event, Source, decode_envelope
from hermes.core.job import Job, encode_job
from hermes.core.plan import Content
from hermes.core.witness import Witness
from hermes.mail.address import parse_mailbox
from hermes.mail.bounce_rule import Rules, parse_rules
from hermes.mail.job_mail import Composer
from hermes.mail.message import Mail
from hermes.mail.reply import Reply
from hermes.mail.verdict import Classifier
from hermes.mail.verp import Verp
from hermes.metrics import Metrics
from hermes.ports.relay import RelayClosed, RelayEvent, RelayOpened
from hermes.ports.stream import EVENTS, Delivery
from hermes.testing.memory_claims import MemoryClaims, MemoryLeases
from hermes.testing.memory_dead_letters import MemoryDeadLetters
from hermes.testing.memory_relay import Answer, MemoryRelay
from hermes.testing.memory_stream import MemoryStreams
from tests.unit.actors.bind_world import Deaf, now

CARRIER = Carrier(
    id="mail",
    kind="smtp",
    relay=RelayAccount(host="localhost"),
    default_sender="Acme <hello@acme.example>",
)
TAKEN = Reply(250, ("2.0.0 Ok: queued as 4XyZ12",))
NO_RULES: Rules = parse_rules("[rules]\n", "none")


def mail_job(attempt: str, to: str = "ann@example.com", **fields: object) -> bytes:
    """Make a job of mail."""
    later = now() + timedelta(hours=1)
    made = Job(
        attempt=attempt,
        tenant="t",
        carrier="mail",
        channel="email",
        to=to,
        text="Your parcel is here",
        content=Content(subject="Parcel"),
        expires_at=later,
        queued_at=now(),
    )
    return encode_job(msgspec.structs.replace(made, **fields))


def reply_of(place: int) -> str:
    """Give the reply subject of the delivery at a place, from 1."""
    return f"$ACK JOBS_mail otp {place}"


class RelayWorld:
    """One relay's outbound side; several may share `streams` and `claims`."""

    def __init__(
        self,
        judge: Callable[[Mail], Answer] = lambda _: TAKEN,
        claims: MemoryClaims | None = None,
        leases: MemoryLeases | None = None,
        boot: str = "boot",
    ) -> None:
        self.streams = MemoryStreams()
        self.belt = Deaf(self.streams)
        self.claims = claims or MemoryClaims(time)
        self.leases = leases or MemoryLeases(time)
        metrics, log = Metrics(), structlog.get_logger()
        verp = Verp("bounce.acme.example", (b"secret",))
        self.submits = RelaySubmits(
            CARRIER,
            Witness(Source("h1", "mail/relay"), "mail"),
            f"h1/relay/{boot}",
            Outside(
                self.claims,
                self.leases,
                self.belt,
                EventSink(self.belt, f"h1-mail-{boot}"),
                DeadLetterSink(self.belt, self.streams, metrics, now, log),
                now,
                lambda: datetime.fromtimestamp(0, UTC),
                metrics,
            ),
            Composer(parse_mailbox("Acme <hello@acme.example>"), "acme.example", verp),
            Classifier(NO_RULES),
        )
        self.relay = MemoryRelay(self.on_event, judge)
        self.letters = MemoryDeadLetters(self.streams)

    def on_event(self, event: RelayEvent) -> None:
        """What the relay tells, as the consumer passes it on."""
        match event:
            case RelayOpened():
                self.submits.relay = self.relay
            case RelayClosed():
                self.submits.unlink()
            case _:
                pass
        self.submits.wake_up()

    def hold(self, *bodies: bytes, delivered: int = 1) -> None:
        """Give it deliveries."""
        self.submits.hold(
            [
                Delivery(
                    "jobs.email.mail.otp.1", body, reply_of(n), n, delivered, "JOBS_mail", "otp"
                )
                for n, body in enumerate(bodies, 1)
            ]
        )

    def events(self) -> list[Event]:
        """Give every event told."""
        stored = self.streams.streams[EVENTS].messages.values()
        return [event for _, data in stored for event in decode_envelope(data)]

    def kinds(self) -> list[str]:
        """Give the kind of every event told."""
        return [event.kind for event in self.events()]

    def words(self, attempt: str) -> tuple[str, ...]:
        """Give what the claim of an attempt says; nothing where there is none."""
        kept = self.claims._kept.get(("mail", attempt))
        return () if kept is None else kept.claim.segments

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let it work."""
        await self.streams.ensure([CARRIER])
        tasks = [
            asyncio.create_task(work)
            for work in (
                self.relay.run(),
                self.submits.submit_forever(),
                self.submits.outcomes.settle_forever(),
                self.submits.outcomes.tell_forever(),
            )
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            done, _ = await asyncio.wait(tasks)
            for task in done:
                assert task.cancelled() or task.exception() is None, task

    @staticmethod
    async def until(true: Callable[[], bool]) -> None:
        """Wait for it."""
        async with asyncio.timeout(5):
            while not true():
                await asyncio.sleep(0.001)
