"""A session that the carrier's answers show to be wrong is left, and nothing is lost by it."""

from __future__ import annotations

from hermes.smpp.status import BindRetry
from tests.unit.actors.bind_world import NAMES, ScriptedLink, World, job

INVALID_COMMAND = 0x03
INVALID_BIND_STATE = 0x04
INVALID_DESTINATION = 0x0B


class Listening(World):
    """Notes when the session is to be left."""

    def __init__(self) -> None:
        super().__init__()
        self.left: list[tuple[BindRetry, str]] = []
        self.submits.on_wrong = lambda retry, reason: self.left.append((retry, reason))

    async def send(self, link: ScriptedLink, count: int) -> None:
        """Have so many messages submitted."""
        self.hold(*(job(NAMES[n], f"+451000000{n}", text="hi") for n in range(count)))
        await self.until(lambda: len(link.sent) == count)


async def test_a_submit_refused_for_the_state_of_the_bind_was_not_sent() -> None:
    world, link = Listening(), ScriptedLink(5)
    async with world.running(link):
        await world.send(link, 1)
        link.answer(0, INVALID_BIND_STATE)
        await world.until(lambda: len(link.sent) == 2)
        assert [retry for retry, _ in world.left] == [BindRetry.NORMAL]
        assert world.told() == []
        link.answer(1)
        await world.until(lambda: world.told() == [("sent", 0, 1)])


async def test_three_answers_in_a_row_that_blame_our_pdus_end_the_session() -> None:
    world, link = Listening(), ScriptedLink(5)
    async with world.running(link):
        await world.send(link, 5)
        for place, status in enumerate((INVALID_COMMAND, INVALID_COMMAND, 0, INVALID_COMMAND)):
            link.answer(place, status)
        await world.idle()
        assert world.left == []
        assert sorted(kind for kind, _, _ in world.told()) == ["deferred"] * 3 + ["sent"]
        world.submits.wrong = 2
        link.answer(4, INVALID_COMMAND)
        await world.until(lambda: bool(world.left))
        assert world.left == [
            (BindRetry.CREDENTIALS, "the carrier answers ESME_RINVCMDID to submits")
        ]


async def test_three_generic_nacks_in_a_row_end_the_session_unless_one_is_accepted_between() -> (
    None
):
    world, link = Listening(), ScriptedLink(5)
    async with world.running(link):
        await world.send(link, 1)
        for _ in range(2):
            world.submits.on_nack()
        link.answer(0)
        await world.idle()
        world.submits.on_nack()
        world.submits.on_nack()
        assert world.left == []
        world.submits.on_nack()
        assert world.left == [(BindRetry.NORMAL, "3 generic_nack in a row")]
