"""A job of mail is claimed, composed, mailed, judged, told and only then acknowledged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from email import message_from_bytes
from time import time
from typing import Any

import pytest

from hermes.core.errors import StoreUnavailable, Unreadable
from hermes.core.plan import Content, Unsubscribe
from hermes.mail.reply import Reply
from hermes.ports.claims import ClaimRequest, Found, Settled
from hermes.ports.link import Lost, NotSent
from hermes.testing.memory_claims import MemoryClaims, MemoryLeases
from hermes.testing.memory_relay import Answer
from tests.unit.actors.bind_world import NAMES, now
from tests.unit.actors.relay_world import TAKEN, RelayWorld, mail_job, reply_of

ONE = NAMES[1]


def in_turn(*answers: Answer) -> Callable[[object], Answer]:
    """Answer the mails in turn, and take those that come after."""
    left = list(answers)
    return lambda _: left.pop(0) if left else TAKEN


async def mailed_after_rest(world: RelayWorld, attempt: str) -> None:
    """End the relay's rest, and wait until it has this mail and every other that is held."""
    world.relay._paused_until = 0.0
    world.submits.wake_up()
    await world.until(lambda: attempt in [mail.reference for mail in world.relay.mails])
    await world.until(lambda: world.submits.in_flight == 0)


async def test_a_mail_that_is_taken_is_sent_under_the_name_the_relay_gave_it() -> None:
    world = RelayWorld()
    async with world.running():
        world.hold(mail_job(ONE))
        await world.until(lambda: bool(world.belt.acked))
    (event,) = world.events()
    assert (event.kind, event.segment, event.carrier_message_id) == ("sent", 0, "4XyZ12")
    assert world.words(ONE) == ("accepted:4XyZ12",)
    assert world.belt.acked == [reply_of(1)]
    assert world.submits.held == {}
    (mail,) = world.relay.mails
    assert mail.sender.startswith(f"b+{ONE}.")
    assert (mail.envelope_id, mail.recipient) == (ONE, "ann@example.com")
    assert mail.notify == ("SUCCESS", "FAILURE", "DELAY")


async def test_a_relay_that_names_nothing_leaves_the_message_id() -> None:
    world = RelayWorld(in_turn(Reply(250, ("2.0.0 Ok",))))
    async with world.running():
        world.hold(mail_job(ONE))
        await world.until(lambda: bool(world.belt.acked))
    assert world.events()[0].carrier_message_id == f"<{ONE}@acme.example>"


async def test_what_the_job_says_is_in_the_mail() -> None:
    world = RelayWorld()
    content = Content(
        html="<p>Here</p>", unsubscribe=Unsubscribe("https://acme.example/u/1", "out@acme.example")
    )
    async with world.running():
        world.hold(
            mail_job(ONE, sender="Shop <shop@acme.example>", content=content, success="sent"),
            mail_job(NAMES[2], to="bob@example.com", sender="ACME"),
        )
        await world.until(lambda: len(world.belt.acked) == 2)
    first, second = (message_from_bytes(mail.content) for mail in world.relay.mails)
    assert first["From"] == "Shop <shop@acme.example>"
    assert first["Subject"] == "Your parcel is here"
    assert first["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert first.get_content_type() == "multipart/alternative"
    assert world.relay.mails[0].notify == ("FAILURE", "DELAY")
    assert second["From"] == "Acme <hello@acme.example>"


@pytest.mark.parametrize(
    ("reply", "kind", "word"),
    [
        (Reply(451, ("4.3.0 Try later",)), "deferred", "deferred"),
        (Reply(550, ("5.1.1 No such user <ann@example.com>",)), "failed", "refused"),
    ],
)
async def test_a_refusal_is_told_as_what_its_verdict_says(
    reply: Reply, kind: str, word: str
) -> None:
    world = RelayWorld(in_turn(reply))
    async with world.running():
        world.hold(mail_job(ONE))
        await world.until(lambda: bool(world.belt.acked))
    (event,) = world.events()
    assert (event.kind, world.words(ONE)) == (kind, (word,))
    assert event.reason is not None
    assert event.reason.code.startswith(f"smtp_{reply.code}_")
    assert "ann" not in event.reason.text
    assert (event.retry_at is not None) == (kind == "deferred")


async def test_a_throttled_mail_goes_back_to_the_head_and_the_relay_rests() -> None:
    world = RelayWorld(in_turn(Reply(421, ("4.7.0 Slow down",))))
    async with world.running():
        world.hold(mail_job(ONE))
        await world.until(lambda: bool(world.relay.mails) and world.submits.in_flight == 0)
        assert (world.relay.credit, world.submits.held_count) == (0, 1)
        assert world.submits.judging.last_refusal
        world.relay._paused_until = 0.0
        world.submits.wake_up()
        await world.until(lambda: bool(world.belt.acked))
    assert len(world.relay.mails) == 2
    assert world.kinds() == ["sent"]


async def test_a_mail_that_alone_is_sent_back_again_and_again_is_deferred_at_last() -> None:
    busy = Reply(450, ("4.7.1 Not now",))
    world = RelayWorld(lambda mail: busy if mail.reference == ONE else TAKEN)
    async with world.running():
        world.hold(mail_job(ONE))
        for name in NAMES[2:5]:
            world.hold(mail_job(name, to=f"{name[-5:]}@example.com"))
            await mailed_after_rest(world, name)
        await world.until(lambda: len(world.belt.acked) == 4)
    assert [mail.reference for mail in world.relay.mails].count(ONE) == 3
    assert sorted(world.kinds()) == ["deferred", "sent", "sent", "sent"]


async def test_a_mail_never_written_goes_again_and_says_nothing() -> None:
    world = RelayWorld(in_turn(NotSent("connection refused")))
    async with world.running():
        world.hold(mail_job(ONE))
        await world.until(lambda: bool(world.belt.acked))
    assert (len(world.relay.mails), world.kinds()) == (2, ["sent"])


async def test_a_mail_sent_back_meets_the_end_of_its_validity() -> None:
    world = RelayWorld(in_turn(Reply(421, ("4.7.0 Slow down",))))
    async with world.running():
        soon = now() + timedelta(seconds=0.05)
        world.hold(mail_job(ONE, expires_at=soon))
        await world.until(lambda: bool(world.relay.mails) and world.submits.in_flight == 0)
        await world.until(lambda: now() > soon)
        world.relay._paused_until = 0.0
        world.submits.wake_up()
        await world.until(lambda: bool(world.belt.acked))
    assert (len(world.relay.mails), world.kinds()) == (1, ["expired"])


async def test_a_mail_sent_back_meets_its_cancellation() -> None:
    world = RelayWorld(in_turn(Reply(421, ("4.7.0 Slow down",))))
    async with world.running():
        world.hold(mail_job(ONE))
        await world.until(lambda: bool(world.relay.mails) and world.submits.in_flight == 0)
        await world.claims.drop("mail", [ONE], "h1/relay/boot")
        assert await world.claims.cancel("mail", ONE, 60)
        world.relay._paused_until = 0.0
        world.submits.wake_up()
        await world.until(lambda: bool(world.belt.acked))
    assert (len(world.relay.mails), world.kinds()) == (1, ["cancelled"])


async def test_a_reply_that_was_lost_after_the_final_dot_leaves_the_mail_uncertain() -> None:
    world = RelayWorld(in_turn(Lost("connection reset")))
    async with world.running():
        world.hold(mail_job(ONE))
        await world.until(lambda: bool(world.belt.acked))
    (event,) = world.events()
    assert (event.kind, len(world.relay.mails)) == ("uncertain", 1)
    assert world.words(ONE) == ("uncertain",)


async def test_a_relay_that_ends_leaves_what_was_written_uncertain_and_keeps_the_rest() -> None:
    world = RelayWorld(lambda _: None)
    world.relay.connections = 1
    async with world.running():
        world.hold(mail_job(ONE), mail_job(NAMES[2], to="bob@example.com"))
        await world.until(lambda: len(world.relay.mails) == 1)
        world.relay.end("gone")
        await world.until(lambda: bool(world.belt.acked))
        assert [part.held.attempt for part in world.submits.ready] == [NAMES[2]]
    assert world.kinds() == ["uncertain"]
    assert world.words(NAMES[2]) == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"to": "+4512345678"},
        {"text": None},
        {"content": Content(subject="a\r\nBcc: all@example.com")},
        {"content": Content(unsubscribe=Unsubscribe("http://acme.example"))},
    ],
)
async def test_a_job_that_is_no_mail_fails_with_the_reason(fields: dict[str, Any]) -> None:
    world = RelayWorld()
    async with world.running():
        world.hold(mail_job(ONE, **fields))
        await world.until(lambda: bool(world.belt.acked))
    (event,) = world.events()
    assert (event.kind, world.words(ONE), world.relay.mails) == ("failed", ("refused",), [])
    assert event.reason is not None
    assert event.reason.code == "cannot_compose"


async def test_a_job_past_its_validity_is_told_as_expired_and_never_claimed() -> None:
    world = RelayWorld()
    async with world.running():
        world.hold(mail_job(ONE, expires_at=now() - timedelta(seconds=1)))
        await world.until(lambda: bool(world.belt.acked))
    assert (world.kinds(), world.relay.mails) == (["expired"], [])


async def test_the_mail_of_an_owner_that_lives_is_left_unacknowledged() -> None:
    claims, leases = MemoryClaims(time), MemoryLeases(time)
    await claims.claim("mail", [ClaimRequest(ONE, ("written",), 60)], "h2/relay/other")
    await leases.replace("h2", "mail/relay", "other", 60)
    world = RelayWorld(claims=claims, leases=leases)
    async with world.running():
        world.hold(mail_job(ONE), delivered=2)
        await world.until(lambda: not world.submits.held)
    assert (world.events(), world.belt.acked, world.relay.mails) == ([], [], [])


async def test_the_mail_of_an_owner_that_is_gone_is_uncertain() -> None:
    claims = MemoryClaims(time)
    await claims.claim("mail", [ClaimRequest(ONE, ("written",), 60)], "h2/relay/other")
    world = RelayWorld(claims=claims)
    async with world.running():
        world.hold(mail_job(ONE), delivered=2)
        await world.until(lambda: bool(world.belt.acked))
    assert (world.kinds(), world.relay.mails) == (["uncertain"], [])


async def test_a_mail_that_was_settled_is_told_again_under_the_same_id() -> None:
    first = RelayWorld()
    async with first.running():
        first.hold(mail_job(ONE))
        await first.until(lambda: bool(first.belt.acked))
    second = RelayWorld(claims=first.claims, boot="later")
    async with second.running():
        second.hold(mail_job(ONE), delivered=2)
        await second.until(lambda: bool(second.belt.acked))
    (told,), (again,) = first.events(), second.events()
    assert (again.id, again.carrier_message_id) == (told.id, told.carrier_message_id)
    assert second.relay.mails == []


async def test_a_mail_that_was_cancelled_is_not_sent() -> None:
    world = RelayWorld()
    await world.claims.cancel("mail", ONE, 60)
    async with world.running():
        world.hold(mail_job(ONE))
        await world.until(lambda: bool(world.belt.acked))
    assert (world.kinds(), world.relay.mails) == (["cancelled"], [])


async def test_a_job_nobody_can_read_becomes_a_dead_letter() -> None:
    world = RelayWorld()
    async with world.running():
        world.hold(b"?", mail_job(ONE))
        await world.until(lambda: bool(world.belt.acked))
    letters = [found.letter for found in await world.letters.list(0, 9)]
    assert [letter.stream for letter in letters] == ["JOBS_mail"]
    assert world.belt.acked == [reply_of(2)]


async def test_a_claim_nobody_can_read_becomes_a_dead_letter_and_its_mail_uncertain() -> None:
    class Broken(MemoryClaims):
        async def claim(self, carrier: str, wanted: Sequence[ClaimRequest], me: str) -> list[Found]:
            return [Unreadable("claim", "version 9") for _ in wanted]

    world = RelayWorld(claims=Broken(time))
    async with world.running():
        world.hold(mail_job(ONE))
        await world.until(lambda: bool(world.belt.acked))
    assert [found.letter.stream for found in await world.letters.list(0, 9)] == ["CLAIMS"]
    assert (world.kinds(), world.relay.mails) == (["uncertain"], [])


async def test_no_mail_goes_while_memory_is_away_and_it_goes_once_memory_is_back() -> None:
    class Away(MemoryClaims):
        is_away = True

        async def claim(self, carrier: str, wanted: Sequence[ClaimRequest], me: str) -> list[Found]:
            if self.is_away:
                raise StoreUnavailable("redis", "away")
            return await super().claim(carrier, wanted, me)

    claims = Away(time)
    world = RelayWorld(claims=claims)
    async with world.running():
        world.hold(mail_job(ONE))
        await world.until(lambda: world.submits.out.sink.is_refused)
        assert (world.relay.mails, world.submits.held_count) == ([], 1)
        claims.is_away = False
        await world.until(lambda: bool(world.belt.acked))
    assert world.kinds() == ["sent"]


async def test_nothing_is_acknowledged_before_memory_and_the_belt_know() -> None:
    steps: list[str] = []

    class Noting(MemoryClaims):
        async def settle(self, carrier: str, outcomes: Sequence[Settled]) -> None:
            steps.append(f"memory, {len(world.events())} events, {len(world.belt.acked)} acks")
            await super().settle(carrier, outcomes)

    world = RelayWorld(claims=Noting(time))
    async with world.running():
        world.hold(mail_job(ONE))
        await world.until(lambda: bool(world.events()))
        await world.until(lambda: bool(world.belt.acked))
    assert steps == ["memory, 0 events, 0 acks"]


async def test_credentials_that_are_refused_end_the_relay_and_the_mail_waits() -> None:
    world = RelayWorld(in_turn(Reply(535, ("5.7.8 Authentication failed",))))
    wrong: list[str] = []
    world.submits.judging.on_wrong = wrong.append
    async with world.running():
        world.hold(mail_job(ONE))
        await world.until(lambda: bool(world.belt.acked))
    assert world.kinds() == ["deferred"]
    assert len(wrong) == 1
    assert "535" in wrong[0]


async def test_what_is_not_with_the_relay_is_handed_back_without_its_claim() -> None:
    world = RelayWorld(lambda _: None)
    world.relay.connections = 1
    async with world.running():
        world.hold(mail_job(ONE), mail_job(NAMES[2], to="bob@example.com"))
        await world.until(lambda: world.submits.in_flight == 1)
        assert await world.submits.hand_back() == 1
        assert (world.belt.naked, list(world.submits.held)) == ([reply_of(2)], [ONE])
        assert (world.words(ONE), world.words(NAMES[2])) == (("written",), ())


async def test_two_mails_of_one_sender_to_one_recipient_keep_their_order() -> None:
    world = RelayWorld(lambda _: None)
    async with world.running():
        world.hold(mail_job(ONE), mail_job(NAMES[2]), mail_job(NAMES[3], to="bob@example.com"))
        await world.until(lambda: len(world.relay.mails) == 2)
        assert [mail.reference for mail in world.relay.mails] == [ONE, NAMES[3]]
        world.relay.answer(world.relay.under_way()[0], TAKEN)
        await world.until(lambda: len(world.relay.mails) == 3)
    assert world.relay.mails[2].reference == NAMES[2]
