"""Temporal to run the cascade's contract over: its test server and a worker, both processes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest
from temporalio.client import Client

from cascade.engines.temporal_admin import TemporalOperations
from cascade.engines.temporal_client import TemporalEngine, TemporalSettings, connect
from hermes.embedded.plan import ServicePlan, plan_services
from hermes.embedded.probe import TcpOpen
from hermes.embedded.spec import ServiceSpec
from hermes.testing.services import ServiceRunner, options_for_tests
from hermes.testing.temporal_server import INSTALL, locate_test_server
from tests.contract.cascade.ledger import Ledger
from tests.contract.cascade.rig import PATIENT, REPOSITORY, RETRIES, Rig

# soon parks, and replays the history at every task, which shows whether it can be replayed
IMPATIENT = TemporalSettings(retries=RETRIES, cached=0, task_timeout_s=2.0)
# does not park while a worker starts again; the test server never takes a task back that it kept
# for a worker which has the workflow in its memory
PATIENT_ON_TEMPORAL = TemporalSettings(retries=PATIENT.retries, cached=0, task_timeout_s=2.0)


@dataclass
class TemporalServer:
    """A server and a worker; `path` is the ledger's file."""

    runner: ServiceRunner
    path: Path
    settings: TemporalSettings

    @property
    def target(self) -> str:
        return target_of(self.runner.plan)

    @asynccontextmanager
    async def rig(self) -> AsyncIterator[tuple[Rig, Client]]:
        """Connect to the server."""
        client = await connect(self.target, self.settings)
        ledger = Ledger(self.path)
        engine = TemporalEngine(client, self.settings)
        yield Rig(engine, TemporalOperations(client, ledger), ledger), client
        ledger.db.close()


def target_of(plan: ServicePlan) -> str:
    """Give where the server of a plan listens."""
    return f"127.0.0.1:{plan.ports['temporal']}"


def process_spec(plan: ServicePlan, name: str, *words: str) -> ServiceSpec:
    """Say how a Python module is run; ready means that the server is."""
    return ServiceSpec(
        name=name,
        argv=(sys.executable, "-m", *words),
        env=(("PATH", os.environ["PATH"]), ("PYTHONPATH", str(REPOSITORY)), ("LC_ALL", "C.UTF-8")),
        cwd=str(REPOSITORY),
        run_as=None,
        stop_signal=int(signal.SIGTERM),
        death_signal=int(signal.SIGTERM),
        stop_timeout_s=8.0,
        ready=TcpOpen(target_of(plan)),
        log_path=str(plan.data.log / f"{name}.log"),
        binary=sys.executable,
        version="",
        where=target_of(plan),
    )


def worker_spec(
    plan: ServicePlan, path: Path, settings: TemporalSettings, name: str, module: str
) -> ServiceSpec:
    """Say how a worker is run."""
    words = (
        *(module, "--target", target_of(plan)),
        *("--steps", "tests.contract.cascade.ledger:open_steps", "--steps-argument", str(path)),
        *("--settings", msgspec.json.encode(settings).decode()),
    )
    return process_spec(plan, name, *words)


@contextmanager
def running_temporal(
    make_dir: Callable[[], Path], settings: TemporalSettings
) -> Iterator[TemporalServer]:
    """Run a server and a worker; skip where the server is not installed."""
    if locate_test_server() is None:
        pytest.skip(f"Temporal's test server is not installed: `{INSTALL}`")
    path = make_dir() / "ledger.sqlite"
    options = replace(options_for_tests((), make_dir()), extra_ports=("temporal",))
    plan = plan_services(options)
    next_version = "tests.contract.cascade.next_temporal_version"
    specs = (
        process_spec(plan, "temporal", "hermes.testing.temporal_server", target_of(plan)[10:]),
        worker_spec(plan, path, settings, "worker", "cascade.engines.temporal_worker"),
        worker_spec(plan, path, settings, "worker-2", next_version),
    )
    with ServiceRunner(replace(plan, specs=specs)) as runner:
        runner.start("temporal")
        runner.start("worker")
        yield TemporalServer(runner, path, settings)
