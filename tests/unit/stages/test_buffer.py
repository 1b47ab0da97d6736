"""The buffer of a producer."""

from __future__ import annotations

from typing import Any

import pytest

from hermes.stages.buffer import Buffer, Keep
from hermes.stages.subscription import BadOptions


def test_events_come_back_in_order_and_only_once() -> None:
    buffer = Buffer(10)
    assert buffer.store((1, 2, 3)) == 0
    assert buffer.store((4,)) == 0
    assert buffer.take(2) == (1, 2)
    assert buffer.take(5) == (3, 4)
    assert buffer.take(1) == ()
    assert (len(buffer), buffer.discarded_count) == (0, 0)


@pytest.mark.parametrize(
    ("keep", "limit", "lists", "kept", "discarded"),
    [
        ("last", 5, ["abcde", "fgh"], "defgh", [0, 3]),
        ("first", 5, ["abcde", "fgh"], "abcde", [0, 3]),
        ("last", 5, ["abc", "defghijk"], "ghijk", [0, 6]),
        ("first", 5, ["abc", "defghijk"], "abcde", [0, 6]),
        ("last", 5, ["abcdefg"], "cdefg", [2]),
        ("first", 5, ["abcdefg"], "abcde", [2]),
        ("last", 0, ["ab"], "", [2]),
        ("first", 0, ["ab"], "", [2]),
        ("last", None, ["abcdefgh", "ij"], "abcdefghij", [0, 0]),
        ("first", None, ["abcdefgh", "ij"], "abcdefghij", [0, 0]),
    ],
)
def test_a_full_buffer_keeps_one_end_and_counts_what_it_drops(
    keep: Keep, limit: int | None, lists: list[str], kept: str, discarded: list[int]
) -> None:
    buffer = Buffer(limit, keep)
    assert [buffer.store(tuple(events)) for events in lists] == discarded
    assert buffer.events == tuple(kept)
    assert buffer.discarded_count == sum(discarded)


@pytest.mark.parametrize(
    ("limit", "keep", "sentence"),
    [
        (-1, "last", "expected buffer_size to be 0 or more, got: -1"),
        (5, "middle", "expected buffer_keep to be first or last, got: 'middle'"),
    ],
)
def test_a_bad_buffer_is_refused_with_a_sentence(limit: int, keep: Any, sentence: str) -> None:
    with pytest.raises(BadOptions, match=sentence):
        Buffer(limit, keep)
