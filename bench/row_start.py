"""Row 4: how long a start takes, and what a daemon costs that has nothing to do."""

from __future__ import annotations

import time

from bench.processes import SIMULATOR, hermes_sum, processes_of
from bench.report import Figure, Row
from bench.stand import Options, Stopwatch, errors_in
from hermes.testing.daemon_process import DaemonProcess, pause, running_daemon

TITLE = "Start, memory and idling"
METHOD = (
    "`hermes run` until `hermes ready`, embedded mode with the simulated carrier; first start with "
    "an empty data directory; memory is the proportional set size {s:g} s after the second start; "
    "idle CPU over {i:g} s"
)
SETTLE_S = 3.0
IDLE_S = 10.0
ENV = {"HERMES_RESTATE__ENABLED": "true"}


def start_and_memory(options: Options) -> Row:
    """Measure both starts, then a daemon at rest."""
    say = options.progress.say
    with running_daemon(ENV, start=False) as daemon:
        say("first start")
        first = daemon.start()
        stop = stop_of(daemon)
        say("second start")
        second = daemon.start()
        say("idle")
        pause(SETTLE_S)
        processes = processes_of(daemon)
        memory = processes.memory_mb()
        watch = Stopwatch(processes)
        pause(IDLE_S)
        measured = watch.stop()
        errors = errors_in(daemon.data / "log" / "hermes.log")
    idle = {kind: 1000 * spent / measured.seconds for kind, spent in measured.cpu.items()}
    total = sum(size for kind, size in memory.items() if kind != SIMULATOR)
    figures = (
        Figure(name="first start", value=first, unit="s"),
        Figure(name="second start", value=second, unit="s"),
        Figure(name="stop", value=stop, unit="s"),
        Figure(name="memory, daemon and services", value=total, unit="MB", bar=700, better="lower"),
        Figure(name="memory, Hermes processes", value=hermes_sum(memory), unit="MB"),
        Figure(name="processes of Hermes", value=processes.hermes_count()),
        Figure(name="idle CPU, Hermes processes", value=hermes_sum(idle), unit="ms/s"),
    )
    return Row(
        id="4",
        title=TITLE,
        method=METHOD.format(s=SETTLE_S, i=IDLE_S),
        figures=figures,
        idle_ms=idle,
        memory_mb=memory,
        around=measured.around,
        errors=tuple(errors),
    )


def stop_of(daemon: DaemonProcess) -> float:
    """Stop a daemon; give the seconds it took. Raises OSError when it did not end well."""
    began = time.monotonic()
    code = daemon.stop()
    if code != 0:
        raise OSError(f"the daemon ended with {code}")
    return time.monotonic() - began
