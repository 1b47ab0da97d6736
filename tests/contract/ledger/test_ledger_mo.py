"""A message from a handset is kept once, and its parts are found until it is whole."""

from __future__ import annotations

from datetime import timedelta

from uuid_utils.compat import uuid7

from hermes.core.event import Source
from hermes.ports.inbound_store import Inbound
from hermes.ports.mo_store import Mo, WholeMo
from tests.contract.ledger.stores import PostgresStores, Stores, moment
from tests.contract.ledger.test_ledger_inbound import inbound

STAGE = Source("h1", "receipt-0", "b1")


def mo_of(row: Inbound, text: str | None = "Hi €") -> Mo:
    return Mo(
        id=row.id,
        carrier="sim",
        source="4510",
        destination="1234",
        text=text,
        octets=b"\0\xff",
        data_coding=8,
        received_at=row.received_at,
        total=2,
        missing=(2,),
        problems=("odd",),
    )


async def test_a_message_is_kept_once_and_its_pdus_are_done(ledger: Stores) -> None:
    rows = [inbound() for _ in range(3)]
    await ledger.inbound.append(rows)
    whole = WholeMo(mo_of(rows[0]), (rows[0].id, rows[1].id))
    await ledger.mo.add([whole], STAGE)
    await ledger.mo.add([whole], STAGE)
    await ledger.mo.add([], STAGE)
    assert await ledger.mo.latest(10) == [whole.mo]
    assert await ledger.inbound.unprocessed([0], 0.0, 10) == [rows[2]]
    if isinstance(ledger, PostgresStores):
        trail = await ledger.rows("select message, kind, host, actor, carrier from event")
        assert trail == [(rows[0].id, "inbound", "h1", "receipt-0", "sim")]


async def test_parts_that_wait_are_given_to_the_next_stage_and_to_nobody_else(
    ledger: Stores,
) -> None:
    rows = [inbound(partition=n % 2, age_s=60.0) for n in range(4)]
    await ledger.inbound.append(rows)
    await ledger.mo.hold([row.id for row in rows])
    await ledger.mo.hold([])
    assert await ledger.inbound.unprocessed([0, 1], 0.0, 10) == []
    assert await ledger.mo.held([1]) == [rows[1], rows[3]]
    await ledger.mo.add([WholeMo(mo_of(rows[1]), (rows[1].id, rows[3].id))], STAGE)
    assert await ledger.mo.held([0, 1]) == [rows[0], rows[2]]
    await ledger.mo.hold([rows[1].id])
    assert rows[1] not in await ledger.mo.held([0, 1]), "what is done waits for nothing"


async def test_the_newest_come_first_and_binary_data_has_no_text(ledger: Stores) -> None:
    rows = [inbound(age_s=9.0 - n) for n in range(3)]
    await ledger.inbound.append(rows)
    for row in rows:
        await ledger.mo.add([WholeMo(mo_of(row, None), (row.id,))], STAGE)
    assert [mo.id for mo in await ledger.mo.latest(2)] == [rows[2].id, rows[1].id]


async def test_a_character_the_ledger_cannot_hold_is_replaced(ledger: Stores) -> None:
    row = inbound()
    await ledger.inbound.append([row])
    await ledger.mo.add([WholeMo(mo_of(row, "a\0b"), (row.id,))], STAGE)
    (mo,) = await ledger.mo.latest(1)
    if isinstance(ledger, PostgresStores):
        assert mo.text == "a\N{REPLACEMENT CHARACTER}b"
    assert mo.received_at - row.received_at < timedelta(seconds=1)
    assert uuid7() > mo.id
    assert moment() >= mo.received_at
