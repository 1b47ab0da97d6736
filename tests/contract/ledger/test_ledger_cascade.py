"""What the ledger promises a cascade and its engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from msgspec.structs import replace

from hermes.adapters.cascade_ledger_postgres import PostgresCascadeLedger
from hermes.core.event import Source
from hermes.core.ids import attempt_id, encode_message_id
from hermes.core.state import AttemptState
from hermes.core.units import Money, Reason
from hermes.core.witness import Witness
from hermes.ports.attempt_store import JobPlace, Offer
from hermes.ports.cascade_ledger import ANY_STEP, Claim, Ending, News, Placement
from tests.contract.ledger.stores import CASCADE, PostgresStores, event, moment

pytestmark = pytest.mark.services


@pytest.fixture
async def cascades(postgres: PostgresStores, database: str) -> AsyncIterator[PostgresCascadeLedger]:
    """The ledger as a cascade sees it."""
    ledger = PostgresCascadeLedger(postgres.pool, database)
    yield ledger
    await ledger.close()


@pytest.fixture
async def message(postgres: PostgresStores) -> UUID:
    """A message of two steps, taken in."""
    (message,) = await postgres.accepted(plan=CASCADE)
    await postgres.attempts.take_in([Offer(message=message, carrier=None)])
    return message


def placement(message: UUID, step: int = 0, token: str = "t") -> Placement:
    return Placement(
        message=message, step=step, token=token, carrier="sim", price=Money("0.05", "EUR")
    )


async def news_of(cascades: PostgresCascadeLedger) -> list[tuple[int, int]]:
    return sorted((one.step, one.version) for one in await cascades.due_news(10, 0.0))


async def test_one_owner_takes_a_message_over_and_may_do_so_again(
    cascades: PostgresCascadeLedger, message: UUID
) -> None:
    assert list(await cascades.take_over([Claim(message, "one", "late1")])) == [message]
    assert await cascades.take_over([Claim(message, "two", "late2")]) == {}
    again = (await cascades.take_over([Claim(message, "one", "late3")]))[message]
    assert (again.cascade_owner, again.cascade_late, again.state) == ("one", "late3", "processing")
    assert (again.attempts, again.next_at, again.current) == ((), None, -1)


async def test_what_has_its_outcome_is_taken_over_by_nobody(
    cascades: PostgresCascadeLedger, message: UUID
) -> None:
    await cascades.finish([Ending(message=message, state="expired", reason=Reason("silent"))])
    assert await cascades.take_over([Claim(message, "one", "late")]) == {}


async def test_of_many_who_want_one_message_one_gets_it(
    cascades: PostgresCascadeLedger, message: UUID
) -> None:
    wanted = [cascades.take_over([Claim(message, str(n), "late")]) for n in range(8)]
    assert sum(map(len, await asyncio.gather(*wanted))) == 1


async def test_a_step_is_placed_once_and_keeps_its_first_token(
    cascades: PostgresCascadeLedger, message: UUID
) -> None:
    (queued,) = (await cascades.place([placement(message)])).values()
    assert abs((moment() - queued).total_seconds()) < 60
    await cascades.place([placement(message, token="other")])
    (attempt,) = (await cascades.read([message]))[message].attempts
    assert (attempt.token, attempt.carrier, attempt.next_action) == ("t", "sim", "republish")
    assert (attempt.price, attempt.state) == (Money("0.05", "EUR"), AttemptState.QUEUED)


async def test_nothing_is_placed_for_a_message_that_has_its_outcome(
    cascades: PostgresCascadeLedger, message: UUID
) -> None:
    await cascades.finish([Ending(message=message, state="cancelled")])
    assert await cascades.place([placement(message)]) == {}
    assert (await cascades.read([message]))[message].attempts == ()


async def test_what_the_belt_refused_is_taken_back_and_what_it_has_is_not(
    cascades: PostgresCascadeLedger, postgres: PostgresStores, message: UUID
) -> None:
    await cascades.place([placement(message)])
    await cascades.withdraw([(message, 0)])
    assert (await cascades.read([message]))[message].attempts == ()
    await cascades.place([placement(message)])
    name = attempt_id(encode_message_id(message), 0, 0)
    await postgres.attempts.record_jobs([JobPlace(name, moment(), 7)])
    await cascades.withdraw([(message, 0)])
    assert len((await cascades.read([message]))[message].attempts) == 1


async def test_a_step_that_changed_and_a_message_that_ended_are_news(
    cascades: PostgresCascadeLedger, postgres: PostgresStores, message: UUID
) -> None:
    await cascades.take_over([Claim(message, "one", "late")])
    await cascades.place([placement(message)])
    name = attempt_id(encode_message_id(message), 0, 0)
    await postgres.events.apply([event(name, "submitting")])
    assert await news_of(cascades) == []
    await postgres.events.apply([event(name, "sent")])
    await postgres.events.apply([event(name, "delivered")])
    assert await news_of(cascades) == [(ANY_STEP, 1), (0, 2)]


async def test_a_message_of_one_step_is_no_news(
    cascades: PostgresCascadeLedger, postgres: PostgresStores
) -> None:
    taken = await postgres.queued()
    assert taken.attempt is not None
    await postgres.events.apply([event(taken.attempt, "delivered")])
    assert await news_of(cascades) == []


async def test_beginning_a_step_is_news_for_those_before_it(
    cascades: PostgresCascadeLedger, message: UUID
) -> None:
    await cascades.place([placement(message)])
    assert await news_of(cascades) == []
    await cascades.place([placement(message, 1)])
    assert await news_of(cascades) == [(ANY_STEP, 1)]


async def test_news_that_is_told_goes_unless_newer_came_meanwhile(
    cascades: PostgresCascadeLedger, message: UUID
) -> None:
    await cascades.add_news([(message, 0), (message, ANY_STEP)])
    told = await cascades.due_news(10, 60.0)
    assert await cascades.due_news(10, 60.0) == []
    await cascades.add_news([(message, 0)])
    mark = Witness(Source("h", "a"), "sim").tell(
        attempt_id(encode_message_id(message), 0, 0), "superseded", moment()
    )
    await cascades.told(told, [mark])
    await cascades.told(told, [mark])
    assert await cascades.due_news(10, 0.0) == [News(message, 0, 2)]


async def test_news_wakes_whoever_waits_for_it(
    cascades: PostgresCascadeLedger, message: UUID
) -> None:
    await cascades.wait_for_news(0.01)
    waiting = asyncio.create_task(cascades.wait_for_news(30.0))
    await cascades.add_news([(message, 0)])
    await asyncio.wait_for(waiting, 10)


async def test_the_first_outcome_stays_and_is_a_webhook_and_news_once(
    cascades: PostgresCascadeLedger, postgres: PostgresStores, message: UUID
) -> None:
    await postgres.listen("acme")
    for state in ("failed", "expired"):
        reason = Reason("no_route", "nobody")
        await cascades.finish([Ending(message=message, state=state, reason=reason)])
    view = await postgres.view(message)
    assert (view.state, view.reason_code, view.reason_text) == ("failed", "no_route", "nobody")
    assert view.done_at is not None
    assert await postgres.outbox() == [(message, "failed")]
    assert await news_of(cascades) == [(ANY_STEP, 1)]


async def test_cancelling_ends_a_cascade_whatever_is_under_way_and_is_news(
    cascades: PostgresCascadeLedger, postgres: PostgresStores, message: UUID
) -> None:
    await cascades.take_over([Claim(message, "one", "late")])
    await cascades.place([placement(message)])
    found = await postgres.attempts.cancel("acme", message)
    assert found is not None
    assert (found.state, found.on_their_way) == ("cancelled", ())
    assert await news_of(cascades) == [(ANY_STEP, 1)]
    # a late delivery is the truth all the same
    name = attempt_id(encode_message_id(message), 0, 0)
    await postgres.events.apply([event(name, "delivered")])
    assert (await postgres.view(message)).state == "delivered"


async def test_reading_gives_the_words_and_leaves_out_what_is_not_there(
    cascades: PostgresCascadeLedger, postgres: PostgresStores, message: UUID
) -> None:
    other = UUID(int=message.int + 1)
    found = await cascades.read([message, other])
    assert list(found) == [message]
    whole = found[message].message()
    assert whole is not None
    view = await postgres.view(message)
    assert (whole.text, whole.to, whole.plan) == (view.text, view.to, CASCADE)
    assert replace(found[message].row(), state="accepted").is_direct is False
