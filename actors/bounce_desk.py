"""Takes reports that came by mail: events of their attempts, and recipients who get no more."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from actors.event_sink import EventSink
from hermes.adapters.mail_listener import InboundMail
from hermes.adapters.postgres import BadRow
from hermes.core.errors import HermesError, StoreUnavailable
from hermes.core.event import Event
from hermes.core.ids import decode_message_id
from hermes.core.witness import Witness
from hermes.mail.dsn import Report, read_report
from hermes.mail.report_event import event_of, kind_of
from hermes.mail.verdict import Classifier
from hermes.mail.verp import Verp
from hermes.ports.suppression_store import SuppressionStore

COUNTED: Final = (
    *("delivered", "undelivered", "enroute", "complaint"),
    *("unsigned", "untold", "suppressed", "put_off"),
)
"""What is counted: events by kind, reports whose attempt is not certain, mails that tell of no
delivery, recipients who get no more mail, and mails whose sender was asked to come again."""


class BounceDesk:
    """Stores what mails to our return paths tell; `store` is the listener's.

    A mail is read once more as a whole when it comes again: the event has the same id, and the
    list takes nobody twice.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what it reads with, and what it writes to
        self,
        verp: Verp,
        classifier: Classifier,
        sink: EventSink,
        list_: SuppressionStore,
        witness: Witness,
        clock: Callable[[], datetime],
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self.verp, self.classifier, self.sink, self.list = verp, classifier, sink, list_
        self.witness, self.clock, self.log = witness, clock, log
        self.counts: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))
        self.turn = asyncio.Lock()

    async def store(self, mail: InboundMail) -> None:
        """Keep what a mail tells. Raises StoreUnavailable: whoever sent it tries again."""
        report = read_report(mail.content, mail.recipient, mail.sender, self.verp, self.classifier)
        event = event_of(report, self.witness, self.clock())
        if event is None:
            self.pass_over(report)
            return
        try:
            await self.put(event)
            if report.suppress:
                await self.suppress(event, report)
        except HermesError as error:
            self.counts["put_off"] += 1
            self.log.warning("bounce.put_off", attempt=report.attempt, reason=str(error))
            if isinstance(error, StoreUnavailable):
                raise
            raise StoreUnavailable("events", str(error)) from error
        self.counts[event.kind] += 1

    async def put(self, event: Event) -> None:
        """Store an event, one at a time: the sink reads a new stream from the order of places."""
        async with self.turn:
            await self.sink.put((event,))

    async def suppress(self, event: Event, report: Report) -> None:
        """Put the recipient the ledger knows on its tenant's list."""
        reason = report.reason.code if report.reason else event.kind
        message = decode_message_id(event.message)
        try:
            is_new = await self.list.suppress_attempt(message, event.step, reason)
        except BadRow as error:  # it would be refused for ever
            self.log.warning("bounce.not_suppressed", attempt=report.attempt, reason=str(error))
            return
        self.counts["suppressed"] += is_new

    def pass_over(self, report: Report) -> None:
        """Count a mail of which no event is made; it may be anybody's, so no more than that."""
        if kind_of(report) is None:
            self.counts["untold"] += 1
        else:
            self.counts["unsigned"] += 1
            self.log.info("bounce.unsigned", kind=report.kind, state=report.state)
