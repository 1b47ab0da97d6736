"""An endpoint as the next release might have it: version 1 as it was, version 2 changed."""

from __future__ import annotations

from datetime import timedelta

import restate
from restate import RunOptions, WorkflowContext

from cascade.engines import restate_server
from cascade.engines.restate_workflow import (
    REPLY,
    REQUEST,
    SERVICE,
    CascadeReply,
    CascadeRequest,
    JsonSerde,
    WorkflowSettings,
    build_workflow,
    walk,
)
from cascade.steps import CascadeSteps

GREETING = RunOptions[str](serde=JsonSerde(str))


def build_changed(steps: CascadeSteps, settings: WorkflowSettings) -> restate.Workflow:
    """Make a workflow whose journal begins otherwise: no journal of version 1 replays on it."""
    workflow = restate.Workflow(SERVICE, inactivity_timeout=timedelta(settings.inactivity_s))

    @workflow.main(input_serde=REQUEST, output_serde=REPLY)
    async def run(ctx: WorkflowContext, request: CascadeRequest) -> CascadeReply:
        await ctx.run_typed("greet", greet, GREETING)
        return await walk(ctx, request, steps)

    return workflow


async def greet() -> str:
    """Change the journal."""
    return "hello"


if __name__ == "__main__":
    restate_server.main({1: build_workflow, 2: build_changed})
