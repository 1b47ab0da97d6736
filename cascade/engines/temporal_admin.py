"""Operating cascades on Temporal: those that are parked."""

from __future__ import annotations

import cascade.engines.temporal_install  # noqa: F401 - first: it says what is missing

# isort: split
from collections.abc import AsyncIterator, Sequence
from datetime import UTC
from typing import Final, Protocol

from temporalio.api.filter.v1 import WorkflowTypeFilter
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import ListOpenWorkflowExecutionsRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from cascade.actions import Result
from cascade.engine import Parked
from cascade.engines.keys import keys_of
from cascade.engines.temporal_calls import ParkedReport
from cascade.engines.temporal_client import RPC_TIMEOUT, as_port_errors, was_there
from cascade.engines.temporal_workflow import PARKED, PARKED_SUFFIX
from hermes.core.units import Reason

PAGE: Final = 500


class TellsResult(Protocol):
    """The part of the steps a failed cascade needs."""

    async def finished(self, mid: str, result: Result) -> None:
        """Note the outcome if there is none."""
        ...


class TemporalOperations:
    """CascadeOperations over Temporal: each parked cascade has a workflow that stands for it."""

    def __init__(self, client: Client, steps: TellsResult) -> None:
        self.client, self.steps = client, steps

    async def parked(self, limit: int = 100) -> Sequence[Parked]:
        """Give parked cascades, the longest parked first."""
        with as_port_errors():
            found = [info async for info in self._open()]
            found.sort(key=lambda info: info.start_time.ToNanoseconds())
            return [
                Parked(
                    mid=report.mid,
                    since=info.start_time.ToDatetime(tzinfo=UTC),
                    failure=report.failure,
                    is_outage=report.is_outage,
                )
                for info in found[:limit]
                if (report := await self._report(info)) is not None
            ]

    async def resume(self, mid: str) -> bool:
        """Let a parked cascade try again."""
        handles = [self.client.get_workflow_handle(key + PARKED_SUFFIX) for key in keys_of(mid)]
        signals = [handle.signal("resume", rpc_timeout=RPC_TIMEOUT) for handle in handles]
        return any([await was_there(signal) for signal in signals])

    async def fail(self, mid: str, reason: str) -> bool:
        """Tell the ledger first: then no crash leaves the message without an outcome."""
        parked = [key for key in keys_of(mid) if await self._is_parked(key)]
        if parked:
            why = Reason("failed_by_operator", reason)
            await self.steps.finished(mid, Result(status="failed", reason=why))
        for key in parked:  # the cascade first: it must not see the other end
            for workflow in (key, key + PARKED_SUFFIX):
                handle = self.client.get_workflow_handle(workflow)
                await was_there(handle.terminate(reason=reason, rpc_timeout=RPC_TIMEOUT))
        return bool(parked)

    async def _open(self) -> AsyncIterator[WorkflowExecutionInfo]:
        request = ListOpenWorkflowExecutionsRequest(
            namespace=self.client.namespace,
            maximum_page_size=PAGE,
            type_filter=WorkflowTypeFilter(name=PARKED),
        )
        while True:
            reply = await self.client.workflow_service.list_open_workflow_executions(
                request, timeout=RPC_TIMEOUT
            )
            for info in reply.executions:
                if info.type.name == PARKED:  # the test server does not filter
                    yield info
            if not reply.next_page_token:
                return
            request.next_page_token = reply.next_page_token

    async def _report(self, info: WorkflowExecutionInfo) -> ParkedReport | None:
        """Read what a parked cascade was parked with; None if it is over by now."""
        execution = info.execution
        handle = self.client.get_workflow_handle(execution.workflow_id, run_id=execution.run_id)
        try:
            async for event in handle.fetch_history_events(page_size=1):
                payloads = event.workflow_execution_started_event_attributes.input.payloads
                decoded = await self.client.data_converter.decode(payloads, [ParkedReport])
                report: ParkedReport = decoded[0]
                return report
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        return None

    async def _is_parked(self, key: str) -> bool:
        handle = self.client.get_workflow_handle(key + PARKED_SUFFIX)
        with as_port_errors():
            try:
                found = await handle.describe(rpc_timeout=RPC_TIMEOUT)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return False
                raise
        return found.status is WorkflowExecutionStatus.RUNNING
