"""A bind goes on beside jobs and claims that nobody can read."""

from __future__ import annotations

from collections.abc import Sequence
from time import time

from hermes.core.errors import Unreadable
from hermes.ports.claims import ClaimRequest, Found
from hermes.testing.memory_claims import MemoryClaims
from tests.unit.actors.bind_world import CARRIER, NAMES, World, job


class BrokenClaims(MemoryClaims):
    """Claims of which one cannot be read."""

    broken = NAMES[1]

    async def claim(self, carrier: str, wanted: Sequence[ClaimRequest], me: str) -> list[Found]:
        """Find the broken one where it is asked for."""
        found = await super().claim(carrier, wanted, me)
        return [
            Unreadable("claim", "version 9") if one.attempt == self.broken else claim
            for one, claim in zip(wanted, found, strict=True)
        ]


async def test_jobs_nobody_can_read_are_set_aside_and_the_others_held() -> None:
    world = World(claims=BrokenClaims(time))
    await world.streams.ensure([CARRIER])
    world.hold(b"?", job(NAMES[0], "+4510"), b'{"attempt":"x"}')
    assert list(world.submits.held) == [NAMES[0]]
    await world.submits.bury_unread()
    assert await world.dead() == [("JOBS_sim", None), ("JOBS_sim", None)]
    assert world.submits.unread == []


async def test_a_claim_nobody_can_read_ends_its_job_as_uncertain_and_no_other() -> None:
    world = World(claims=BrokenClaims(time))
    await world.streams.ensure([CARRIER])
    world.hold(*(job(name, f"+451{n}") for n, name in enumerate(NAMES[:3])))
    await world.submits.claim(world.submits.ready.take(3))
    assert [part.held.attempt for part in world.submits.outgoing] == [NAMES[0], NAMES[2]]
    assert await world.dead() == [("CLAIMS", NAMES[1])]
    (told,) = world.events()
    assert (told.kind, told.message) == ("uncertain", NAMES[1].partition(".")[0])
    assert told.reason is not None
    assert told.reason.code == "claim_unreadable"
    assert list(world.submits.held) == [NAMES[0], NAMES[2]]
    assert len(world.submits.ready.busy) == 2, "its pair is free"


async def test_a_job_whose_letter_cannot_be_stored_waits_in_its_place() -> None:
    world = World(claims=BrokenClaims(time))
    await world.streams.ensure([CARRIER])
    world.belt.is_away = True
    world.hold(*(job(name, f"+451{n}") for n, name in enumerate(NAMES[:3])))
    await world.submits.claim(world.submits.ready.take(3))
    assert [part.held.attempt for part in world.submits.outgoing] == [NAMES[0], NAMES[2]]
    assert [part.held.attempt for part in world.submits.ready] == [NAMES[1]]
    assert (world.events(), await world.dead()) == ([], [])
    world.belt.is_away = False
    await world.submits.claim(world.submits.ready.take(1))
    assert await world.dead() == [("CLAIMS", NAMES[1])]
    assert [event.kind for event in world.events()] == ["uncertain"]
