"""The bounce listener: an SMTP port that takes what comes back to our return paths."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

from actors.bounce_desk import BounceDesk
from actors.event_sink import EventSink
from actors.stage_actor import StageActor
from actors.stores import open_belt, open_ledger, utc_now
from hermes.adapters.bounce_rules_file import load_rules
from hermes.adapters.mail_listener import ListenerSettings, MailListener
from hermes.adapters.suppression_postgres import PostgresSuppressionStore
from hermes.core.carrier import Carrier
from hermes.core.event import Source
from hermes.core.witness import Witness
from hermes.mail.verdict import Classifier
from hermes.settings.mail_secret import verp_of

LISTEN_AGAIN: Final = 5.0


class BounceListener(StageActor):
    """Listens for as long as it lives; a port that is taken is asked for again, every 5 s.

    A mail is acknowledged once its event is on the belt. Nothing is ever answered by mail.
    """

    def __init__(self, requirements: Mapping[str, Any] | None = None) -> None:
        super().__init__(requirements)
        carriers: tuple[Carrier, ...] = self.args["carriers"]
        relays = [carrier.id for carrier in carriers if carrier.kind == "smtp"]
        self.carrier = relays[0] if len(relays) == 1 else ""
        self.listener: MailListener | None = None
        self.desk: BounceDesk | None = None
        self.problem = ""

    async def on_begin(self) -> None:
        """Open the stores, then listen."""
        self.start_metrics()
        self.belt = await open_belt(self.wiring, self.name)
        self.pool = await open_ledger(self.wiring, self.name)
        verp = verp_of(self.wiring)
        source = Source(self.wiring.host, self.name, uuid4().hex)
        self.desk = BounceDesk(
            verp,
            Classifier(load_rules()),
            EventSink(self.belt, f"{self.wiring.host}-{self.name}"),
            PostgresSuppressionStore(self.pool),
            Witness(source, self.carrier),
            utc_now,
            self.log,
        )
        mail = self.wiring.settings.mail
        settings = ListenerSettings(
            mail.listener_host,
            self.wiring.mail_listener_port,
            self.wiring.mail_domain,
            also=frozenset(address.lower() for address in mail.feedback),
        )
        self.listener = MailListener(settings, verp, self.desk.store)
        _ = self.spawn(self.listen())

    async def listen(self) -> None:
        """Open the port."""
        assert self.listener is not None
        while True:
            try:
                await self.listener.start()
            except OSError as error:
                self.problem = str(error)
                self.log.warning("bounces.not_listening", reason=self.problem)
                await asyncio.sleep(LISTEN_AGAIN)
            else:
                self.problem = ""
                return

    async def on_stop(self, deadline_s: float) -> None:
        """Close the port; what is not acknowledged comes again."""
        if self.listener is not None:
            await self.listener.stop()
        await self.belt.close()

    def describe(self) -> dict[str, Any]:
        """Say what came, and what became of it."""
        if self.desk is None or self.listener is None:
            return {}
        return {
            **self.desk.counts,
            "taken": self.listener.taken_count,
            "refused": self.listener.refused_count,
            "port": self.wiring.mail_listener_port,
            "reason": self.problem,
        }
