"""The table of faults and which of them are on."""

from __future__ import annotations

from random import Random

import pytest

from hermes.simulator.fault import (
    FAULTS,
    BlackHole,
    Drop,
    DropOnSubmit,
    DropResponses,
    Ending,
    Inject,
    MoFlood,
    PauseReceipts,
    RefuseBinds,
    RefuseSubmits,
    Standing,
    new_fault,
)
from hermes.simulator.refusal import Refusal
from hermes.simulator.standing import Faults


def test_every_fault_says_what_it_does_and_has_defaults_for_people() -> None:
    assert all(kind.__doc__ for kind in FAULTS.values())
    assert new_fault("drop", {}) == Drop(how=Ending.rst)
    assert new_fault("black_hole", {"seconds": 2}) == BlackHole(seconds=2)
    assert new_fault("inject", {"hex": "00ff"}) == Inject(hex="00ff")


@pytest.mark.parametrize(
    ("name", "values", "field", "rule"),
    [
        ("earthquake", {}, "name", "is none of drop, inject"),
        ("inject", {}, "hex", "required"),
        ("inject", {"hex": "0"}, "hex", "matching regex"),
        ("drop", {"how": "gently"}, "how", "invalid enum value 'gently'"),
        ("drop", {"when": 1}, "when", "no such field"),
        ("refuse_binds", {"status": 0}, "status", "expected `int` >= 1"),
        ("refuse_submits", {"percent": "5"}, "percent", "expected `float`, got `str`"),
    ],
)
def test_a_wrong_fault_names_the_field_and_the_rule(
    name: str, values: dict[str, object], field: str, rule: str
) -> None:
    with pytest.raises(Refusal) as refusal:
        new_fault(name, values)
    assert refusal.value.field == field
    assert rule in refusal.value.rule


def test_a_fault_hits_whom_it_names() -> None:
    faults = Faults()
    faults.start(RefuseBinds(system_id="a"), 0)
    assert faults.find(RefuseBinds, 1, "a", 0) is not None
    assert faults.find(RefuseBinds, 1, "b", 0) is None
    faults.start(RefuseBinds(session=2), 0)
    assert faults.find(RefuseBinds, 2, "b", 0) is not None
    assert faults.find(RefuseBinds, 1, "a", 0) is None


def test_a_fault_ends_after_its_time() -> None:
    faults = Faults()
    assert faults.start(PauseReceipts(seconds=2), 10) == 12
    assert faults.find(PauseReceipts, 1, "a", 11.9) is not None
    assert faults.lift_ended(11.9) == []
    assert faults.find(PauseReceipts, 1, "a", 12) is None
    assert faults.lift_ended(12) == ["pause_receipts"]
    assert not faults


def test_a_fault_ends_with_its_last_use() -> None:
    faults = Faults()
    assert faults.start(RefuseBinds(count=2), 0) is None
    assert [faults.spend(RefuseBinds, 1, "a", 0) is not None for _ in range(3)] == [
        True,
        True,
        False,
    ]


def test_a_share_of_the_submits_is_refused() -> None:
    faults, chance = Faults(), Random(1)
    faults.start(RefuseSubmits(status=0x58, percent=5), 0)
    refused = [faults.refuse_submit(1, "a", 0, chance) for _ in range(2000)]
    assert set(refused) == {0, 0x58}
    assert refused.count(0x58) == pytest.approx(100, abs=30)


def test_a_count_is_of_refusals_and_not_of_submits() -> None:
    faults, chance = Faults(), Random(1)
    faults.start(RefuseSubmits(status=0x400, percent=20, count=1), 0)
    refused = [faults.refuse_submit(1, "a", 0, chance) for _ in range(100)]
    assert refused.count(0x400) == 1


def test_the_third_submit_ends_the_session_once() -> None:
    faults = Faults()
    faults.start(DropOnSubmit(after=3), 0)
    hits = [faults.spend(DropOnSubmit, 1, "a", 0) is not None for _ in range(9)]
    assert hits == [False, False, True, False, False, False, False, False, False]
    faults.start(DropOnSubmit(after=3, count=0), 0)
    hits = [faults.spend(DropOnSubmit, 1, "a", 0) is not None for _ in range(9)]
    assert hits == [False, False, True] * 3


def test_every_nth_occasion_is_its_turn_and_only_turns_are_uses() -> None:
    faults = Faults()
    faults.start(DropResponses(every=3, count=2), 0)
    hits = [faults.spend(DropResponses, 1, "a", 0) is not None for _ in range(12)]
    assert hits == [False, False, True] * 2 + [False] * 6


def test_uses_are_taken_together_as_far_as_there_are_any() -> None:
    faults = Faults()
    flood = MoFlood(count=5)
    faults.start(flood, 0)
    assert [faults.take(MoFlood, 3) for _ in range(3)] == [3, 2, 0]
    assert not faults.is_on(flood, 0)
    faults.start(MoFlood(), 0)
    assert faults.take(MoFlood, 1000) == 1000
    assert not faults.is_on(flood, 0)


def test_an_injection_takes_the_sequence_number_of_what_it_replaces() -> None:
    octets = "00000010800000060000000000000063"
    assert Inject(hex=octets).octets(7).hex() == octets
    assert Inject(hex=octets, after=1, instead=True).octets(7).hex() == octets[:-2] + "07"
    assert Inject(hex="00", after=1, instead=True).octets(7) == b"\0"


def test_a_fault_can_be_lifted_by_name() -> None:
    faults = Faults()
    faults.start(BlackHole(), 0)
    assert faults.shown() == {
        "black_hole": {
            "session": 0,
            "system_id": "",
            "seconds": 0.0,
            "count": 0,
            "what": "all",
            "accept": False,
        }
    }
    assert faults.lift("black_hole") is True
    assert faults.lift("black_hole") is False
    with pytest.raises(Refusal):
        faults.lift("earthquake")


def test_every_standing_fault_starts_with_its_defaults() -> None:
    faults = Faults()
    standing = [kind for kind in FAULTS.values() if issubclass(kind, Standing)]
    for kind in standing:
        faults.start(Inject(hex="00") if kind is Inject else kind(), 0)
    assert len(faults.shown()) == len(standing) == 19
    faults.clear()
    assert not faults
