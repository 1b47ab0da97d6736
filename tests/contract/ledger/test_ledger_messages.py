"""What is committed is found again; a used key or a bad row hurts nobody else."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from msgspec.structs import replace

from hermes.core.ids import BadId
from hermes.ports.message_store import ApiKey, Committed, Conflict, Refused, Replayed
from tests.contract.ledger.stores import CASCADE, PostgresStores, Stores, moment, submission


async def test_a_committed_message_is_found_as_it_was_given(ledger: Stores) -> None:
    item = submission(plan=CASCADE, segments=2)
    message = item.message
    assert await ledger.messages.commit([item]) == [Committed(message.id)]
    view = await ledger.view(message.id)
    assert (view.to, view.sender, view.text) == (message.to, message.sender, message.text)
    assert (view.plan, view.success, view.segments) == (CASCADE, "delivered,sent", 2)
    assert (view.state, view.traffic, view.reference) == ("accepted", "transactional", "order 7")
    assert (view.accepted_at, view.expires_at) == (message.accepted_at, message.expires_at)
    assert (view.attempts, view.events) == ((), ())


async def test_an_empty_batch_has_no_results(ledger: Stores) -> None:
    assert await ledger.messages.commit([]) == []


async def test_another_tenant_does_not_find_a_message(ledger: Stores) -> None:
    (message,) = await ledger.accepted()
    assert await ledger.messages.find("other", message) is None


async def test_the_same_key_and_body_give_the_first_message_again(ledger: Stores) -> None:
    first, again = submission(key="k"), submission(key="k")
    await ledger.messages.commit([first])
    assert await ledger.messages.commit([again]) == [Replayed(first.message.id)]
    assert await ledger.messages.find("acme", again.message.id) is None


async def test_the_same_key_with_another_body_is_a_conflict(ledger: Stores) -> None:
    first, other = submission(key="k"), submission(key="k", body_hash=b"2")
    await ledger.messages.commit([first])
    assert await ledger.messages.commit([other]) == [Conflict(first.message.id)]
    assert await ledger.messages.find("acme", other.message.id) is None


async def test_keys_of_different_tenants_do_not_meet(ledger: Stores) -> None:
    one, other = submission(key="k"), submission("other", key="k")
    results = await ledger.messages.commit([one, other])
    assert results == [Committed(one.message.id), Committed(other.message.id)]


async def test_a_key_twice_in_one_batch_makes_one_message(ledger: Stores) -> None:
    stranger, first, second = submission(), submission(key="k"), submission(key="k")
    results = await ledger.messages.commit([first, stranger, second])
    assert results == [
        Committed(first.message.id),
        Committed(stranger.message.id),
        Replayed(first.message.id),
    ]


async def test_a_batch_committed_twice_is_committed_once(ledger: Stores) -> None:
    batch = [submission(key="k"), submission()]
    first = await ledger.messages.commit(batch)
    assert await ledger.messages.commit(batch) == first
    assert len(await ledger.messages.page("acme", 10)) == 2


async def test_a_bad_row_leaves_strangers_alone(ledger: Stores) -> None:
    batch = [submission(key=str(i)) for i in range(7)]
    batch[3] = submission(text="a\0b", key="bad")
    results = await ledger.messages.commit(batch)
    refused = results.pop(3)
    assert isinstance(refused, Refused)
    del batch[3]
    assert results == [Committed(item.message.id) for item in batch]
    mended = replace(batch[3], key="bad", message=replace(submission().message, text="ab"))
    assert await ledger.messages.commit([mended]) == [Committed(mended.message.id)]


async def test_a_page_is_newest_first_and_goes_on_where_it_ended(ledger: Stores) -> None:
    ids = [(await ledger.accepted())[0] for _ in range(5)]
    await ledger.accepted(tenant="other")
    first = [view.id for view in await ledger.messages.page("acme", 3)]
    second = [view.id for view in await ledger.messages.page("acme", 3, before=first[-1])]
    assert first + second == ids[::-1]


async def test_keys_of_tenants_are_found_until_they_expire(ledger: Stores) -> None:
    good = ApiKey(id="good", tenant="acme", hash=b"\0\xff" * 16)
    past = moment() - timedelta(seconds=1)
    old = ApiKey(id="old", tenant="acme", hash=b"h", mode="test", expires_at=past)
    assert await ledger.messages.create_key(good, "first")
    assert await ledger.messages.create_key(old)
    assert not await ledger.messages.create_key(good)
    assert not await ledger.messages.create_key(replace(good, id="x", tenant="nobody"))
    assert await ledger.messages.api_keys() == [good]
    assert await ledger.messages.api_keys(["good", "old", "x"]) == [good]
    assert await ledger.messages.api_keys(["x"]) == []


async def test_a_tenant_is_made_once_and_by_a_proper_name(ledger: Stores) -> None:
    assert not await ledger.messages.create_tenant("acme")
    with pytest.raises(BadId):
        await ledger.messages.create_tenant("Not a name")


async def test_racing_requests_with_one_key_make_one_message(postgres: PostgresStores) -> None:
    batches = [
        [submission(key="b"), submission(key=f"own {i}"), submission(key="a")] for i in range(8)
    ]
    results = await asyncio.gather(*(postgres.messages.commit(batch) for batch in batches))
    for place in (0, 2):
        (made,) = [r for result in results if isinstance(r := result[place], Committed)]
        replays = [r for result in results if not isinstance(r := result[place], Committed)]
        assert replays == [Replayed(made.id)] * 7
    assert all(isinstance(r[1], Committed) for r in results)
    assert len(await postgres.messages.page("acme", 100)) == 10


async def test_a_suspended_tenants_keys_say_so(postgres: PostgresStores) -> None:
    await postgres.messages.create_key(ApiKey(id="k", tenant="acme", hash=b"h"))
    await postgres.rows("update tenant set suspended_at = now() where id = 'acme'")
    (key,) = await postgres.messages.api_keys(["k"])
    assert key.is_suspended


async def test_what_was_erased_is_shown_as_none(postgres: PostgresStores) -> None:
    (message,) = await postgres.accepted()
    await postgres.rows("delete from message_body where message = $1", message)
    view = await postgres.view(message)
    assert (view.to, view.sender, view.text, view.plan) == (None, None, None, None)
    assert view.success == "delivered"


async def test_half_a_character_is_refused(postgres: PostgresStores) -> None:
    good, bad = submission(), submission(text="\ud83d")
    results = await postgres.messages.commit([bad, good])
    assert isinstance(results[0], Refused)
    assert results[1] == Committed(good.message.id)


async def test_the_token_of_a_cascade_step_is_never_shown(postgres: PostgresStores) -> None:
    taken = await postgres.queued()
    await postgres.rows("update attempt set token = 'sign_1secret'")
    assert "sign_1secret" not in repr(await postgres.view(taken.message))
