"""A long text goes as parts: one window slot each, one claim, one acknowledgement."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from hermes.core.carrier import Senders
from hermes.ports.claims import Advance, ClaimRequest
from hermes.ports.link import Lost, NoResponse, NotSent
from hermes.smpp.pdu import Pdu
from hermes.smpp.submit import reference_of
from tests.unit.actors.bind_world import CARRIER, NAMES, ScriptedLink, World, job, now

THROTTLED = 0x58
SYSTEM_ERROR = 0x08
INVALID_DESTINATION = 0x0B
NUMBER = "+4520304050"


def text(parts: int) -> str:
    """A text of so many parts."""
    return "x" * (153 * (parts - 1) + 10) if parts > 1 else "x"


def long(name: str = NAMES[0], parts: int = 3, to: str = NUMBER, **fields: object) -> bytes:
    return job(name, to, text=text(parts), segments=parts, **fields)


def header(pdu: Pdu) -> tuple[int, int, int]:
    """Give reference, total and number of a part (3GPP TS 23.040, 9.2.3.24.1)."""
    octets = pdu.fields["short_message"]
    assert isinstance(octets, bytes)
    assert octets[:3] == b"\x05\x00\x03"
    return octets[3], octets[4], octets[5]


async def test_every_part_is_submitted_in_order_and_the_job_acknowledged_once() -> None:
    world, link = World(), ScriptedLink(5)
    world.hold(long())
    async with world.running(link):
        await world.until(lambda: len(link.sent) == 3)
        reference = reference_of(NAMES[0]) & 0xFF
        assert [header(link.pdu(n)) for n in range(3)] == [(reference, 3, n) for n in (1, 2, 3)]
        assert await world.words(NAMES[0]) == ("written",) * 3
        link.answer(2)
        link.answer(0)
        await world.idle()
        assert world.belt.acked == []
        link.answer(1)
        await world.until(lambda: world.belt.acked == ["$ACK JOBS_sim otp 1"])
        assert sorted(world.told()) == [("sent", n, 3) for n in range(3)]
        assert await world.words(NAMES[0]) == ("accepted:id-0", "accepted:id-1", "accepted:id-2")
        assert world.submits.held == {}
        assert len(world.submits.ready.busy) == 0


async def test_a_claim_never_says_more_than_the_window_holds() -> None:
    world, link = World(), ScriptedLink(2)
    world.hold(long(parts=5))
    async with world.running(link):
        await world.until(lambda: len(link.sent) == 2)
        await world.idle()
        assert await world.words(NAMES[0]) == ("written", "written", "new", "new", "new")
        link.answer(0)
        await world.until(lambda: len(link.sent) == 3)
        words = await world.words(NAMES[0])
        assert words == ("accepted:id-0", "written", "written", "new", "new")
        for place in range(1, 5):
            await world.until(lambda place=place: len(link.sent) > place)  # type: ignore[misc]
            link.answer(place)
        await world.until(lambda: len(world.belt.acked) == 1)
        assert [header(link.pdu(n))[2] for n in range(5)] == [1, 2, 3, 4, 5]


async def test_nothing_later_of_a_pair_goes_between_the_parts_and_other_pairs_do() -> None:
    world, link = World(), ScriptedLink(2)
    world.hold(long(parts=3), long(NAMES[1], 1), long(NAMES[2], 1, "+4599999999"))
    async with world.running(link):
        await world.until(lambda: len(link.sent) == 2)
        link.answer(0)
        await world.until(lambda: len(link.sent) == 3)
        link.answer(2)
        await world.until(lambda: len(link.sent) == 4)
        assert link.pdu(3).fields["destination_addr"] == "4599999999"
        link.answer(3)
        await world.idle()
        assert len(link.sent) == 4, "the first message to this number has a part without an answer"
        link.answer(1)
        await world.until(lambda: len(link.sent) == 5)


async def test_a_throttled_part_goes_again_and_ends_nothing() -> None:
    world, link = World(), ScriptedLink(3)
    world.hold(long(parts=3))
    async with world.running(link):
        await world.until(lambda: len(link.sent) == 3)
        link.answer(0)
        link.answer(1, THROTTLED)
        link.answer(2)
        await world.until(lambda: len(link.sent) == 4)
        assert header(link.pdu(3))[2] == 2
        link.answer(3)
        await world.until(lambda: len(world.belt.acked) == 1)
        assert sorted(world.told()) == [("sent", n, 3) for n in range(3)]


@pytest.mark.parametrize(
    ("status", "kind", "word"),
    [(INVALID_DESTINATION, "failed", "refused"), (SYSTEM_ERROR, "deferred", "deferred")],
)
async def test_a_refused_part_ends_the_job_when_the_others_on_the_wire_are_answered(
    status: int, kind: str, word: str
) -> None:
    world, link = World(), ScriptedLink(2)
    world.hold(long(parts=4))
    async with world.running(link):
        await world.until(lambda: len(link.sent) == 2)
        link.answer(1, status)
        await world.idle()
        assert world.told() == []
        assert world.belt.acked == []
        link.answer(0)
        await world.until(lambda: len(world.belt.acked) == 1)
        assert sorted(world.told()) == [(kind, 1, 4), ("sent", 0, 4)]
        assert await world.words(NAMES[0]) == ("accepted:id-0", word, "new", "new")
        assert len(link.sent) == 2, "the rest is not sent"
        assert len(world.submits.ready) == 0


@pytest.mark.parametrize("error", [Lost("gone"), NoResponse("late")])
async def test_a_part_without_an_answer_ends_the_job_and_its_claim_says_so(
    error: Exception,
) -> None:
    world, link = World(), ScriptedLink(2)
    world.hold(long(parts=3))
    async with world.running(link):
        await world.until(lambda: len(link.sent) == 2)
        link.fail(0, error)
        link.fail(1, NotSent("gone"))
        await world.until(lambda: len(world.belt.acked) == 1)
        assert world.told() == [("uncertain", 0, 3)]
        assert await world.words(NAMES[0]) == ("uncertain", "written", "new")
        before = world.events()
        world.hold(long(parts=3), delivered=2)
        await world.until(lambda: len(world.belt.acked) == 2)
        assert len(link.sent) == 2, "delivered again, nothing is sent again"
        assert {before[0].id} == {e.id for e in world.events() if e.segment == 0}


async def test_a_late_answer_settles_the_part_it_belongs_to() -> None:
    world, link = World(), ScriptedLink(3)
    world.hold(long(parts=2))
    async with world.running(link):
        await world.until(lambda: len(link.sent) == 2)
        link.answer(0)
        link.fail(1, NoResponse("late"))
        await world.until(lambda: len(world.belt.acked) == 1)
        answer = link.sent[0][1].result()
        world.submits.on_late(link.sent[1][0].reference, answer)
        await world.until(lambda: ("sent", 1, 2) in world.told())
        assert await world.words(NAMES[0]) == ("accepted:id-0", "accepted:id-0")


async def test_what_was_never_written_goes_on_at_another_bind_with_the_same_reference() -> None:
    one = World()
    two = World(claims=one.claims, boot="other", streams=one.streams)
    link, other = ScriptedLink(1), ScriptedLink(5)
    await one.leases.replace("h1", "sim-1", "boot", 60)
    one.hold(long(parts=3))
    async with one.running(link):
        await one.until(lambda: len(link.sent) == 1)
        link.answer(0)
        await one.until(lambda: len(link.sent) == 2)
        one.submits.unlink()
        link.fail(1, NotSent("gone"))
        await one.idle()
        assert await one.submits.hand_back() == 1
        assert one.belt.naked == ["$ACK JOBS_sim otp 1"]
        assert one.belt.acked == []
        assert await one.words(NAMES[0]) == ("accepted:id-0", "new", "new")
    two.hold(long(parts=3), delivered=2)
    async with two.running(other):
        await two.until(lambda: len(other.sent) == 2)
        assert [header(other.pdu(n)) for n in range(2)] == [
            (header(link.pdu(0))[0], 3, number) for number in (2, 3)
        ]
        other.answer(0)
        other.answer(1)
        await two.until(lambda: len(two.belt.acked) == 1)
    assert sorted(one.told()) == [("sent", n, 3) for n in range(3)]


async def test_a_job_handed_back_before_any_part_went_leaves_no_claim() -> None:
    world, link = World(), ScriptedLink(2)
    world.hold(long(parts=3))
    async with world.running(link):
        await world.until(lambda: len(link.sent) == 2)
        world.submits.unlink()
        for place in range(2):
            link.fail(place, NotSent("gone"))
        await world.idle()
        assert await world.submits.hand_back() == 1
        assert await world.words(NAMES[0]) == ()
        assert world.submits.ready.busy == {}


async def test_a_claim_taken_over_meanwhile_is_left_to_its_new_owner() -> None:
    world, link = World(), ScriptedLink(1)
    world.hold(long(parts=2))
    async with world.running(link):
        await world.until(lambda: len(link.sent) == 1)
        taken = [Advance(NAMES[0], "h1/sim-1/boot", ())]
        assert await world.claims.advance("sim", taken, "h2/sim-1/else") == [True]
        link.answer(0)
        await world.until(lambda: world.submits.held == {})
        assert len(link.sent) == 1
        assert world.belt.acked == []


async def test_only_the_parts_asked_for_are_sent_again_and_join_the_first_ones() -> None:
    world, link = World(), ScriptedLink(5)
    again = NAMES[0][:-1] + "1"
    world.hold(long(again, 4, only_segments=(1, 3), possible_duplicate=True))
    async with world.running(link):
        await world.until(lambda: len(link.sent) == 2)
        reference = reference_of(NAMES[0]) & 0xFF
        assert [header(link.pdu(n)) for n in range(2)] == [(reference, 4, 2), (reference, 4, 4)]
        words = ("elsewhere", "written", "elsewhere", "written")
        assert await world.words(again) == words
        link.answer(0)
        link.answer(1)
        await world.until(lambda: len(world.belt.acked) == 1)
        assert sorted(world.told()) == [("sent", 1, 4), ("sent", 3, 4)]


async def test_a_text_cut_otherwise_than_before_is_not_completed_with_parts_that_do_not_fit() -> (
    None
):
    world, link = World(), ScriptedLink(5)
    world.hold(job(NAMES[0], NUMBER, text=text(3), segments=4, only_segments=(1, 3)))
    async with world.running(link):
        await world.until(lambda: len(world.belt.acked) == 1)
        assert sorted(world.told()) == [("failed", 1, 4)]
        assert {e.reason.code for e in world.events() if e.reason} == {"segments_changed"}
        assert link.sent == []


async def test_what_cannot_be_encoded_fails_with_its_reason_before_any_part_is_sent() -> None:
    carrier = replace(CARRIER, sender=Senders(alnum=None))
    world, link = World(carrier), ScriptedLink(5)
    world.hold(long(parts=3, sender="ACME"))
    async with world.running(link):
        await world.until(lambda: len(world.belt.acked) == 1)
        (event, *_) = world.events()
        assert event.kind == "failed"
        assert event.reason is not None
        assert event.reason.code == "sender_refused"
        assert link.sent == []


async def test_the_rest_of_a_job_that_expired_meanwhile_is_not_sent() -> None:
    world, link = World(), ScriptedLink(5)
    gone = long(parts=2, expires_at=now() - timedelta(seconds=1))
    words = ("accepted:7", "new")
    await claim_as(world, "h9/x/gone", words)
    world.hold(gone, delivered=2)
    async with world.running(link):
        await world.until(lambda: len(world.belt.acked) == 1)
        assert world.told() == [("sent", 0, 2)]
        assert link.sent == []


async def test_parts_open_at_a_bind_that_is_gone_are_uncertain() -> None:
    world, link = World(), ScriptedLink(5)
    await claim_as(world, "h9/x/gone", ("accepted:7", "written", "new"))
    world.hold(long(parts=3), delivered=2)
    async with world.running(link):
        await world.until(lambda: len(world.belt.acked) == 1)
        assert sorted(world.told()) == [("sent", 0, 3), ("uncertain", 1, 3)]
        assert link.sent == []


async def claim_as(world: World, owner: str, words: tuple[str, ...]) -> None:
    """Leave a claim of another bind."""
    await world.claims.claim("sim", [ClaimRequest(NAMES[0], words, 60)], owner)


async def test_what_the_link_gives_back_while_it_drains_is_handed_back_without_a_claim() -> None:
    world, link = World(), ScriptedLink(3)
    world.hold(long(NAMES[0], 1), long(NAMES[1], 1, "+4599999999"))
    async with world.running(link):
        await world.until(lambda: len(link.sent) == 2)
        world.submits.stopping = True
        assert await world.submits.hand_back() == 0
        link.fail(0, NotSent("the link is draining"))
        link.answer(1, THROTTLED)
        await world.idle()
        assert await world.submits.hand_back() == 2
        assert sorted(world.belt.naked) == ["$ACK JOBS_sim otp 1", "$ACK JOBS_sim otp 2"]
        assert await world.words(NAMES[0]) == await world.words(NAMES[1]) == ()
