"""An inbound PDU is stored once, processed once, and finds its attempt by the carrier's id."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace
from uuid_utils.compat import uuid7

from hermes.ports.inbound_store import FoundAttempt, Inbound
from tests.contract.ledger.stores import PostgresStores, Stores, event, moment


def inbound(*, partition: int = 0, age_s: float = 0.0, raw: bytes = b"\0\xff\n'") -> Inbound:
    return Inbound(
        id=uuid7(),
        carrier="sim",
        bind="sim-1",
        host="h1",
        received_at=moment() - timedelta(seconds=age_s),
        raw=raw,
        partition=partition,
        kind="deliver_sm",
    )


async def test_any_octets_come_back_as_they_were(ledger: Stores) -> None:
    rows = [inbound(raw=bytes(range(256)) * 4), inbound(raw=b"")]
    await ledger.inbound.append(rows)
    assert await ledger.inbound.unprocessed([0], 0.0, 10) == rows


async def test_rows_stored_twice_are_there_once(ledger: Stores) -> None:
    rows = [inbound() for _ in range(3)]
    await ledger.inbound.append(rows[:2])
    await ledger.inbound.append(rows)
    await ledger.inbound.append([])
    assert await ledger.inbound.unprocessed([0], 0.0, 10) == rows


async def test_a_stage_gets_its_partitions_oldest_first_up_to_a_limit(ledger: Stores) -> None:
    rows = [inbound(partition=i % 3) for i in range(9)]
    await ledger.inbound.append(rows[::-1])
    mine = [row for row in rows if row.partition in (0, 2)]
    assert await ledger.inbound.unprocessed([0, 2], 0.0, 4) == mine[:4]
    assert await ledger.inbound.unprocessed([7], 0.0, 4) == []


async def test_what_just_came_is_left_to_who_received_it(ledger: Stores) -> None:
    old, new = inbound(age_s=60.0), inbound()
    await ledger.inbound.append([old, new])
    assert await ledger.inbound.unprocessed([0], 30.0, 10) == [old]


async def test_what_is_marked_is_not_given_again(ledger: Stores) -> None:
    rows = [inbound() for _ in range(4)]
    await ledger.inbound.append(rows)
    await ledger.inbound.mark([rows[2].id, rows[0].id, uuid7()], "matched")
    await ledger.inbound.mark([], "matched")
    assert await ledger.inbound.unprocessed([0], 0.0, 10) == [rows[1], rows[3]]


async def test_a_carriers_id_leads_to_attempt_and_segment(ledger: Stores) -> None:
    taken = await ledger.queued(segments=2)
    assert taken.attempt
    told = [
        event(taken.attempt, "sent", segment=i, segments=2, carrier_message_id=f"id'{i}")
        for i in range(2)
    ]
    await ledger.events.apply(told)
    view = await ledger.view(taken.message)
    expected = FoundAttempt(
        attempt=taken.attempt,
        tenant="acme",
        segment=0,
        segments=2,
        expires_at=view.expires_at,
        to="+491700000001",
        sender="Hermes",
    )
    found = await ledger.inbound.find_attempt("sim", ["id'1", "id'0", "ID'0", "", "a\0"])
    assert found == {"id'0": expected, "id'1": replace(expected, segment=1)}
    assert await ledger.inbound.find_attempt("another", ["id'0"]) == {}
    assert await ledger.inbound.find_attempt("sim", []) == {}


async def test_an_id_used_twice_belongs_to_the_newest(ledger: Stores) -> None:
    attempts = [(await ledger.queued()).attempt or "" for _ in range(2)]
    for attempt in attempts:
        await ledger.events.apply([event(attempt, "sent", carrier_message_id="1")])
    found = await ledger.inbound.find_attempt("sim", ["1"])
    assert found["1"].attempt == attempts[1]


async def test_a_receipt_for_an_erased_message_has_no_addresses(postgres: PostgresStores) -> None:
    taken = await postgres.queued()
    assert taken.attempt
    await postgres.events.apply([event(taken.attempt, "sent", carrier_message_id="1")])
    await postgres.rows("delete from message_body")
    found = (await postgres.inbound.find_attempt("sim", ["1"]))["1"]
    assert (found.attempt, found.to, found.sender) == (taken.attempt, None, None)


async def test_an_orphan_that_is_matched_later_is_marked_so(ledger: Stores) -> None:
    row = inbound()
    await ledger.inbound.append([row])
    await ledger.inbound.mark([row.id], "orphan")
    assert await ledger.inbound.orphans(5) == [row]
    await ledger.inbound.adopt([row.id])
    assert await ledger.inbound.orphans(5) == []
    await ledger.inbound.adopt([])
    assert await ledger.inbound.unprocessed([0], 0.0, 10) == []


async def test_uncertain_attempts_are_found_by_their_recipient_oldest_first(
    ledger: Stores,
) -> None:
    taken = await ledger.queued()
    assert taken.attempt
    to = "+491700000001"
    assert await ledger.inbound.find_uncertain("sim", [to]) == {}
    await ledger.events.apply([event(taken.attempt, "uncertain", segment=0)])
    found = await ledger.inbound.find_uncertain("sim", [to, "+1"])
    assert {n: [one.attempt for one in some] for n, some in found.items()} == {to: [taken.attempt]}
    assert await ledger.inbound.find_uncertain("another", [to]) == {}
    second = await ledger.queued()
    await ledger.events.apply([event(second.attempt or "", "uncertain", segment=0)])
    found = await ledger.inbound.find_uncertain("sim", [to])
    assert [one.attempt for one in found[to]] == [taken.attempt, second.attempt]
