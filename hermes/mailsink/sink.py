"""The sink: an SMTP server that keeps mails and behaves as their recipients ask."""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from hermes.adapters.smtp_server import Hangup, MailHandler, ServerPlace, SmtpServer
from hermes.mail.message import BadContent
from hermes.mail.reply import Reply
from hermes.mail.server_effect import Recipient, ServerPolicy, Transaction
from hermes.mailsink.behaviour import Behaviour, behaviour_of
from hermes.mailsink.mailbox import MAX_COUNT, Mailbox
from hermes.mailsink.report import Returned, is_wanted, make_report
from hermes.mailsink.reporter import Reporter

OK: Final = Reply(250, ("2.1.0 ok",))
MAX_DEFERRED: Final = 100_000


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """Where to listen (port 0: any), what to keep, and where reports go (None: nowhere).

    `confirm_after` is the seconds to the report of an ordinary recipient.
    """

    host: str = "127.0.0.1"
    port: int = 0
    name: str = "mailsink.hermes.example"
    reports: tuple[str, int] | None = None
    confirm_after: float = 1.0
    keep: int = MAX_COUNT
    max_size: int = 10_000_000
    max_messages: int = 1000
    credentials: tuple[str, str] | None = None
    pipelining: bool = True
    dsn: bool = True
    tls: ssl.SSLContext | None = None


class Sink(MailHandler):
    """A sink in the running event loop: `start`, use `port`, `stop`."""

    def __init__(self, settings: SinkSettings) -> None:
        self.settings = settings
        self.mailbox = Mailbox(settings.keep)
        self.refused_count = 0
        self.report_count = 0
        self._deferred: set[str] = set()
        self._loop = asyncio.get_running_loop()
        self._timers: set[asyncio.TimerHandle] = set()
        self.reporter = Reporter(*settings.reports, settings.name) if settings.reports else None
        place = ServerPlace(
            settings.host,
            settings.port,
            max_connections=500,
            max_per_peer=500,
            tls=settings.tls,
        )
        policy = ServerPolicy(
            settings.name,
            max_size=settings.max_size,
            max_messages=settings.max_messages,
            max_errors=1000,
            command_timeout=300.0,
            session_timeout=3600.0,
            credentials=settings.credentials,
            starttls=settings.tls is not None,
            pipelining=settings.pipelining,
            dsn=settings.dsn,
        )
        self.server = SmtpServer(place, policy, self)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self.server.port

    async def start(self) -> None:
        """Listen. Raises OSError."""
        await self.server.start()
        if self.reporter is not None:
            self.reporter.start()

    async def stop(self) -> None:
        """Close the port; reports that are due later are dropped."""
        for timer in self._timers:
            timer.cancel()
        await self.server.stop()
        if self.reporter is not None:
            await self.reporter.stop()

    async def on_sender(self, transaction: Transaction) -> Reply:  # noqa: ARG002
        """See `MailHandler`."""
        return OK

    async def on_recipient(self, transaction: Transaction, recipient: str) -> Reply:  # noqa: ARG002
        """See `MailHandler`."""
        behaviour = self._behaviour(recipient)
        if behaviour.at_recipient is None or (behaviour.once and self._was_deferred(recipient)):
            return OK
        self.refused_count += 1
        return behaviour.at_recipient

    async def on_content(self, transaction: Transaction, content: bytes) -> Reply:
        """See `MailHandler`."""
        answer: Reply | None = None
        delay, hangs_up = 0.0, False
        for recipient in transaction.recipients:
            behaviour = self._behaviour(recipient.address)
            self._keep(transaction, recipient, behaviour, content)
            answer = answer or behaviour.at_content
            delay = max(delay, behaviour.answer_after)
            hangs_up = hangs_up or behaviour.hang_up
        if hangs_up:
            raise Hangup
        if delay:
            await asyncio.sleep(delay)
        if answer is not None:
            self.refused_count += 1
            return answer
        return Reply(250, (f"2.0.0 kept as {self.mailbox.count}",))

    def _behaviour(self, recipient: str) -> Behaviour:
        return behaviour_of(recipient, self.settings.confirm_after)

    def _was_deferred(self, recipient: str) -> bool:
        """Say whether a recipient was put off before, and remember it."""
        known = recipient.lower()
        if known in self._deferred:
            return True
        if len(self._deferred) >= MAX_DEFERRED:
            self._deferred.clear()
        self._deferred.add(known)
        return False

    def _keep(
        self, transaction: Transaction, recipient: Recipient, behaviour: Behaviour, content: bytes
    ) -> None:
        envelope_id = transaction.parameters.get("ENVID", "")
        envelope = transaction.sender, recipient.address, envelope_id
        self.mailbox.add(time.time(), envelope, behaviour.name, content)
        kind = behaviour.report
        if kind is None or self.reporter is None or not transaction.sender:
            return
        if not is_wanted(kind, recipient.parameters.get("NOTIFY")):
            return
        returned = Returned(*envelope, content)
        timer: asyncio.TimerHandle | None = None

        def due() -> None:
            self._timers.discard(timer) if timer else None
            self._report(returned, behaviour)

        timer = self._loop.call_later(behaviour.report_after, due)
        self._timers.add(timer)

    def _report(self, returned: Returned, behaviour: Behaviour) -> None:
        assert behaviour.report is not None
        assert self.reporter is not None
        self.report_count += 1
        at = datetime.now(UTC)  # noqa: TID251 - the shell's clock
        try:
            report = make_report(
                behaviour.report,
                returned,
                behaviour.report_reply,
                self.settings.name,
                self.report_count,
                at,
            )
        except BadContent:  # a sender nobody can answer
            return
        self.reporter.send(report)
