"""Real services for tests: the embedded ones as plain child processes, without supervision."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Self

from hermes.embedded.orphan import end_leftovers
from hermes.embedded.plan import ServiceOptions, ServicePlan, plan_services
from hermes.embedded.probe import NotReady, probe
from hermes.embedded.spec import RestateSizing, ServiceSpec
from hermes.embedded.state_file import ProcessRecord, start_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from hermes.embedded.endpoints import Endpoints

_PR_SET_PDEATHSIG = 1
_READY_TIMEOUT_S = 30.0
_PROBE_EVERY_S = 0.01
_LOG_TAIL = 800
_TEST_SIZING = RestateSizing(partitions=1, memory="64MB")


class ServiceRunner:
    """Runs the services of a plan; start and stop them from one thread that lives as long.

    The kernel sends a child its death signal when the *thread* that spawned it ends.
    """

    def __init__(self, plan: ServicePlan) -> None:
        self.plan = plan
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._specs = {spec.name: spec for spec in plan.specs}

    @property
    def endpoints(self) -> Endpoints:
        """Where clients reach the services."""
        return self.plan.endpoints

    def start(self, *names: str) -> None:
        """Start the services named (all, if none is) and return when they are ready.

        Raises NotReady, with the end of the log, if one ends early or takes 30 s.
        """
        specs = [self._specs[name] for name in names or self._specs]
        for spec in specs:
            self._spawn(spec)
        # probing needs an event loop and the caller may be inside one: a thread has its own
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, self._all_ready(specs)).result()

    def kill(self, name: str) -> None:
        """End a service with SIGKILL and return when it is gone."""
        self.processes[name].kill()
        self.processes[name].wait()

    def stop(self, *names: str) -> dict[str, int]:
        """Stop the services named (all, if none is) by their own signals; return exit codes."""
        stopping = list(names or self.processes)
        for name in stopping:
            self.processes[name].send_signal(self._specs[name].stop_signal)
        codes = {}
        for name in stopping:
            process = self.processes.pop(name)
            try:
                codes[name] = process.wait(self._specs[name].stop_timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                codes[name] = process.wait()
            self.plan.state.forget(name, process.pid)
        return codes

    def close(self) -> None:
        """Stop what runs and free the data directory."""
        self.stop()
        self.plan.lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _spawn(self, spec: ServiceSpec) -> None:
        if spec.leftover_title is not None:
            end_leftovers(spec.leftover_title)
        uid, gid = spec.run_as if spec.run_as is not None else (None, None)
        with Path(spec.log_path).open("ab") as log, warnings.catch_warnings():
            # Python 3.12+: preexec_fn in a process with threads; ours makes two system calls
            warnings.simplefilter("ignore", DeprecationWarning)
            process = subprocess.Popen(  # noqa: S603 - located binaries
                spec.argv,
                cwd=spec.cwd,
                env=dict(spec.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent(spec.death_signal),  # noqa: PLW1509
                user=uid,
                group=gid,
                extra_groups=None if uid is None else [],
            )
        self.processes[spec.name] = process
        self.plan.state.record(
            ProcessRecord(
                name=spec.name,
                pid=process.pid,
                start_time=start_time(process.pid) or "",
                kind="service",
                stop_signal=spec.stop_signal,
                stop_timeout_s=spec.stop_timeout_s,
                where=spec.where,
                version=spec.version,
                binary=spec.binary,
            )
        )

    async def _all_ready(self, specs: list[ServiceSpec]) -> None:
        await asyncio.gather(*map(self._ready, specs))

    async def _ready(self, spec: ServiceSpec) -> None:
        deadline = monotonic() + _READY_TIMEOUT_S
        while True:
            code = self.processes[spec.name].poll()
            if code is not None:
                raise NotReady(f"{spec.name} ended with {code}: {_tail(spec.log_path)}")
            try:
                await probe(spec.ready)
            except NotReady as error:
                if monotonic() > deadline:
                    why = f"{spec.name} took {_READY_TIMEOUT_S} s ({error})"
                    raise NotReady(f"{why}: {_tail(spec.log_path)}") from error
                await asyncio.sleep(_PROBE_EVERY_S)
            else:
                return


def _tail(log_path: str) -> str:
    return Path(log_path).read_text(encoding="utf-8", errors="replace")[-_LOG_TAIL:]


def _die_with_parent(death_signal: int) -> Callable[[], None]:
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def arm() -> None:  # runs after setuid, which would clear the flag
        libc.prctl(_PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return arm


def options_for_tests(names: Iterable[str], data_dir: Path) -> ServiceOptions:
    """Return options for tests: small, and a new cluster is not flushed to disk."""
    return ServiceOptions(
        data_dir=data_dir,
        names=frozenset(names),
        restate=_TEST_SIZING,
        postgres_options=(("fsync", "off"), ("max_connections", "200")),
        min_free_bytes=64 * 2**20,
        sync_new_cluster=False,
    )


@contextmanager
def running_services(
    names: Iterable[str], data_dir: Path, progress: Callable[[str], None] = lambda _: None
) -> Iterator[Endpoints]:
    """Run the services named (nats, valkey, postgres, restate) and give where they are reached.

    data_dir must let others pass (0755, and all above it) when run as root. Raises ServiceMissing
    and the other errors of `plan_services`, NotReady.
    """
    plan = plan_services(options_for_tests(names, data_dir), progress)
    with ServiceRunner(plan) as runner:
        runner.start()
        yield runner.endpoints


def halt(pid: int) -> None:
    """Stop a process with SIGSTOP and return when all of its threads stand still."""
    os.kill(pid, signal.SIGSTOP)
    while any(
        task.joinpath("stat").read_text().rsplit(")", 1)[1].split()[0] not in "TtZX"
        for task in Path(f"/proc/{pid}/task").iterdir()
    ):
        os.sched_yield()
