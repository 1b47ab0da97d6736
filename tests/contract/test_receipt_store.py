"""What correlation promises, kept by Redis and by the memory twin alike."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import permutations
from uuid import uuid4

import msgspec
import pytest

from hermes.adapters.claims_redis import RedisClaims
from hermes.adapters.receipt_store_redis import RedisReceiptStore
from hermes.adapters.redis_memory import RedisMemory
from hermes.core.claim import Claim
from hermes.embedded.endpoints import Endpoints
from hermes.ports.claims import ClaimRequest, Claims
from hermes.ports.receipt_store import (
    Accepted,
    OrphanMatch,
    Receipt,
    ReceiptStore,
    Settlement,
    Target,
)
from hermes.smpp.message_id import IdForm
from hermes.testing.memory_claims import MemoryClaims
from hermes.testing.memory_receipt_store import MemoryReceiptStore

TWO = [
    ClaimRequest("a.0.0", ("written",) * 2, 60),
    ClaimRequest("b.0.0", ("written",), 60),
]
ATTEMPT = "msg_0000000000000000000000000a.0.0"
SENDER, SUBSCRIBER = "Shop", "447700900123"


@dataclass
class Memory:
    """The port under test, its claims, and a carrier of the test's own."""

    store: ReceiptStore
    claims: Claims
    carrier: str


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.services)])
async def memory(request: pytest.FixtureRequest) -> AsyncIterator[Memory]:
    carrier = uuid4().hex
    if request.param == "memory":
        claims = MemoryClaims(time.monotonic)
        yield Memory(MemoryReceiptStore(claims), claims, carrier)
        return
    redis = await RedisMemory.connect(request.getfixturevalue("services").redis_url)
    yield Memory(RedisReceiptStore(redis), RedisClaims(redis), carrier)
    await redis.close()


def target(message_id: str, attempt: str = ATTEMPT, source: str = SENDER) -> Target:
    return Target(message_id, source, SUBSCRIBER, attempt, "tenant-1")


def accepted(message_id: str, attempt: str = ATTEMPT, source: str = SENDER) -> Accepted:
    return Accepted(target(message_id, attempt, source), 3_600)


def receipt(
    message_id: str,
    inbound: str = "in-1",
    *,
    source: str = SUBSCRIBER,
    destination: str = SENDER,
    is_final: bool = True,
) -> Receipt:
    return Receipt(message_id, source, destination, inbound, is_final)


# the id in the response, the id in the receipt, the form of the latter; from carriers' receipts
NOTATIONS = [
    ("1891273321", "1891273321", IdForm.AS_IS),
    ("6aad5", "0000436949", IdForm.DEC_TO_HEX),
    ("18d0e03a", "0416342074", IdForm.DEC_TO_HEX),
    ("0000436949", "6aad5", IdForm.HEX_TO_DEC),
    ("436949", "6AAD5", IdForm.HEX_TO_DEC),
    ("0x1A2B3C4D", "1a2b3c4d", IdForm.ZEROS),
    ("1a2b3c4d", "0x1A2B3C4D", IdForm.ZEROS),
    ("0000000012", "12", IdForm.ZEROS),
    ("12", "0000000012", IdForm.ZEROS),
    ("ABCDEF", "abcdef", IdForm.ZEROS),
    ("abcdef", "ABCDEF", IdForm.CASE),
    ("f47ac10b-58cc-4372-a567-0e02b2c3d479", "F47AC10B-58CC-4372-A567-0E02B2C3D479", IdForm.CASE),
    ("ffffffffffffffffffffffffffffffff", str(2**128 - 1), IdForm.DEC_TO_HEX),
    ("12345-9876", "12345-9876", IdForm.AS_IS),
]


@pytest.mark.parametrize(("response", "back", "form"), NOTATIONS)
async def test_a_receipt_finds_its_response_in_any_notation(
    memory: Memory, response: str, back: str, form: IdForm
) -> None:
    assert await memory.store.accepted(memory.carrier, [accepted(response)]) == []
    assert await memory.store.receipt(memory.carrier, [receipt(back)]) == [target(response)]
    learned = await memory.store.learned_form(memory.carrier)
    assert learned is (None if form is IdForm.AS_IS else form)


@pytest.mark.parametrize(("response", "back", "form"), NOTATIONS)
async def test_a_receipt_that_came_first_is_found_by_its_response_once(
    memory: Memory, response: str, back: str, form: IdForm
) -> None:
    assert await memory.store.receipt(memory.carrier, [receipt(back)]) == [None]
    found = await memory.store.accepted(memory.carrier, [accepted(response)])
    assert found == [OrphanMatch("in-1", target(response))]
    assert await memory.store.accepted(memory.carrier, [accepted(response)]) == []


@pytest.mark.parametrize(("response", "back"), [(r, b) for r, b, _ in NOTATIONS if r != b])
async def test_another_notation_needs_the_addresses_to_agree(
    memory: Memory, response: str, back: str
) -> None:
    stranger = receipt(back, source="447700900999")
    await memory.store.accepted(memory.carrier, [accepted(response)])
    assert await memory.store.receipt(memory.carrier, [stranger]) == [None]
    assert await memory.store.accepted(memory.carrier, [accepted(response)]) == []
    assert await memory.store.learned_form(memory.carrier) is None


async def test_the_id_as_it_was_needs_no_addresses(memory: Memory) -> None:
    await memory.store.accepted(memory.carrier, [accepted("4711")])
    bare = receipt("4711", source="", destination="")
    assert await memory.store.receipt(memory.carrier, [bare]) == [target("4711")]


ADDRESSES = [
    # submit's source, receipt's source and destination, do they agree
    ("Shop", "447700900123", "Shop", True),
    ("Shop", "+447700900123", "80555", True),  # alphanumeric senders are rewritten
    ("Shop", "07700900123", "", True),  # national
    ("Shop", "0044 7700 900123", "Shop", True),
    ("Shop24", "447700900123", "1234567", True),
    ("80555", "447700900123", "80555", True),
    ("80555", "447700900123", "80556", False),
    ("80555", "447700900123", "555", False),  # too short to be a national number
    ("+442071838750", "447700900123", "02071838750", True),
    ("+442071838750", "447700900123", "442071838751", False),
    ("Shop", "", "Shop", False),
    ("Shop", "00123", "Shop", False),
    ("Shop", "447700900124", "Shop", False),
]


@pytest.mark.parametrize(("source", "back_source", "back_destination", "agree"), ADDRESSES)
async def test_addresses_agree_in_any_format(
    memory: Memory, source: str, back_source: str, back_destination: str, agree: bool
) -> None:
    await memory.store.accepted(memory.carrier, [accepted("6aad5", source=source)])
    back = receipt("436949", source=back_source, destination=back_destination)
    [found] = await memory.store.receipt(memory.carrier, [back])
    assert (found is not None) == agree


async def test_the_form_of_a_carrier_is_learned(memory: Memory) -> None:
    await memory.store.accepted(memory.carrier, [accepted("1"), accepted("6aad5")])
    await memory.store.receipt(memory.carrier, [receipt("1")])
    assert await memory.store.learned_form(memory.carrier) is None
    await memory.store.receipt(memory.carrier, [receipt("0000436949")])
    assert await memory.store.learned_form(memory.carrier) is IdForm.DEC_TO_HEX


async def test_the_form_is_learned_from_a_receipt_that_came_first_too(memory: Memory) -> None:
    await memory.store.receipt(memory.carrier, [receipt("0000436949")])
    await memory.store.accepted(memory.carrier, [accepted("6aad5")])
    assert await memory.store.learned_form(memory.carrier) is IdForm.DEC_TO_HEX


async def test_the_same_id_on_two_carriers_is_two_messages(memory: Memory) -> None:
    elsewhere = memory.carrier + "-b"
    await memory.store.accepted(memory.carrier, [accepted("7", "msg_a.0.0")])
    await memory.store.accepted(elsewhere, [accepted("7", "msg_b.0.0")])
    assert await memory.store.receipt(elsewhere, [receipt("7")]) == [target("7", "msg_b.0.0")]
    assert await memory.store.receipt(memory.carrier + "-c", [receipt("7")]) == [None]


@pytest.mark.parametrize("order", list(permutations(["ABC", "abc", "0abc"])))
async def test_ids_that_differ_by_case_or_zeros_only_keep_their_own_messages(
    memory: Memory, order: tuple[str, ...]
) -> None:
    for message_id in order:
        await memory.store.accepted(memory.carrier, [accepted(message_id, message_id)])
    found = await memory.store.receipt(memory.carrier, [receipt(i) for i in order])
    assert [one.attempt for one in found if one is not None] == list(order)


async def test_an_exact_match_wins_over_a_converted_one(memory: Memory) -> None:
    await memory.store.accepted(
        memory.carrier, [accepted("64", "hexadecimal"), accepted("100", "decimal")]
    )
    [one, other] = await memory.store.receipt(memory.carrier, [receipt("100"), receipt("64")])
    assert one is not None
    assert other is not None
    assert (one.attempt, other.attempt) == ("decimal", "hexadecimal")


async def test_a_repeated_receipt_finds_the_same_again(memory: Memory) -> None:
    await memory.store.accepted(memory.carrier, [accepted("5")])
    batch = [receipt("5", is_final=False), receipt("5"), receipt("5")]
    assert await memory.store.receipt(memory.carrier, batch) == [target("5")] * 3


async def test_a_repeated_orphan_is_one_and_different_ones_come_in_order(memory: Memory) -> None:
    enroute, final = receipt("5", "in-1", is_final=False), receipt("5", "in-2")
    assert await memory.store.receipt(memory.carrier, [enroute, enroute, final]) == [None] * 3
    found = await memory.store.accepted(memory.carrier, [accepted("5")])
    assert found == [OrphanMatch("in-1", target("5")), OrphanMatch("in-2", target("5"))]


async def test_an_orphan_of_another_subscriber_waits_on(memory: Memory) -> None:
    await memory.store.receipt(memory.carrier, [receipt("436949", source="447700900999")])
    assert await memory.store.accepted(memory.carrier, [accepted("6aad5")]) == []
    other = Target("6aad5", SENDER, "447700900999", "msg_z.0.0", "tenant-1")
    found = await memory.store.accepted(memory.carrier, [Accepted(other, 60)])
    assert found == [OrphanMatch("in-1", other)]


async def test_an_empty_id_matches_nothing_and_is_not_kept(memory: Memory) -> None:
    assert await memory.store.accepted(memory.carrier, [accepted("")]) == []
    assert await memory.store.receipt(memory.carrier, [receipt("")]) == [None]
    assert await memory.store.accepted(memory.carrier, [accepted("")]) == []


async def test_a_batch_answers_each_in_its_place(memory: Memory) -> None:
    await memory.store.accepted(memory.carrier, [accepted(f"id{i}", f"a{i}") for i in range(300)])
    found = await memory.store.receipt(
        memory.carrier, [receipt(f"id{i}") for i in range(299, -3, -1)]
    )
    assert [one and one.attempt for one in found] == [
        f"a{i}" if i >= 0 else None for i in range(299, -3, -1)
    ]


async def test_settling_and_remembering_go_together(memory: Memory) -> None:
    await memory.claims.claim(memory.carrier, TWO, "h/b/boot")
    await memory.store.receipt(memory.carrier, [receipt("id-2", "early")])
    found = await memory.store.settle_accepted(
        memory.carrier,
        [
            Settlement("a.0.0", 0, "accepted:id-1", accepted=accepted("id-1", "a.0.0")),
            Settlement("b.0.0", 0, "refused", "0x0B"),
            Settlement("a.0.0", 1, "accepted:id-2", accepted=accepted("id-2", "a.0.0")),
        ],
    )
    assert found == [OrphanMatch("early", target("id-2", "a.0.0"))]
    claims = await memory.claims.claim(memory.carrier, TWO, "h/x/look")
    assert claims == [
        Claim("h/b/boot", ("accepted:id-1", "accepted:id-2")),
        Claim("h/b/boot", ("refused",), reason="0x0B"),
    ]
    assert await memory.store.receipt(memory.carrier, [receipt("id-1")]) == [
        target("id-1", "a.0.0")
    ]


@pytest.mark.services
@pytest.mark.parametrize("value", [b"x", b"", b"\x98\x01", b"\x93\xa1a\xa1b\xc2", b"\xff" * 9])
async def test_a_target_nobody_can_read_is_one_nobody_knows(
    services: Endpoints, value: bytes
) -> None:
    redis = await RedisMemory.connect(services.redis_url)
    store, carrier = RedisReceiptStore(redis), uuid4().hex
    await store.accepted(carrier, [accepted("17"), accepted("19")])
    await redis.command("SET", f"dlr:{{{carrier}}}:18", value)
    found = await store.receipt(carrier, [receipt("17"), receipt("18"), receipt("19")])
    assert found == [target("17"), None, target("19")]
    assert await store.receipt(carrier, [receipt("0018")]) == [None]
    await redis.close()


async def test_nothing_to_do_is_done(memory: Memory) -> None:
    assert await memory.store.accepted(memory.carrier, []) == []
    assert await memory.store.settle_accepted(memory.carrier, []) == []
    assert await memory.store.receipt(memory.carrier, []) == []


def test_a_target_written_before_a_field_was_added_is_still_read() -> None:
    shorter = msgspec.msgpack.encode(["5", "Shop", "447700900123", "a.0.0", "tenant-1"])
    assert msgspec.msgpack.decode(shorter, type=Target) == target("5", "a.0.0")
