"""The process that runs cascades for Temporal: `python -m cascade.engines.temporal_worker`.

It listens nowhere: it fetches work from the server at `--target`. More than one may run.
"""

from __future__ import annotations

import cascade.engines.temporal_install  # noqa: F401 - first: it says what is missing

# isort: split
import argparse
import asyncio
import logging
import os
import signal
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta
from typing import Final

import msgspec
import structlog
import uvloop
from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from cascade.engines.process import find_steps, in_one_line
from cascade.engines.temporal_calls import CascadeActivities
from cascade.engines.temporal_client import TemporalSettings, connect
from cascade.engines.temporal_workflow import Cascade, ParkedCascade
from cascade.steps import CascadeSteps
from hermes import logs
from hermes.core.errors import StoreUnavailable

# the versions this worker knows; one is removed when nothing of it runs
WORKFLOWS: Final[Sequence[type]] = (Cascade, ParkedCascade)
# what is pure need not be imported once more for each cascade
RUNNER: Final = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules(
        "cascade", "hermes", "msgspec"
    )
)
LOOK_EVERY_S: Final = 0.5
CALLS_END_WITHIN: Final = timedelta(seconds=1)
STOP_WITHIN_S: Final = 3.0


def make_worker(
    client: Client,
    steps: CascadeSteps,
    settings: TemporalSettings,
    workflows: Sequence[type] = WORKFLOWS,
) -> Worker:
    """Make a worker around the steps."""
    calls = CascadeActivities(steps)
    return Worker(
        client,
        task_queue=settings.task_queue,
        workflows=workflows,
        activities=[calls.open, calls.take_over, calls.dispatch, calls.finished],
        workflow_runner=RUNNER,
        no_remote_activities=True,
        max_cached_workflows=settings.cached,
        # without memory a second task would take the place of the first, whose calls get lost
        max_concurrent_workflow_tasks=None if settings.cached else 1,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=settings.sticky_s),
        graceful_shutdown_timeout=CALLS_END_WITHIN,
    )


async def serve(
    target: str,
    steps: CascadeSteps,
    settings: TemporalSettings,
    workflows: Sequence[type] = WORKFLOWS,
) -> None:
    """Work until SIGTERM or SIGINT; what is under way goes on elsewhere or later.

    Raises RuntimeError for a namespace that is not there.
    """
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    client = await connected(target, settings, stopped)
    if client is None:
        return
    worker = make_worker(client, steps, settings, workflows)
    structlog.get_logger().info("cascade_worker.working", target=target, queue=settings.task_queue)
    work, stop = asyncio.create_task(worker.run()), asyncio.create_task(stopped.wait())
    await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
    if not work.done():
        shutdown = asyncio.create_task(worker.shutdown())
        await asyncio.wait({shutdown}, timeout=STOP_WITHIN_S)
    if work.done():
        work.result()


async def connected(
    target: str, settings: TemporalSettings, stopped: asyncio.Event
) -> Client | None:
    """Connect as soon as the server is there; None if it was stopped before."""
    is_told = False
    while not stopped.is_set():
        try:
            return await connect(target, settings, lazy=False)
        except StoreUnavailable as error:
            if not is_told:
                structlog.get_logger().warning("cascade_worker.waiting", why=str(error))
            is_told = True
        with suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), LOOK_EVERY_S)
    return None


async def run(
    target: str,
    steps: AbstractAsyncContextManager[CascadeSteps],
    settings: TemporalSettings,
    workflows: Sequence[type],
) -> None:
    """Open the steps and serve."""
    async with steps as opened:
        await serve(target, opened, settings, workflows)


def main(workflows: Sequence[type] = WORKFLOWS) -> None:
    """Run until SIGTERM, with the workflows given."""
    parser = argparse.ArgumentParser(prog="cascade.engines.temporal_worker")
    parser.add_argument("--target", required=True, help="the server, host:port")
    parser.add_argument("--steps", required=True, help="module:function that opens the steps")
    parser.add_argument("--steps-argument", default="", help="what that function is called with")
    parser.add_argument("--settings", default="{}", help="TemporalSettings as JSON")
    arguments = parser.parse_args()
    logs.configure("cascade-worker")
    logging.getLogger("temporalio.activity").addFilter(in_one_line)
    settings = msgspec.json.decode(arguments.settings, type=TemporalSettings)
    steps = find_steps(arguments.steps)(arguments.steps_argument)
    uvloop.new_event_loop().run_until_complete(run(arguments.target, steps, settings, workflows))
    # an orderly end may abort: a thread of temporalio's still lets go of the interpreter's lock
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    main()
