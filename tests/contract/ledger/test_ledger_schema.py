"""The schema comes up by itself, days come and go, and a lost server is waited for."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from uuid import UUID

import psycopg
import pytest
from msgspec.structs import replace

from hermes.adapters.migrate_postgres import migrate, migrations
from hermes.adapters.postgres import BadRow, PostgresPool, split_bad
from hermes.core.errors import ConfigError, HermesBug, StoreUnavailable
from hermes.embedded.endpoints import Endpoints
from hermes.ports.attempt_store import Offer
from hermes.ports.clock_store import Retention
from hermes.ports.message_store import Committed, Submission
from tests.conftest import MakeDatabase
from tests.contract.ledger.stores import PostgresStores, event, moment, name_of, submission
from tests.contract.ledger.test_ledger_inbound import inbound

pytestmark = pytest.mark.services

PARENTS = ("message", "message_body", "attempt", "event", "inbound")


def aged(days: int) -> Submission:
    """Make a submission whose id is of days ago."""
    item = submission(lives_s=-1.0)
    millis = int((moment() - timedelta(days=days)).timestamp() * 1000)
    number = millis << 80 | item.message.id.int & (1 << 80) - 1
    return replace(item, message=replace(item.message, id=UUID(int=number)))


async def count(postgres: PostgresStores, table: str) -> int:
    ((number,),) = await postgres.rows(f"select count(*) from {table}")
    return int(number)


async def test_migrating_is_done_once_and_by_one_host(make_database: MakeDatabase) -> None:
    dsn = make_database("migrated")
    said: list[str] = []
    newest = migrations()[-1][0]
    versions = await asyncio.gather(*(migrate(dsn, said.append) for _ in range(3)))
    assert versions == [newest] * 3
    assert len(said) == newest
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        cursor = await connection.execute("select version from schema_version order by version")
        assert [row[0] for row in await cursor.fetchall()] == list(range(1, newest + 1))


async def test_a_newer_schema_is_refused(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("insert into schema_version values (999, 'of tomorrow')")
    with pytest.raises(ConfigError, match="schema 999"):
        await migrate(database)


async def test_wrong_credentials_and_no_database_are_refused(services: Endpoints) -> None:
    dsn = services.postgres_dsn
    for wrong in (dsn.replace("@/hermes?", "@/nowhere?"), dsn.replace("hermes@", "nobody@", 1)):
        assert wrong != dsn
        with pytest.raises(ConfigError):
            await migrate(wrong)


async def test_a_server_that_is_not_there_is_waited_for_and_named() -> None:
    said = asyncio.Event()
    words: list[str] = []

    def progress(sentence: str) -> None:
        words.append(sentence)
        said.set()

    task = asyncio.create_task(migrate("postgresql://x@127.0.0.1:1/x", progress, retry_s=0.01))
    await asyncio.wait_for(said.wait(), 10)
    task.cancel()
    assert words[0].startswith("waiting for the ledger since 0 s")


async def test_a_store_that_is_not_there_says_so() -> None:
    async with PostgresPool("postgresql://x@127.0.0.1:1/x", timeout_s=0.2) as pool:
        with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1"):
            await PostgresStores(pool).messages.page("acme", 1)


async def test_calls_go_on_after_every_connection_was_cut(database: str) -> None:
    async with PostgresPool(database, max_size=3) as pool:
        stores = PostgresStores(pool)
        await asyncio.gather(*(stores.messages.page("acme", 1) for _ in range(6)))
        with psycopg.connect(database, autocommit=True) as other:
            other.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
        item = submission()
        results = await asyncio.gather(
            stores.messages.commit([item]), *(stores.messages.page("acme", 1) for _ in range(6))
        )
        assert results[0] == [Committed(item.message.id)]


async def test_a_statement_that_takes_too_long_is_given_up(database: str) -> None:
    async with PostgresPool(database, statement_timeout_s=0.1) as pool:
        with pytest.raises(StoreUnavailable, match="timeout"):
            await PostgresStores(pool).rows("select pg_sleep(5)")
    async with PostgresPool(database, deadline_s=0.1) as pool:
        with pytest.raises(StoreUnavailable):
            await PostgresStores(pool).rows("select pg_sleep(5)")


async def test_a_ledger_without_schema_is_the_operators(make_database: MakeDatabase) -> None:
    async with PostgresPool(make_database("empty")) as pool:
        with pytest.raises(ConfigError, match="schema"):
            await PostgresStores(pool).messages.page("acme", 1)


async def test_a_wrong_statement_is_ours(postgres: PostgresStores) -> None:
    with pytest.raises(HermesBug):
        await postgres.rows("selekt 1")


async def test_halving_finds_every_bad_row_and_runs_every_good_one() -> None:
    done: list[int] = []

    async def work(batch: list[int]) -> None:
        if any(number % 7 == 0 for number in batch):
            raise BadRow("seven")
        done.extend(batch)

    bad = await split_bad(list(range(1, 50)), work)  # type: ignore[arg-type]
    assert bad == [(number, "seven") for number in range(7, 50, 7)]
    assert sorted(done) == [number for number in range(1, 50) if number % 7]


async def test_a_message_of_any_day_is_taken(postgres: PostgresStores) -> None:
    items = [aged(days) for days in (-300, 0, 1, 300)]
    results = await postgres.messages.commit(items)
    assert results == [Committed(item.message.id) for item in items]
    assert await count(postgres, "message_default") == 2


async def test_a_day_made_late_gets_its_rows_from_the_default(postgres: PostgresStores) -> None:
    item = aged(5)
    await postgres.messages.commit([item])
    assert await count(postgres, "message_default") == 1
    day = moment().date() - timedelta(days=5)
    made = await postgres.rows("select ledger_ensure_partitions($1, $1)", day)
    assert made == [(len(PARENTS),)]
    for parent in ("message", "message_body"):
        assert await count(postgres, f"{parent}_default") == 0
        assert await count(postgres, f"{parent}_{day:%Y%m%d}") == 1
    assert await postgres.rows("select ledger_ensure_partitions($1, $1)", day) == [(0,)]


async def test_yesterday_and_a_week_ahead_are_there(postgres: PostgresStores) -> None:
    today = moment().date()
    days = [row[0] for row in await postgres.rows("select ledger_days()")]
    assert days == [today + timedelta(days=n) for n in range(-1, 8)]
    rotation = await postgres.clock.rotate(Retention(ahead_days=9))
    assert rotation.made == 2 * len(PARENTS)


async def test_a_day_goes_when_nothing_in_it_is_open(postgres: PostgresStores) -> None:
    today = moment().date()
    days = {n: today - timedelta(days=n) for n in (40, 41, 42)}
    for day in days.values():
        await postgres.rows("select ledger_ensure_day($1)", day)
    done, waiting = aged(40), aged(41)
    await postgres.messages.commit([done, waiting])
    await postgres.events.apply([event(f"{name_of(done.message.id)}.0.0", "delivered")])
    pdu = inbound()
    number = aged(42).message.id
    await postgres.inbound.append([replace(pdu, id=number)])
    rotation = await postgres.clock.rotate(Retention())
    assert (rotation.dropped, rotation.kept_open) == ((days[40],), (days[42], days[41]))
    assert await postgres.messages.find("acme", done.message.id) is None
    assert await count(postgres, "event") == 0
    await postgres.events.apply([event(f"{name_of(waiting.message.id)}.0.0", "expired")])
    await postgres.inbound.mark([number], "matched")
    rotation = await postgres.clock.rotate(Retention())
    assert rotation.dropped == (days[42], days[41])


async def test_bodies_go_before_histories(postgres: PostgresStores) -> None:
    day: date = moment().date() - timedelta(days=10)
    await postgres.rows("select ledger_ensure_day($1)", day)
    item = aged(10)
    await postgres.messages.commit([item])
    retention = Retention(body_days=3)
    assert (await postgres.clock.rotate(retention)).erased == ()
    await postgres.events.apply([event(f"{name_of(item.message.id)}.0.0", "expired")])
    assert (await postgres.clock.rotate(retention)).erased == (day,)
    assert (await postgres.clock.rotate(retention)).erased == ()
    view = await postgres.view(item.message.id)
    assert (view.text, view.state) == (None, "expired")


async def test_old_idempotency_keys_are_forgotten(postgres: PostgresStores) -> None:
    old, new = submission(key="old"), submission(key="new")
    await postgres.messages.commit([old, new])
    await postgres.rows(
        "update idempotency set created_at = now() - interval '2 days' where key = 'old'"
    )
    assert (await postgres.clock.rotate(Retention())).forgotten_keys == 1
    again = submission(key="old")
    assert await postgres.messages.commit([again]) == [Committed(again.message.id)]


async def test_every_statement_finds_its_rows_by_index(postgres: PostgresStores) -> None:
    ids = await postgres.accepted(300)
    taken = await postgres.attempts.take_in([Offer(message=m, carrier="sim") for m in ids])
    told = [event(t.attempt or "", kind) for t in taken for kind in ("sent", "delivered")]
    await postgres.rows("select pg_stat_force_next_flush()")
    await postgres.events.apply(told)
    await postgres.messages.find("acme", ids[0])
    await postgres.messages.page("acme", 10)
    await postgres.inbound.find_attempt("sim", ["1"])
    await postgres.rows("select pg_stat_force_next_flush()")
    names = "('message', 'attempt', 'event', 'message_body', 'inbound')"
    scans = await postgres.rows(
        "select relname, seq_scan from pg_stat_user_tables where seq_tup_read > 0"
        f" and (relname ~ '^(message|attempt|event|inbound)_' or relname in {names})"
    )
    assert scans == []
