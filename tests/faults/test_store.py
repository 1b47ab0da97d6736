"""The store behind a bind: deliver_sm are answered once they are in it, and no submit waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from actors.bind_inbound import InboundSide, Place
from hermes.core.errors import StoreUnavailable
from hermes.ports.inbound_store import Inbound as InboundRow
from hermes.settings.tree import Batch, Smpp
from hermes.smpp.encode import encode
from hermes.smpp.pdu import Pdu
from hermes.testing.memory_inbound_store import MemoryInboundStore
from hermes.testing.memory_ledger import MemoryLedger
from tests.contract.link_client import ENGINES
from tests.contract.scripted_smsc import Conversation, Script, answer_to, deliver_sm
from tests.faults.row import About, Row, now, row
from tests.faults.socket_loop import LATE, STALLS

pytestmark = pytest.mark.parametrize("engine", ENGINES)

START = datetime(2026, 1, 1, tzinfo=UTC)
PLACE = Place("sim", "1", "h1", 4)


class Store(MemoryInboundStore):
    """Takes `seconds` for a commit, or is away."""

    def __init__(self, seconds: float = 0.02) -> None:
        self.ledger = MemoryLedger(lambda: START)
        super().__init__(self.ledger)
        self.seconds = seconds
        self.is_away = False

    async def append(self, rows: Sequence[InboundRow]) -> None:
        """Commit in its time."""
        await asyncio.sleep(self.seconds)
        if self.is_away:
            raise StoreUnavailable("postgres", "not connected")
        await super().append(rows)

    @property
    def sequences(self) -> list[int]:
        """Sequence numbers of the PDUs that are in."""
        return [int.from_bytes(row.raw[12:16], "big") for row in self.ledger.inbound.values()]


@asynccontextmanager
async def stored(
    engine: str, script: Script, store: Store, **settings: Any
) -> AsyncIterator[tuple[Row, InboundSide]]:
    """A row whose inbound PDUs go the way of a bind."""
    smpp, batch = Smpp(), Batch()
    limits = smpp.max_unanswered, batch.items, batch.wait
    side = InboundSide(PLACE, store, lambda _: None, lambda: START, limits)
    async with row(engine, script, answer=False, **settings) as esme:
        esme.link.on_deliver = lambda inbound: side.on_deliver(inbound, esme.link)
        work = asyncio.create_task(side.store_forever())
        try:
            yield esme, side
        finally:
            work.cancel()
            await asyncio.wait([work])


class Centre:
    """Accepts submits after 5 ms, sends receipts, counts answers."""

    def __init__(self) -> None:
        self.answers: list[Pdu] = []
        self.talk: Conversation | None = None

    async def __call__(self, talk: Conversation) -> None:
        """Serve a session."""
        await talk.bind()
        self.talk = talk
        loop = asyncio.get_running_loop()
        while True:
            pdu = await talk.read()
            if pdu.command == "submit_sm":
                loop.call_later(0.005, self.accept, talk, pdu)
            elif pdu.is_response:
                self.answers.append(pdu)
            else:
                await talk.answer(pdu)

    @staticmethod
    def accept(talk: Conversation, pdu: Pdu) -> None:
        """Answer without waiting."""
        talk.transport.write(encode(answer_to(pdu, message_id="1")))

    async def answered(self, count: int) -> None:
        """Wait until so many are answered."""
        async with asyncio.timeout(60.0):
            while len(self.answers) < count:
                await asyncio.sleep(0.01)

    async def receipts(self, *sequences: int) -> None:
        """Send receipts in one piece."""
        assert self.talk is not None
        await self.talk.send(*(deliver_sm(n, b"id:%d stat:DELIVRD" % n) for n in sequences))


async def test_ten_thousand_deliver_sm_at_once_are_all_answered_and_submits_go_on(
    engine: str,
) -> None:
    """Beyond 500 unanswered they are refused for now; the carrier's resend is stored."""
    centre, store = Centre(), Store()
    async with stored(engine, centre, store, response_timeout=3.0 + STALLS) as (esme, side):
        await esme.bound()
        began = now()
        sending = asyncio.create_task(centre.receipts(*range(1, 10_001)))
        await esme.submit_many()
        assert await esme.all_accepted()
        assert max(f.result().latency for f in esme.submits) < 0.1 + STALLS
        await centre.answered(10_000)
        assert now() - began < 2.2 + 2 * STALLS
        await sending
        left = [a.sequence_number for a in centre.answers if a.command_status == 0x64]
        assert len(left) == side.refused
        for start in range(0, len(left), 500):
            await centre.receipts(*left[start : start + 500])
            await centre.answered(10_000 + min(start + 500, len(left)))
        assert {answer.command_status for answer in centre.answers[10_000:]} == {0}
        assert sorted(store.sequences) == list(range(1, 10_001))


async def test_no_answer_is_sent_before_the_commit(engine: str) -> None:
    centre, store = Centre(), Store(1.0)
    async with stored(engine, centre, store) as (esme, _):
        await esme.bound()
        await centre.receipts(*range(1, 11))
        await asyncio.sleep(0.9)
        assert (store.sequences, centre.answers) == ([], [])
        await centre.answered(10)
        assert store.sequences == list(range(1, 11))
        assert [(a.sequence_number, a.command_status) for a in centre.answers] == [
            (n, 0) for n in range(1, 11)
        ]


async def latencies(engine: str, rate: int) -> list[float]:
    """Latencies of 500 submits a second for two seconds beside `rate` receipts a second."""
    centre, store = Centre(), Store()
    async with stored(engine, centre, store, window=50) as (esme, _):
        await esme.bound()
        for tick in range(200):
            await centre.receipts(*range(tick * rate // 100, (tick + 1) * rate // 100))
            await esme.submit_many(5)
            await asyncio.sleep(0.01)
        assert await esme.all_accepted(1_000)
        await centre.answered(2 * rate)
        assert {answer.command_status for answer in centre.answers} <= {0}
        return sorted(future.result().latency for future in esme.submits)


async def test_receipts_at_full_rate_slow_no_submit_down(engine: str) -> None:
    alone, beside = await latencies(engine, 0), await latencies(engine, 500)
    p99 = int(0.99 * 1_000)
    assert beside[p99] - alone[p99] < 0.02 + LATE / 10


async def test_a_store_that_fails_makes_the_carrier_send_again(engine: str) -> None:
    centre, store = Centre(), Store()
    store.is_away = True
    async with stored(engine, centre, store) as (esme, side):
        await esme.bound()
        await centre.receipts(*range(1, 101))
        await centre.answered(100)
        assert [a.command_status for a in centre.answers] == [0x64] * 100
        assert side.refused == 100
        store.is_away = False
        await centre.receipts(*range(1, 101))
        await centre.answered(200)
        assert [a.command_status for a in centre.answers[100:]] == [0] * 100
        assert store.sequences == list(range(1, 101))
        assert not esme.life.done()


async def test_a_store_that_is_slow_makes_the_carrier_send_again(engine: str) -> None:
    """Each is refused two seconds after it came, those too that wait behind others."""
    centre, store = Centre(), Store(10.0)
    async with stored(engine, centre, store) as (esme, side):
        await esme.bound()
        began = now()
        await centre.receipts(*range(1, 101))
        await asyncio.sleep(0.5)
        await centre.receipts(*range(101, 201))
        await centre.answered(100)
        assert now() - began == About(2.0, 0.05)
        await centre.answered(200)
        assert now() - began == About(2.5, 0.05)
        assert {answer.command_status for answer in centre.answers} == {0x64}
        assert (side.refused, side.unanswered, store.sequences) == (200, 0, [])
        store.seconds = 0.02
        await centre.receipts(*range(1, 201))
        await centre.answered(400)
        assert {answer.command_status for answer in centre.answers[200:]} == {0}
        assert sorted(store.sequences) == list(range(1, 201))
        assert not esme.life.done()


async def test_more_than_500_unanswered_are_refused_for_now(engine: str) -> None:
    centre, store = Centre(), Store(0.5)
    async with stored(engine, centre, store) as (esme, side):
        await esme.bound()
        await centre.receipts(*range(1, 502))
        await esme.until(lambda: bool(centre.answers))
        assert [(a.sequence_number, a.command_status) for a in centre.answers] == [(501, 0x64)]
        assert (side.unanswered, side.refused) == (500, 1)
        await centre.answered(501)
        await centre.receipts(501)
        await centre.answered(502)
        assert sorted(store.sequences) == list(range(1, 502))
        assert side.unanswered == 0
        assert not esme.life.done()
