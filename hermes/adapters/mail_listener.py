"""The inbound SMTP listener: takes what comes back to our signed return paths, nothing else."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from hermes.adapters.smtp_server import MailHandler, ServerPlace, SmtpServer
from hermes.core.errors import StoreUnavailable
from hermes.mail.reply import Reply
from hermes.mail.server_effect import ServerPolicy, Transaction
from hermes.mail.verp import Verp

WELCOME: Final = Reply(250, ("2.1.0 ok",))
TAKEN: Final = Reply(250, ("2.0.0 stored",))
LATER: Final = Reply(451, ("4.3.0 the store is away, try again later",))
NOBODY: Final = Reply(550, ("5.1.1 no such address here",))


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """Where to listen and how much to bear: octets, seconds, counts.

    `name` is told in the greeting. `also` are addresses for feedback loops, which are configured
    at their providers and carry no signature (small letters).
    """

    host: str
    port: int
    name: str
    also: frozenset[str] = frozenset()
    max_size: int = 1_000_000
    max_line: int = 8192
    max_connections: int = 50
    max_per_peer: int = 10
    max_messages: int = 100
    command_timeout: float = 60.0
    session_timeout: float = 300.0
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class InboundMail:
    """A mail for one of our return paths; `attempt` is certain, None for a feedback address.

    `sender` is the envelope's, "" for a bounce; `recipient` the address it came to.
    """

    attempt: str | None
    sender: str
    recipient: str
    content: bytes


class MailListener(MailHandler):
    """Listens: `start`, `port`, `stop`.

    `store` puts a mail into the ledger; only then it is acknowledged. If it raises
    StoreUnavailable the sender is asked to try again. Nothing is ever answered by mail.
    """

    def __init__(
        self,
        settings: ListenerSettings,
        verp: Verp,
        store: Callable[[InboundMail], Awaitable[None]],
    ) -> None:
        self.settings, self._verp, self._store = settings, verp, store
        self.taken_count = self.refused_count = self.put_off_count = 0
        place = ServerPlace(
            settings.host,
            settings.port,
            settings.max_connections,
            settings.max_per_peer,
            settings.tls,
        )
        policy = ServerPolicy(
            settings.name,
            max_size=settings.max_size,
            max_line=settings.max_line,
            # every return path stands for one attempt; who has more comes again for each
            max_recipients=1,
            max_messages=settings.max_messages,
            command_timeout=settings.command_timeout,
            session_timeout=settings.session_timeout,
            starttls=settings.tls is not None,
            dsn=False,
        )
        self.server = SmtpServer(place, policy, self)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self.server.port

    async def start(self) -> None:
        """Listen. Raises OSError."""
        await self.server.start()

    async def stop(self) -> None:
        """Close the port."""
        await self.server.stop()

    async def on_sender(self, transaction: Transaction) -> Reply:  # noqa: ARG002
        """Bounces have no sender and feedback reports have one: both may come."""
        return WELCOME

    async def on_recipient(self, transaction: Transaction, recipient: str) -> Reply:  # noqa: ARG002
        """See `MailHandler`."""
        if self._verp.attempt_of(recipient) is None and recipient.lower() not in self.settings.also:
            self.refused_count += 1
            return NOBODY
        return WELCOME

    async def on_content(self, transaction: Transaction, content: bytes) -> Reply:
        """See `MailHandler`."""
        recipient = transaction.recipients[0].address
        mail = InboundMail(self._verp.attempt_of(recipient), transaction.sender, recipient, content)
        try:
            await self._store(mail)
        except StoreUnavailable:
            self.put_off_count += 1
            return LATER
        self.taken_count += 1
        return TAKEN
