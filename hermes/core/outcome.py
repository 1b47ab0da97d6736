"""What events make of a message and its attempts: a fold blind to their order and repeats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Final
from uuid import UUID

import msgspec
from msgspec.structs import replace

from hermes.core.attempt import Attempt, owned_segments, step_state
from hermes.core.clock import STOPPED, MessageAction, Terms, Timing, clock_after
from hermes.core.event import Event
from hermes.core.state import (
    FINAL_MESSAGE,
    STATE_AFTER,
    AttemptState,
    MessageState,
    message_state,
    state_of_segments,
)
from hermes.core.units import Success, TrafficClass

SEEN_BY_BIND: Final = frozenset(("submitting", "sent", "uncertain"))
CONCERNS_ATTEMPT: Final = STATE_AFTER.keys() | {"deferred", "possible_duplicate"}
WON: Final = ("delivered", "sent")
SENT_IS_SUCCESS: Final = frozenset(("sent", "accepted"))


class MessageRow(msgspec.Struct, frozen=True, kw_only=True):
    """A message as its outcome needs it; `success` = that of each step, joined by commas."""

    id: UUID
    tenant: str
    traffic: TrafficClass
    success: str
    expires_at: datetime
    state: MessageState = "accepted"
    done_at: datetime | None = None
    reason_code: str | None = None
    reason_text: str | None = None
    possible_duplicate: bool = False
    next_at: datetime | None = None
    next_action: MessageAction | None = None

    @property
    def is_direct(self) -> bool:
        """Say whether the plan has one step."""
        return "," not in self.success


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What a fold depends on besides rows: ledger time, durations, carriers without receipts."""

    now: datetime
    timing: Timing = Timing()
    receiptless: frozenset[str] = frozenset()

    def success_of(self, row: MessageRow, attempt: Attempt) -> Success:
        """Give what ends a step: `sent` where the carrier will never tell more."""
        if attempt.carrier in self.receiptless:
            return "sent"
        return _success(row.success, attempt.step)


@cache
def _success(successes: str, step: int) -> Success:
    words = successes.split(",")
    return "sent" if words[min(step, len(words) - 1)] in SENT_IS_SUCCESS else "delivered"


@cache
def _word(state: AttemptState, success: Success) -> MessageState:
    return message_state([(0, state)], success)


def fold(
    row: MessageRow, attempts: Sequence[Attempt], events: Iterable[Event], rules: Rules
) -> tuple[MessageRow, tuple[Attempt, ...]]:
    """Fold events into a message and its attempts and set their clocks.

    `attempts` are all the ledger has of the message; one that an event speaks of and the ledger
    misses is added. Without events the clocks alone are set anew, as after a resend was minted.
    """
    told: dict[tuple[int, int], list[Event]] = {}
    for event in events:
        told.setdefault((event.step, event.attempt_n), []).append(event)
    tallies = [Tally(attempt) for attempt in attempts]
    known = {(tally.attempt.step, tally.attempt.n) for tally in tallies}
    tallies += [
        Tally(_missing(row, step, n, facts))
        for (step, n), facts in told.items()
        if (step, n) not in known and any(event.kind in CONCERNS_ATTEMPT for event in facts)
    ]
    for tally in tallies:
        for event in told.get((tally.attempt.step, tally.attempt.n), ()):
            tally.take(event)
    folded = [tally.attempt_after() for tally in tallies]
    row = message_after(row, folded, rules)
    return row, tuple(
        _with_clock(attempt, tally, folded, row, rules)
        for attempt, tally in zip(folded, tallies, strict=True)
    )


def message_after(row: MessageRow, attempts: Sequence[Attempt], rules: Rules) -> MessageRow:
    """Give a message as its attempts leave it.

    The last step speaks for a plan of one step. In a cascade any step may win, and one whose
    success is `sent` speaks from its first segment sent, so that bad news corrects the win it was;
    that none won is for the engine to say, unless no engine ever started.
    """
    if not attempts:
        return row
    duplicate = row.possible_duplicate or any(a.possible_duplicate for a in attempts)
    if duplicate != row.possible_duplicate or row.next_at is not None:
        row = replace(row, possible_duplicate=duplicate, next_at=None, next_action=None)
    if len(attempts) == 1 and row.is_direct:
        return _told(row, attempts, *_outcome(row, attempts, rules))
    steps = _by_step(attempts)
    outcomes = {step: _outcome(row, steps[step], rules) for step in sorted(steps)}
    speaking = max(outcomes)
    if not row.is_direct:
        winner = _winner(outcomes)
        if winner is not None:
            speaking = winner
        elif sending := [step for step in outcomes if _wins_by_sending(row, steps[step], rules)]:
            speaking = sending[0]
        elif row.state != "accepted":
            return row
    return _told(row, steps[speaking], *outcomes[speaking])


def winning_step(row: MessageRow, attempts: Sequence[Attempt], rules: Rules) -> int | None:
    """Give the step of a cascade whose success made it what it is, None for none."""
    if row.state not in WON:
        return None
    steps = _by_step(attempts)
    return _winner({step: _outcome(row, of_step, rules) for step, of_step in steps.items()})


def _by_step(attempts: Sequence[Attempt]) -> dict[int, list[Attempt]]:
    steps: dict[int, list[Attempt]] = {}
    for attempt in attempts:
        steps.setdefault(attempt.step, []).append(attempt)
    return steps


def _winner(outcomes: Mapping[int, tuple[AttemptState, MessageState]]) -> int | None:
    """Give the step that won: a delivery before a mere send, the earlier before the later."""
    won = [(word, step) for step, (_, word) in outcomes.items() if word in WON]
    return min(won)[1] if won else None


def _wins_by_sending(row: MessageRow, attempts: Sequence[Attempt], rules: Rules) -> bool:
    return any(a.sent_at and rules.success_of(row, a) == "sent" for a in attempts)


def _outcome(
    row: MessageRow, attempts: Sequence[Attempt], rules: Rules
) -> tuple[AttemptState, MessageState]:
    state = step_state(attempts)
    newest = attempts[0] if len(attempts) == 1 else max(attempts, key=lambda a: a.n)
    return state, _word(state, rules.success_of(row, newest))


def _told(
    row: MessageRow, attempts: Sequence[Attempt], state: AttemptState, word: MessageState
) -> MessageRow:
    if word not in FINAL_MESSAGE:
        if word == row.state:
            return row
        return replace(row, state=word, done_at=None, reason_code=None, reason_text=None)
    speaking = [a for a in attempts if a.state is state] or attempts
    code, text = max((a.reason_code or "", a.reason_text or "") for a in speaking)
    times = [t for a in attempts if (t := a.sent_at if word == "sent" else a.done_at)]
    return replace(
        row,
        state=word,
        done_at=max(times, default=row.done_at),
        reason_code=code or None,
        reason_text=text or None,
    )


def _with_clock(
    attempt: Attempt, tally: Tally, attempts: Sequence[Attempt], row: MessageRow, rules: Rules
) -> Attempt:
    clock = STOPPED
    if row.state not in FINAL_MESSAGE:
        if len(attempts) == 1 and attempt.segments == 1:
            owned = [attempt.segment_state(0)]
        else:
            owned = [attempt.segment_state(i) for i in owned_segments(attempt, attempts)]
        terms = Terms(
            now=rules.now,
            traffic=row.traffic,
            expires_at=row.expires_at,
            awaits_receipt=rules.success_of(row, attempt) == "delivered",
            timing=rules.timing,
        )
        clock = clock_after(
            attempt, owned, terms, was_uncertain=tally.was_uncertain, retry_at=tally.retry_at
        )
    if clock == (attempt.next_at, attempt.next_action):
        return attempt
    return replace(attempt, next_at=clock[0], next_action=clock[1])


def _missing(row: MessageRow, step: int, n: int, events: Sequence[Event]) -> Attempt:
    return Attempt(
        message=row.id,
        step=step,
        n=n,
        tenant=row.tenant,
        expires_at=row.expires_at,
        segments=max(event.segments for event in events),
    )


class Tally:
    """The facts told about one attempt, joined segment by segment."""

    __slots__ = (
        "attempt",
        "carrier",
        "done_at",
        "ids",
        "is_touched",
        "place",
        "possible_duplicate",
        "reasons",
        "retry_at",
        "sent_at",
        "states",
        "was_uncertain",
    )

    def __init__(self, attempt: Attempt) -> None:
        blank = (None,) * attempt.segments
        self.attempt = attempt
        self.states: list[AttemptState | None] = list(attempt.segment_states or blank)
        self.ids: list[str | None] = list(attempt.segment_ids or blank)
        self.reasons: list[str | None] = list(attempt.segment_reasons or blank)
        self.carrier = attempt.carrier
        self.place = (attempt.bind or "", attempt.host or "")
        self.sent_at, self.done_at = attempt.sent_at, attempt.done_at
        self.possible_duplicate = attempt.possible_duplicate
        self.retry_at: datetime | None = None
        self.was_uncertain = self.is_touched = False

    def take(self, event: Event) -> None:
        """Join one event; what does not change states leaves its mark all the same."""
        self.is_touched = True
        kind = event.kind
        if event.segment is not None:
            counted = event.segments if kind in SEEN_BY_BIND else len(self.states)
            self._resize(max(counted, event.segment + 1))
        if self.attempt.carrier is None and event.carrier is not None:
            self.carrier = max(event.carrier, self.carrier or "")
        if kind in SEEN_BY_BIND:
            self.place = max(self.place, (event.source.actor, event.source.host))
        match kind:
            case "possible_duplicate":
                self.possible_duplicate = True
            case "deferred":
                retry_at = event.retry_at or event.at
                self.retry_at = max(retry_at, self.retry_at or retry_at)
                self._join(event, AttemptState.QUEUED)
            case _ if kind in STATE_AFTER:
                self._join(event, STATE_AFTER[kind])
            case _:
                pass

    def _join(self, event: Event, state: AttemptState) -> None:
        if state is AttemptState.SENT:
            self.sent_at = min(event.at, self.sent_at or event.at)
        elif state >= AttemptState.UNKNOWN:
            self.done_at = max(event.at, self.done_at or event.at)
        elif state is AttemptState.UNCERTAIN:
            self.was_uncertain = True
        reason = f"{event.reason.code} {event.reason.text}" if event.reason else None
        for index in self._covered() if event.segment is None else (event.segment,):
            known = self.states[index]
            if known is None or state > known:
                self.states[index], self.reasons[index] = state, reason
            elif state is known and reason is not None:
                self.reasons[index] = max(reason, self.reasons[index] or "")
            if event.carrier_message_id is not None:
                self.ids[index] = max(event.carrier_message_id, self.ids[index] or "")

    def _covered(self) -> Sequence[int]:
        only = self.attempt.only_segments
        return range(len(self.states)) if only is None else only

    def _resize(self, count: int) -> None:
        """Follow the number of segments the bind made; the front door only estimated it."""
        if count == len(self.states):
            return
        count = max(count, *(i + 1 for i in self.attempt.only_segments or (0,)))
        while len(self.states) < count:
            self.states.append(None)
            self.ids.append(None)
            self.reasons.append(None)
        while len(self.states) > count and self.states[-1] is None:
            del self.states[-1], self.ids[-1], self.reasons[-1]

    def _is_blank(self) -> bool:
        return self.states.count(None) == len(self.states)

    def attempt_after(self) -> Attempt:
        """Give the attempt with all that was told."""
        if not self.is_touched:
            return self.attempt
        covered = self._covered()
        state = self.states[0] if len(self.states) == 1 else None
        if state is None:
            told = [s for i in covered if (s := self.states[i]) is not None]
            state = state_of_segments(told, len(covered))
        reasons = [r for i in covered if (r := self.reasons[i]) and self.states[i] is state]
        code, _, text = max(reasons, default="").partition(" ")
        return replace(
            self.attempt,
            segments=len(self.states),
            state=state,
            carrier=self.carrier,
            bind=self.place[0] or None,
            host=self.place[1] or None,
            segment_states=None if self._is_blank() else tuple(self.states),
            segment_ids=tuple(self.ids) if any(self.ids) else None,
            segment_reasons=tuple(self.reasons) if any(self.reasons) else None,
            sent_at=self.sent_at,
            done_at=self.done_at,
            reason_code=code or None,
            reason_text=text or None,
            possible_duplicate=self.possible_duplicate,
        )
