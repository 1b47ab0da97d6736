"""Messages from handsets are joined, kept once, and survive the stage that joins them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from actors.mo_desk import MoDesk
from hermes.core.errors import StoreUnavailable
from hermes.core.event import Source
from hermes.ports.inbound_store import Inbound
from hermes.ports.mo_store import WholeMo
from hermes.smpp.segment import segments
from hermes.testing.memory_inbound_store import MemoryInboundStore
from hermes.testing.memory_ledger import MemoryLedger
from hermes.testing.memory_mo_store import MemoryMoStore
from tests.unit.actors.inbound_pdus import deliver_row

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
STAGE = Source("h1", "receipt-0", "b1")
LONG = "Ligeia, said the letter, and nothing more. " * 8


class Away(MemoryMoStore):
    """A store that can be away."""

    is_away = False

    async def add(self, whole: Sequence[WholeMo], source: Source) -> None:
        """Refuse while away."""
        if self.is_away:
            raise StoreUnavailable("postgres", "away")
        await super().add(whole, source)


class World:
    """A desk over a ledger in memory."""

    def __init__(self, ledger: MemoryLedger | None = None) -> None:
        self.ledger = MemoryLedger(lambda: NOON) if ledger is None else ledger
        self.store = Away(self.ledger)
        self.inbound = MemoryInboundStore(self.ledger)
        self.desk = MoDesk(self.store, {}, STAGE)

    async def come(self, *rows: Inbound) -> None:
        """PDUs are stored by a bind, then taken."""
        await self.inbound.append(rows)
        self.desk.take(rows)
        await self.desk.flush()

    async def texts(self) -> list[str | None]:
        """What was kept, oldest first."""
        return [mo.text for mo in await self.store.latest(100)][::-1]


def parts(text: str, source: str = "4510", first: int = 1, reference: int = 7) -> list[Inbound]:
    """The PDUs of a text."""
    return [
        deliver_row(
            first + n,
            "sim",
            NOON + timedelta(seconds=n),
            source_addr=source,
            destination_addr="1234",
            esm_class=segment.esm_class,
            data_coding=segment.data_coding,
            short_message=segment.octets,
        )
        for n, segment in enumerate(segments(text, reference))
    ]


async def test_parts_in_any_order_are_one_message_and_nothing_waits() -> None:
    world = World()
    one, two, three = parts(LONG)
    for row in (three, one, two):
        await world.come(row)
    assert await world.texts() == [LONG]
    (mo,) = await world.store.latest(1)
    assert (mo.id, mo.source, mo.total, mo.missing) == (one.id, "4510", 3, ())
    assert await world.store.held((0,)) == []
    assert await world.inbound.unprocessed((0,), 0.0, 10) == []


async def test_parts_are_found_again_after_the_stage_was_killed() -> None:
    before = World()
    one, two, three = parts(LONG)
    await before.come(one, three)
    after = World(before.ledger)
    await after.desk.restore(0)
    assert await after.texts() == []
    await after.come(two)
    assert await after.texts() == [LONG]


async def test_what_a_store_that_was_away_did_not_take_is_kept_once_when_it_is_back() -> None:
    world = World()
    rows = parts("Hi")
    world.store.is_away = True
    with pytest.raises(StoreUnavailable):
        await world.come(*rows)
    world.store.is_away = False
    await world.come(*rows)
    await world.come(*rows)
    assert await world.texts() == ["Hi"]
    assert world.desk.stored == 1


async def test_a_message_whose_parts_do_not_come_is_kept_as_it_is_and_says_so() -> None:
    world = World()
    one, _, three = parts(LONG)
    await world.come(one, three)
    world.desk.expire(NOON + timedelta(minutes=29))
    await world.desk.flush()
    assert await world.texts() == []
    world.desk.expire(NOON + timedelta(minutes=31))
    await world.desk.flush()
    (mo,) = await world.store.latest(1)
    assert mo.missing == (2,)
    assert mo.text is not None
    assert mo.text.startswith("Ligeia")
    assert await world.store.held((0,)) == []


async def test_two_handsets_with_one_reference_are_two_messages() -> None:
    world = World()
    mine, theirs = parts(LONG), parts(LONG.upper(), "4599", 100)
    for pair in zip(mine, theirs, strict=True):
        await world.come(*pair)
    assert sorted(map(str, await world.texts())) == sorted([LONG, LONG.upper()])


async def test_a_pdu_that_breaks_off_is_kept_with_its_problem() -> None:
    world = World()
    (row,) = parts("Hello there")
    cut = row.raw[:-5]
    broken = Inbound(**{**{f: getattr(row, f) for f in row.__struct_fields__}, "raw": cut})
    await world.come(broken)
    (mo,) = await world.store.latest(1)
    assert mo.problems
    assert mo.octets.startswith(b"Hello")
