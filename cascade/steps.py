"""Port of the ledger and the belt as a cascade sees them: what an engine calls to get work done."""

from __future__ import annotations

from typing import Protocol

from cascade.actions import Result
from cascade.events import DispatchResult, NotOurs, TakenOver


class CascadeSteps(Protocol):
    """The same object for every engine.

    Every method may be called again with the same arguments, also after it succeeded and while
    the first call still runs. What it raises is tried again later and never read as an answer, so
    a store that is down must raise, not refuse.
    """

    async def take_over(self, mid: str, owner: str, late: str) -> TakenOver | NotOurs:
        """Take the message if nobody has it and it has no outcome; the same owner wins again.

        Stores `late`, the token that the success of a step tells, before it looks up what is
        known of steps already begun.
        """
        ...

    async def dispatch(self, mid: str, step: int, token: str) -> DispatchResult:
        """Stop the steps before this one and put it on the belt under one attempt id.

        What the step is, the ledger knows from the message's own plan.

        An attempt that is on the belt already, or was sent, is `accepted`. `full` means that
        nothing was published; `refused` that nothing ever will be (suppressed, no route, past
        `expires_at`, or the message has its outcome).
        """
        ...

    async def finished(self, mid: str, result: Result) -> None:
        """Note the outcome if there is none yet, and stop every step but the one that won.

        The winner is that of the outcome noted, whoever noted it. The ledger may know of more
        steps under way than `result.stop`: an operator's failing of a cascade names none.
        """
        ...
