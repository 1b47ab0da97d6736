"""A small ledger and belt in one SQLite file, for engines in this process and in others.

It keeps what a cascade's steps promise (`cascade.steps`), does what its script says, and remembers
every call. Processes that are killed in the middle leave it as any ledger would be left.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec

from cascade.actions import Result
from cascade.engines.memory import utc_now
from cascade.events import LADDER, DispatchResult, NotOurs, Outcome, TakenOver
from hermes.core.errors import StoreUnavailable
from hermes.core.units import Reason

PATIENCE_S = 30.0
LOOK_EVERY_S = 0.005
SCHEMA = """
create table if not exists message (
  mid text primary key, expires_at text not null, first int not null, earlier text not null,
  owner text, late text, outcome text);
create table if not exists attempt (
  mid text, step int, token text, state text, primary key (mid, step));
create table if not exists call (mid text, method text, step int, answer text);
create table if not exists script (mid text, method text, step int, does text,
  primary key (mid, method, step));
"""


class Script(msgspec.Struct, omit_defaults=True):
    """What a method does when called: fail so many times (-1: always), wait, answer in order."""

    failures: int = 0
    store_is_down: bool = False
    is_held: bool = False
    answers: list[str] = []


class Ledger:
    """CascadeSteps over the file, and what a test asks of it."""

    def __init__(self, path: str | Path) -> None:
        self.db = sqlite3.connect(path, timeout=PATIENCE_S, isolation_level=None)
        self.db.execute("pragma journal_mode = wal")
        self.db.execute("pragma synchronous = off")
        self.db.executescript(SCHEMA)

    # what a test prepares

    def message(
        self,
        mid: str,
        life_s: float = 600.0,
        first: int = 0,
        earlier: Sequence[Outcome] = (),
    ) -> str:
        """Make a message; `first` > 0: the belt has sent the steps before it."""
        expires_at = utc_now() + timedelta(seconds=life_s)
        self.db.execute(
            "insert into message values (?, ?, ?, ?, null, null, null)",
            (mid, expires_at.isoformat(), first, msgspec.json.encode(list(earlier)).decode()),
        )
        return mid

    def know(self, mid: str, *earlier: Outcome) -> None:
        """Learn of steps begun before the engine was."""
        told = msgspec.json.encode(list(earlier)).decode()
        self.db.execute("update message set earlier = ? where mid = ?", (told, mid))

    def record(self, mid: str, result: Result) -> None:
        """Note an outcome as the recorder of events does, without any engine."""
        text = msgspec.json.encode(result).decode()
        self.db.execute("update message set outcome = ? where mid = ?", (text, mid))

    def script(self, mid: str, method: str, step: int = 0, **does: Any) -> None:
        """Say what a method does from now on."""
        text = msgspec.json.encode(Script(**does)).decode()
        self.db.execute(
            "insert or replace into script values (?, ?, ?, ?)", (mid, method, step, text)
        )

    # what a test looks at

    def dispatches(self, mid: str) -> list[int]:
        """The steps put on the belt, in order; one dispatched again counts once."""
        rows = self.db.execute("select step from attempt where mid = ? order by rowid", (mid,))
        return [step for (step,) in rows]

    def token(self, mid: str, step: int) -> str:
        """The token that travelled with a step."""
        query = "select token from attempt where mid = ? and step = ?"
        return str(self.db.execute(query, (mid, step)).fetchone()[0])

    def late(self, mid: str) -> str:
        """The token for late successes."""
        return str(self.db.execute("select late from message where mid = ?", (mid,)).fetchone()[0])

    def result(self, mid: str) -> Result | None:
        """The outcome."""
        (text,) = self.db.execute("select outcome from message where mid = ?", (mid,)).fetchone()
        return None if text is None else msgspec.json.decode(text, type=Result)

    def states(self, mid: str) -> dict[int, str]:
        """The state of each attempt: queued, stopped, won."""
        return dict(self.db.execute("select step, state from attempt where mid = ?", (mid,)))

    def calls(self, mid: str, method: str) -> list[str]:
        """The answers of a method so far; `?` while there is none."""
        query = "select answer from call where mid = ? and method = ? order by rowid"
        return [answer for (answer,) in self.db.execute(query, (mid, method))]

    async def until(self, condition: Callable[[], Any]) -> Any:
        """Wait until a condition gives something true, and give that."""
        deadline = monotonic() + PATIENCE_S
        while not (found := condition()):
            assert monotonic() < deadline, f"not so within {PATIENCE_S} s"
            await asyncio.sleep(LOOK_EVERY_S)
        return found

    async def dispatched(self, mid: str, step: int) -> str:
        """Wait until a step is on the belt; gives its token."""
        await self.until(lambda: step in self.dispatches(mid))
        return self.token(mid, step)

    async def ended(self, mid: str) -> Result:
        """Wait for the outcome."""
        found: Result = await self.until(lambda: self.result(mid))
        return found

    # what a cascade calls

    async def take_over(self, mid: str, owner: str, late: str) -> TakenOver | NotOurs:
        call = await self._called(mid, "take_over", 0)
        with self.db:
            self.db.execute("begin immediate")
            row = self.db.execute("select * from message where mid = ?", (mid,)).fetchone()
            _, expires_at, first, earlier, had, _, outcome = row
            answer: TakenOver | NotOurs = NotOurs()
            if outcome is None and had in (None, owner):
                self.db.execute(
                    "update message set owner = ?, late = ? where mid = ?", (owner, late, mid)
                )
                answer = TakenOver(
                    at=utc_now(),
                    expires_at=datetime.fromisoformat(expires_at),
                    first=first,
                    earlier=tuple(msgspec.json.decode(earlier, type=list[Outcome])),
                )
            self._answered(call, type(answer).__name__)
        return answer

    async def dispatch(self, mid: str, step: int, token: str) -> DispatchResult:
        call = await self._called(mid, "dispatch", step)
        with self.db:
            self.db.execute("begin immediate")
            stop = "update attempt set state = 'stopped' where mid = ? and step < ?"
            self.db.execute(stop, (mid, step))
            result = self._dispatched(mid, step, token)
            self._answered(call, f"{step} {result.answer}")
        return result

    async def finished(self, mid: str, result: Result) -> None:
        call = await self._called(mid, "finished", 0)
        with self.db:
            self.db.execute("begin immediate")
            noted = self.db.execute(
                "update message set outcome = ? where mid = ? and outcome is null",
                (msgspec.json.encode(result).decode(), mid),
            )
            told = self.result(mid)
            assert told is not None
            self.db.execute(
                "update attempt set state = iif(step = ?, 'won', 'stopped') where mid = ?",
                (told.step if told.status in LADDER else None, mid),
            )
            self._answered(call, "noted" if noted.rowcount else "late")

    def _dispatched(self, mid: str, step: int, token: str) -> DispatchResult:
        now = utc_now()
        query = "select expires_at, outcome from message where mid = ?"
        expires_at, outcome = self.db.execute(query, (mid,)).fetchone()
        if outcome is not None:
            return DispatchResult(answer="refused", at=now, reason=Reason("has_outcome"))
        if now >= datetime.fromisoformat(expires_at):
            return DispatchResult(answer="refused", at=now, reason=Reason("expired"))
        if step in self.dispatches(mid):
            return DispatchResult(answer="accepted", at=now)
        script = self._script(mid, "dispatch", step)
        answer = script.answers.pop(0) if script.answers else "accepted"
        self.script(mid, "dispatch", step, **msgspec.structs.asdict(script))
        if answer == "full":
            return DispatchResult(answer="full", at=now, retry_after_s=0.05)
        if answer == "refused":
            return DispatchResult(answer="refused", at=now, reason=Reason("suppressed"))
        self.db.execute("insert into attempt values (?, ?, ?, 'queued')", (mid, step, token))
        return DispatchResult(answer="accepted", at=now)

    async def _called(self, mid: str, method: str, step: int) -> int:
        call = self.db.execute("insert into call values (?, ?, ?, '?')", (mid, method, step))
        script = self._script(mid, method, step)
        while script.is_held:
            await asyncio.sleep(LOOK_EVERY_S)
            script = self._script(mid, method, step)
        if script.failures:
            script.failures -= 1
            self.script(mid, method, step, **msgspec.structs.asdict(script))
            if script.store_is_down:
                raise StoreUnavailable("ledger", "it is down")
            raise ZeroDivisionError(mid)
        assert call.lastrowid is not None
        return call.lastrowid

    def _script(self, mid: str, method: str, step: int) -> Script:
        query = "select does from script where mid = ? and method = ? and step = ?"
        row = self.db.execute(query, (mid, method, step)).fetchone()
        return Script() if row is None else msgspec.json.decode(row[0], type=Script)

    def _answered(self, call: int, answer: str) -> None:
        self.db.execute("update call set answer = ? where rowid = ?", (answer, call))


@asynccontextmanager
async def open_steps(path: str) -> AsyncIterator[Ledger]:
    """Open the file in an endpoint's process."""
    ledger = Ledger(path)
    yield ledger
    ledger.db.close()
