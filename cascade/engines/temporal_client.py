"""The cascade engine over a Temporal server, by its gRPC API."""

from __future__ import annotations

import cascade.engines.temporal_install  # noqa: F401 - first: it says what is missing

# isort: split
import asyncio
import logging
import secrets
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any, Final

import msgspec
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import WorkflowIDReusePolicy
from temporalio.converter import (
    BinaryNullPayloadConverter,
    CompositePayloadConverter,
    DataConverter,
    EncodingPayloadConverter,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)
from temporalio.service import GrpcCompression, RetryConfig, RPCError, RPCStatusCode

from cascade.engine import EngineStatus, Health, OutcomeFate, Retries, StartResult
from cascade.engines.handles import Handle, decided, merged
from cascade.engines.keys import LATER, keys_of
from cascade.engines.temporal_calls import CascadeReply, CascadeRequest, News, read_handle
from cascade.engines.temporal_workflow import WORKFLOW
from cascade.events import Outcome
from hermes.core.errors import HermesBug, StoreUnavailable
from hermes.core.plan import Plan

SECRET_BYTES: Final = 16
RPC_TIMEOUT: Final = timedelta(seconds=10)
RETRY: Final = RetryConfig(max_elapsed_time_millis=1_000, max_retries=3)
OURS: Final = frozenset(
    {
        RPCStatusCode.INVALID_ARGUMENT,
        RPCStatusCode.UNIMPLEMENTED,
        RPCStatusCode.FAILED_PRECONDITION,
        RPCStatusCode.OUT_OF_RANGE,
    }
)
"""What no repetition mends."""


class TemporalSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How Temporal is used; times in seconds.

    A workflow task that a worker took and did not answer is given to another after
    `task_timeout_s`; one kept for the worker that has the workflow in its memory, after
    `sticky_s`. A worker keeps `cached` cascades in memory and replays the others; those in the
    middle of a call are among them, so it bounds the calls under way. How long a finished cascade
    is remembered is a property of the namespace.
    """

    namespace: str = "default"
    task_queue: str = "hermes-cascade"
    task_timeout_s: float = 10.0
    sticky_s: float = 5.0
    cached: int = 1000
    call_timeout_s: float = 30.0
    retries: Retries = Retries()


class JsonConverter(EncodingPayloadConverter):
    """JSON by msgspec; reading raises RuntimeError."""

    @property
    def encoding(self) -> str:
        """Give the name Temporal's console knows."""
        return "json/plain"

    def to_payload(self, value: Any) -> Payload | None:
        """Write."""
        return Payload(metadata={"encoding": b"json/plain"}, data=msgspec.json.encode(value))

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        """Read."""
        try:
            return decoder(type_hint).decode(payload.data)
        except msgspec.DecodeError as error:  # ValidationError is one
            raise RuntimeError(f"a payload cannot be read: {error}") from error


class Converter(CompositePayloadConverter):
    """Nothing, or JSON."""

    def __init__(self) -> None:
        super().__init__(BinaryNullPayloadConverter(), JsonConverter())


@cache
def decoder(kind: type | None) -> msgspec.json.Decoder[Any]:
    """Give the decoder of a type, made once."""
    return msgspec.json.Decoder(Any if kind is None else kind)


@cache
def quiet_runtime() -> Runtime:
    """Give this process' runtime: no metrics, no reports to the server, logs as our own."""
    log = LoggingConfig(
        filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
        forwarding=LogForwardingConfig(logger=logging.getLogger("temporalio.core")),
    )
    return Runtime(telemetry=TelemetryConfig(logging=log), worker_heartbeat_interval=None)


@contextmanager
def as_port_errors() -> Iterator[None]:
    """Turn what the client raises into StoreUnavailable, or HermesBug if we are to blame."""
    try:
        yield
    except RPCError as error:
        why = f"{error.status.name}: {error.message[:200]}"
        if error.status in OURS:
            raise HermesBug(f"temporal: {why}") from error
        raise StoreUnavailable("temporal", why) from error
    except RuntimeError as error:  # what a client says that never connected
        raise StoreUnavailable("temporal", str(error)[:200]) from error


async def connect(target: str, settings: TemporalSettings, *, lazy: bool = True) -> Client:
    """Make a client of a server at `host:port`; a lazy one connects when it is first used.

    Raises StoreUnavailable unless it is lazy.
    """
    with as_port_errors():
        return await Client.connect(
            target,
            namespace=settings.namespace,
            data_converter=DataConverter(payload_converter_class=Converter),
            retry_config=RETRY,
            runtime=quiet_runtime(),
            grpc_compression=GrpcCompression.NONE,
            lazy=lazy,
        )


async def was_there(call: Awaitable[object]) -> bool:
    """Await a call about a workflow; False if it is not there or has ended."""
    with as_port_errors():
        try:
            await call
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
    return True


class TemporalEngine:
    """CascadeEngine over Temporal; starts the workflow of this type."""

    def __init__(
        self, client: Client, settings: TemporalSettings, workflow_type: str = WORKFLOW
    ) -> None:
        self.client, self.settings, self.workflow_type = client, settings, workflow_type

    async def start(self, mid: str, plan: Plan, *, after: timedelta | None = None) -> StartResult:
        """Start the workflow, now or delayed; its id makes it once."""
        settings = self.settings
        request = CascadeRequest(
            mid=mid,
            plan=plan,
            secret=secrets.token_urlsafe(SECRET_BYTES),
            after_s=0.0 if after is None else after.total_seconds(),
            call_timeout_s=settings.call_timeout_s,
            retries=settings.retries,
        )
        with as_port_errors():
            try:
                await self.client.start_workflow(
                    self.workflow_type,
                    request,
                    id=mid if after is None else mid + LATER,
                    task_queue=settings.task_queue,
                    # one that was cancelled before its time may be asked for again
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                    start_delay=after,
                    task_timeout=timedelta(seconds=settings.task_timeout_s),
                    rpc_timeout=RPC_TIMEOUT,
                )
            except WorkflowAlreadyStartedError:
                return "duplicate"
        return "accepted"

    async def outcome(self, token: str, event: Outcome) -> OutcomeFate:
        """Signal the outcome; of several for one handle the workflow takes the first."""
        handle = decided(token, event)
        if not isinstance(handle, Handle):
            return handle
        read = read_handle(handle.text)
        if read is None:
            return "unknown"
        key, secret, slot = read
        news = News(secret, slot, event)
        await was_there(self.workflow(key).signal("outcome", news, rpc_timeout=RPC_TIMEOUT))
        return "told"

    async def cancel(self, mid: str, reason: str) -> bool:
        """Signal both kinds of start."""
        signals = (
            self.workflow(key).signal("cancel", reason, rpc_timeout=RPC_TIMEOUT)
            for key in keys_of(mid)
        )
        return any(await asyncio.gather(*map(was_there, signals)))

    async def status(self, mid: str) -> EngineStatus:
        """Give the result of whichever start has one."""
        return merged([await self._status(key) for key in keys_of(mid)])

    async def health(self) -> Health:
        """Ask the server whether it is well; whether a worker runs it does not know."""
        try:
            with as_port_errors():
                is_up = await self.client.service_client.check_health(timeout=RPC_TIMEOUT)
        except (StoreUnavailable, HermesBug) as error:
            return Health(is_up=False, detail=str(error))
        return Health(is_up=is_up, detail="" if is_up else "temporal says that it does not serve")

    def workflow(self, key: str) -> WorkflowHandle[Any, CascadeReply]:
        """Give a handle of the newest run under a key."""
        return self.client.get_workflow_handle(key, result_type=CascadeReply)

    async def _status(self, key: str) -> EngineStatus:
        handle = self.workflow(key)
        with as_port_errors():
            try:
                found = await handle.describe(rpc_timeout=RPC_TIMEOUT)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return EngineStatus("unknown")
                raise
            match found.status:
                case WorkflowExecutionStatus.RUNNING:
                    return EngineStatus("running")
                case WorkflowExecutionStatus.COMPLETED:
                    reply = await handle.result(rpc_timeout=RPC_TIMEOUT)
                    return EngineStatus("done", reply.result)
                case WorkflowExecutionStatus.FAILED:  # cancelled before its time
                    return EngineStatus("unknown")
                case _:  # an operator ended it
                    return EngineStatus("done")
