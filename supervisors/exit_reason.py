"""Why a process ended, and which reasons are clean (OTP: normal, shutdown, (shutdown, x))."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

EXIT_CODE_SHUTDOWN: Final = 69
_ABNORMAL_CODES: Final = {70: "a handler failed", 71: "its parent was gone"}


class ExitKind(StrEnum):
    """The kinds a supervisor tells apart; everything unknown is abnormal."""

    NORMAL = "normal"
    SHUTDOWN = "shutdown"
    KILLED = "killed"
    ABNORMAL = "abnormal"


@dataclass(frozen=True, slots=True)
class FailedToStartChild:
    """Why a supervisor could not start: one of its children could not."""

    id: str
    reason: ExitReason

    def __str__(self) -> str:
        return f"failed to start child {self.id}: {self.reason}"


@dataclass(frozen=True, slots=True)
class ExitReason:
    """A reason; SHUTDOWN with a detail is OTP's (shutdown, x)."""

    kind: ExitKind
    detail: str | FailedToStartChild | None = None

    @property
    def is_clean(self) -> bool:
        """True for normal, shutdown and (shutdown, x): a transient child then stays down."""
        return self.kind in (ExitKind.NORMAL, ExitKind.SHUTDOWN)

    def __str__(self) -> str:
        return self.kind.value if self.detail is None else f"{self.kind.value} ({self.detail})"

    @classmethod
    def from_exit_code(cls, code: int) -> ExitReason:
        """Read a process exit code as the shells set it; negative codes are signals."""
        if code == 0:
            return NORMAL
        if code == EXIT_CODE_SHUTDOWN:
            return SHUTDOWN
        if code < 0:
            kind = ExitKind.KILLED if code == -9 else ExitKind.ABNORMAL
            return cls(kind, f"signal {-code}")
        meaning = _ABNORMAL_CODES.get(code)
        return cls(ExitKind.ABNORMAL, f"exit code {code}" + (f", {meaning}" if meaning else ""))


NORMAL: Final = ExitReason(ExitKind.NORMAL)
SHUTDOWN: Final = ExitReason(ExitKind.SHUTDOWN)
