"""Engines of row cascade-engine: each a server and a process with the steps, and a client of it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import aiohttp

from cascade.engine import CascadeEngine
from cascade.engines.restate_admin import RestateOperations
from cascade.engines.restate_client import RestateEngine
from cascade.engines.restate_http import RestateHttp
from hermes.embedded.plan import ServicePlan, plan_services
from hermes.embedded.probe import HttpProbe, Probe, TcpOpen
from hermes.embedded.spec import RestateSizing, ServiceSpec
from hermes.testing.services import ServiceRunner, options_for_tests
from hermes.testing.temporal_server import command

ROOT: Final = Path(__file__).resolve().parent.parent
CONNECTIONS: Final = 400
SERVER: Final = "server"
STEPS: Final = "steps"


def process(plan: ServicePlan, name: str, ready: Probe, *argv: str) -> ServiceSpec:
    """Say how a process of the bench is run."""
    return ServiceSpec(
        name=name,
        argv=argv,
        env=(("PATH", os.environ["PATH"]), ("PYTHONPATH", str(ROOT)), ("LC_ALL", "C.UTF-8")),
        cwd=str(ROOT),
        run_as=None,
        stop_signal=int(signal.SIGTERM),
        death_signal=int(signal.SIGTERM),
        stop_timeout_s=5.0,
        ready=ready,
        log_path=str(plan.data.log / f"{name}.log"),
        binary=argv[0],
        version="",
        where="",
    )


def steps_words(ears: str) -> tuple[str, ...]:
    """Give the words by which an endpoint or worker opens the steps."""
    return "--steps", "bench.cascade_steps:open_steps", "--steps-argument", ears


@contextmanager
def restate(folder: Path, ears: str) -> Iterator[ServiceRunner]:
    """Run Restate as it is embedded, and an endpoint."""
    options = replace(
        options_for_tests(("restate",), folder), restate=RestateSizing(), extra_ports=(STEPS,)
    )
    plan = plan_services(options)
    if not plan.specs:
        raise OSError("Restate is not installed: `make` does it")
    port = str(plan.ports[STEPS])
    assert plan.restate_identity is not None
    argv = (sys.executable, "-m", "cascade.engines.restate_server", "--port", port)
    ready = HttpProbe((f"http://127.0.0.1:{port}/v1/health",))
    identity = ("--identity-key", plan.restate_identity)
    endpoint = process(plan, STEPS, ready, *argv, *identity, *steps_words(ears))
    server = replace(plan.specs[0], name=SERVER)
    with ServiceRunner(replace(plan, specs=(server, endpoint))) as runner:
        runner.start(SERVER, STEPS)
        yield runner


@asynccontextmanager
async def restate_engine(plan: ServicePlan) -> AsyncIterator[CascadeEngine]:
    """Connect, and register the endpoint."""
    ingress, admin = plan.endpoints.restate_ingress_url, plan.endpoints.restate_admin_url
    assert ingress is not None
    assert admin is not None
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector) as session:
        http = RestateHttp(session, ingress, admin)
        operations = RestateOperations(http, NeverFails())
        await operations.register(f"http://127.0.0.1:{plan.ports[STEPS]}", [1])
        yield RestateEngine(http)


class NeverFails:
    """Steps for operations nobody performs."""

    async def finished(self, mid: str, result: object) -> None:
        """Refuse."""
        raise NotImplementedError


@contextmanager
def temporal(folder: Path, ears: str) -> Iterator[ServiceRunner]:
    """Run Temporal's test server, and a worker."""
    plan = plan_services(replace(options_for_tests((), folder), extra_ports=(SERVER,)))
    ready = TcpOpen(temporal_target(plan))
    server = process(plan, SERVER, ready, *command(plan.ports[SERVER]))
    argv = (sys.executable, "-m", "cascade.engines.temporal_worker")
    target = ("--target", temporal_target(plan))
    worker = process(plan, STEPS, ready, *argv, *target, *steps_words(ears))
    with ServiceRunner(replace(plan, specs=(server, worker))) as runner:
        runner.start(SERVER)
        runner.start(STEPS)
        yield runner


def temporal_target(plan: ServicePlan) -> str:
    """Give where the test server listens."""
    return f"127.0.0.1:{plan.ports[SERVER]}"


@asynccontextmanager
async def temporal_engine(plan: ServicePlan) -> AsyncIterator[CascadeEngine]:
    """Connect."""
    # imported here, so that Restate can be measured without Temporal's package
    from cascade.engines.temporal_client import (  # noqa: PLC0415
        TemporalEngine,
        TemporalSettings,
        connect,
    )

    settings = TemporalSettings()
    yield TemporalEngine(await connect(temporal_target(plan), settings), settings)


ENGINES: Final = {"restate": (restate, restate_engine), "temporal": (temporal, temporal_engine)}
