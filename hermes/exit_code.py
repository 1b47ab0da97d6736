"""Exit codes of actor processes, and the exit reason each one is to a supervisor."""

from __future__ import annotations

import signal
from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    """Why an actor process of Hermes ended, in the numbers of sysexits.h where one fits."""

    NORMAL = 0
    """Its work is done or it was stopped in order; nothing is left in it."""
    SHUTDOWN = 69
    """A supervisor gave up: more restarts than its intensity allows, all its children are down."""
    HANDLER_FAILED = 70
    """A handler, task or loop of the actor raised; what it had done may be half done."""
    ORPHAN = 71
    """Its parent was gone before it could be tied to it."""
    STOP_TIMED_OUT = 72
    """Asked to stop, it had not drained when the deadline came; what remains is handed back."""
    START_REFUSED = 73
    """Its start work failed; the reason went to its parent in StartRefused."""


NORMAL: Final = "normal"
SHUTDOWN: Final = "shutdown"


def exit_reason(exit_code: int | None) -> str:
    """Return the exit reason of OTP's rules for a process that ended with `exit_code`.

    "normal" and "shutdown" are clean; every other string is abnormal and says what happened:
    "handler failed (70)", "killed (-9)", "exit code 1". None (unknown) is abnormal.
    """
    if exit_code is None:
        return "exit code unknown"
    if exit_code == ExitCode.NORMAL:
        return NORMAL
    if exit_code == ExitCode.SHUTDOWN:
        return SHUTDOWN
    if exit_code == -signal.SIGKILL:
        return f"killed ({exit_code})"
    if exit_code < 0:
        return f"{_signal_name(-exit_code)} ({exit_code})"
    if exit_code in tuple(ExitCode):
        name = ExitCode(exit_code).name.lower().replace("_", " ")
        return f"{name} ({exit_code})"
    return f"exit code {exit_code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name.lower()
    except ValueError:
        return f"signal {number}"
