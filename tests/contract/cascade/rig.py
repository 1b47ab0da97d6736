"""Engines to run the cascade's contract over: one in memory, one on a Restate server of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

import aiohttp
import msgspec
import pytest

from cascade.engine import CascadeEngine, CascadeOperations, EngineStatus, Parked, Retries
from cascade.engines.memory import MemoryEngine, utc_now
from cascade.engines.restate_admin import RestateOperations
from cascade.engines.restate_client import RestateEngine
from cascade.engines.restate_http import RestateHttp
from cascade.engines.restate_workflow import WorkflowSettings
from cascade.events import Failure, Outcome
from hermes.core.plan import Plan, Step
from hermes.core.units import Success
from hermes.embedded.locate import locate_restate
from hermes.embedded.plan import ServicePlan, plan_services
from hermes.embedded.probe import HttpProbe
from hermes.embedded.spec import ServiceSpec
from hermes.testing.services import ServiceRunner, options_for_tests
from tests.contract.cascade.ledger import PATIENCE_S, Ledger

REPOSITORY = Path(__file__).resolve().parents[3]
RETRIES = Retries(initial_s=0.02, max_s=0.1, max_attempts=4)
# soon parks, and replays the journal at every await, which shows whether it can be replayed
IMPATIENT = WorkflowSettings(inactivity_s=0.0, retries=RETRIES)
# does not park while an endpoint starts again; else as it is run
PATIENT = WorkflowSettings(retries=Retries(initial_s=0.02, max_s=0.1, max_attempts=1000))
SHORT, LONG = 0.3, 300.0
HERD = 30
BELT_FIRST = Plan((Step("email", wait_s=0.5), Step("sms", wait_s=LONG)))


def plan(*waits: float | None, success: Success = "delivered") -> Plan:
    """Steps by SMS with these waits."""
    return Plan(tuple(Step("sms", wait_s=wait, success=success) for wait in waits))


def told(step: int, status: Success | Failure) -> Outcome:
    """What became known of a step, just now."""
    return Outcome(step, status, utc_now())


@dataclass
class Rig:
    """An engine, its operations and the ledger both work on."""

    engine: CascadeEngine
    operations: CascadeOperations
    ledger: Ledger


async def parked_of(rig: Rig, mid: str) -> Parked:
    """Wait until a message is parked."""
    deadline = monotonic() + PATIENCE_S
    while monotonic() < deadline:
        for parked in await rig.operations.parked():
            if parked.mid == mid:
                return parked
        await asyncio.sleep(0.01)
    raise AssertionError(mid)


async def settled(rig: Rig, mid: str) -> EngineStatus:
    """Wait until nothing of a message runs or waits."""
    deadline = monotonic() + PATIENCE_S
    while (status := await rig.engine.status(mid)).phase == "running":
        assert monotonic() < deadline
        await asyncio.sleep(0.01)
    return status


async def start_herd(rig: Rig, mid: str, what: Plan) -> list[str]:
    """Start many at once."""
    herd = [rig.ledger.message(f"{mid}-{number}") for number in range(HERD)]
    await asyncio.gather(*(rig.engine.start(one, what) for one in herd))
    return herd


async def deliver(rig: Rig, one: str, step: int) -> None:
    """Tell that a step was delivered once it is on the belt."""
    await rig.engine.outcome(await rig.ledger.dispatched(one, step), told(step, "delivered"))


@dataclass
class Server:
    """A Restate server and an endpoint, both processes; `path` is the ledger's file."""

    runner: ServiceRunner
    path: Path

    @property
    def plan(self) -> ServicePlan:
        return self.runner.plan

    def endpoint_url(self, name: str = "cascade") -> str:
        return f"http://127.0.0.1:{self.plan.ports[name]}"

    def kill(self, name: str) -> None:
        """End `restate` or `cascade` with SIGKILL and start it again."""
        self.runner.kill(name)
        self.runner.start(name)

    @asynccontextmanager
    async def rig(self) -> AsyncIterator[tuple[Rig, RestateOperations]]:
        """Connect to the server."""
        endpoints = self.plan.endpoints
        assert endpoints.restate_ingress_url is not None
        assert endpoints.restate_admin_url is not None
        ledger = Ledger(self.path)
        async with aiohttp.ClientSession() as session:
            http = RestateHttp(session, endpoints.restate_ingress_url, endpoints.restate_admin_url)
            operations = RestateOperations(http, ledger)
            yield Rig(RestateEngine(http), operations, ledger), operations
        ledger.db.close()


@asynccontextmanager
async def memory_rig(path: Path) -> AsyncIterator[Rig]:
    """Give an engine of this process."""
    ledger = Ledger(path)
    engine = MemoryEngine(ledger, RETRIES)
    yield Rig(engine, engine, ledger)
    await engine.close()
    ledger.db.close()


def endpoint_spec(
    plan: ServicePlan, path: Path, settings: WorkflowSettings, name: str, module: str
) -> ServiceSpec:
    """Say how an endpoint is run on the port kept under its name."""
    restate = next(spec for spec in plan.specs if spec.name == "restate")
    port = plan.ports[name]
    assert plan.restate_identity is not None
    return replace(
        restate,
        name=name,
        argv=(
            *(sys.executable, "-m", module, "--port", str(port)),
            *("--steps", "tests.contract.cascade.ledger:open_steps"),
            *("--steps-argument", str(path), "--identity-key", plan.restate_identity),
            *("--settings", msgspec.json.encode(settings).decode()),
        ),
        env=(("PATH", os.environ["PATH"]), ("PYTHONPATH", str(REPOSITORY)), ("LC_ALL", "C.UTF-8")),
        cwd=str(REPOSITORY),
        ready=HttpProbe((f"http://127.0.0.1:{port}/v1/health",)),
        stop_timeout_s=5.0,
        log_path=str(plan.data.log / f"{name}.log"),
        where=f"127.0.0.1:{port}",
    )


@contextmanager
def running_server(make_dir: Callable[[], Path], settings: WorkflowSettings) -> Iterator[Server]:
    """Run a Restate server, the endpoint registered; skip where Restate is not installed."""
    notices: list[str] = []
    if locate_restate(notice=notices.append) is None:
        pytest.skip(notices[0])
    path = make_dir() / "ledger.sqlite"
    options = replace(
        options_for_tests(("restate",), make_dir()), extra_ports=("cascade", "cascade-2")
    )
    plan = plan_services(options)
    plan = replace(
        plan,
        specs=(
            *plan.specs,
            endpoint_spec(plan, path, settings, "cascade", "cascade.engines.restate_server"),
            endpoint_spec(plan, path, settings, "cascade-2", "tests.contract.cascade.next_version"),
        ),
    )
    with ServiceRunner(plan) as runner:
        server = Server(runner, path)
        runner.start("restate", "cascade")
        # the caller may be inside an event loop: a thread has its own
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, register(server)).result()
        yield server


async def register(server: Server) -> None:
    """Register the endpoint's first version."""
    async with server.rig() as (_, operations):
        await operations.register(server.endpoint_url(), [1])
