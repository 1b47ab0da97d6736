"""The suppression list: mails that never arrive and complaints end the mail to a recipient."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from hermes.adapters.suppression_postgres import PostgresSuppressionStore
from hermes.core.plan import Plan, Step
from hermes.ports.suppression_store import Recipient
from tests.contract.ledger.stores import PostgresStores

pytestmark = pytest.mark.services

REASON = "dsn_5.1.1"
OTHERS_ADDRESS = Plan((Step("sms"), Step("email", to="Anna@X.Example")))
LEAVER = Recipient("acme", "email", "anna@x.example")


async def mailed(postgres: PostgresStores, plan: Plan = OTHERS_ADDRESS) -> UUID:
    """Commit one message and give its id."""
    (message,) = await postgres.accepted(plan=plan)
    return message


async def test_the_address_of_the_step_is_suppressed_in_small_letters(
    postgres: PostgresStores,
) -> None:
    store = PostgresSuppressionStore(postgres.pool)
    assert await store.suppress_attempt(await mailed(postgres), 1, REASON)
    rows = await postgres.rows("select tenant, channel, address, reason from suppression")
    assert rows == [("acme", "email", "anna@x.example", REASON)]


async def test_a_step_without_its_own_address_goes_to_the_message_s(
    postgres: PostgresStores,
) -> None:
    store = PostgresSuppressionStore(postgres.pool)
    message = await mailed(postgres, Plan((Step("email"),)))
    await postgres.rows("update message_body set recipient = 'Bo@x.example'")
    assert await store.suppress_attempt(message, 0, REASON)
    assert await store.suppressed([Recipient("acme", "email", "bo@x.example")])


async def test_saying_it_again_changes_nothing(postgres: PostgresStores) -> None:
    store = PostgresSuppressionStore(postgres.pool)
    message = await mailed(postgres)
    told = await asyncio.gather(*(store.suppress_attempt(message, 1, REASON) for _ in range(5)))
    assert sorted(told) == [False, False, False, False, True]
    assert await postgres.rows("select count(*) from suppression") == [(1,)]


async def test_what_is_no_mail_or_no_message_suppresses_nobody(postgres: PostgresStores) -> None:
    store = PostgresSuppressionStore(postgres.pool)
    message = await mailed(postgres)
    assert not await store.suppress_attempt(message, 0, REASON)
    assert not await store.suppress_attempt(message, 7, REASON)
    assert not await store.suppress_attempt(uuid4(), 1, REASON)
    await postgres.rows("delete from message_body where message = $1", message)
    assert not await store.suppress_attempt(message, 1, REASON)
    assert await postgres.rows("select count(*) from suppression") == [(0,)]


async def test_only_the_tenant_the_channel_and_the_address_together_are_suppressed(
    postgres: PostgresStores,
) -> None:
    store = PostgresSuppressionStore(postgres.pool)
    assert await store.suppressed([]) == set()
    assert await store.suppress_attempt(await mailed(postgres), 1, REASON)
    shouted = LEAVER._replace(address="ANNA@x.example")
    others = [
        LEAVER._replace(tenant="other"),
        LEAVER._replace(channel="sms"),
        LEAVER._replace(address="anna@y.example"),
    ]
    assert await store.suppressed([LEAVER, shouted, *others]) == {LEAVER, shouted}


async def test_a_row_that_expired_does_not_count_until_it_is_renewed(
    postgres: PostgresStores,
) -> None:
    store = PostgresSuppressionStore(postgres.pool)
    await postgres.rows(
        "insert into suppression (tenant, channel, address, reason, expires_at)"
        " values ('acme', 'email', 'anna@x.example', 'asked', now() - interval '1 second')"
    )
    assert await store.suppressed([LEAVER]) == set()
    assert await store.suppress_attempt(await mailed(postgres), 1, REASON)
    assert await store.suppressed([LEAVER]) == {LEAVER}


async def test_a_row_that_expires_later_counts(postgres: PostgresStores) -> None:
    store = PostgresSuppressionStore(postgres.pool)
    await postgres.rows(
        "insert into suppression (tenant, channel, address, reason, expires_at)"
        " values ('acme', 'email', 'anna@x.example', 'asked', now() + interval '1 hour')"
    )
    assert await store.suppressed([LEAVER]) == {LEAVER}
