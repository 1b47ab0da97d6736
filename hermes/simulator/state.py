"""What one simulator knows, and the things it has yet to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from hermes.simulator.account import AccountState
from hermes.simulator.counters import Counters
from hermes.simulator.fault import BlackHole, Inject, Request, Silence
from hermes.simulator.later import Later
from hermes.simulator.outbox import Outbox
from hermes.simulator.outcome import Mix, Stat, by_last_digit, parse_mix
from hermes.simulator.outcome_rule import OutcomeRules, parse_dead, parse_senders
from hermes.simulator.profile import Profile, ReceiptRoute
from hermes.simulator.schedule import Schedule
from hermes.simulator.standing import Faults, StandingFault
from hermes.simulator.throughput import CapKind, new_cap

if TYPE_CHECKING:
    from collections.abc import Callable

    from hermes.simulator.journal import Journal
    from hermes.simulator.session import Session


def _sleep_on() -> None:
    """Nobody waits for the schedule yet."""


@dataclass(slots=True)
class State:
    """Shared by the parts of the message centre; `clock` is monotonic, `wall` seconds since 1970.

    `wake` is called when something was scheduled.
    """

    profile: Profile
    journal: Journal
    clock: Callable[[], float]
    wall: Callable[[], float]
    next_id: int
    mo_count: int = 0
    wake: Callable[[], None] = _sleep_on
    sessions: dict[int, Session] = field(default_factory=dict)
    accounts: dict[str, AccountState] = field(default_factory=dict)
    schedule: Schedule[Later] = field(default_factory=Schedule)
    faults: Faults = field(default_factory=Faults)
    counters: Counters = field(default_factory=Counters)
    outcomes: Random = field(init=False)
    jitter: Random = field(init=False)
    mix: Mix | None = field(init=False)
    rules: OutcomeRules = field(init=False)

    def __post_init__(self) -> None:
        self.seed()

    def seed(self) -> None:
        """Begin the rows of random numbers anew. Outcomes have their own, so jitter moves none."""
        self.outcomes = Random(self.profile.seed)  # noqa: S311  (repeatable on purpose)
        self.jitter = Random(self.profile.seed + 1)  # noqa: S311
        self._decide()

    def change(self, profile: Profile) -> None:
        """Obey other settings from now on. A cap starts anew only when it is another one."""
        before, self.profile = self.profile, profile
        self._decide()
        recap = _cap_settings(before) != _cap_settings(profile)
        for account in self.accounts.values():
            account.outbox.spread = profile.receipt_route is ReceiptRoute.rotate
        if recap:
            self.renew_caps()

    def renew_caps(self) -> None:
        """Begin to count against the caps anew."""
        for account in self.accounts.values():
            account.cap = new_cap(*_cap_settings(self.profile))

    def later(self, due: float, thing: Later) -> None:
        """Do something at a time of `clock`."""
        self.schedule.add(due, thing)
        self.wake()

    def account_of(self, session: Session) -> AccountState | None:
        """The account of a bound session."""
        return None if session.mode is None else self.accounts.get(session.system_id)

    def find(self, kind: type[StandingFault], session: Session) -> StandingFault | None:
        """The fault of that kind if it is on and hits this session; costs no use."""
        if not self.faults:
            return None
        return self.faults.find(kind, session.number, session.system_id, self.clock())

    def spend(self, kind: type[StandingFault], session: Session) -> StandingFault | None:
        """As `find`, if it is its turn now; counts one use."""
        if not self.faults:
            return None
        return self.faults.spend(kind, session.number, session.system_id, self.clock())

    def injection(self, session: Session, at: Request) -> Inject | None:
        """What is to be written at this request."""
        fault = self.find(Inject, session)
        return None if fault is None or fault.at is not at else self.spend(Inject, session)

    def hole(self, session: Session, *kinds: Silence) -> BlackHole | None:
        """The black hole that swallows one of these kinds on this session; costs no use."""
        hole = self.find(BlackHole, session)
        return hole if hole is not None and hole.what in kinds else None

    def account(self, system_id: str) -> AccountState:
        """The account, made at its first bind."""
        found = self.accounts.get(system_id)
        if found is None:
            outbox = Outbox(self.profile.receipt_route is ReceiptRoute.rotate)
            found = AccountState(system_id, new_cap(*_cap_settings(self.profile)), outbox)
            self.accounts[system_id] = found
        return found

    def outcome(self, source: str, destination: str) -> Stat:
        """What will become of a message: by a pattern, else the mix, else the last digit."""
        ruled = self.rules.outcome(source, destination)
        if ruled is not None:
            return ruled
        return by_last_digit(destination) if self.mix is None else self.mix.draw(self.outcomes)

    def seconds(self, base_ms: float, jitter_ms: float) -> float:
        """A duration with its jitter."""
        extra = self.jitter.random() * jitter_ms if jitter_ms else 0.0
        return (base_ms + extra) / 1000

    def _decide(self) -> None:
        profile = self.profile
        self.mix = parse_mix(profile.mix)
        self.rules = OutcomeRules(
            parse_dead(profile.dead_numbers), parse_senders(profile.outcome_by_sender)
        )


def _cap_settings(profile: Profile) -> tuple[CapKind, float, float]:
    return profile.tps_kind, profile.tps, profile.burst_s
