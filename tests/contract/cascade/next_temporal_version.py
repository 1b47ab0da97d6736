"""A worker as the next release might have it: version 1 as it was, version 2 changed."""

from __future__ import annotations

from temporalio import workflow

from cascade.engines import temporal_worker
from cascade.engines.temporal_calls import CascadeReply, CascadeRequest
from cascade.engines.temporal_workflow import WORKFLOW, Cascade, ParkedCascade

NEXT = "Cascade.v2"


@workflow.defn(name=NEXT)
class CascadeNext(Cascade):
    """A workflow whose history begins otherwise: no history of version 1 replays on it."""

    @workflow.init
    def __init__(self, request: CascadeRequest) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: CascadeRequest) -> CascadeReply:
        await workflow.sleep(0.001)
        return await super().run(request)


@workflow.defn(name=WORKFLOW)
class CascadeChangedInPlace(CascadeNext):
    """The mistake: the change, but the version as it was."""

    @workflow.init
    def __init__(self, request: CascadeRequest) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: CascadeRequest) -> CascadeReply:
        return await super().run(request)


if __name__ == "__main__":
    temporal_worker.main((Cascade, CascadeNext, ParkedCascade))
