"""One SMPP bind: consumer of its carrier stage, producer of what the carrier sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.account_consumer import AccountConsumer
from actors.bind_inbound import InboundSide, Place
from actors.bind_session import BindSession, Ears
from actors.bind_submits import Submits
from actors.contract_rate import contract_of
from actors.event_sink import EventSink
from actors.outside import BindOutside
from actors.producer_shell import ProducerShell
from actors.stores import dead_letters_of, open_ledger, utc_now
from hermes.adapters.claims_redis import RedisClaims
from hermes.adapters.inbound_store_postgres import PostgresInboundStore
from hermes.adapters.rate_limits_redis import RedisRateLimits
from hermes.adapters.receipt_store_redis import RedisReceiptStore
from hermes.core.carrier import Bind
from hermes.core.event import Source
from hermes.core.witness import Witness
from hermes.ports.inbound_store import Inbound as InboundRow
from hermes.ports.link import Link
from hermes.smpp.pacing import Pacing
from hermes.stages.dispatcher_partition import PartitionDispatcher
from hermes.stages.producer import Producer

EMIT_EVERY = 0.02


class BindConsumer(AccountConsumer):
    """Its width is the bind's window; a receiver asks for nothing."""

    channel = "sms"
    stopped = "bind.stopped"
    submits: Submits
    session: BindSession

    def __init__(self, requirements: Mapping[str, Any] | None = None) -> None:
        super().__init__(requirements)
        self.bind: Bind = self.args["bind"]
        self.stored: list[InboundRow] = []
        self.problems = 0

    @property
    def place(self) -> str:
        """See `AccountConsumer.place`."""
        return self.bind.id

    async def on_begin(self) -> None:
        """Open the stores, then bind and subscribe in the background."""
        await self.open_stores()
        self.pool = await open_ledger(self.wiring, self.name)
        redis = self.wiring.settings.redis
        settled_ttl = round(redis.settled_ttl)
        source = Source(self.wiring.host, self.name, self.boot)
        sink = EventSink(self.belt, f"{self.wiring.host}-{self.name}")
        outside = BindOutside(
            RedisClaims(self.memory, settled_ttl),
            self.leases,
            self.belt,
            sink,
            dead_letters_of(self.belt, self.wiring, self.metrics, self.log),
            utc_now,
            lambda: self.memory.made_at,
            self.metrics,
            RedisReceiptStore(
                self.memory,
                {self.carrier.id: self.carrier.id_form},
                settled_ttl_s=settled_ttl,
                final_ttl_s=round(redis.final_ttl),
            ),
        )
        witness = Witness(source, self.carrier.id)
        pacing = Pacing(self.carrier.max_rate)
        self.submits = Submits(self.carrier, witness, self.me, outside, pacing)
        self.submits.contract = contract_of(self.carrier, RedisRateLimits(self.memory))
        settings = self.wiring.settings
        stages = settings.receipts.stages
        self.inbound = InboundSide(
            Place(self.carrier.id, self.bind.id, self.wiring.host, stages),
            PostgresInboundStore(self.pool),
            self.emit,
            utc_now,
            (settings.smpp.max_unanswered, settings.batch.items, settings.batch.wait),
        )
        dispatcher = PartitionDispatcher(
            partitions=tuple(range(stages)), hash_event=lambda row: (row, row.partition)
        )
        self.producer = ProducerShell(
            self, Producer(dispatcher, buffer_size=10_000), lambda _: None
        )
        ears = Ears(
            self.inbound.on_deliver,
            self.on_bound,
            self.on_unbound,
            self.on_credit,
            self.submits.on_late,
            self.submits.on_congestion,
            self.submits.on_nack,
            self.on_problem,
        )
        self.session = BindSession(self.bind, settings.smpp, ears, self.log)
        self.submits.on_wrong = self.session.rebind
        self.work(self.session.hold_forever())
        _ = self.spawn(self.inbound.store_forever())
        if self.bind.mode != "rx":
            self.subscribe()

    def width(self) -> int:
        """See `AccountConsumer.width`."""
        return 0 if self.submits.link is None else self.bind.window

    def on_credit(self) -> None:
        """A slot is free."""
        self.submits.wake.set()

    # Link

    def on_bound(self, link: Link) -> None:
        """Traffic may flow."""
        self.submits.link = link
        self.arrived(f"bind {self.bind.id} is bound")

    def on_unbound(self) -> None:
        """The session ended."""
        self.left()
        self.submits.unlink()

    def on_problem(self, reason: str) -> None:
        """The carrier sent what it must not; the session goes on."""
        self.problems += 1
        self.metrics.problems.labels(self.carrier.id, self.bind.id).inc()
        if self.problems & (self.problems - 1) == 0:  # 1, 2, 4, 8 …: a flood fills no log
            self.log.warning("bind.problem", reason=reason, count=self.problems)

    def emit(self, rows: list[InboundRow]) -> None:
        """Give stored PDUs to the receipt stages, those of a moment together."""
        if not self.stored:
            self.later(EMIT_EVERY, self.emit_stored)
        self.stored += rows

    def emit_stored(self) -> None:
        """Give what was stored lately."""
        rows, self.stored = self.stored, []
        if self.producer is not None:
            self.producer.emit(rows)

    def describe(self) -> dict[str, Any]:
        """Say how the bind is."""
        submits = self.submits
        pace = submits.pacing.rate
        return {
            "carrier": self.carrier.id,
            "bind": self.bind.id,
            "state": self.session.state,
            "in_flight": submits.in_flight,
            "window": self.bind.window,
            "held": submits.held_count,
            "asked": self.asked(),
            "rate": round(self.rate, 1),
            "pace": None if pace is None else round(pace, 1),
            "accepted": submits.accepted_count,
            "unanswered_inbound": self.inbound.unanswered,
            "refused_inbound": self.inbound.refused,
            "problems": self.problems,
            "rtt_ms": None if self.session.rtt is None else round(self.session.rtt * 1000, 2),
            "reason": self.session.reason or submits.out.sink.last_error,
        }
