"""What the ledger clock handed out reaches a belt that blinked."""

from __future__ import annotations

from collections.abc import Sequence

from actors.publish_held import publish_held
from hermes.core.errors import StoreUnavailable
from hermes.ports.stream import PubAck, Publication, PublishResult, StreamFull

ITEMS = [Publication(f"intake.{n}", b"", str(n)) for n in range(3)]


class Belt:
    """Answers each call from a script of results by item id, `PubAck` where it says nothing."""

    def __init__(self, *script: dict[str, PublishResult]) -> None:
        self.script = list(script)
        self.calls: list[list[str]] = []

    async def publish(self, subject: str, data: bytes, msg_id: str) -> PubAck:
        """Nobody calls it."""
        raise NotImplementedError

    async def publish_batch(self, items: Sequence[Publication]) -> list[PublishResult]:
        """Answer a batch."""
        self.calls.append([item.msg_id for item in items])
        said = self.script.pop(0) if self.script else {}
        return [said.get(item.msg_id, PubAck("INTAKE", 1)) for item in items]


async def test_what_found_no_belt_goes_again_and_nothing_else_does() -> None:
    away, full = StoreUnavailable("nats", "away"), StreamFull("intake.2")
    belt = Belt({"1": away, "2": full}, {"1": away})
    results = await publish_held(belt, ITEMS, 5.0, retry_s=0.01)
    assert belt.calls == [["0", "1", "2"], ["1"], ["1"]]
    assert results == [PubAck("INTAKE", 1), PubAck("INTAKE", 1), full]


async def test_a_belt_that_stays_away_is_given_up_when_the_row_is_due_again() -> None:
    away = StoreUnavailable("nats", "away")
    script: list[dict[str, PublishResult]] = [{"0": away}] * 100
    belt = Belt(*script)
    assert await publish_held(belt, ITEMS[:1], 0.05, retry_s=0.01) == [away]
    assert 2 <= len(belt.calls) <= 6
