"""No delivery is lost or doubled, whichever sessions come and go."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hermes.simulator.outbox import Outbox
from hermes.simulator.receipt import Delivery, Owed


def delivery(number: int, session: int = 0) -> Delivery:
    return Delivery(Owed.receipt, b"", session, str(number))


def taken(outbox: Outbox, session: int, window: int = 0) -> list[str]:
    ids = []
    while (found := outbox.take(session, window)) is not None:
        ids.append(found.message_id)
    return ids


def test_a_receipt_goes_to_the_session_of_its_submit() -> None:
    outbox = Outbox()
    outbox.join(1)
    outbox.join(2)
    for number in range(4):
        outbox.put(delivery(number, session=2))
    assert taken(outbox, 1) == []
    assert taken(outbox, 2) == ["0", "1", "2", "3"]


def test_a_receipt_whose_session_cannot_receive_goes_to_the_others_in_turn() -> None:
    outbox = Outbox()
    outbox.join(1)
    outbox.join(2)
    for number in range(4):
        outbox.put(delivery(number, session=9))
    assert sorted([*taken(outbox, 1), *taken(outbox, 2)]) == ["0", "1", "2", "3"]
    assert taken(outbox, 1) == []


def test_rotation_ignores_where_the_submit_came_from() -> None:
    outbox = Outbox(spread=True)
    outbox.join(1)
    outbox.join(2)
    for number in range(4):
        outbox.put(delivery(number, session=2))
    assert len(taken(outbox, 1)) == len(taken(outbox, 2)) == 2


def test_receipts_wait_for_a_bind_and_unanswered_ones_come_first_and_in_order() -> None:
    outbox = Outbox()
    for number in range(4):
        outbox.put(delivery(number))
    outbox.join(1)
    for sequence in (1, 2):
        found = outbox.take(1, 2)
        assert found is not None
        outbox.sent(1, sequence, found, 0.0)
    assert outbox.take(1, 2) is None  # the window is full
    assert outbox.leave(1) == 2
    assert outbox.waiting() == 4
    outbox.join(2)
    assert taken(outbox, 2) == ["0", "1", "2", "3"]


def test_what_a_lost_session_owed_goes_before_what_another_one_waits_with() -> None:
    outbox = Outbox()
    outbox.join(1)
    outbox.join(2)
    outbox.put(delivery(1, session=1))
    outbox.put(delivery(2, session=2))
    outbox.leave(1)
    assert taken(outbox, 2) == ["1", "2"]


def test_an_answer_to_an_unknown_sequence_or_session_is_none() -> None:
    outbox = Outbox()
    assert outbox.answered(1, 1) is None
    outbox.join(1)
    assert outbox.answered(1, 1) is None
    assert outbox.leave(7) == 0


def test_only_what_was_sent_long_ago_is_overdue() -> None:
    outbox = Outbox()
    outbox.join(1)
    outbox.sent(1, 1, delivery(1), 10.0)
    outbox.sent(1, 2, delivery(2), 20.0)
    assert [late.message_id for late in outbox.overdue(15.0)] == ["1"]
    assert outbox.overdue(15.0) == []
    assert outbox.flying() == 1
    assert outbox.answered(1, 1) is None  # a late answer finds nothing


@dataclass
class Ledger:
    owed: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)


class OutboxMachine(RuleBasedStateMachine):
    """Sessions come and go while deliveries are put, sent and answered."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox()
        self.ledger = Ledger()
        self.count = 0
        self.sequence = 0
        self.flying: list[tuple[int, int, str]] = []

    @rule(session=st.integers(1, 4))
    def join(self, session: int) -> None:
        if session not in self.outbox.lanes:
            self.outbox.join(session)

    @rule(session=st.integers(1, 4))
    def leave(self, session: int) -> None:
        expected = [entry for entry in self.flying if entry[0] == session]
        assert self.outbox.leave(session) == len(expected)
        self.flying = [entry for entry in self.flying if entry[0] != session]

    @rule(session=st.integers(0, 4), spread=st.booleans())
    def put(self, session: int, spread: bool) -> None:
        self.outbox.spread = spread
        self.count += 1
        self.ledger.owed.add(str(self.count))
        self.outbox.put(delivery(self.count, session))

    @rule(session=st.integers(1, 4), window=st.integers(0, 2))
    def send(self, session: int, window: int) -> None:
        found = self.outbox.take(session, window)
        if found is not None:
            self.sequence += 1
            self.outbox.sent(session, self.sequence, found, 0.0)
            self.flying.append((session, self.sequence, found.message_id))
            mine = [entry for entry in self.flying if entry[0] == session]
            assert not window or len(mine) <= window

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        session, sequence, message_id = data.draw(st.sampled_from(self.flying))
        found = self.outbox.answered(session, sequence)
        assert found is not None
        assert found.message_id == message_id
        self.flying.remove((session, sequence, message_id))
        assert message_id not in self.ledger.done
        self.ledger.done.add(message_id)

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        outbox = self.outbox
        ids = [found.message_id for found in outbox.backlog]
        for lane in outbox.lanes.values():
            ids.extend(found.message_id for found in lane.ready)
            ids.extend(found.message_id for found, _ in lane.flying.values())
        assert len(ids) == len(set(ids)) == outbox.waiting() + outbox.flying()
        assert set(ids) | self.ledger.done == self.ledger.owed
        assert not outbox.lanes or not outbox.backlog


TestOutbox = OutboxMachine.TestCase


@given(st.lists(st.integers(1, 3), max_size=20))
def test_forgetting_leaves_the_sessions(sessions: list[int]) -> None:
    outbox = Outbox()
    outbox.join(1)
    for number, session in enumerate(sessions):
        outbox.put(delivery(number, session))
    outbox.clear()
    assert outbox.waiting() == outbox.flying() == 0
    assert list(outbox.lanes) == [1]
