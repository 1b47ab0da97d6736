"""Whatever the order of events and however often they are told, a message ends the same."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import get_args
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hermes.core.attempt import Attempt
from hermes.core.event import Event, EventKind, Source, event_id
from hermes.core.ids import attempt_id, encode_message_id
from hermes.core.outcome import MessageRow, Rules, fold
from hermes.core.state import (
    FINAL_MESSAGE,
    AttemptState,
    MessageState,
    join,
    message_state,
    state_of_segments,
)
from hermes.core.units import Reason

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EXPIRES = NOW + timedelta(hours=1)
ID = UUID(int=0x0190_0000_0000_7000_8000_0000_0000_0001)
NAME = encode_message_id(ID)
STATES = st.sampled_from(AttemptState)
KINDS: tuple[EventKind, ...] = get_args(EventKind)
EXAMPLES = settings(max_examples=500, deadline=None)
OPEN_KINDS: tuple[EventKind, ...] = ("queued", "submitting", "deferred", "sent", "uncertain")


@st.composite
def events(draw: st.DrawFn, segments: int, kinds: Sequence[EventKind] = KINDS) -> list[Event]:
    """Draw events about up to two attempts of up to two steps of one message."""
    return draw(
        st.lists(
            st.builds(
                _event,
                step=st.integers(0, 1),
                n=st.integers(0, 1),
                kind=st.sampled_from(kinds),
                segment=st.none() | st.integers(0, segments - 1),
                segments=st.just(segments),
                minute=st.integers(0, 5),
                reason=st.none() | st.sampled_from(("a", "b", "b c")),
                name=st.none() | st.sampled_from(("1", "2")),
            ),
            max_size=14,
        )
    )


def _event(
    *,
    step: int,
    n: int,
    kind: EventKind,
    segment: int | None,
    segments: int,
    minute: int,
    reason: str | None,
    name: str | None,
) -> Event:
    attempt = attempt_id(NAME, step, n)
    at = NOW - timedelta(minutes=minute)
    return Event(
        id=event_id(attempt, kind, segment, f"{minute}{reason}{name}"),
        message=NAME,
        step=step,
        attempt_n=n,
        kind=kind,
        at=at,
        source=Source(host="h1", actor=f"sim-{minute % 2}"),
        segment=segment,
        segments=segments,
        reason=None if reason is None else Reason(reason, reason * 2),
        carrier="sim",
        carrier_message_id=name if kind == "sent" else None,
        retry_at=NOW + timedelta(minutes=minute) if kind == "deferred" else None,
    )


def _rows(success: str, state: MessageState, segments: int) -> tuple[MessageRow, list[Attempt]]:
    row = MessageRow(
        id=ID, tenant="acme", traffic="otp", success=success, expires_at=EXPIRES, state=state
    )
    attempts = [
        Attempt(
            message=ID,
            step=0,
            n=n,
            tenant="acme",
            carrier="sim",
            expires_at=EXPIRES,
            segments=segments,
            only_segments=(segments - 1,) if n and segments > 1 else None,
            next_at=EXPIRES if n else None,
            next_action="expire" if n else None,
        )
        for n in (0, 1)
    ]
    return row, attempts


def _told(
    rows: tuple[MessageRow, Sequence[Attempt]], told: Sequence[Event], cuts: Sequence[int]
) -> tuple[MessageRow, dict[tuple[int, int], Attempt]]:
    row, attempts = rows
    edges = sorted({0, len(told), *(cut % (len(told) + 1) for cut in cuts)})
    for start, end in pairwise(edges):
        row, attempts = fold(row, attempts, told[start:end], Rules(now=NOW))
    return row, {(a.step, a.n): a for a in attempts}


def _stateful(attempt: Attempt) -> Attempt:
    return replace(attempt, next_at=None, next_action=None)


@EXAMPLES
@given(
    data=st.data(),
    segments=st.integers(1, 3),
    success=st.sampled_from(("delivered", "sent", "delivered,sent", "read,delivered")),
)
def test_order_repeats_and_batches_do_not_count(
    data: st.DataObject, segments: int, success: str
) -> None:
    told = data.draw(events(segments))
    repeats = data.draw(st.lists(st.sampled_from(told), max_size=5)) if told else []
    shuffled = data.draw(st.permutations([*told, *repeats]))
    cuts = st.lists(st.integers(0, 20), max_size=4)
    rows = _rows(success, "processing", segments)
    one, one_attempts = _told(rows, told, data.draw(cuts))
    other, other_attempts = _told(rows, shuffled, data.draw(cuts))
    assert one == other
    assert one_attempts.keys() == other_attempts.keys()
    for key, attempt in one_attempts.items():
        assert _stateful(attempt) == _stateful(other_attempts[key])


def test_bad_news_corrects_a_cascade_won_by_sending_however_it_is_batched() -> None:
    told = [
        _event(step=1, n=0, kind=kind, segment=None, segments=1, minute=0, reason=None, name=None)
        for kind in ("sent", "undelivered")
    ]
    for cuts in ([], [1]):
        row, _ = _told(_rows("delivered,sent", "processing", 1), told, cuts)
        assert row.state == "undelivered"


@EXAMPLES
@given(data=st.data(), success=st.sampled_from(("delivered", "sent")))
def test_clocks_of_one_segment_end_the_same_in_any_order(data: st.DataObject, success: str) -> None:
    told = [replace(e, step=0) for e in data.draw(events(1))]
    shuffled = data.draw(st.permutations(told))
    rows = _rows(success, "processing", 1)
    assert _told(rows, told, [3, 7]) == _told(rows, shuffled, [2, 5])


@EXAMPLES
@given(data=st.data(), segments=st.integers(1, 3), success=st.sampled_from(("delivered", "sent")))
def test_a_clock_runs_exactly_while_a_message_is_open(
    data: st.DataObject, segments: int, success: str
) -> None:
    told = [replace(e, step=0) for e in data.draw(events(segments))]
    row, attempts = _told(_rows(success, "processing", segments), told, [4])
    if not told:
        return
    running = [a for a in attempts.values() if a.next_at is not None]
    assert bool(running) == (row.state not in FINAL_MESSAGE)
    assert all((a.next_at is None) == (a.next_action is None) for a in attempts.values())


@EXAMPLES
@given(data=st.data(), segments=st.integers(1, 3))
def test_told_again_from_the_rows_it_made_nothing_changes(
    data: st.DataObject, segments: int
) -> None:
    told = data.draw(events(segments))
    row, attempts = fold(*_rows("delivered", "processing", segments), told, Rules(now=NOW))
    assert fold(row, attempts, told, Rules(now=NOW)) == (row, attempts)
    assert fold(row, attempts, (), Rules(now=NOW)) == (row, attempts)


@EXAMPLES
@given(data=st.data(), segments=st.integers(1, 3), first=st.sampled_from(OPEN_KINDS))
def test_delivered_everywhere_beats_whatever_else_was_told(
    data: st.DataObject, segments: int, first: EventKind
) -> None:
    told = [replace(e, step=0) for e in data.draw(events(segments))]
    last = [
        _event(
            step=0,
            n=0,
            kind=kind,
            segment=None,
            segments=segments,
            minute=0,
            reason=None,
            name=None,
        )
        for kind in (first, "delivered")
    ]
    row, attempts = _told(_rows("delivered", "processing", segments), [*told, *last], [3])
    assert row.state == "delivered"
    assert all(a.next_at is None for a in attempts.values())


@given(STATES, STATES, STATES)
def test_join_is_a_semilattice(a: AttemptState, b: AttemptState, c: AttemptState) -> None:
    assert join(a, a) is a
    assert join(a, b) is join(b, a)
    assert join(a, join(b, c)) is join(join(a, b), c)


@given(st.lists(STATES, max_size=5), st.integers(0, 3), st.randoms())
def test_segments_in_any_order_give_one_state(
    states: list[AttemptState], missing: int, random: Random
) -> None:
    expected = len(states) + missing
    shuffled = random.sample(states, len(states))
    assert state_of_segments(states, expected) is state_of_segments(shuffled, expected)
    if missing:
        assert state_of_segments(states, expected) is not AttemptState.DELIVERED


@given(st.lists(st.tuples(st.integers(0, 4), STATES), unique_by=lambda row: row[0]))
def test_a_message_is_delivered_exactly_when_an_attempt_is(
    rows: list[tuple[int, AttemptState]],
) -> None:
    word = message_state(rows, "delivered")
    assert (word == "delivered") == any(s is AttemptState.DELIVERED for _, s in rows)
