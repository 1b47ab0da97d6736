"""The token that travels with a dispatch: which handle of the engine an outcome resolves.

A handle is good for one outcome, so one that decides nothing must not reach it. The token says
itself what decides, and whoever tells outcomes need not know the plan.
"""

from __future__ import annotations

from dataclasses import dataclass

from cascade.events import LADDER, SENT, Outcome, rung_of
from hermes.core.errors import Unreadable
from hermes.core.units import Success


@dataclass(frozen=True, slots=True)
class StepToken:
    """Resolves `final` by the step's success or final failure, `sent` once it was sent.

    `sent` is there only for a step whose wait begins when it is sent.
    """

    success: Success
    final: str
    sent: str | None = None

    def __str__(self) -> str:
        """Give the token's text; it is a secret."""
        return ":".join(part for part in ("step", self.success, self.final, self.sent) if part)


@dataclass(frozen=True, slots=True)
class LateToken:
    """Resolves `final` by the success of any step; `successes` are those of the plan, by step.

    It hears of a step begun before the engine was, or whose own token a failure has used up.
    """

    successes: tuple[Success, ...]
    final: str

    def __str__(self) -> str:
        """Give the token's text; it is a secret."""
        return ":".join(("late", ",".join(self.successes), self.final))


def read_token(text: str) -> StepToken | LateToken:
    """Read a token's text. Raises Unreadable, which does not quote it."""
    kind, *parts = text.split(":")
    match kind, parts:
        case "step", [success, final]:
            return StepToken(_success(success), final)
        case "step", [success, final, sent]:
            return StepToken(_success(success), final, sent)
        case "late", [successes, final]:
            return LateToken(tuple(map(_success, successes.split(","))), final)
        case _:
            raise Unreadable("token", f"{len(text)} characters of no known form")


def handle_for(token: StepToken | LateToken, outcome: Outcome) -> str | None:
    """Give the handle an outcome resolves, None if it decides nothing."""
    rung = rung_of(outcome.status)
    match token:
        case StepToken(success, final, sent):
            if rung is None or rung >= LADDER.index(success):
                return final
            return sent if rung >= SENT else None
        case LateToken(successes, final):
            if rung is None or not 0 <= outcome.step < len(successes):
                return None
            return final if rung >= LADDER.index(successes[outcome.step]) else None


def _success(word: str) -> Success:
    for rung in LADDER:
        if rung == word:
            return rung
    raise Unreadable("token", "its success is no rung of the ladder")
