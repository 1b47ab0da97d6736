"""A session against any octets, split anywhere, in any state, at any time."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from hermes.smpp.command import RESPONSE_BIT, CommandId, response_to
from hermes.smpp.decode import decode
from hermes.smpp.encode import encode_header_only
from hermes.smpp.frame import FrameError, FrameReader
from hermes.smpp.session import Session
from hermes.smpp.session_effect import (
    Announce,
    Complain,
    Deliver,
    Effect,
    End,
    Match,
    Measure,
    Notify,
    Refuse,
    Send,
)
from hermes.smpp.session_table import SessionState

INTERVAL, TIMEOUT = 30.0, 10.0
BINDS = {
    SessionState.BOUND_TX: CommandId.bind_transmitter,
    SessionState.BOUND_RX: CommandId.bind_receiver,
    SessionState.BOUND_TRX: CommandId.bind_transceiver,
}


def session_in(
    state: SessionState, interval: float = INTERVAL, timeout: float = TIMEOUT, now: float = 0.0
) -> Session:
    """A session that came to a state in the ordinary way, with an enquire_link unanswered."""
    command = BINDS.get(state, CommandId.bind_transceiver)
    session = Session(encode_header_only(command, 0, 0), interval, timeout)
    if state is SessionState.OPEN:
        return session
    session.bind()
    if state is SessionState.BINDING:
        return session
    session.receive(encode_header_only(response_to(command), 0, 1), now)
    session.tick(now + interval)
    if state is SessionState.UNBINDING:
        session.unbind(now + interval)
    if state is SessionState.CLOSED:
        session.end("closed")
    assert session.state is state
    return session


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Any PDU, its body any octets; sequence numbers often those of our requests."""
    word = st.integers(0, 0xFFFF_FFFF)
    command = draw(st.sampled_from(sorted(CommandId)) | word)
    body = draw(st.just(b"") | st.binary(max_size=40))
    head = encode_header_only(command, draw(st.just(0) | word), draw(st.integers(0, 4) | word))
    return (16 + len(body)).to_bytes(4, "big") + head[4:] + body


STATES = st.sampled_from(list(SessionState))
STREAMS = st.lists(
    st.one_of(frames(), frames(), frames(), st.binary(max_size=20)), max_size=12
).map(b"".join)


@st.composite
def split_streams(draw: st.DrawFn) -> list[bytes]:
    """A stream in any pieces, some of them empty."""
    stream = draw(STREAMS)
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


@settings(max_examples=300, deadline=None)
@given(STATES, split_streams())
def test_any_octets_in_any_split_give_well_formed_effects(
    state: SessionState, pieces: list[bytes]
) -> None:
    session = session_in(state)
    effects: list[Effect] = []
    for piece in pieces:
        effects += session.receive(piece, 50.0)
    whole, fault = frames_of(b"".join(pieces))
    for effect in effects:
        assert_well_formed(effect, whole)
    ends = [place for place, effect in enumerate(effects) if isinstance(effect, End)]
    assert ends in ([], [len(effects) - 1])
    assert (session.state is SessionState.CLOSED) == bool(ends or state is SessionState.CLOSED)
    if ends:
        commands = {int.from_bytes(frame[4:8], "big") for frame in whole}
        assert (
            fault
            or commands & {CommandId.unbind, CommandId.unbind_resp}
            or (state is SessionState.BINDING and any(isinstance(e, Refuse) for e in effects))
        )


def frames_of(stream: bytes) -> tuple[list[bytes], bool]:
    """The whole frames of a stream, and whether it broke."""
    try:
        return FrameReader().feed(stream), False
    except FrameError as error:
        return error.frames, True


def assert_well_formed(effect: Effect, whole: list[bytes]) -> None:
    match effect:
        case Send(octets=octets):
            assert decode(octets).is_response, "to octets alone it answers, it asks nothing"
        case Match(frame=frame, command_id=command_id):
            assert frame in whole
            assert command_id == int.from_bytes(frame[4:8], "big") >= RESPONSE_BIT
        case Deliver(frame=frame, sequence=sequence):
            assert frame in whole
            assert int.from_bytes(frame[4:8], "big") in (CommandId.deliver_sm, CommandId.data_sm)
            assert int.from_bytes(frame[12:16], "big") == sequence
        case Notify(frame=frame) | Complain(frame=frame):
            assert frame in whole
        case Measure(seconds=seconds):
            assert seconds == 50.0 - INTERVAL
        case Announce(system_id=system_id):
            assert "\0" not in system_id
        case Refuse(status=status):
            assert 0 < status <= 0xFFFF_FFFF
        case End(reason=reason):
            assert reason


@settings(max_examples=200, deadline=None)
@given(STATES, split_streams())
def test_a_stream_split_anywhere_gives_the_same_effects(
    state: SessionState, pieces: list[bytes]
) -> None:
    session = session_in(state)
    split = [effect for piece in pieces for effect in session.receive(piece, 50.0)]
    other = session_in(state)
    assert other.receive(b"".join(pieces), 50.0) == split
    assert other.state is session.state
    assert other.buffered == session.buffered or other.state is SessionState.CLOSED


SECONDS = st.floats(0.01, 120)


@settings(max_examples=200, deadline=None)
@given(
    STATES,
    SECONDS,
    SECONDS,
    st.lists(
        st.tuples(st.floats(0, 60), frames() | st.sampled_from(["tick", "unbind"])), max_size=20
    ),
)
def test_time_never_hangs_and_a_silent_peer_is_given_up(
    state: SessionState, interval: float, timeout: float, steps: list[tuple[float, bytes | str]]
) -> None:
    session, now = session_in(state, interval, timeout), interval
    for gap, step in steps:
        now += gap
        if isinstance(step, bytes):
            before = session.next_deadline
            session.receive(step, now)
            assert session.next_deadline >= before or before == math.inf
        elif step == "unbind":
            session.unbind(now)
        else:
            session.tick(now)
            assert session.next_deadline > now, "the shell would turn without an end"
    if state in (SessionState.OPEN, SessionState.BINDING) and not session.is_bound:
        return  # the bind timer is not the session's
    last = now
    for _ in range(4):  # probe, put the next one off, give up
        if session.state is SessionState.CLOSED:
            break
        now = max(now, session.next_deadline)
        effects = session.tick(now)
        assert not effects or isinstance(effects[-1], Send | End)
    assert session.state is SessionState.CLOSED
    assert now <= last + interval + 2 * timeout + 2.0
    assert session.next_deadline == math.inf
